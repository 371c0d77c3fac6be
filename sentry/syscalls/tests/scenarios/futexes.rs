//! Futexes: waits and wakes, requeueing, timeouts, the locks of threads that end.

use crate::{App, exited, run};
use abi::{
    Errno, MapFlags, Signal,
    futex::{
        FUTEX_BITSET_MATCH_ANY, FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_OWNER_DIED, FUTEX_TID_MASK,
        FUTEX_UNLOCK_PI, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAITERS, FUTEX_WAKE, FUTEX_WAKE_BITSET,
        RobustListHead,
    },
    signal::SaFlags,
    sysno,
};

const NONE: [u64; 3] = [0; 3];

fn wait(app: &mut App, word: u64, value: u32) -> Result<u64, Errno> {
    app.futex(FUTEX_WAIT, word, value, NONE)
}

fn wake(app: &mut App, word: u64, count: u32) -> u64 {
    app.futex(FUTEX_WAKE, word, count, NONE).unwrap()
}

/// Threads asleep on `word`, in that order, each with the word that [`App::join`] wants.
fn sleepers<const N: usize>(app: &mut App, word: u64) -> [(i32, u64); N] {
    std::array::from_fn(|_| {
        let value = app.load(word);
        let thread = app.thread(move |app| assert_eq!(wait(app, word, value), Ok(0)));
        app.until_asleep(thread.0);
        thread
    })
}

#[test]
fn a_wake_wakes_as_many_as_it_says_first_come_first_served() {
    run(|app| {
        let word = app.put(0u32);
        assert_eq!(wake(app, word, 1), 0);
        let [one, two, three] = sleepers(app, word);
        assert_eq!(wake(app, word, 1), 1);
        app.join(one.1);
        assert!([two, three].iter().all(|(tid, _)| app.processes() == [1] && *tid > 0));
        assert_eq!(wake(app, word, 10), 2);
        app.join(two.1);
        app.join(three.1);
    });
}

#[test]
fn who_sees_another_value_does_not_sleep() {
    run(|app| {
        let word = app.put(1u32);
        assert_eq!(wait(app, word, 0), Err(Errno::EAGAIN));
        assert_eq!(wait(app, word + 1, 0), Err(Errno::EINVAL));
        assert_eq!(wait(app, 8, 0), Err(Errno::EFAULT));
    });
}

#[test]
fn a_wait_gives_up_in_time() {
    run(|app| {
        let word = app.put(0u32);
        let (from, time) = (app.now_ns(), app.put_time(20));
        assert_eq!(app.futex(FUTEX_WAIT, word, 0, [time, 0, 0]), Err(Errno::ETIMEDOUT));
        assert!(app.now_ns() - from >= 20_000_000);
        assert_eq!(wake(app, word, 1), 0, "it has left the queue");
        let past = app.put_time(1);
        let any = u64::from(FUTEX_BITSET_MATCH_ANY);
        assert_eq!(app.futex(FUTEX_WAIT_BITSET, word, 0, [past, 0, any]), Err(Errno::ETIMEDOUT));
    });
}

#[test]
fn bits_choose_whom_to_wake() {
    run(|app| {
        let word = app.put(0u32);
        let (tid, end) =
            app.thread(move |app| assert_eq!(app.futex(FUTEX_WAIT_BITSET, word, 0, [0, 0, 2]), Ok(0)));
        app.until_asleep(tid);
        assert_eq!(app.futex(FUTEX_WAKE_BITSET, word, 1, [0, 0, 1]), Ok(0));
        assert_eq!(app.futex(FUTEX_WAKE_BITSET, word, 1, [0, 0, 0]), Err(Errno::EINVAL));
        assert_eq!(app.futex(FUTEX_WAKE_BITSET, word, 1, [0, 0, 3]), Ok(1));
        app.join(end);
    });
}

#[test]
fn waiters_can_be_moved_to_another_word() {
    run(|app| {
        let (word, other) = (app.put(7u32), app.put(0u32));
        let [one, two, three] = sleepers(app, word);
        assert_eq!(app.futex(FUTEX_CMP_REQUEUE, word, 1, [1, other, 8]), Err(Errno::EAGAIN));
        assert_eq!(app.futex(FUTEX_CMP_REQUEUE, word, 1, [1, other, 7]), Ok(2), "one woken, one moved");
        app.join(one.1);
        assert_eq!(wake(app, word, 9), 1);
        app.join(three.1);
        assert_eq!(wake(app, other, 9), 1);
        app.join(two.1);
    });
}

#[test]
fn shared_words_are_the_same_in_two_processes_private_ones_are_not() {
    run(|app| {
        let shared = app.mmap(4096, MapFlags::SHARED);
        let wait_on =
            move |app: &mut App, op: u32| app.call(sysno::FUTEX, [shared, u64::from(op), 0, 0, 0, 0]);
        let child = app.fork(move |app| {
            assert_eq!(wait_on(app, FUTEX_WAIT), Ok(0));
        });
        app.until_asleep(child);
        assert_eq!(wake(app, shared, 1), 0, "private to this process");
        assert_eq!(app.call(sysno::FUTEX, [shared, u64::from(FUTEX_WAKE), 1, 0, 0, 0]), Ok(1));
        assert_eq!(app.reap(child), exited(0));
    });
}

#[test]
fn a_signal_cuts_a_wait_short_and_a_restart_goes_on_with_it() {
    run(|app| {
        let (me, word) = (app.getpid(), app.put(0u32));
        for (flags, expected) in [(SaFlags::empty(), Err(Errno::EINTR)), (SaFlags::RESTART, Ok(0))] {
            app.on_signal(Signal::SIGUSR1, flags, |_, _| {});
            let (_, end) = app.thread(move |app| {
                app.until_asleep(me);
                app.tgkill(me, me, Signal::SIGUSR1).unwrap();
                if expected.is_ok() {
                    app.until(|app| wake(app, word, 1) == 1);
                }
            });
            assert_eq!(wait(app, word, 0), expected);
            app.join(end);
        }
    });
}

#[test]
fn locks_of_a_thread_that_ends_are_marked_and_their_waiters_woken() {
    run(|app| {
        // head -> one entry whose futex lies 8 bytes behind it -> head.
        let (head, entry) = (app.alloc(RobustListHead::SIZE), app.alloc(16));
        let lock = entry + 8;
        app.store(entry, head);
        app.store(head, RobustListHead { list: entry, futex_offset: 8, list_op_pending: 0 });
        let (hold, let_go) = app.pipe();
        let (owner, _) = app.thread(move |app| {
            app.call(sysno::SET_ROBUST_LIST, [head, RobustListHead::SIZE as u64]).unwrap();
            let tid = app.gettid() as u32;
            app.store(lock, tid | FUTEX_WAITERS);
            app.read(hold, 1).unwrap();
        });
        app.until_asleep(owner);
        let held: u32 = app.load(lock);
        assert_eq!(held & FUTEX_TID_MASK, owner as u32);
        let (waiter, end) = app.thread(move |app| assert_eq!(wait(app, lock, held), Ok(0)));
        app.until_asleep(waiter);
        app.write(let_go, b"x").unwrap();
        app.join(end);
        assert_eq!(app.load::<u32>(lock), FUTEX_OWNER_DIED | FUTEX_WAITERS);
    });
}

#[test]
fn a_lock_with_an_owner_is_handed_over() {
    run(|app| {
        let (lock, me) = (app.put(0u32), app.getpid() as u32);
        assert_eq!(app.futex(FUTEX_LOCK_PI, lock, 0, NONE), Ok(0));
        assert_eq!(app.load::<u32>(lock), me);
        assert_eq!(app.futex(FUTEX_LOCK_PI, lock, 0, NONE), Err(Errno::EDEADLK));
        let (tid, end) = app.thread(move |app| {
            assert_eq!(app.futex(FUTEX_LOCK_PI, lock, 0, NONE), Ok(0));
            let tid = app.gettid() as u32;
            assert_eq!(app.load::<u32>(lock) & FUTEX_TID_MASK, tid);
            assert_eq!(app.futex(FUTEX_UNLOCK_PI, lock, 0, NONE), Ok(0));
        });
        app.until_asleep(tid);
        assert_eq!(app.load::<u32>(lock), me | FUTEX_WAITERS);
        assert_eq!(app.futex(FUTEX_UNLOCK_PI, lock, 0, NONE), Ok(0));
        assert_eq!(app.load::<u32>(lock) & FUTEX_TID_MASK, tid as u32, "its owner before it runs");
        app.join(end);
        assert_eq!(app.load::<u32>(lock), 0);
        assert_eq!(app.futex(FUTEX_UNLOCK_PI, lock, 0, NONE), Err(Errno::EPERM));
    });
}
