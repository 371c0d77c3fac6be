//! Leaving the host's files behind.

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, pivot_root},
};

/// Directories that are nearly everywhere, one of which serves as mount point for a moment.
const STAGING: [&str; 4] = ["/proc", "/tmp", "/sys", "/dev"];

/// Stops mounts of this namespace from reaching the host's. What the host mounts later still arrives here, as volumes
/// that ask for it expect.
pub fn isolate_mounts() -> Result<(), String> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)
        .map_err(|error| format!("cannot isolate mounts: {error}"))
}

/// Makes an empty, read-only file system the root, and lets go of everything else.
pub fn enter_empty_root() -> Result<(), String> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mut last = String::new();
    for dir in STAGING {
        match mount(Some("none"), dir, Some("tmpfs"), flags, Some("mode=555,size=4k,nr_inodes=2")) {
            Ok(()) => {
                return chdir(dir)
                    .and_then(|()| pivot_root(".", "."))
                    .and_then(|()| umount2(".", MntFlags::MNT_DETACH))
                    .and_then(|()| chdir("/"))
                    .map_err(|error| format!("cannot change to an empty root: {error}"));
            }
            Err(error) => last = format!("cannot mount an empty root at {dir}: {error}"),
        }
    }
    Err(last)
}
