//! Processes: made, ended, waited for, adopted, replaced.

use crate::{App, exited, killed, run};
use abi::{
    Errno, Signal,
    process::{CloneFlags, PR_SET_CHILD_SUBREAPER, Rusage, WaitOptions},
    signal::SaFlags,
    sysno,
};
use kernel::tree::ExitStatus;

const NOW: WaitOptions = WaitOptions::NOHANG;
const ANY: i32 = -1;

#[test]
fn the_status_of_init_is_that_of_the_sandbox() {
    assert_eq!(run(|_| {}), ExitStatus::Code(0));
    assert_eq!(run(|app| app.exit_group(0x1_07)), ExitStatus::Code(7));
}

#[test]
fn a_child_is_reaped_once() {
    run(|app| {
        assert_eq!(app.wait4(ANY, NOW), Err(Errno::ECHILD));
        let parent = app.getpid();
        let child = app.fork(move |app| {
            assert_eq!(app.getppid(), parent);
            app.exit_group(42)
        });
        assert_eq!(app.wait4(child, WaitOptions::empty()), Ok((child, exited(42))));
        assert_eq!(app.wait4(child, WaitOptions::empty()), Err(Errno::ECHILD));
        assert_eq!(app.processes(), [1]);
    });
}

#[test]
fn a_wait_sleeps_until_there_is_something() {
    run(|app| {
        let (hold, let_go) = app.pipe();
        let child = app.fork(move |app| {
            app.close(let_go);
            assert_eq!(app.read(hold, 1), Ok(vec![]), "end of file: the parent has let go");
        });
        assert_eq!(app.wait4(ANY, NOW), Ok((0, 0)), "it runs still");
        let me = app.getpid();
        let helper = app.fork(move |app| {
            app.until_asleep(me);
            app.close(let_go);
            app.close(hold);
            app.kill(me, Signal::SIGUSR1).unwrap();
        });
        // The handler lets go, so the wait must have been cut short and made again.
        app.on_signal(Signal::SIGUSR1, SaFlags::RESTART, move |app, _| app.close(let_go));
        assert_eq!(app.reap(child), exited(0));
        assert_eq!(app.reap(helper), exited(0));
    });
}

#[test]
fn waitid_can_leave_the_zombie() {
    run(|app| {
        let child = app.fork(|app| app.exit_group(5));
        let info = app.put(abi::SigInfo::default());
        let options = WaitOptions::EXITED | WaitOptions::NOWAIT;
        const P_PID: u64 = 1;
        for _ in 0..2 {
            app.call(sysno::WAITID, [P_PID, child as u64, info, u64::from(options.bits()), 0]).unwrap();
            let seen: abi::SigInfo = app.load(info);
            assert_eq!((seen.si_signo, seen.si_code), (Signal::SIGCHLD.number(), abi::signal::CLD_EXITED));
        }
        assert_eq!(app.reap(child), exited(5));
    });
}

#[test]
fn children_of_a_process_that_ends_go_to_init() {
    run(|app| {
        let (hold, let_go) = app.pipe();
        let (told, tell) = app.pipe();
        let father = app.fork(move |app| {
            let father = app.getpid();
            let orphan = app.fork(move |app| {
                app.close(let_go);
                assert_eq!(app.getppid(), father);
                app.read(hold, 1).unwrap();
                assert_eq!(app.getppid(), 1);
                app.exit_group(7)
            });
            app.until_asleep(orphan);
            app.write(tell, &orphan.to_ne_bytes()).unwrap();
        });
        let orphan = i32::from_ne_bytes(app.read(told, 4).unwrap().try_into().unwrap());
        assert_eq!(app.reap(father), exited(0));
        assert_eq!(app.wait4(orphan, NOW), Ok((0, 0)), "a child of init now");
        app.close(let_go);
        assert_eq!(app.reap(orphan), exited(7));
    });
}

#[test]
fn a_subreaper_stands_in_for_init() {
    run(|app| {
        let reaper = app.fork(|app| {
            app.call(sysno::PRCTL, [PR_SET_CHILD_SUBREAPER as u64, 1, 0, 0, 0]).unwrap();
            let me = app.getpid();
            let father = app.fork(move |app| {
                app.fork(move |app| {
                    app.until(|app| app.getppid() == me);
                    app.exit_group(9)
                });
            });
            assert_eq!(app.reap(father), exited(0));
            let (orphan, status) = app.wait4(ANY, WaitOptions::empty()).unwrap();
            assert!(orphan != father && status == exited(9));
        });
        assert_eq!(app.reap(reaper), exited(0));
    });
}

#[test]
fn zombies_whose_parent_ends_are_reaped_by_init() {
    run(|app| {
        let father = app.fork(|app| {
            let zombie = app.fork(|app| app.exit_group(3));
            app.until(move |app| app.has_ended(zombie));
        });
        assert_eq!(app.reap(father), exited(0));
        let (_, status) = app.wait4(ANY, WaitOptions::empty()).unwrap();
        assert_eq!(status, exited(3));
        assert_eq!(app.wait4(ANY, WaitOptions::empty()), Err(Errno::ECHILD));
    });
}

#[test]
fn who_ignores_sigchld_has_no_zombies() {
    run(|app| {
        app.ignore(Signal::SIGCHLD);
        let child = app.fork(|app| app.exit_group(1));
        assert_eq!(app.wait4(child, WaitOptions::empty()), Err(Errno::ECHILD), "and it waited for the end");
        assert_eq!(app.processes(), [1]);
    });
}

#[test]
fn sigchld_says_who_ended_and_how() {
    run(|app| {
        let (told, tell) = app.pipe();
        app.on_signal(Signal::SIGCHLD, SaFlags::RESTART, move |app, info| {
            let said = [info.si_pid(), info.si_code, info.si_status()];
            app.write(tell, &said.map(i32::to_ne_bytes).concat()).unwrap();
        });
        let said = move |app: &mut App| -> Vec<i32> {
            let bytes = app.read(told, 12).unwrap();
            bytes.chunks(4).map(|c| i32::from_ne_bytes(c.try_into().unwrap())).collect()
        };
        let child = app.fork(|app| app.exit_group(4));
        assert_eq!(said(app), [child, abi::signal::CLD_EXITED, 4]);
        assert_eq!(app.reap(child), exited(4));
        let child = app.fork(|app| {
            loop {
                app.compute();
            }
        });
        app.kill(child, Signal::SIGTERM).unwrap();
        assert_eq!(said(app), [child, abi::signal::CLD_KILLED, Signal::SIGTERM.number()]);
        assert_eq!(app.reap(child), killed(Signal::SIGTERM));
    });
}

#[test]
fn a_vfork_parent_sleeps_until_its_memory_is_its_own_again() {
    run(|app| {
        let word = app.put(0u32);
        let shared = CloneFlags::VM | CloneFlags::VFORK;
        let child = app.clone(shared, move |app| {
            for _ in 0..10 {
                app.call(sysno::SCHED_YIELD, []).unwrap();
            }
            app.store(word, 1u32);
            app.exit_group(0)
        });
        assert_eq!(app.load::<u32>(word), 1, "the child shared it, and was first");
        assert_eq!(app.reap(child), exited(0));
        let child = app.clone(shared, move |app| {
            app.store(word, 2u32);
            app.execve(|app| {
                app.compute(); // until it is killed
            })
        });
        assert_eq!(app.load::<u32>(word), 2);
        assert_eq!(app.wait4(child, NOW), Ok((0, 0)), "execve is enough");
        app.kill(child, Signal::SIGKILL).unwrap();
        assert_eq!(app.reap(child), killed(Signal::SIGKILL));
    });
}

#[test]
fn execve_keeps_the_process_and_drops_what_was_of_the_program() {
    run(|app| {
        let (keep, _) = app.pipe();
        let (gone, _) = app.pipe2(abi::OpenFlags::CLOEXEC.bits());
        let child = app.fork(move |app| {
            app.on_signal(Signal::SIGUSR1, SaFlags::empty(), |_, _| {});
            app.ignore(Signal::SIGUSR2);
            app.block(&[Signal::SIGHUP]);
            let pid = app.getpid();
            let old = app.put(1u32);
            app.execve(move |app| {
                assert_eq!(app.getpid(), pid);
                assert_eq!(app.handler_of(Signal::SIGUSR1), abi::signal::SIG_DFL);
                assert_eq!(app.handler_of(Signal::SIGUSR2), abi::signal::SIG_IGN);
                assert!(app.mask().contains(Signal::SIGHUP));
                assert_eq!(app.call(sysno::FCNTL, [gone as u64, 1, 0]), Err(Errno::EBADF));
                assert!(app.call(sysno::FCNTL, [keep as u64, 1, 0]).is_ok());
                assert_eq!(
                    app.call(sysno::WRITE, [keep as u64, old, 4]),
                    Err(Errno::EBADF),
                    "for reading only"
                );
                let usage = app.put(Rusage::default());
                assert_eq!(app.call(sysno::GETRUSAGE, [0, old]), Err(Errno::EFAULT), "another address space");
                app.call(sysno::GETRUSAGE, [0, usage]).unwrap();
                app.exit_group(11)
            })
        });
        assert_eq!(app.reap(child), exited(11));
    });
}

#[test]
fn an_execve_that_fails_changes_nothing() {
    run(|app| {
        app.on_signal(Signal::SIGUSR1, SaFlags::empty(), |_, _| {});
        let handler = app.handler_of(Signal::SIGUSR1);
        let path = app.put_str("/none");
        let argv = app.put([path, 0]);
        assert_eq!(app.call(sysno::EXECVE, [path, argv, 0]), Err(Errno::ENOENT));
        assert_eq!(app.call(sysno::EXECVE, [1, argv, 0]), Err(Errno::EFAULT));
        assert_eq!(app.handler_of(Signal::SIGUSR1), handler);
    });
}
