//! `inotify(7)`.

/// The watches on one inode.
#[derive(Default)]
pub struct WatchList {}
