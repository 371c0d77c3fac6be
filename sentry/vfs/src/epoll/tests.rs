use super::*;
use crate::testing;
use abi::fcntl::OpenFlags;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A file that is as ready as it is told.
struct Switch {
    ready: AtomicU32,
    wait: WaitQueue,
}
impl FileOps for Switch {
    fn ready(&self, _: &File) -> Ready {
        Ready::from_bits_truncate(self.ready.load(Ordering::SeqCst))
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.wait)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn switch() -> Arc<File> {
    testing::file(Box::new(Switch { ready: 0.into(), wait: WaitQueue::new() }), OpenFlags::RDWR)
}

fn set(file: &File, ready: Ready) {
    let switch = file.downcast::<Switch>().unwrap();
    switch.ready.store(ready.bits(), Ordering::SeqCst);
    switch.wait.notify(ready);
}

fn epoll() -> Arc<File> {
    testing::file(new_epoll(), OpenFlags::RDWR)
}

fn event(events: PollEvents, data: u64) -> EpollEvent {
    EpollEvent { events: events.bits(), data }
}

fn add(e: &File, fd: i32, file: &Arc<File>, events: PollEvents) -> Result<(), Errno> {
    control(e, Fd(fd), file, Ctl::Add(event(events, fd as u64)))
}

fn collect(e: &File, max: usize) -> Vec<(u32, u64)> {
    let mut out = Vec::new();
    let n = e.downcast::<Epoll>().unwrap().collect(max, &mut |event| {
        out.push((event.events, event.data));
        Ok(())
    });
    assert_eq!(n, Ok(out.len()));
    out
}

#[test]
fn level_edge_and_one_shot() {
    let e = epoll();
    let files: Vec<_> = (0..3).map(|_| switch()).collect();
    add(&e, 0, &files[0], PollEvents::IN).unwrap();
    add(&e, 1, &files[1], PollEvents::IN | PollEvents::ET).unwrap();
    add(&e, 2, &files[2], PollEvents::IN | PollEvents::ONESHOT).unwrap();
    assert_eq!((collect(&e, 8), e.ready()), (vec![], Ready::empty()));
    files.iter().for_each(|f| set(f, Ready::IN | Ready::OUT));
    assert_eq!(e.ready(), READABLE);
    assert_eq!(collect(&e, 8), [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(collect(&e, 8), [(1, 0)]);
    files.iter().for_each(|f| set(f, Ready::IN | Ready::HUP));
    assert_eq!(collect(&e, 8), [(0x11, 0), (0x11, 1)]);
    control(&e, Fd(2), &files[2], Ctl::Modify(event(PollEvents::OUT, 7))).unwrap();
    assert_eq!(collect(&e, 8), [(0x11, 0), (0x10, 7)]);
    files.iter().for_each(|f| set(f, Ready::empty()));
    assert_eq!(collect(&e, 8), []);
    assert_eq!(e.ready(), Ready::empty());
}

#[test]
fn few_at_a_time_all_get_their_turn() {
    let e = epoll();
    let files: Vec<_> = (0..4).map(|_| switch()).collect();
    for (fd, file) in files.iter().enumerate() {
        set(file, Ready::IN);
        add(&e, fd as i32, file, PollEvents::IN).unwrap();
    }
    let fds = |found: Vec<(u32, u64)>| found.into_iter().map(|(_, fd)| fd).collect::<Vec<_>>();
    assert_eq!((fds(collect(&e, 3)), fds(collect(&e, 3))), (vec![0, 1, 2], vec![3, 0, 1]));
}

#[test]
fn errors() {
    struct Always;
    impl FileOps for Always {
        fn as_any(&self) -> &dyn Any {
            self
        }
    }
    let (e, file) = (epoll(), switch());
    let always = testing::file(Box::new(Always), OpenFlags::RDWR);
    assert_eq!(add(&e, 0, &always, PollEvents::IN), Err(Errno::EPERM));
    assert_eq!(add(&e, 0, &e, PollEvents::IN), Err(Errno::EINVAL));
    assert_eq!(add(&file, 0, &e, PollEvents::IN), Err(Errno::EINVAL));
    assert_eq!(control(&e, Fd(0), &file, Ctl::Delete), Err(Errno::ENOENT));
    assert_eq!(control(&e, Fd(0), &file, Ctl::Modify(event(PollEvents::IN, 0))), Err(Errno::ENOENT));
    add(&e, 0, &file, PollEvents::IN).unwrap();
    assert_eq!(add(&e, 0, &file, PollEvents::IN), Err(Errno::EEXIST));
    add(&e, 1, &file, PollEvents::IN).unwrap();
    control(&e, Fd(0), &file, Ctl::Delete).unwrap();

    let exclusive = PollEvents::EXCLUSIVE | PollEvents::IN;
    let other = switch();
    assert_eq!(add(&e, 2, &other, exclusive | PollEvents::PRI), Err(Errno::EINVAL));
    assert_eq!(add(&e, 2, &other, exclusive | PollEvents::ONESHOT), Err(Errno::EINVAL));
    assert_eq!(add(&e, 2, &epoll(), exclusive), Err(Errno::EINVAL));
    add(&e, 2, &other, exclusive | PollEvents::ET | PollEvents::WAKEUP).unwrap();
    assert_eq!(control(&e, Fd(2), &other, Ctl::Modify(event(PollEvents::IN, 0))), Err(Errno::EINVAL));
    assert_eq!(control(&e, Fd(1), &file, Ctl::Modify(event(exclusive, 0))), Err(Errno::EINVAL));
}

#[test]
fn a_failing_reader_loses_nothing() {
    let (e, file) = (epoll(), switch());
    add(&e, 5, &file, PollEvents::IN | PollEvents::ONESHOT).unwrap();
    set(&file, Ready::IN);
    assert_eq!(e.downcast::<Epoll>().unwrap().collect(1, &mut |_| Err(Errno::EFAULT)), Err(Errno::EFAULT));
    assert_eq!(collect(&e, 1), [(1, 5)]);
    assert_eq!(collect(&e, 1), []);
}

#[test]
fn closed_files_drop_out() {
    let (e, file) = (epoll(), switch());
    add(&e, 5, &file, PollEvents::IN).unwrap();
    set(&file, Ready::IN);
    drop(file);
    assert_eq!(e.ready(), Ready::empty());
    assert_eq!(collect(&e, 1), []);
    for _ in 0..1000 {
        add(&e, 5, &switch(), PollEvents::IN).unwrap();
    }
    assert!(e.downcast::<Epoll>().unwrap().0.items.lock().by_key.len() < 100);
    let (kept, weak) = (switch(), Arc::downgrade(&e.downcast::<Epoll>().unwrap().0));
    add(&e, 6, &kept, PollEvents::IN).unwrap();
    drop(e);
    assert!(weak.upgrade().is_none());
    set(&kept, Ready::IN);
    assert!(kept.ops().wait_queue().unwrap().is_empty());
}

#[test]
fn of_exclusive_epolls_one_is_told() {
    let (a, b, file) = (epoll(), epoll(), switch());
    for e in [&a, &b] {
        add(e, 0, &file, PollEvents::IN | PollEvents::EXCLUSIVE | PollEvents::ET).unwrap();
    }
    set(&file, Ready::IN);
    assert_eq!(collect(&a, 1).len() + collect(&b, 1).len(), 1);
}

#[test]
fn nested_to_a_depth() {
    let chain: Vec<_> = (0..6).map(|_| epoll()).collect();
    for pair in chain[..5].windows(2) {
        add(&pair[0], 9, &pair[1], PollEvents::IN).unwrap();
    }
    assert_eq!(add(&chain[4], 9, &chain[5], PollEvents::IN), Err(Errno::ELOOP));
    assert_eq!(add(&chain[5], 9, &chain[0], PollEvents::IN), Err(Errno::ELOOP));
    assert_eq!(add(&chain[2], 9, &chain[0], PollEvents::IN), Err(Errno::ELOOP));
    let file = switch();
    add(&chain[4], 1, &file, PollEvents::IN).unwrap();
    set(&file, Ready::IN);
    assert_eq!((chain[0].ready(), collect(&chain[0], 8)), (READABLE, vec![(1, 9)]));
    control(&chain[3], Fd(9), &chain[4], Ctl::Delete).unwrap();
    assert_eq!((chain[0].ready(), collect(&chain[0], 8)), (Ready::empty(), vec![]));
    add(&chain[4], 9, &chain[5], PollEvents::IN).unwrap();
}

#[test]
fn an_edge_of_a_nested_epoll_is_not_made_by_reading_it() {
    let (outer, inner, file) = (epoll(), epoll(), switch());
    add(&outer, 0, &inner, PollEvents::IN | PollEvents::ET).unwrap();
    add(&inner, 0, &file, PollEvents::IN).unwrap();
    set(&file, Ready::IN);
    assert_eq!((collect(&outer, 1).len(), collect(&outer, 1).len()), (1, 0));
    assert_eq!((collect(&inner, 1).len(), collect(&outer, 1).len()), (1, 0));
    set(&file, Ready::IN);
    assert_eq!(collect(&outer, 1).len(), 1);
}

#[test]
fn sleepers_hear_of_events_and_of_what_others_left() {
    struct Count(AtomicUsize);
    impl ksync::Listener for Count {
        fn notify(&self, _: Ready) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (e, file) = (epoll(), switch());
    add(&e, 0, &file, PollEvents::IN).unwrap();
    let count = Arc::new(Count(0.into()));
    let epoll = e.downcast::<Epoll>().unwrap();
    let _sleeper = epoll.wait_queue().register(Ready::IN | Ready::OTHER, count.clone());
    set(&file, Ready::IN);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    collect(&e, 1);
    assert_eq!(count.0.load(Ordering::SeqCst), 2);
    set(&file, Ready::empty());
    collect(&e, 1);
    assert_eq!(count.0.load(Ordering::SeqCst), 2);
}
