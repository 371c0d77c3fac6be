//! Threads: what they share, and how a process with several of them ends.

use crate::{exited, killed, run};
use abi::{Errno, Signal, process::WaitOptions, signal::SaFlags, sysno};
use kernel::tree::ExitStatus;

#[test]
fn threads_share_memory_descriptors_and_handlers() {
    run(|app| {
        let word = app.put(0u32);
        let leader = app.getpid();
        let (told, tell) = app.pipe();
        let (tid, end) = app.thread(move |app| {
            assert_eq!(app.getpid(), leader);
            assert_ne!(app.gettid(), leader);
            app.store(word, 7u32);
            let (from, to) = app.pipe();
            app.write(tell, &[from as u8, to as u8]).unwrap();
        });
        app.join(end);
        app.until_gone(tid);
        assert_eq!(app.load::<u32>(word), 7);
        let ends = app.read(told, 2).unwrap();
        app.write(i32::from(ends[1]), b"x").unwrap();
        assert_eq!(app.read(i32::from(ends[0]), 9).unwrap(), b"x");
        assert_eq!(app.wait4(-1, WaitOptions::ALL), Err(Errno::ECHILD), "a thread is nobody's child");
    });
}

#[test]
fn exit_group_ends_threads_that_sleep_and_threads_that_compute() {
    run(|app| {
        let child = app.fork(|app| {
            let (from, _to) = app.pipe();
            let (asleep, _) = app.thread(move |app| {
                let _ = app.read(from, 1);
                panic!("nothing was written");
            });
            app.thread(|app| {
                loop {
                    app.compute();
                }
            });
            app.until_asleep(asleep);
            app.exit_group(3)
        });
        assert_eq!(app.reap(child), exited(3));
        assert_eq!(app.processes(), [1]);
    });
}

#[test]
fn exit_group_by_any_thread_is_the_end_of_all() {
    run(|app| {
        let child = app.fork(|app| {
            app.thread(|app| app.exit_group(6));
            loop {
                app.compute();
            }
        });
        assert_eq!(app.reap(child), exited(6));
    });
}

#[test]
fn a_leader_that_exits_stays_until_the_last_thread_has_ended() {
    run(|app| {
        let (hold, let_go) = app.pipe();
        let child = app.fork(move |app| {
            app.close(let_go);
            app.thread(move |app| {
                app.read(hold, 1).unwrap();
            });
            app.exit(5)
        });
        app.until(move |app| app.world.kernel.tree.lock().task(child as u32).is_none());
        assert_eq!(app.wait4(child, WaitOptions::NOHANG), Ok((0, 0)), "not a zombie: a thread is left");
        app.kill(child, Signal::SIGCONT).unwrap();
        app.close(let_go);
        assert_eq!(app.reap(child), exited(5), "the leader's code counts where nobody called exit_group");
    });
}

#[test]
fn a_thread_that_executes_becomes_the_leader() {
    run(|app| {
        let child = app.fork(|app| {
            let pid = app.getpid();
            app.thread(move |app| {
                assert_ne!(app.gettid(), pid);
                app.execve(move |app| {
                    assert_eq!((app.getpid(), app.gettid()), (pid, pid));
                    app.exit_group(8)
                })
            });
            loop {
                app.compute();
            }
        });
        assert_eq!(app.reap(child), exited(8));
    });
}

#[test]
fn the_word_of_a_thread_is_cleared_only_where_somebody_is_left_to_see_it() {
    run(|app| {
        let shared = app.mmap(4096, abi::MapFlags::SHARED);
        // Alone in its memory: Linux leaves the word as it is.
        let child = app.fork(move |app| {
            app.store(shared, 1u32);
            app.call(sysno::SET_TID_ADDRESS, [shared]).unwrap();
        });
        assert_eq!(app.reap(child), exited(0));
        assert_eq!(app.load::<u32>(shared), 1);
        // With its memory shared it is cleared.
        let child = app.fork(move |app| {
            let (tid, _) = app.thread(move |app| {
                app.call(sysno::SET_TID_ADDRESS, [shared]).unwrap();
            });
            app.until_gone(tid);
            assert_eq!(app.load::<u32>(shared), 0);
        });
        assert_eq!(app.reap(child), exited(0));
    });
}

#[test]
fn tgkill_reaches_the_thread_that_is_meant() {
    run(|app| {
        let (told, tell) = app.pipe();
        let pid = app.getpid();
        app.on_signal(Signal::SIGUSR1, SaFlags::empty(), move |app, info| {
            assert_eq!(info.si_code, abi::signal::SI_TKILL);
            let tid = app.gettid();
            app.write(tell, &tid.to_ne_bytes()).unwrap();
        });
        let (one, _) = app.thread(|app| {
            loop {
                app.compute();
            }
        });
        let (two, _) = app.thread(|app| {
            loop {
                app.compute();
            }
        });
        for tid in [two, one, pid] {
            app.tgkill(pid, tid, Signal::SIGUSR1).unwrap();
            assert_eq!(app.read(told, 4).unwrap(), tid.to_ne_bytes());
        }
        assert_eq!(app.tgkill(pid, 4000, Signal::SIGUSR1), Err(Errno::ESRCH));
    });
}

#[test]
fn a_signal_for_the_process_goes_to_a_thread_that_does_not_block_it() {
    run(|app| {
        let (told, tell) = app.pipe();
        let pid = app.getpid();
        app.on_signal(Signal::SIGUSR1, SaFlags::empty(), move |app, _| {
            let tid = app.gettid();
            app.write(tell, &tid.to_ne_bytes()).unwrap();
        });
        let (open, _) = app.thread(|app| {
            loop {
                app.compute();
            }
        });
        app.block(&[Signal::SIGUSR1]);
        app.kill(pid, Signal::SIGUSR1).unwrap();
        assert_eq!(app.read(told, 4).unwrap(), open.to_ne_bytes());
        assert!(!app.pending().contains(Signal::SIGUSR1));
    });
}

#[test]
fn a_fatal_signal_for_one_thread_is_the_end_of_the_process() {
    let status = run(|app| {
        let child = app.fork(|app| {
            let pid = app.getpid();
            let (tid, _) = app.thread(|app| {
                loop {
                    app.compute();
                }
            });
            app.tgkill(pid, tid, Signal::SIGTERM).unwrap();
            loop {
                app.compute();
            }
        });
        assert_eq!(app.reap(child), killed(Signal::SIGTERM));
    });
    assert_eq!(status, ExitStatus::Code(0));
}
