//! Pipes between tasks: who sleeps, who is woken, what the end of the other side does.

use crate::{exited, killed, run};
use abi::{
    Errno, OpenFlags, Signal,
    poll::{EPOLL_CTL_ADD, EpollEvent, PollEvents, PollFd},
    signal::SaFlags,
    sysno,
};

#[test]
fn two_tasks_hand_a_byte_to_and_fro() {
    run(|app| {
        let (ping, pong) = (app.pipe(), app.pipe());
        let child = app.fork(move |app| {
            for n in 0..100 {
                assert_eq!(app.read(ping.0, 1).unwrap(), [n]);
                app.write(pong.1, &[n + 1]).unwrap();
            }
        });
        for n in 0..100 {
            app.write(ping.1, &[n]).unwrap();
            assert_eq!(app.read(pong.0, 1).unwrap(), [n + 1]);
        }
        assert_eq!(app.reap(child), exited(0));
    });
}

#[test]
fn the_end_of_the_last_writer_is_the_end_of_file() {
    run(|app| {
        let (from, to) = app.pipe();
        let child = app.fork(move |app| {
            app.write(to, b"last").unwrap();
        });
        app.close(to);
        assert_eq!(app.read(from, 9).unwrap(), b"last");
        assert_eq!(app.read(from, 9).unwrap(), b"", "the child has ended, and with it the other copy");
        assert_eq!(app.reap(child), exited(0));
    });
}

#[test]
fn a_writer_without_readers_is_told_by_signal_and_error() {
    run(|app| {
        let (from, to) = app.pipe();
        app.close(from);
        let child = app.fork(move |app| {
            let _ = app.write(to, b"x");
            panic!("SIGPIPE is fatal");
        });
        assert_eq!(app.reap(child), killed(Signal::SIGPIPE));
        app.ignore(Signal::SIGPIPE);
        assert_eq!(app.write(to, b"x"), Err(Errno::EPIPE));
    });
}

#[test]
fn a_write_goes_on_until_everything_is_in_and_the_reader_gets_it_in_order() {
    run(|app| {
        let (from, to) = app.pipe();
        let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let expected = bytes.clone();
        let writer = app.fork(move |app| {
            app.close(from);
            assert_eq!(app.write(to, &bytes), Ok(200_000), "in one call, whatever fits at a time");
        });
        app.close(to);
        app.until_asleep(writer);
        let mut read = Vec::new();
        loop {
            let part = app.read(from, 10_000).unwrap();
            if part.is_empty() {
                break;
            }
            read.extend(part);
        }
        assert!(read == expected);
        assert_eq!(app.reap(writer), exited(0));
    });
}

#[test]
fn a_write_that_is_cut_short_says_how_much_is_in() {
    run(|app| {
        let (_from, to) = app.pipe();
        let writer = app.fork(move |app| {
            app.on_signal(Signal::SIGUSR1, SaFlags::RESTART, |_, _| {});
            assert_eq!(app.write(to, &[0; 100_000]), Ok(65536));
        });
        app.until_asleep(writer);
        app.kill(writer, Signal::SIGUSR1).unwrap();
        assert_eq!(app.reap(writer), exited(0));
    });
}

#[test]
fn who_does_not_want_to_wait_is_told_to_try_again() {
    run(|app| {
        let (from, to) = app.pipe2(OpenFlags::NONBLOCK.bits());
        assert_eq!(app.read(from, 1), Err(Errno::EAGAIN));
        assert_eq!(app.write(to, &[0; 100_000]), Ok(65536));
        assert_eq!(app.write(to, &[0]), Err(Errno::EAGAIN));
        assert_eq!(app.read(from, 5000).map(|b| b.len()), Ok(5000));
    });
}

#[test]
fn poll_sleeps_until_one_of_several_is_ready() {
    run(|app| {
        let (me, one, two) = (app.getpid(), app.pipe(), app.pipe());
        let fd = |fd| PollFd { fd, events: PollEvents::IN.bits() as _, ..Default::default() };
        let fds = app.put([fd(one.0), fd(two.0), fd(-1)]);
        assert_eq!(app.call(sysno::POLL, [fds, 3, 0]), Ok(0));
        let from = app.now_ns();
        assert_eq!(app.call(sysno::POLL, [fds, 3, 20]), Ok(0));
        assert!(app.now_ns() - from >= 20_000_000);
        app.fork(move |app| {
            app.until_asleep(me);
            app.write(two.1, b"x").unwrap();
        });
        assert_eq!(app.call(sysno::POLL, [fds, 3, u64::MAX]), Ok(1));
        let [a, b, c]: [PollFd; 3] = app.load(fds);
        assert_eq!((a.revents, b.revents, c.revents), (0, PollEvents::IN.bits() as _, 0));
    });
}

#[test]
fn epoll_wakes_its_waiter_once_there_is_something() {
    run(|app| {
        let (me, pipe) = (app.getpid(), app.pipe());
        let epoll = app.call(sysno::EPOLL_CREATE1, [0]).unwrap();
        let event = app.put(EpollEvent { events: PollEvents::IN.bits(), data: 42 });
        app.call(sysno::EPOLL_CTL, [epoll, EPOLL_CTL_ADD as u64, pipe.0 as u64, event]).unwrap();
        let events = app.alloc(4 * size_of::<EpollEvent>());
        assert_eq!(app.call(sysno::EPOLL_WAIT, [epoll, events, 4, 0]), Ok(0));
        assert_eq!(app.call(sysno::EPOLL_WAIT, [epoll, events, 4, 5]), Ok(0));
        app.fork(move |app| {
            app.until_asleep(me);
            app.write(pipe.1, b"x").unwrap();
        });
        assert_eq!(app.call(sysno::EPOLL_WAIT, [epoll, events, 4, u64::MAX]), Ok(1));
        let seen: EpollEvent = app.load(events);
        assert_eq!({ seen.data }, 42);
        app.read(pipe.0, 1).unwrap();
        assert_eq!(app.call(sysno::EPOLL_WAIT, [epoll, events, 4, 0]), Ok(0));
    });
}
