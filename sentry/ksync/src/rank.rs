//! The lock order of the sentry, outermost first.
//!
//! A thread that holds a lock may take only locks of a *greater* rank (or, with [`Mutex::lock_nested`], another
//! one of the same class in an order that the class defines). Debug builds panic on an inversion. To add a lock:
//! name its class here, at the place where its holders and those who take more under it allow.
//!
//! [`Mutex::lock_nested`]: crate::Mutex::lock_nested

/// A lock class and its place in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rank {
    /// Place in the order.
    pub order: u16,
    /// Name for the report of an inversion.
    pub name: &'static str,
}

macro_rules! ranks {
    ($($(#[$doc:meta])* $name:ident = $order:expr;)*) => { $($(#[$doc])* pub const $name: Rank = Rank { order: $order, name: stringify!($name) };)* };
}

ranks! {
    /// Container and sandbox life cycle (boot, control).
    SANDBOX = 100;
    /// Serialises execve, clone and exit of one thread group against each other.
    THREAD_GROUP_EXEC = 200;
    /// Mount table of a namespace.
    MOUNTS = 400;
    /// Renames across directories of one file system.
    RENAME = 410;
    /// A directory inode's entries; parent before child.
    DIRECTORY = 420;
    /// An overlay's changes: names in its upper layer, copies up. Its layers' directories are read under it.
    OVERLAY = 430;
    /// A dentry's fields.
    DENTRY = 440;
    /// Pid tables, process tree, sessions and process groups: one lock for the whole tree, as Linux's tasklist_lock.
    /// Below the VFS's directories, since `/proc` looks at tasks when names are looked up there.
    TASK_TREE = 442;
    /// Timers of a process; clocks of CPU time are read under it.
    TIMER = 443;
    /// Per thread group: signals, stop state, timers, rlimits.
    THREAD_GROUP = 444;
    /// What signals do; shared by `CLONE_SIGHAND`.
    SIGHAND = 448;
    /// Per task: signal mask, credentials slot, registers and the like.
    TASK = 450;
    /// Per task: pending signals, mask, alternate stack.
    TASK_SIGNALS = 446;
    /// Per task: who traces it, and the stop that it is in.
    PTRACE = 452;
    /// A file system's own tables.
    FILESYSTEM = 460;
    /// An inode's attributes and data.
    INODE = 480;
    /// Descriptor tables.
    FD_TABLE = 500;
    /// An open file's position (held across read and write).
    FILE_POS = 380;
    /// Root, working directory, umask.
    FS_CONTEXT = 520;
    /// File locks of an inode, and the table for deadlock detection.
    FILE_LOCKS = 530;
    /// While an epoll begins to watch another.
    EPOLL_NEST = 538;
    /// An epoll instance's interest list; nested instances outer before inner.
    EPOLL = 540;
    /// Reads and writes of a memory object against its truncation; held while application memory is copied.
    MEMORY_OBJECT = 590;
    /// Queues of futexes; memory is looked at under it.
    FUTEX = 590;
    /// Address spaces: areas.
    MM = 600;
    /// A mappable object's list of pages (tmpfs file, shm segment).
    MAPPABLE = 620;
    /// The memory file's allocator.
    MEMORY_FILE = 640;
    /// A task's context on the platform, held while it is polled.
    CONTEXT = 650;
    /// A platform's tables.
    PLATFORM = 660;
    /// Sockets: tables of bound addresses.
    SOCKET_TABLE = 550;
    /// One socket's state; listener before connection, then by address.
    SOCKET = 560;
    /// Files in flight between Unix sockets.
    SOCKET_RIGHTS = 555;
    /// What waits in one socket to be received.
    SOCKET_QUEUE = 565;
    /// Terminal state.
    TTY = 570;
    /// SysV and POSIX IPC objects.
    IPC = 575;
    /// A pipe's queue.
    PIPE = 580;
    /// A connection with the gofer, held for a round trip.
    GOFER = 860;
    /// System V shared memory: called by address spaces.
    SHM = 880;
    /// Files to be forgotten with the next request to the gofer (pushed to when a handle is dropped, under anything).
    GOFER_CLOSES = 940;
    /// Under which nothing but wait queues is taken.
    LEAF = 900;
    /// Ready list of an epoll instance (taken in wait queue callbacks).
    EPOLL_READY = 960;
    /// Wait queues: taken under anything.
    WAIT_QUEUE = 950;
    /// The watches of an inotify instance.
    INOTIFY = 890;
    /// What is to be told to the owners of files (pushed to in wait queue callbacks).
    FILE_NOTES = 970;
    /// The executor's queues.
    EXECUTOR = 1000;
}
