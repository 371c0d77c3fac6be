//! Unix sockets bound to files.

use super::UnixSocket;
use crate::caller::Caller;
use abi::{Errno, stat::FileType};
use std::{
    any::Any,
    sync::{Arc, Weak},
};
use vfs::{
    Inode, WalkContext, ops,
    permission::{WRITE, inode_permission},
    walk::Lookup,
};

/// How the caller resolves names; `EINVAL` for the sentry itself, which has no directories.
fn walk(caller: &Caller<'_>) -> Result<WalkContext, Errno> {
    caller.task().map(|task| task.walk_context()).ok_or(Errno::EINVAL)
}

/// Makes the file `name` and binds `socket` to it; `EADDRINUSE` if it is there.
pub fn bind(caller: &Caller<'_>, name: &[u8], socket: &Arc<UnixSocket>) -> Result<Arc<dyn Inode>, Errno> {
    let path = ops::create::mksocket(&walk(caller)?, name, 0o777)?;
    let inode = path.inode();
    attach(&inode, socket);
    Ok(inode)
}

/// The socket that is bound to the file `name`; `ECONNREFUSED` if there is none.
pub fn find(caller: &Caller<'_>, name: &[u8]) -> Result<Arc<UnixSocket>, Errno> {
    let walk = walk(caller)?;
    let inode = walk.resolve(name, Lookup::FOLLOW)?.inode();
    inode_permission(&walk.cred, &inode, WRITE)?;
    if inode.file_type() != FileType::Socket {
        return Err(Errno::ECONNREFUSED);
    }
    attached(&inode)
}

/// Binds `socket` to `inode`.
fn attach(inode: &Arc<dyn Inode>, socket: &Arc<UnixSocket>) {
    let socket: Arc<dyn Any + Send + Sync> = socket.clone();
    let old = inode.common().bound_socket.lock().replace(Arc::downgrade(&socket));
    drop(old);
}

/// The socket that is bound to `inode`.
fn attached(inode: &Arc<dyn Inode>) -> Result<Arc<UnixSocket>, Errno> {
    let bound = inode.common().bound_socket.lock().as_ref().and_then(Weak::upgrade);
    bound.and_then(|b| b.downcast::<UnixSocket>().ok()).ok_or(Errno::ECONNREFUSED)
}
