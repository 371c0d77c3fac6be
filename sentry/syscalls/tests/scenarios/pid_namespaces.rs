//! Pid namespaces: numbers of their own, and the end of all with the first.

use crate::{exited, killed, run};
use abi::{
    Errno, Signal,
    process::{CloneFlags, WaitOptions},
    sysno,
};

#[test]
fn a_process_has_a_number_in_each() {
    run(|app| {
        let outside = app.clone(CloneFlags::NEWPID, |app| {
            assert_eq!((app.getpid(), app.getppid()), (1, 0), "the parent is not seen from inside");
            let inner = app.fork(|app| {
                assert_eq!((app.getpid(), app.getppid()), (2, 1));
            });
            assert_eq!(inner, 2);
            assert_eq!(app.reap(inner), exited(0));
            assert_eq!(app.kill(3, Signal::SIGTERM), Err(Errno::ESRCH));
        });
        assert!(outside > 1);
        assert_eq!(app.reap(outside), exited(0));
    });
}

#[test]
fn all_end_with_the_first() {
    run(|app| {
        let (hold, _let_go) = app.pipe();
        let (told, tell) = app.pipe();
        let init = app.clone(CloneFlags::NEWPID, move |app| {
            app.fork(move |app| {
                app.fork(move |app| {
                    app.write(tell, b"x").unwrap();
                    let _ = app.read(hold, 1);
                });
                app.write(tell, b"x").unwrap();
                loop {
                    app.compute();
                }
            });
            for _ in 0..20 {
                app.call(sysno::SCHED_YIELD, []).unwrap();
            }
            app.exit_group(4)
        });
        assert_eq!(app.read(told, 1).unwrap().len(), 1);
        app.close(tell);
        assert_eq!(app.reap(init), exited(4), "told only once nobody is left inside");
        assert_eq!(app.processes(), [1]);
        while !app.read(told, 9).unwrap().is_empty() {}
        assert_eq!(app.wait4(-1, WaitOptions::empty()), Err(Errno::ECHILD));
    });
}

#[test]
fn the_first_can_be_killed_from_outside_only() {
    run(|app| {
        let init = app.clone(CloneFlags::NEWPID, |app| {
            let inner = app.fork(|app| app.kill(1, Signal::SIGKILL).unwrap());
            assert_eq!(app.reap(inner), exited(0));
            loop {
                app.compute();
            }
        });
        app.until(|app| app.processes().len() == 2);
        app.kill(init, Signal::SIGKILL).unwrap();
        assert_eq!(app.reap(init), killed(Signal::SIGKILL));
    });
}

#[test]
fn a_namespace_whose_first_has_ended_takes_nobody_in() {
    run(|app| {
        let child = app.fork(|app| {
            app.call(sysno::UNSHARE, [CloneFlags::NEWPID.bits()]).unwrap();
            let first = app.fork(|app| assert_eq!(app.getpid(), 1));
            assert_eq!(app.reap(first), exited(0));
            let sigchld = Signal::SIGCHLD.number() as u64;
            assert_eq!(app.call(sysno::CLONE, [sigchld, 0, 0, 0, 0]), Err(Errno::ENOMEM));
        });
        assert_eq!(app.reap(child), exited(0));
    });
}
