use super::{
    flock::flock,
    lease,
    record::{self, Kind, Owner, Range, Request},
    *,
};
use crate::{
    FileOps, Gid, Uid,
    testing::{self, Node},
};
use abi::{
    Errno,
    fcntl::{F_RDLCK, F_UNLCK, F_WRLCK, FileLockOp, Flock, OpenFlags},
    process::CapSet,
    stat::FileType,
};

struct Plain;
impl FileOps for Plain {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn open(inode: &Arc<Node>, flags: OpenFlags) -> Arc<File> {
    testing::file_on(inode.clone(), Box::new(Plain), flags)
}

fn node() -> Arc<Node> {
    Node::new(FileType::Regular)
}

#[derive(Default)]
struct Count(AtomicUsize);
impl ksync::Listener for Count {
    fn notify(&self, _: Ready) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn flocks_belong_to_open_files() {
    let inode = node();
    let (a, b) = (open(&inode, OpenFlags::RDWR), open(&inode, OpenFlags::RDONLY));
    assert_eq!(flock(&a, FileLockOp::Shared, 1), Ok(()));
    assert_eq!(flock(&b, FileLockOp::Shared, 1), Ok(()));
    assert_eq!(flock(&a, FileLockOp::Exclusive, 1), Err(Errno::EAGAIN));
    assert_eq!(flock(&b, FileLockOp::Exclusive, 1), Ok(()), "the other lost its lock by trying");
    assert_eq!(flock(&a, FileLockOp::Shared, 1), Err(Errno::EAGAIN));
    let count = Arc::new(Count::default());
    let _waiter = wait_queue(&*inode).register(Ready::OTHER, count.clone());
    drop(b);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(flock(&a, FileLockOp::Exclusive, 1), Ok(()));
    assert_eq!(flock(&a, FileLockOp::Unlock, 1), Ok(()));
    assert!(inode.common().locks.is_empty());
    assert_eq!(flock(&open(&inode, OpenFlags::PATH), FileLockOp::Shared, 1), Err(Errno::EBADF));
}

fn ask(kind: Kind, start: u64, end: u64, owner: u64) -> Request {
    Request { kind, range: Range { start, end }, owner: Owner::Process(owner), pid: owner as i32 }
}

/// The ranges of an owner: first, last, whether for writing.
fn held(inode: &Arc<Node>, owner: u64) -> Vec<(u64, u64, bool)> {
    let state = inode.common().locks.state.lock();
    let own = state.records.iter().filter(|r| r.owner == Owner::Process(owner));
    let mut ranges: Vec<_> = own.map(|r| (r.range.start, r.range.end, r.write)).collect();
    ranges.sort();
    ranges
}

#[test]
fn ranges_split_merge_and_exclude() {
    let inode = node();
    let dynamic = inode.clone() as Arc<dyn Inode>;
    let set = |kind, start, end, owner| record::set(&dynamic, &ask(kind, start, end, owner));
    assert_eq!(set(Kind::Write, 10, 19, 1), Ok(()));
    assert_eq!(set(Kind::Write, 20, 29, 1), Ok(()));
    assert_eq!(held(&inode, 1), [(10, 29, true)]);
    assert_eq!(set(Kind::Read, 15, 19, 1), Ok(()));
    assert_eq!(held(&inode, 1), [(10, 14, true), (15, 19, false), (20, 29, true)]);
    assert_eq!(set(Kind::Read, 12, 16, 2), Err(Errno::EAGAIN));
    assert_eq!(set(Kind::Read, 15, 19, 2), Ok(()));
    assert_eq!(set(Kind::Write, 15, 19, 1), Err(Errno::EAGAIN));
    assert_eq!(set(Kind::Unlock, 0, i64::MAX as u64, 2), Ok(()));
    assert_eq!(set(Kind::Write, 0, i64::MAX as u64, 1), Ok(()));
    assert_eq!(held(&inode, 1), [(0, i64::MAX as u64, true)]);
    assert_eq!(set(Kind::Unlock, 5, 6, 1), Ok(()));
    assert_eq!(held(&inode, 1), [(0, 4, true), (7, i64::MAX as u64, true)]);
    let found = record::test(&*inode, &ask(Kind::Read, 5, 100, 2)).unwrap().unwrap();
    assert_eq!((found.l_type, found.l_start, found.l_len, found.l_pid), (F_WRLCK, 7, 0, 1));
    assert_eq!(record::test(&*inode, &ask(Kind::Write, 5, 6, 2)), Ok(None));
    assert_eq!(record::test(&*inode, &ask(Kind::Unlock, 5, 6, 2)), Err(Errno::EINVAL));
    descriptor_closed(&dynamic, 1);
    assert!(held(&inode, 1).is_empty() && inode.common().locks.is_empty());
}

#[test]
fn a_struct_flock_is_understood_as_on_linux() {
    let inode = node();
    inode.attr.lock().size = 1000;
    let file = open(&inode, OpenFlags::RDWR);
    *file.pos.lock() = 100;
    let range = |l_whence, l_start, l_len| {
        let flock = Flock { l_type: F_RDLCK, l_whence, l_start, l_len, ..Flock::default() };
        Request::new(&file, &flock, false, 1, 1).map(|r| (r.range.start, r.range.end))
    };
    let max = i64::MAX;
    assert_eq!(range(0, 10, -5), Ok((5, 9)));
    assert_eq!(range(1, -100, 1), Ok((0, 0)));
    assert_eq!(range(2, 0, 0), Ok((1000, max as u64)));
    assert_eq!(range(0, max, 1), Ok((max as u64, max as u64)));
    assert_eq!(range(0, -1, 0), Err(Errno::EINVAL));
    assert_eq!(range(0, 5, -6), Err(Errno::EINVAL));
    assert_eq!(range(0, 0, -1), Err(Errno::EINVAL));
    assert_eq!(range(1, -101, 0), Err(Errno::EINVAL));
    assert_eq!(range(7, 0, 0), Err(Errno::EINVAL));
    assert_eq!(range(0, max, 2), Err(Errno::EOVERFLOW));
    assert_eq!(range(1, max, 0), Err(Errno::EOVERFLOW));
    assert_eq!(range(0, i64::MIN, i64::MIN), Err(Errno::EINVAL));
    let with =
        |l_type, ofd, l_pid| Request::new(&file, &Flock { l_type, l_pid, ..Flock::default() }, ofd, 1, 1);
    assert_eq!(with(77, false, 0), Err(Errno::EINVAL));
    assert_eq!(with(F_RDLCK, true, 5), Err(Errno::EINVAL));
    assert!(with(F_RDLCK, false, 5).is_ok());
    let reader = open(&inode, OpenFlags::RDONLY);
    assert_eq!(with(F_WRLCK, false, 0).unwrap().check_mode(&reader), Err(Errno::EBADF));
    assert_eq!(with(F_RDLCK, false, 0).unwrap().check_mode(&reader), Ok(()));
}

#[test]
fn locks_of_open_files() {
    let inode = node();
    let dynamic = inode.clone() as Arc<dyn Inode>;
    let (a, b) = (open(&inode, OpenFlags::RDWR), open(&inode, OpenFlags::RDWR));
    let ofd =
        |file: &File, l_type| Request::new(file, &Flock { l_type, ..Flock::default() }, true, 1, 1).unwrap();
    assert_eq!(record::set(&dynamic, &ofd(&a, F_WRLCK)), Ok(()));
    assert_eq!(record::set(&dynamic, &ofd(&b, F_RDLCK)), Err(Errno::EAGAIN));
    assert_eq!(record::set(&dynamic, &ask(Kind::Read, 0, 0, 1)), Err(Errno::EAGAIN));
    assert!(record::set_or_wait(&dynamic, &ask(Kind::Read, 0, 0, 1)).unwrap().is_some());
    assert_eq!(record::test(&*inode, &ofd(&b, F_RDLCK)).unwrap().map(|f| f.l_pid), Some(-1));
    assert_eq!(record::test(&*inode, &ofd(&a, F_UNLCK)).unwrap().map(|f| f.l_type), Some(F_WRLCK));
    assert_eq!(record::test(&*inode, &ofd(&b, F_UNLCK)), Ok(None));
    let listed = list();
    let line = listed.iter().find(|l| l.ino == inode.attr.lock().ino).unwrap();
    assert_eq!((line.class, line.kind, line.pid, line.end), ("OFDLCK", "WRITE", -1, None));
    descriptor_closed(&dynamic, 1);
    drop(a);
    assert_eq!(record::set(&dynamic, &ofd(&b, F_RDLCK)), Ok(()));
}

#[test]
fn a_circle_of_waiting_processes_is_refused() {
    let inode = node() as Arc<dyn Inode>;
    // Owners are numbers that no other test waits with.
    for n in 0..3 {
        record::set(&inode, &ask(Kind::Write, n, n, 100 + n)).unwrap();
    }
    let first = record::set_or_wait(&inode, &ask(Kind::Write, 1, 1, 100)).unwrap();
    let second = record::set_or_wait(&inode, &ask(Kind::Write, 2, 2, 101)).unwrap();
    assert!(first.is_some() && second.is_some());
    assert_eq!(record::set_or_wait(&inode, &ask(Kind::Write, 0, 0, 102)).err(), Some(Errno::EDEADLK));
    drop(first);
    assert!(record::set_or_wait(&inode, &ask(Kind::Write, 0, 0, 102)).unwrap().is_some());
    record::set(&inode, &ask(Kind::Unlock, 0, 9, 102)).unwrap();
    drop(second);
    assert!(record::set_or_wait(&inode, &ask(Kind::Write, 2, 2, 101)).unwrap().is_none());
}

impl lease::Holder for Count {
    fn broken(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn leases_are_broken() {
    let inode = node();
    let dynamic = inode.clone() as Arc<dyn Inode>;
    let (root, count) = (testing::root(), Arc::new(Count::default()));
    let set = |file: &File, kind| lease::set(file, kind, &root, 1, count.clone());
    let (a, reader) = (open(&inode, OpenFlags::RDWR), open(&inode, OpenFlags::RDONLY));
    assert_eq!(set(&a, F_RDLCK), Err(Errno::EAGAIN), "open for writing, by itself");
    assert_eq!(set(&a, F_WRLCK), Err(Errno::EAGAIN), "open twice");
    drop(reader);
    assert_eq!((set(&a, F_WRLCK), lease::get(&a)), (Ok(()), F_WRLCK));
    assert_eq!(lease::break_for(&dynamic, false, 0), Err(Errno::EAGAIN));
    assert_eq!((lease::get(&a), count.0.load(Ordering::SeqCst)), (F_RDLCK, 1));
    assert_eq!(lease::break_for(&dynamic, false, 1), Err(Errno::EAGAIN));
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "told once");
    assert_eq!(lease::breaking_until(&*inode), Some(lease::BREAK_TIME_NS));
    assert_eq!(lease::break_for(&dynamic, false, lease::BREAK_TIME_NS), Ok(()), "weakened by force");
    assert_eq!(lease::break_for(&dynamic, true, 0), Err(Errno::EAGAIN));
    assert_eq!((lease::get(&a), count.0.load(Ordering::SeqCst)), (F_UNLCK, 2));
    assert_eq!((set(&a, F_UNLCK), set(&a, F_UNLCK)), (Ok(()), Err(Errno::EAGAIN)));
    assert_eq!(lease::break_for(&dynamic, true, 0), Ok(()));
    drop(a);
    let (p, q) = (open(&inode, OpenFlags::RDONLY), open(&inode, OpenFlags::RDONLY));
    assert_eq!((set(&p, F_RDLCK), set(&q, F_RDLCK), set(&q, F_WRLCK)), (Ok(()), Ok(()), Err(Errno::EAGAIN)));
    assert_eq!(lease::break_for(&dynamic, false, 0), Ok(()));
    drop((p, q));
    assert_eq!(lease::break_for(&dynamic, true, 0), Ok(()));

    let mut other = (*root).clone();
    (other.fsuid, other.fsgid, other.effective) = (Uid(5), Gid(5), CapSet::EMPTY);
    let file = open(&inode, OpenFlags::RDONLY);
    assert_eq!(lease::set(&file, F_RDLCK, &other, 1, count.clone()), Err(Errno::EACCES));
    assert_eq!(lease::set(&file, 9, &root, 1, count), Err(Errno::EINVAL));
}
