//! Signals: handlers and the way back, masks, what becomes of calls that they cut short.

use crate::{App, exited, killed, run};
use abi::{
    Errno, SigInfo, SigSet, Signal,
    arch::x86_64::RtSigFrame,
    signal::{SI_QUEUE, SI_USER, SaFlags, SigAltStack},
    sysno,
};

/// Counts, in memory, how often a handler ran.
fn counted(app: &mut App, signal: Signal, flags: SaFlags) -> u64 {
    let count = app.put(0u32);
    app.on_signal(signal, flags, move |app, _| {
        let n: u32 = app.load(count);
        app.store(count, n + 1);
    });
    count
}

#[test]
fn a_handler_sees_who_sent_and_the_program_goes_on_as_if_nothing_had_been() {
    run(|app| {
        let pid = app.getpid();
        let seen = app.put(0u32);
        app.on_signal(Signal::SIGUSR1, SaFlags::empty(), move |app, info| {
            assert_eq!((info.si_signo, info.si_code), (Signal::SIGUSR1.number(), SI_USER));
            assert_eq!(info.si_pid(), pid);
            assert_eq!(app.regs.rsp % 16, 8, "the stack is as behind a call");
            assert!(app.mask().contains(Signal::SIGUSR1), "blocked while it is handled");
            app.regs.rbx = 99; // a handler may use registers
            app.store(seen, 1u32);
        });
        app.regs.rbx = 1234;
        let rsp = app.regs.rsp;
        assert_eq!(app.kill(pid, Signal::SIGUSR1), Ok(()), "the result is there behind the handler");
        assert_eq!(app.load::<u32>(seen), 1);
        assert_eq!((app.regs.rbx, app.regs.rsp), (1234, rsp));
        assert_eq!(app.mask(), SigSet::EMPTY);
    });
}

#[test]
fn a_handler_can_change_where_the_program_goes_on() {
    run(|app| {
        let pid = app.getpid();
        app.on_signal(Signal::SIGUSR1, SaFlags::empty(), |app, _| {
            // uc_mcontext.rbx and uc_sigmask of the frame.
            let frame = app.regs.rsp;
            let uc = frame + std::mem::offset_of!(RtSigFrame, uc) as u64;
            assert_eq!(app.regs.rdx, uc);
            let mut saved: RtSigFrame = app.load(frame);
            saved.uc.uc_mcontext.rbx = 5;
            saved.uc.uc_sigmask = SigSet::of(&[Signal::SIGHUP]);
            app.store(frame, saved);
        });
        app.kill(pid, Signal::SIGUSR1).unwrap();
        assert_eq!(app.regs.rbx, 5);
        assert_eq!(app.mask(), SigSet::of(&[Signal::SIGHUP]));
    });
}

#[test]
fn what_is_blocked_waits_and_standard_signals_are_not_counted() {
    run(|app| {
        let pid = app.getpid();
        let standard = counted(app, Signal::SIGUSR1, SaFlags::empty());
        let realtime = counted(app, Signal::SIGRTMAX, SaFlags::empty());
        app.block(&[Signal::SIGUSR1, Signal::SIGRTMAX]);
        for _ in 0..3 {
            app.kill(pid, Signal::SIGUSR1).unwrap();
            app.kill(pid, Signal::SIGRTMAX).unwrap();
        }
        assert_eq!(app.pending(), SigSet::of(&[Signal::SIGUSR1, Signal::SIGRTMAX]));
        assert_eq!((app.load::<u32>(standard), app.load::<u32>(realtime)), (0, 0));
        app.unblock(&[Signal::SIGUSR1, Signal::SIGRTMAX]);
        assert_eq!((app.load::<u32>(standard), app.load::<u32>(realtime)), (1, 3));
        assert_eq!(app.pending(), SigSet::EMPTY);
    });
}

#[test]
fn queued_signals_come_in_order_with_their_values() {
    run(|app| {
        let pid = app.getpid();
        let (told, tell) = app.pipe();
        app.on_signal(Signal::SIGRTMIN, SaFlags::empty(), move |app, info| {
            assert_eq!(info.si_code, SI_QUEUE);
            app.write(tell, &[info.si_value() as u8]).unwrap();
        });
        app.block(&[Signal::SIGRTMIN]);
        for value in [3u64, 1, 2] {
            let info = app.put(SigInfo::rt(Signal::SIGRTMIN, SI_QUEUE, pid, 0, value));
            let signo = Signal::SIGRTMIN.number() as u64;
            app.call(sysno::RT_SIGQUEUEINFO, [pid as u64, signo, info]).unwrap();
        }
        app.unblock(&[Signal::SIGRTMIN]);
        assert_eq!(app.read(told, 9).unwrap(), [3, 1, 2]);
    });
}

/// A task asleep in a read of a pipe gets a signal, and something to read behind it.
fn interrupted_read(flags: SaFlags) -> (Result<Vec<u8>, Errno>, u32) {
    let (tell, told) = std::sync::mpsc::channel();
    run(move |app| {
        let me = app.getpid();
        let count = counted(app, Signal::SIGUSR1, flags);
        let (from, to) = app.pipe();
        let child = app.fork(move |app| {
            app.until_asleep(me);
            app.kill(me, Signal::SIGUSR1).unwrap();
            for _ in 0..10 {
                app.call(sysno::SCHED_YIELD, []).unwrap(); // the handler runs
            }
            app.write(to, b"late").unwrap();
        });
        let result = app.read(from, 10);
        let ran = app.load(count);
        assert_eq!(app.reap(child), exited(0));
        tell.send((result, ran)).unwrap();
    });
    told.recv().unwrap()
}

#[test]
fn a_read_is_made_again_behind_a_handler_that_asks_for_it() {
    assert_eq!(interrupted_read(SaFlags::RESTART), (Ok(b"late".to_vec()), 1));
}

#[test]
fn a_read_fails_behind_a_handler_that_does_not() {
    assert_eq!(interrupted_read(SaFlags::empty()), (Err(Errno::EINTR), 1));
}

#[test]
fn an_ignored_signal_does_not_disturb_a_sleep() {
    run(|app| {
        let me = app.getpid();
        app.ignore(Signal::SIGUSR1);
        let (from, to) = app.pipe();
        app.fork(move |app| {
            app.until_asleep(me);
            app.kill(me, Signal::SIGUSR1).unwrap();
            app.write(to, b"x").unwrap();
        });
        assert_eq!(app.read(from, 1).unwrap(), b"x");
    });
}

#[test]
fn sigkill_ends_tasks_that_sleep_compute_or_block_everything() {
    run(|app| {
        let (from, _to) = app.pipe();
        let asleep = app.fork(move |app| {
            let _ = app.read(from, 1);
        });
        let computes = app.fork(|app| {
            loop {
                app.compute();
            }
        });
        let blocks = app.fork(move |app| {
            app.set_mask(SigSet::FULL);
            assert!(!app.mask().contains(Signal::SIGKILL));
            let _ = app.read(from, 1);
        });
        app.until_asleep(asleep);
        app.until_asleep(blocks);
        for child in [asleep, computes, blocks] {
            app.kill(child, Signal::SIGKILL).unwrap();
            assert_eq!(app.reap(child), killed(Signal::SIGKILL));
        }
    });
}

#[test]
fn init_has_no_signals_that_it_did_not_ask_for() {
    run(|app| {
        let count = counted(app, Signal::SIGUSR1, SaFlags::empty());
        let child = app.fork(|app| {
            for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGSTOP, Signal::SIGUSR1] {
                app.kill(1, signal).unwrap();
            }
        });
        assert_eq!(app.reap(child), exited(0));
        assert_eq!(app.load::<u32>(count), 1);
    });
}

#[test]
fn handlers_nest_unless_they_are_masked() {
    run(|app| {
        let pid = app.getpid();
        let (told, tell) = app.pipe();
        app.on_signal(Signal::SIGUSR2, SaFlags::empty(), move |app, _| {
            app.write(tell, b"2").unwrap();
        });
        let first = move |app: &mut App, _| {
            app.write(tell, b"(").unwrap();
            app.kill(pid, Signal::SIGUSR2).unwrap();
            app.write(tell, b")").unwrap();
        };
        app.on_signal(Signal::SIGUSR1, SaFlags::empty(), first);
        app.kill(pid, Signal::SIGUSR1).unwrap();
        assert_eq!(app.read(told, 9).unwrap(), b"(2)");
        app.on_signal_masking(Signal::SIGUSR1, SaFlags::empty(), SigSet::of(&[Signal::SIGUSR2]), first);
        app.kill(pid, Signal::SIGUSR1).unwrap();
        assert_eq!(app.read(told, 9).unwrap(), b"()2");
    });
}

#[test]
fn sa_resethand_is_for_once_and_sa_nodefer_lets_it_nest() {
    run(|app| {
        let child = app.fork(|app| {
            let pid = app.getpid();
            let depth = app.put(0u32);
            app.on_signal(Signal::SIGUSR1, SaFlags::NODEFER, move |app, _| {
                let n: u32 = app.load(depth);
                app.store(depth, n + 1);
                if n < 3 {
                    app.kill(pid, Signal::SIGUSR1).unwrap();
                }
            });
            app.kill(pid, Signal::SIGUSR1).unwrap();
            assert_eq!(app.load::<u32>(depth), 4);
            let count = counted(app, Signal::SIGUSR2, SaFlags::RESETHAND);
            app.kill(pid, Signal::SIGUSR2).unwrap();
            assert_eq!(app.load::<u32>(count), 1);
            let _ = app.kill(pid, Signal::SIGUSR2);
            panic!("the second one is fatal");
        });
        assert_eq!(app.reap(child), killed(Signal::SIGUSR2));
    });
}

#[test]
fn a_handler_can_have_a_stack_of_its_own() {
    run(|app| {
        let (pid, size) = (app.getpid(), 16 << 10);
        let stack = app.alloc(size);
        let on = app.put(SigAltStack { ss_sp: stack, ss_size: size as u64, ..Default::default() });
        app.call(sysno::SIGALTSTACK, [on, 0]).unwrap();
        let inside = move |app: &App| (stack..stack + size as u64).contains(&app.regs.rsp);
        app.on_signal(Signal::SIGUSR1, SaFlags::ONSTACK, move |app, _| assert!(inside(app)));
        app.on_signal(Signal::SIGUSR2, SaFlags::empty(), move |app, _| assert!(!inside(app)));
        app.kill(pid, Signal::SIGUSR1).unwrap();
        app.kill(pid, Signal::SIGUSR2).unwrap();
    });
}

#[test]
fn sigsuspend_waits_under_another_mask() {
    run(|app| {
        let me = app.getpid();
        let count = counted(app, Signal::SIGUSR1, SaFlags::empty());
        app.block(&[Signal::SIGUSR1]);
        app.fork(move |app| {
            app.until_asleep(me);
            app.kill(me, Signal::SIGUSR1).unwrap();
        });
        let open = app.put(SigSet::EMPTY);
        assert_eq!(app.call(sysno::RT_SIGSUSPEND, [open, SigSet::SIZE as u64]), Err(Errno::EINTR));
        assert_eq!(app.load::<u32>(count), 1);
        assert!(app.mask().contains(Signal::SIGUSR1), "the old mask is back");
    });
}

#[test]
fn sigtimedwait_takes_a_signal_or_gives_up() {
    run(|app| {
        let me = app.getpid();
        app.block(&[Signal::SIGUSR1]);
        let set = app.put(SigSet::of(&[Signal::SIGUSR1]));
        let (info, soon) = (app.put(SigInfo::default()), app.put_time(5));
        let size = SigSet::SIZE as u64;
        assert_eq!(app.call(sysno::RT_SIGTIMEDWAIT, [set, info, soon, size]), Err(Errno::EAGAIN));
        let child = app.fork(move |app| {
            app.until_asleep(me);
            app.kill(me, Signal::SIGUSR1).unwrap();
        });
        let signo = Signal::SIGUSR1.number();
        assert_eq!(app.call(sysno::RT_SIGTIMEDWAIT, [set, info, 0, size]), Ok(signo as u64));
        assert_eq!(app.load::<SigInfo>(info).si_pid(), child);
        assert_eq!(app.pending(), SigSet::EMPTY);
    });
}
