//! Sleeps and timers, by the kernel's clock.

use crate::run;
use abi::{
    Errno, Signal, Timespec,
    signal::SaFlags,
    sysno,
    time::{CLOCK_MONOTONIC, Itimerval, TIMER_ABSTIME, Timeval},
};

#[test]
fn a_sleep_lasts_as_long_as_it_says() {
    run(|app| {
        let from = app.now_ns();
        app.nanosleep(20).unwrap();
        let to = app.now_ns();
        assert!(to - from >= 20_000_000);
        let at = app.put(Timespec::from_ns(to + 20_000_000));
        let (clock, absolute) = (CLOCK_MONOTONIC as u64, u64::from(TIMER_ABSTIME));
        app.call(sysno::CLOCK_NANOSLEEP, [clock, absolute, at, 0]).unwrap();
        assert!(app.now_ns() >= to + 20_000_000);
        // What is over is over at once.
        app.call(sysno::CLOCK_NANOSLEEP, [clock, absolute, at, 0]).unwrap();
        assert_eq!(app.call(sysno::NANOSLEEP, [8, 0]), Err(Errno::EFAULT));
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    run(|app| {
        let (told, tell) = app.pipe();
        for ms in [60u8, 20, 40] {
            app.thread(move |app| {
                app.nanosleep(u64::from(ms)).unwrap();
                app.write(tell, &[ms]).unwrap();
            });
        }
        for ms in [20, 40, 60] {
            assert_eq!(app.read(told, 1).unwrap(), [ms]);
        }
    });
}

#[test]
fn a_handler_ends_a_sleep_which_says_what_is_left() {
    run(|app| {
        let me = app.getpid();
        app.on_signal(Signal::SIGUSR1, SaFlags::RESTART, |_, _| {});
        app.fork(move |app| {
            app.until_asleep(me);
            app.kill(me, Signal::SIGUSR1).unwrap();
        });
        let (time, left) = (app.put_time(60_000), app.put(Timespec::default()));
        assert_eq!(app.call(sysno::NANOSLEEP, [time, left]), Err(Errno::EINTR), "whatever SA_RESTART says");
        let left = app.load::<Timespec>(left).to_duration_ns().unwrap();
        assert!((50_000_000_000..60_000_000_000).contains(&left));
    });
}

#[test]
fn a_stop_does_not_make_a_sleep_longer() {
    run(|app| {
        let sleeper = app.fork(|app| {
            let from = app.now_ns();
            app.nanosleep(50).unwrap();
            // Gone on with through the restart block, to the same deadline.
            assert!((50_000_000..5_000_000_000).contains(&(app.now_ns() - from)));
        });
        app.until_asleep(sleeper);
        app.kill(sleeper, Signal::SIGSTOP).unwrap();
        app.wait4(sleeper, abi::process::WaitOptions::UNTRACED).unwrap();
        app.kill(sleeper, Signal::SIGCONT).unwrap();
        assert_eq!(app.reap(sleeper), crate::exited(0));
    });
}

#[test]
fn an_interval_timer_comes_again_and_again_until_it_is_disarmed() {
    run(|app| {
        let count = app.put(0u32);
        app.on_signal(Signal::SIGALRM, SaFlags::empty(), move |app, _| {
            let n: u32 = app.load(count);
            app.store(count, n + 1);
        });
        let every = Timeval::from_ns(5_000_000);
        let timer = app.put(Itimerval { it_interval: every, it_value: every });
        const ITIMER_REAL: u64 = 0;
        app.call(sysno::SETITIMER, [ITIMER_REAL, timer, 0]).unwrap();
        while app.load::<u32>(count) < 3 {
            assert_eq!(app.call(sysno::PAUSE, []), Err(Errno::EINTR));
        }
        let off = app.put(Itimerval::default());
        app.call(sysno::SETITIMER, [ITIMER_REAL, off, 0]).unwrap();
        let seen: u32 = app.load(count);
        app.nanosleep(20).unwrap();
        assert_eq!(app.load::<u32>(count), seen);
    });
}
