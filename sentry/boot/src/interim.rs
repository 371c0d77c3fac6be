//! INTERIM
use abi::Errno;
use mem::{IoDst, IoSrc};
use std::{any::Any, os::fd::OwnedFd, sync::Arc};
use vfs::{File, FileOps};
struct Stdio(OwnedFd);
impl FileOps for Stdio {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut buffer = [0; 4096];
        let n = nix::unistd::read(&self.0, &mut buffer).map_err(|e| Errno::from_host(e as i32))?;
        dst.put(buffer.get(..n).unwrap_or_default())
    }
    fn write(&self, _: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let bytes = src.take_vec(4096)?;
        let n = nix::unistd::write(&self.0, &bytes).map_err(|e| Errno::from_host(e as i32))?;
        src.untake(bytes.len() - n);
        Ok(n)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
pub fn open(vfs: &Arc<vfs::Vfs>, fd: OwnedFd, cred: &Arc<vfs::Credentials>) -> Result<Arc<File>, Errno> {
    Ok(vfs.anon_file("pipe", abi::FileType::Fifo, abi::OpenFlags::RDWR, cred, Box::new(Stdio(fd))))
}
