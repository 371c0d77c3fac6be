//! Pipes, files and devices of the host as open files of the sandbox.

use super::*;
use ksync::{Ready, exec::Executor};
use std::io::{Read, Write};
use vfs::{UserNamespace, file::Seek, testing};

struct World {
    files: HostFiles,
    cred: Arc<Credentials>,
    vfs: Arc<Vfs>,
    _executor: Arc<Executor>,
}

fn world() -> World {
    let executor = Executor::new(1).unwrap();
    let vfs = Vfs::new();
    let files = HostFiles::new(&vfs, executor.reactor()).unwrap();
    World { files, cred: Credentials::root(UserNamespace::initial()), vfs, _executor: executor }
}

fn show(file: &File) -> String {
    String::from_utf8(file.path().dentry().name().to_vec()).unwrap()
}

#[test]
fn a_pipe_is_read_without_waiting() {
    let w = world();
    let (read, mut write) = std::io::pipe().unwrap();
    let file = w.files.open(read.into(), &w.cred).unwrap();
    assert!(show(&file).starts_with("pipe:["));
    assert_eq!(file.inode().attr().unwrap().mode & 0o170_000, FileType::Fifo.to_mode());
    assert_eq!(testing::read(&file, 10), Err(Errno::EAGAIN));
    assert!(!file.ready().contains(Ready::IN));
    write.write_all(b"hello").unwrap();
    assert!(file.ready().contains(Ready::IN));
    assert_eq!(testing::read(&file, 10).unwrap(), b"hello");
    assert_eq!(testing::write(&file, b"x").unwrap_err(), Errno::EBADF);
    assert_eq!(file.ops().seek(&file, Seek::Set(0)), Err(Errno::ESPIPE));
    drop(write);
    assert_eq!(testing::read(&file, 10).unwrap(), b"");
    assert!(file.ready().contains(Ready::HUP));
}

#[test]
fn a_full_pipe_is_not_waited_for_and_its_flags_stay() {
    let w = world();
    let (mut read, write) = std::io::pipe().unwrap();
    let theirs = write.try_clone().unwrap();
    let file = w.files.open(write.into(), &w.cred).unwrap();
    let mut total = 0;
    loop {
        match testing::write(&file, &[7; 10_000]) {
            Ok(n) => total += n,
            Err(e) => break assert_eq!(e, Errno::EAGAIN),
        }
    }
    assert!(total >= 60_000 && !file.ready().contains(Ready::OUT));
    let mut bytes = vec![0; total];
    read.read_exact(&mut bytes).unwrap();
    assert!(file.ready().contains(Ready::OUT));
    let nonblocking = i32::try_from(OpenFlags::NONBLOCK.bits()).unwrap();
    assert_eq!(host::file::flags(theirs.as_fd()).unwrap() & nonblocking, 0);
}

#[test]
fn readiness_is_announced() {
    struct Flag(std::sync::mpsc::SyncSender<Ready>);
    impl ksync::Listener for Flag {
        fn notify(&self, events: Ready) {
            let _ = self.0.try_send(events);
        }
    }
    let w = world();
    let (read, mut write) = std::io::pipe().unwrap();
    let file = w.files.open(read.into(), &w.cred).unwrap();
    let (send, receive) = std::sync::mpsc::sync_channel(8);
    let _registered = file.ops().wait_queue().unwrap().register(Ready::IN, Arc::new(Flag(send)));
    write.write_all(b"x").unwrap();
    assert!(receive.recv().unwrap().contains(Ready::IN));
}

#[test]
fn a_files_position_is_shared_with_the_host() {
    let w = world();
    let mut theirs = tempfile::tempfile().unwrap();
    let file = w.files.open(theirs.try_clone().unwrap().into(), &w.cred).unwrap();
    assert_eq!(testing::write(&file, b"from inside ").unwrap(), 12);
    theirs.write_all(b"and outside").unwrap();
    assert_eq!(file.ops().seek(&file, Seek::Cur(0)), Ok(23));
    assert_eq!(file.ops().seek(&file, Seek::Set(5)), Ok(5));
    assert_eq!(testing::read(&file, 6).unwrap(), b"inside");
    // Opened again it has a position of its own.
    let again = reopen(&w, &file, OpenFlags::RDONLY).unwrap();
    assert_eq!(testing::read(&again, 4).unwrap(), b"from");
    assert_eq!(file.ops().seek(&file, Seek::Cur(0)), Ok(11));
    assert_eq!(file.inode().attr().unwrap().size, 23);
    assert!(file.ops().mappable(&file).is_ok());
}

fn reopen(w: &World, file: &File, flags: OpenFlags) -> Result<Arc<File>, Errno> {
    let ctx = w.vfs.context(file.path().clone(), w.cred.clone());
    match vfs::ops::reopen(&ctx, file.path().clone(), &vfs::ops::OpenHow::open(flags.bits(), 0))? {
        vfs::ops::Opened::File(file) => Ok(file),
        vfs::ops::Opened::Fifo(_) => panic!("a FIFO of the sandbox"),
    }
}

#[test]
fn standard_output_is_opened_again() {
    let w = world();
    let (mut read, write) = std::io::pipe().unwrap();
    let file = w.files.open(write.into(), &w.cred).unwrap();
    let again = reopen(&w, &file, OpenFlags::WRONLY | OpenFlags::TRUNC).unwrap();
    drop(file);
    assert_eq!(testing::write(&again, b"echo").unwrap(), 4);
    assert_eq!(reopen(&w, &again, OpenFlags::RDONLY).err(), Some(Errno::EACCES));
    drop(again);
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "echo");
}

#[test]
fn the_null_device() {
    let w = world();
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let file = w.files.open(null.into(), &w.cred).unwrap();
    assert_eq!(show(&file), "/dev/null");
    assert_eq!(testing::read(&file, 10).unwrap(), b"");
    assert_eq!(testing::write(&file, b"gone").unwrap(), 4);
    let attr = file.inode().attr().unwrap();
    assert_eq!((attr.mode & 0o170_000, attr.rdev), (FileType::CharDevice.to_mode(), dev::makedev(1, 3)));
    let directory = std::fs::File::open("/").unwrap();
    assert_eq!(w.files.open(directory.into(), &w.cred).err(), Some(Errno::EISDIR));
}
