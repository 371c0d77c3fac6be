use super::*;
use crate::{
    FileOps, Path,
    testing::{self, Node},
};
use abi::{Errno, fcntl::OpenFlags};

/// A user of its own for each test, because limits are counted by user.
fn instance() -> Arc<File> {
    static USER: AtomicU32 = AtomicU32::new(1000);
    let mut cred = (*testing::root()).clone();
    cred.ruid = crate::Uid(USER.fetch_add(1, Ordering::Relaxed));
    testing::file(new_inotify(&cred).unwrap(), OpenFlags::RDONLY)
}

fn watch(file: &File, path: &Path, mask: Events) -> Result<i32, Errno> {
    file.downcast::<Inotify>().unwrap().add_watch(path, mask.bits())
}

/// A directory with a file `f` in it.
fn tree() -> (Path, Path, Arc<Node>) {
    let dir = testing::path(b"/", Node::new(FileType::Directory));
    let node = Node::new(FileType::Regular);
    let dentry = Dentry::loose(dir.dentry(), b"f", node.clone());
    let file = Path::new(dir.mount().clone(), dentry).unwrap();
    (dir, file, node)
}

/// `(wd, mask, cookie is set, name)` of everything that is queued.
fn events(file: &File) -> Vec<(i32, u32, bool, String)> {
    let Ok(bytes) = testing::read(file, 1 << 16) else { return vec![] };
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut out) = (0, vec![]);
    while at < bytes.len() {
        let len = word(at + 12) as usize;
        assert_eq!(len % 16, 0);
        let name =
            bytes[at + 16..at + 16 + len].iter().take_while(|b| **b != 0).map(|b| *b as char).collect();
        out.push((word(at) as i32, word(at + 4), word(at + 8) != 0, name));
        at += 16 + len;
    }
    out
}

fn e(wd: i32, mask: u32, cookie: bool, name: &str) -> (i32, u32, bool, String) {
    (wd, mask, cookie, name.into())
}

struct Plain;
impl FileOps for Plain {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[test]
fn directory_and_file_hear_of_what_happens() {
    let (dir, file, _) = tree();
    let i = instance();
    assert_eq!(watch(&i, &dir, Events::ALL_EVENTS), Ok(1));
    assert_eq!(watch(&i, &file, Events::ALL_EVENTS), Ok(2));
    let open = File::new(file.clone(), OpenFlags::RDWR, testing::root(), Box::new(Plain));
    file_event(&open, Events::OPEN);
    file_event(&open, Events::MODIFY);
    drop(open);
    let pairs = [0x20, 2, 8].into_iter().flat_map(|m| [e(1, m, false, "f"), e(2, m, false, "")]);
    assert_eq!(events(&i), pairs.collect::<Vec<_>>());
    let path_only = OpenFlags::PATH;
    drop(File::new(file, path_only, testing::root(), Box::new(Plain)));
    assert_eq!(events(&i), []);
}

#[test]
fn names_come_and_go() {
    let (dir, file, node) = tree();
    let (other, replaced) = (Node::new(FileType::Directory) as Arc<dyn Inode>, Node::new(FileType::Regular));
    let i = instance();
    watch(&i, &dir, Events::ALL_EVENTS).unwrap();
    watch(&i, &file, Events::ALL_EVENTS).unwrap();
    watch(&i, &testing::path(b"r", replaced.clone()), Events::ALL_EVENTS).unwrap();
    let (d, f) = (dir.inode(), file.inode());
    entry_created(&d, b"s", true);
    entry_linked(&d, b"g", &f);
    replaced.attr.lock().nlink = 0;
    entry_moved(&d, b"f", &other, b"h", &f, Some(&(replaced as Arc<dyn Inode>)));
    entry_moved(&other, b"h", &d, b"0123456789abcdef", &f, None);
    let open = File::new(file, OpenFlags::RDONLY, testing::root(), Box::new(Plain));
    node.attr.lock().nlink = 0;
    entry_removed(&d, b"f", &f);
    let expected = [
        e(1, 0x4000_0100, false, "s"),
        e(2, 4, false, ""),
        e(1, 0x100, false, "g"),
        e(1, 0x40, true, "f"),
        e(3, 4, false, ""),
        e(2, 0x800, false, ""),
        e(3, 0x400, false, ""),
        e(3, 0x8000, false, ""),
        e(1, 0x80, true, "0123456789abcdef"),
        e(2, 0x800, false, ""),
        e(2, 4, false, ""),
        e(1, 0x200, false, "f"),
    ];
    assert_eq!(events(&i), expected);
    open.path().dentry().unlinked.store(true, Ordering::Release);
    drop(open);
    let end =
        [e(1, 0x10, false, "f"), e(2, 0x10, false, ""), e(2, 0x400, false, ""), e(2, 0x8000, false, "")];
    assert_eq!(events(&i), end);
    assert_eq!(i.downcast::<Inotify>().unwrap().rm_watch(2), Err(Errno::EINVAL));
}

#[test]
fn masks() {
    let (dir, file, _) = tree();
    let i = instance();
    assert_eq!(watch(&i, &file, Events::empty()), Err(Errno::EINVAL));
    assert_eq!(i.downcast::<Inotify>().unwrap().add_watch(&file, 0x1001), Err(Errno::EINVAL));
    assert_eq!(watch(&i, &file, Events::OPEN | Events::ONLYDIR), Err(Errno::ENOTDIR));
    assert_eq!(watch(&i, &dir, Events::OPEN | Events::ONLYDIR), Ok(1));
    assert_eq!(watch(&i, &file, Events::OPEN), Ok(2));
    assert_eq!(watch(&i, &file, Events::MODIFY | Events::MASK_CREATE), Err(Errno::EEXIST));
    assert_eq!(watch(&i, &file, Events::MODIFY | Events::MASK_CREATE | Events::MASK_ADD), Err(Errno::EINVAL));
    assert_eq!(watch(&i, &file, Events::MODIFY | Events::MASK_ADD), Ok(2));
    let inode = file.inode();
    dentry_event(file.dentry(), &inode, Events::MODIFY);
    dentry_event(file.dentry(), &inode, Events::ATTRIB);
    assert_eq!(events(&i), [e(2, 2, false, "")]);
    watch(&i, &file, Events::ATTRIB | Events::ONESHOT).unwrap();
    for _ in 0..2 {
        dentry_event(file.dentry(), &inode, Events::ATTRIB);
    }
    assert_eq!(events(&i), [e(2, 4, false, ""), e(2, 0x8000, false, "")]);
    watch(&i, &dir, Events::MODIFY | Events::EXCL_UNLINK).unwrap();
    file.dentry().unlinked.store(true, Ordering::Release);
    dentry_event(file.dentry(), &inode, Events::MODIFY);
    assert_eq!(events(&i), []);
    watch(&i, &dir, Events::MODIFY).unwrap();
    dentry_event(file.dentry(), &inode, Events::MODIFY);
    assert_eq!(events(&i), [e(1, 2, false, "f")]);
}

#[test]
fn the_queue_merges_overflows_and_wants_room() {
    let (dir, _, _) = tree();
    let i = instance();
    watch(&i, &dir, Events::ALL_EVENTS).unwrap();
    let d = dir.inode();
    for _ in 0..3 {
        entry_created(&d, b"x", false);
    }
    assert_eq!(i.ready(), ksync::Ready::IN | ksync::Ready::RDNORM);
    assert_eq!(testing::read(&i, 31), Err(Errno::EINVAL));
    assert_eq!(events(&i), [e(1, 0x100, false, "x")]);
    assert_eq!(testing::read(&i, 31), Err(Errno::EAGAIN));
    for n in 0..20_000 {
        entry_created(&d, format!("{n}").as_bytes(), false);
    }
    let mut all = vec![];
    loop {
        let some = events(&i);
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    assert_eq!((all.len(), all.last()), (16385, Some(&e(-1, 0x4000, false, ""))));
}

#[test]
fn instances_are_limited_and_leave_nothing() {
    let mut cred = (*testing::root()).clone();
    cred.ruid = crate::Uid(77);
    let (dir, _, _) = tree();
    let all: Vec<_> =
        (0..128).map(|_| testing::file(new_inotify(&cred).unwrap(), OpenFlags::RDONLY)).collect();
    assert_eq!(new_inotify(&cred).err(), Some(Errno::EMFILE));
    all.iter().for_each(|i| assert_eq!(watch(i, &dir, Events::CREATE), Ok(1)));
    drop(all);
    assert!(dir.inode().common().watches.is_empty());
    assert!(new_inotify(&cred).is_ok());
}
