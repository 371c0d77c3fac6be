use super::*;
use std::sync::Weak;
use vfs::testing::{self, read, write};

fn memfds() -> Memfds {
    Memfds::new(&Vfs::new(), Arc::new(MemoryFile::new(1 << 30).unwrap()))
}

fn create(flags: u32) -> Arc<File> {
    memfds().create(b"x", flags, &testing::root()).unwrap()
}

fn pwrite(file: &File, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
    file.ops().write_at(file, at, &mut IoSrc::bytes(&mut bytes.to_vec()))
}

fn set_size(file: &File, size: u64) -> Result<(), Errno> {
    file.inode().set_attr(&SetAttr { size: Some(size), ..SetAttr::default() })
}

fn chmod(file: &File, mode: u32) -> Result<(), Errno> {
    file.inode().set_attr(&SetAttr { mode: Some(mode), ..SetAttr::default() })
}

const EPERM: Errno = Errno::EPERM;

#[test]
fn a_file_in_memory() {
    let m = memfds();
    let root = testing::root();
    let file = m.create(b"x", 0, &root).unwrap();
    assert_eq!((write(&file, b"hello"), read(&file, 9)), (Ok(5), Ok(vec![])));
    assert_eq!((file.ops().seek(&file, Seek::Set(1)), read(&file, 9)), (Ok(1), Ok(b"ello".to_vec())));
    let attr = file.inode().attr().unwrap();
    assert_eq!((attr.mode, attr.nlink, attr.size, attr.blocks), (0o100_777, 0, 5, 8));
    assert_eq!(&*file.path().dentry().name(), b"/memfd:x (deleted)");
    assert_eq!(file.ops().seek(&file, Seek::Data(9)), Err(Errno::ENXIO));
    assert_eq!(file.ops().seek(&file, Seek::Hole(0)), Ok(5));
    assert_eq!(file.ops().fallocate(&file, 8, 0, 4096), Err(Errno::EOPNOTSUPP));
    assert_eq!(file.ops().fallocate(&file, 0, i64::MAX as u64, 1), Err(Errno::EFBIG));
    assert_eq!(file.ops().fallocate(&file, 3, 1, 2), Ok(()));
    assert_eq!((file.ops().seek(&file, Seek::Set(0)), read(&file, 9)), (Ok(0), Ok(b"h\0\0lo".to_vec())));
    assert_eq!(m.create(b"x", 0x18, &root).err(), Some(Errno::EINVAL));
    assert_eq!(m.create(b"x", 0x20, &root).err(), Some(Errno::EINVAL));
    assert_eq!(m.create(b"x", 4, &root).err(), Some(Errno::ENOSYS));
    assert_eq!(m.create(&[b'a'; 250], 0, &root).err(), Some(Errno::EINVAL));
    assert!(m.create(&[b'a'; 249], 0, &root).is_ok());
}

#[test]
fn who_may_seal() {
    let (closed, open, no_exec) = (create(0), create(2), create(8));
    let seals = [get_seals(&closed), get_seals(&open), get_seals(&no_exec)];
    assert_eq!(seals, [Ok(1), Ok(0), Ok(0x20)]);
    assert_eq!(add_seals(&closed, 0), Err(EPERM));
    assert_eq!(add_seals(&open, 0x40), Err(Errno::EINVAL));
    let path = open.path().clone();
    let reader = File::new(path, OpenFlags::RDONLY, testing::root(), Box::new(MemfdFile(of(&open).unwrap())));
    assert_eq!(add_seals(&reader, 1), Err(EPERM));
    let (other, _) = crate::pipe::new_pipe();
    assert_eq!(get_seals(&testing::file(other, OpenFlags::RDWR)), Err(Errno::EINVAL));
}

#[test]
fn sealed_sizes() {
    let file = create(2);
    write(&file, b"0123456789").unwrap();
    add_seals(&file, SealFlags::GROW.bits()).unwrap();
    assert_eq!((pwrite(&file, 5, b"abcdefghij"), pwrite(&file, 7, b"abc")), (Err(EPERM), Ok(3)));
    assert_eq!((pwrite(&file, 10, b"a"), pwrite(&file, 20, b"")), (Err(EPERM), Ok(0)));
    assert_eq!(file.ops().append(&file, &mut IoSrc::bytes(&mut [0])), Err(EPERM));
    assert_eq!((set_size(&file, 11), set_size(&file, 3)), (Err(EPERM), Ok(())));
    assert_eq!(file.ops().fallocate(&file, 1, 0, 100), Err(EPERM));
    add_seals(&file, SealFlags::SHRINK.bits()).unwrap();
    assert_eq!((set_size(&file, 2), set_size(&file, 3)), (Err(EPERM), Ok(())));
    let page = PAGE_SIZE as usize;
    let file = create(2);
    set_size(&file, 2 * PAGE_SIZE + 5).unwrap();
    add_seals(&file, SealFlags::GROW.bits()).unwrap();
    assert_eq!(pwrite(&file, 0, &vec![1; 3 * page]), Ok(2 * page));
}

#[test]
fn sealed_contents() {
    struct Nobody;
    impl mem::Invalidate for Nobody {
        fn invalidate(&self, _: &MappingSet, _: Range<u64>, _: bool) {}
    }
    let file = create(2);
    write(&file, b"0123456789").unwrap();
    let mappable = file.ops().mappable(&file).unwrap();
    let who: Weak<dyn mem::Invalidate> = Weak::<Nobody>::new();
    mappable.mappings().add(&who);
    mappable.mappings().add_writer();
    assert_eq!(mappable.admit(true, true), Ok(true));
    assert_eq!(add_seals(&file, SealFlags::WRITE.bits()), Err(Errno::EBUSY));
    assert_eq!(get_seals(&file), Ok(0));
    assert_eq!(add_seals(&file, SealFlags::FUTURE_WRITE.bits()), Ok(()));
    assert_eq!(mappable.admit(true, true), Err(EPERM));
    assert_eq!((mappable.admit(true, false), mappable.admit(false, true)), (Ok(false), Ok(true)));
    assert_eq!((pwrite(&file, 0, b"x"), set_size(&file, 20)), (Err(EPERM), Ok(())));
    mappable.mappings().remove_writer();
    assert_eq!(add_seals(&file, SealFlags::WRITE.bits()), Ok(()));
    assert_eq!(file.ops().fallocate(&file, 3, 0, 4096), Err(EPERM));
}

#[test]
fn sealed_execution() {
    let (exec, no_exec) = (create(2), create(8));
    add_seals(&exec, SealFlags::EXEC.bits()).unwrap();
    assert_eq!(get_seals(&exec), Ok(0x3e));
    assert_eq!((chmod(&exec, 0o644), chmod(&exec, 0o777)), (Err(EPERM), Ok(())));
    assert_eq!((chmod(&no_exec, 0o700), chmod(&no_exec, 0o600)), (Err(EPERM), Ok(())));
}
