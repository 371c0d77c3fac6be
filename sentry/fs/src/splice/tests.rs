use super::*;
use crate::{eventfd::new_eventfd, pipe::new_pipe};
use ksync::{Mutex, rank};
use std::any::Any;
use vfs::{
    FileOps, Inode,
    testing::{self, Node, read, write},
};

/// A file in memory; writes at most `max` bytes at a time.
struct Bytes(Arc<Mutex<Vec<u8>>>, usize);
impl FileOps for Bytes {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let bytes = self.0.lock();
        dst.put(bytes.get(offset as usize..).unwrap_or_default())
    }
    fn write_at(&self, _: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let new = src.take_vec(self.1)?;
        let (mut bytes, at) = (self.0.lock(), offset as usize);
        let len = bytes.len().max(at + new.len());
        bytes.resize(len, 0);
        bytes[at..at + new.len()].copy_from_slice(&new);
        Ok(new.len())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn file(contents: &[u8]) -> Arc<File> {
    file_with(contents, OpenFlags::RDWR, usize::MAX)
}

fn file_with(contents: &[u8], flags: OpenFlags, max: usize) -> Arc<File> {
    let node = Node::new(FileType::Regular);
    node.attr.lock().size = contents.len() as u64;
    let bytes = Arc::new(Mutex::new(rank::INODE, contents.to_vec()));
    testing::file_on(node, Box::new(Bytes(bytes, max)), flags)
}

fn contents(file: &File) -> Vec<u8> {
    file.downcast::<Bytes>().unwrap().0.lock().clone()
}

fn pipe() -> (Arc<File>, Arc<File>) {
    let (r, w) = new_pipe();
    (testing::file(r, OpenFlags::RDONLY), testing::file(w, OpenFlags::WRONLY))
}

const EINVAL: Result<usize, Stop> = Err(Stop::Errno(Errno::EINVAL));

#[test]
fn splice_to_and_from_files() {
    let (r, w) = pipe();
    let f = file(b"0123456789");
    assert_eq!(splice(&f, Some(2), &w, None, 5), Ok(5));
    assert_eq!(splice(&f, None, &w, None, 3), Ok(3));
    assert_eq!((*f.pos.lock(), pipe::of(&r).unwrap().len()), (3, 8));
    assert_eq!(splice(&f, Some(10), &w, None, 3), Ok(0));
    let g = file_with(b"", OpenFlags::RDWR, 4);
    assert_eq!(splice(&r, None, &g, Some(1), 100), Ok(4));
    assert_eq!(splice(&r, None, &g, None, 100), Ok(4), "the rest of one segment, and the next");
    assert_eq!((contents(&g), read(&r, 10)), (b"60125".to_vec(), Err(Errno::EAGAIN)));
    assert_eq!(splice(&r, None, &g, None, 1), Err(Stop::WaitIn));
    write(&w, &[7; 65536]).unwrap();
    assert_eq!(splice(&f, Some(0), &w, None, 1), Err(Stop::WaitOut));
    drop(w);
    while splice(&r, None, &g, None, 1 << 20).unwrap() > 0 {}
    assert_eq!((*g.pos.lock(), contents(&g).len()), (65540, 65540));
}

#[test]
fn splice_between_pipes_and_tee() {
    let (r, w) = pipe();
    let (r2, w2) = pipe();
    write(&w, b"hello").unwrap();
    assert_eq!(tee(&r, &w2, 3), Ok(3));
    assert_eq!(tee(&r, &w2, 100), Ok(5));
    // What is shared is not changed by what is written after it.
    write(&w, b"!").unwrap();
    let g = file(b"");
    assert_eq!(splice(&r, None, &g, None, 2), Ok(2));
    assert_eq!(splice(&r, None, &w2, None, 100), Ok(4));
    assert_eq!(read(&r2, 100), Ok(b"helhellollo!".to_vec()));
    assert_eq!(contents(&g), b"he");
    assert_eq!(splice(&r, None, &w2, None, 1), Err(Stop::WaitIn));
    assert_eq!(tee(&r, &w2, 1), Err(Stop::WaitIn));
    write(&w, b"x").unwrap();
    write(&w2, &[0; 65536]).unwrap();
    assert_eq!(splice(&r, None, &w2, None, 1), Err(Stop::WaitOut));
    assert_eq!(pipe::of(&r).unwrap().len(), 1);
    drop(r2);
    assert_eq!(splice(&r, None, &w2, None, 1), Err(Stop::Errno(Errno::EPIPE)));
    assert_eq!(pipe::of(&r).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_spliced() {
    let (r, w) = pipe();
    let (f, append) = (file(b"abc"), file_with(b"", OpenFlags::WRONLY | OpenFlags::APPEND, 9));
    let event = testing::file(new_eventfd(1, false), OpenFlags::RDWR);
    let espipe = Err(Stop::Errno(Errno::ESPIPE));
    let ebadf = Err(Stop::Errno(Errno::EBADF));
    assert_eq!(splice(&f, None, &f, None, 5), EINVAL);
    assert_eq!(splice(&f, Some(0), &w, Some(0), 5), espipe);
    assert_eq!(splice(&r, Some(0), &f, None, 5), espipe);
    assert_eq!(splice(&f, Some(-1), &w, None, 5), EINVAL);
    assert_eq!(splice(&f, Some(i64::MAX), &w, None, 5), EINVAL);
    assert_eq!(splice(&r, None, &append, None, 5), EINVAL);
    assert_eq!(splice(&append, None, &w, None, 5), ebadf);
    assert_eq!(splice(&w, None, &f, None, 5), ebadf);
    assert_eq!(splice(&r, None, &w, None, 5), EINVAL);
    assert_eq!(splice(&event, None, &w, None, 8), EINVAL);
    assert_eq!(splice(&r, None, &event, None, 8), EINVAL);
    assert_eq!(splice(&r, None, &event, None, 0), Ok(0));
    assert_eq!(tee(&r, &w, 1), EINVAL);
    assert_eq!(tee(&f, &w, 1), EINVAL);
    assert_eq!((vmsplice(&r), vmsplice(&w)), (Ok(Vmsplice::FromPipe), Ok(Vmsplice::IntoPipe)));
    assert_eq!((vmsplice(&f), flags(0x100)), (Err(Errno::EBADF), Err(Errno::EINVAL)));
}

#[test]
fn sendfile_moves_the_position_by_what_was_written() {
    let f = file(b"0123456789");
    let short = file_with(b"", OpenFlags::WRONLY, 4);
    assert_eq!(sendfile(&short, &f, None, 100), Ok(4));
    assert_eq!(*f.pos.lock(), 4);
    assert_eq!(sendfile(&short, &f, Some(8), 100), Ok(2));
    assert_eq!((*f.pos.lock(), contents(&short)), (4, b"012389".to_vec()));
    assert_eq!(sendfile(&short, &f, Some(10), 100), Ok(0));
    let (r, w) = pipe();
    assert_eq!(sendfile(&w, &f, None, 3), Ok(3));
    assert_eq!((*f.pos.lock(), read(&r, 9)), (7, Ok(b"456".to_vec())));
    write(&w, &[7; 65536]).unwrap();
    assert_eq!(sendfile(&w, &f, None, 3), Err(Stop::WaitOut));
    let append = file_with(b"", OpenFlags::WRONLY | OpenFlags::APPEND, 9);
    assert_eq!(sendfile(&append, &f, None, 3), EINVAL);
    assert_eq!(sendfile(&f, &r, None, 3), EINVAL);
    assert_eq!(sendfile(&short, &f, Some(-1), 3), EINVAL);
    assert_eq!(sendfile(&f, &short, None, 3), Err(Stop::Errno(Errno::EBADF)));
    drop(r);
    assert_eq!(sendfile(&w, &f, None, 3), Err(Stop::Errno(Errno::EPIPE)));
}

#[test]
fn copy_file_range_within_and_between_files() {
    let (f, g) = (file(b"0123456789"), file(b""));
    assert_eq!(copy_file_range(&f, Some(1), &g, Some(2), 3), Ok(3));
    assert_eq!(copy_file_range(&f, None, &g, None, 2), Ok(2));
    let at = |file: &File| *file.pos.lock();
    assert_eq!((contents(&g), at(&f), at(&g)), (b"01123".to_vec(), 2, 2));
    assert_eq!(copy_file_range(&f, Some(0), &f, Some(3), 5), Err(Errno::EINVAL));
    assert_eq!(copy_file_range(&f, Some(0), &f, Some(5), 5), Ok(5));
    assert_eq!(copy_file_range(&f, Some(1000), &g, None, 5), Ok(0));
    assert_eq!(copy_file_range(&f, Some(-1), &g, None, 5), Err(Errno::EOVERFLOW));
    assert_eq!(copy_file_range(&f, Some(0), &g, Some(i64::MAX), 5), Err(Errno::EFBIG));
    let append = file_with(b"", OpenFlags::WRONLY | OpenFlags::APPEND, 9);
    assert_eq!(copy_file_range(&f, None, &append, None, 5), Err(Errno::EBADF));
    assert_eq!(copy_file_range(&append, None, &g, None, 5), Err(Errno::EBADF));
    let (r, w) = pipe();
    assert_eq!(copy_file_range(&r, None, &g, None, 5), Err(Errno::EINVAL));
    assert_eq!(copy_file_range(&f, None, &w, None, 5), Err(Errno::EINVAL));
    let dir = testing::file_on(
        Node::new(FileType::Directory) as Arc<dyn Inode>,
        Box::new(Bytes(Arc::new(Mutex::new(rank::INODE, vec![])), 0)),
        OpenFlags::RDONLY,
    );
    assert_eq!(copy_file_range(&dir, None, &g, None, 5), Err(Errno::EISDIR));
}
