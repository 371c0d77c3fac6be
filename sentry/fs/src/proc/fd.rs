//! `/proc/PID/fd` and `fdinfo`.

use super::process::Process;
use crate::pseudo::{Child, Entry, PseudoDir, PseudoFile, PseudoLink};
use abi::{Errno, FileType, OpenFlags};
use kernel::current;
use std::{fmt::Write, sync::Arc};
use vfs::{Credentials, Fd, FdTable, File, LinkTarget, OpenRequest};

fn table(process: &Process) -> Result<Arc<FdTable>, Errno> {
    process.task()?.fds()
}

fn number(name: &[u8]) -> Result<Fd, Errno> {
    super::number_or_zero(name).and_then(|n| i32::try_from(n).ok()).map(Fd).ok_or(Errno::ENOENT)
}

fn entries(process: &Process, kind: FileType) -> Result<Vec<Entry>, Errno> {
    let all = table(process)?.list();
    let entry = |fd: Fd| Entry { pos: fd.0 as u64 + 2, name: fd.0.to_string().into_bytes(), kind };
    Ok(all.iter().map(|(fd, _)| entry(*fd)).collect())
}

/// Whether the caller is the process itself: may look whatever the permission bits say (it may have changed its ids).
fn is_own(process: &Process) -> bool {
    let group = process.group();
    current().is_some_and(|c| group.is_ok_and(|g| Arc::ptr_eq(&c.group, &g)))
}

/// `fd`.
pub(super) struct FdDir(pub Arc<Process>);

impl PseudoDir for FdDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        let fd = number(name)?;
        table(&self.0)?.get(fd).map_err(|_| Errno::ENOENT)?;
        Ok(Child::link(Arc::new(FdLink { process: self.0.clone(), fd })))
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        self.0.accessible()?;
        entries(&self.0, FileType::Symlink)
    }
    fn changes(&self) -> bool {
        true
    }
    fn is_current(&self, name: &[u8]) -> bool {
        number(name).is_ok_and(|fd| table(&self.0).is_ok_and(|t| t.get(fd).is_ok()))
    }
    fn size(&self) -> u64 {
        table(&self.0).map_or(0, |t| t.list().len() as u64)
    }
    fn permission(&self, _: &Credentials, _: u32) -> Option<Result<(), Errno>> {
        is_own(&self.0).then_some(Ok(()))
    }
}

struct FdLink {
    process: Arc<Process>,
    fd: Fd,
}

impl FdLink {
    fn file(&self) -> Result<Arc<File>, Errno> {
        table(&self.process)?.get(self.fd).map_err(|_| Errno::ENOENT)
    }
}

impl PseudoLink for FdLink {
    fn read(&self) -> Result<Vec<u8>, Errno> {
        self.process.accessible()?;
        Ok(super::links::name(self.file()?.path()))
    }
    fn follow(&self) -> Result<LinkTarget, Errno> {
        self.process.accessible()?;
        Ok(LinkTarget::Place(self.file()?.path().clone()))
    }
    fn size(&self) -> u64 {
        64
    }
    fn mode(&self) -> Option<u32> {
        let flags = self.file().map(|f| f.flags()).unwrap_or_default();
        if flags.contains(OpenFlags::PATH) {
            return Some(0o100);
        }
        let mut mode = 0;
        if flags.readable() {
            mode |= 0o500;
        }
        if flags.writable() {
            mode |= 0o300;
        }
        Some(mode)
    }
}

/// `fdinfo`.
pub(super) struct FdInfoDir(pub Arc<Process>);

impl PseudoDir for FdInfoDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        let fd = number(name)?;
        table(&self.0)?.get(fd).map_err(|_| Errno::ENOENT)?;
        Ok(Child::file(0o444, Arc::new(FdInfo { process: self.0.clone(), fd })))
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        self.0.accessible()?;
        entries(&self.0, FileType::Regular)
    }
    fn changes(&self) -> bool {
        true
    }
    fn is_current(&self, name: &[u8]) -> bool {
        number(name).is_ok_and(|fd| table(&self.0).is_ok_and(|t| t.get(fd).is_ok()))
    }
    fn permission(&self, _: &Credentials, _: u32) -> Option<Result<(), Errno>> {
        Some(self.0.accessible().map(|_| ()))
    }
}

struct FdInfo {
    process: Arc<Process>,
    fd: Fd,
}

impl PseudoFile for FdInfo {
    fn check_open(&self, _: &OpenRequest<'_>) -> Result<(), Errno> {
        self.process.accessible().map(|_| ())
    }
    fn contents(&self, _: &File) -> Result<Vec<u8>, Errno> {
        let table = table(&self.process)?;
        let file = table.get(self.fd).map_err(|_| Errno::ENOENT)?;
        let mut flags = file.flags();
        if table.cloexec(self.fd).unwrap_or(false) {
            flags |= OpenFlags::CLOEXEC;
        }
        // Positions are held across reads, this one's among them: what is being used is shown as 0.
        let pos = file.pos.try_lock().map_or(0, |pos| *pos);
        let ino = file.inode().attr().map(|a| a.ino).unwrap_or(0);
        let mut t = format!(
            "pos:\t{pos}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{ino}\n",
            flags.bits(),
            file.path().mount().id
        );
        let _ = write!(t, "{}", file.ops().fdinfo(&file));
        Ok(t.into_bytes())
    }
}
