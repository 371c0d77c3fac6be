//! Job control: stopping, continuing, and the parent who hears of it.

use crate::{exited, killed, run};
use abi::{Signal, process::WaitOptions, sysno};

const STOPPED: i32 = Signal::SIGSTOP.number() << 8 | 0x7f;
const CONTINUED: i32 = 0xffff;

#[test]
fn a_stop_and_its_end_are_reported_once_each() {
    run(|app| {
        let child = app.fork(|app| {
            loop {
                app.compute();
            }
        });
        app.kill(child, Signal::SIGSTOP).unwrap();
        assert_eq!(app.wait4(child, WaitOptions::UNTRACED), Ok((child, STOPPED)));
        let both = WaitOptions::UNTRACED | WaitOptions::CONTINUED | WaitOptions::NOHANG;
        assert_eq!(app.wait4(child, both), Ok((0, 0)));
        app.kill(child, Signal::SIGCONT).unwrap();
        assert_eq!(app.wait4(child, WaitOptions::CONTINUED), Ok((child, CONTINUED)));
        assert_eq!(app.wait4(child, both), Ok((0, 0)));
        app.kill(child, Signal::SIGKILL).unwrap();
        assert_eq!(app.reap(child), killed(Signal::SIGKILL));
    });
}

#[test]
fn who_does_not_ask_for_stops_does_not_hear_of_them() {
    run(|app| {
        let child = app.fork(|app| {
            loop {
                app.compute();
            }
        });
        app.kill(child, Signal::SIGSTOP).unwrap();
        app.until(move |app| {
            app.wait4(child, WaitOptions::UNTRACED | WaitOptions::NOHANG) == Ok((child, STOPPED))
        });
        assert_eq!(app.wait4(child, WaitOptions::NOHANG), Ok((0, 0)));
        app.kill(child, Signal::SIGKILL).unwrap();
        assert_eq!(app.reap(child), killed(Signal::SIGKILL), "a stop does not keep it from being killed");
    });
}

#[test]
fn a_sleep_is_gone_on_with_behind_a_stop() {
    run(|app| {
        let (from, to) = app.pipe();
        let child = app.fork(move |app| {
            assert_eq!(app.read(from, 4).unwrap(), b"word");
        });
        app.until_asleep(child);
        app.kill(child, Signal::SIGSTOP).unwrap();
        assert_eq!(app.wait4(child, WaitOptions::UNTRACED), Ok((child, STOPPED)));
        app.write(to, b"word").unwrap();
        for _ in 0..10 {
            app.call(sysno::SCHED_YIELD, []).unwrap();
        }
        assert!(!app.has_ended(child), "it is stopped, whatever comes");
        app.kill(child, Signal::SIGCONT).unwrap();
        assert_eq!(app.reap(child), exited(0));
    });
}

#[test]
fn all_threads_stop_and_signals_wait_meanwhile() {
    run(|app| {
        let (told, tell) = app.pipe();
        let child = app.fork(move |app| {
            app.on_signal(Signal::SIGUSR1, Default::default(), move |app, _| {
                app.write(tell, b"u").unwrap();
                app.exit_group(2)
            });
            for _ in 0..2 {
                app.thread(|app| {
                    loop {
                        app.compute();
                    }
                });
            }
            app.write(tell, b"r").unwrap();
            loop {
                app.compute();
            }
        });
        assert_eq!(app.read(told, 1).unwrap(), b"r");
        app.kill(child, Signal::SIGSTOP).unwrap();
        assert_eq!(app.wait4(child, WaitOptions::UNTRACED), Ok((child, STOPPED)));
        app.kill(child, Signal::SIGUSR1).unwrap();
        for _ in 0..10 {
            app.call(sysno::SCHED_YIELD, []).unwrap();
        }
        assert!(!app.has_ended(child));
        app.kill(child, Signal::SIGCONT).unwrap();
        assert_eq!(app.read(told, 1).unwrap(), b"u");
        assert_eq!(app.reap(child), exited(2));
    });
}
