//! The mount calls by descriptor: `open_tree`, `move_mount`, `mount_setattr`.
//!
//! They let a tree be cloned, restricted and put in place without a path that anybody could change meanwhile.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC.cast_unsigned();
const AT_RECURSIVE: libc::c_uint = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// Mount attribute: read-only.
pub const ATTR_RDONLY: u64 = 1;
/// Mount attribute: set-id bits have no effect.
pub const ATTR_NOSUID: u64 = 2;
/// Mount attribute: device nodes cannot be opened.
pub const ATTR_NODEV: u64 = 4;

#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// A detached copy of the mount tree at `path` (symlinks followed), with the mounts below it where `recursive`.
pub fn clone_tree(path: &CStr, recursive: bool) -> io::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: a C string and numbers.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel made it for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds attributes to a tree that [`clone_tree`] gave, and to everything mounted below it.
pub fn restrict_tree(tree: BorrowedFd<'_>, attributes: u64) -> io::Result<()> {
    let attr = MountAttr { attr_set: attributes, ..MountAttr::default() };
    let flags = libc::AT_EMPTY_PATH.cast_unsigned() | AT_RECURSIVE;
    // SAFETY: an empty C string, a mount_attr with its true size.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Attaches a detached tree at `target`, relative to the current directory.
pub fn attach_tree(tree: BorrowedFd<'_>, target: &CStr) -> io::Result<()> {
    // SAFETY: C strings and numbers.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
