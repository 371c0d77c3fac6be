//! Limits and sizes of no one family.

/// Bytes of a page.
pub const PAGE_SIZE: u64 = 4096;
/// Logarithm of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Bytes of a page, for sizes in the sentry.
pub const PAGE_SIZE_USIZE: usize = 4096;
/// Bytes of a huge page.
pub const HUGE_PAGE_SIZE: u64 = 2 << 20;

/// The longest name of a directory entry, without the zero.
pub const NAME_MAX: usize = 255;
/// The longest path that a call takes, with the zero.
pub const PATH_MAX: usize = 4096;
/// How many symbolic links a walk follows before `ELOOP` (Linux: `MAXSYMLINKS`).
pub const MAX_SYMLINKS: usize = 40;
/// How many links a file can have on file systems with no limit of their own.
pub const LINK_MAX: u32 = 65000;

/// The most elements of an I/O vector (`UIO_MAXIOV`).
pub const IOV_MAX: usize = 1024;
/// The most bytes that one read or write moves; more is cut to this.
pub const MAX_RW_COUNT: usize = 0x7fff_f000;
/// What a pipe takes in one piece.
pub const PIPE_BUF: usize = 4096;
/// Bytes of a new pipe.
pub const PIPE_DEFAULT_SIZE: usize = 65536;
/// `fs.pipe-max-size`: what an unprivileged `F_SETPIPE_SZ` may ask.
pub const PIPE_MAX_SIZE: usize = 1 << 20;

/// The longest single argument of `execve(2)`, with its zero.
pub const MAX_ARG_STRLEN: usize = 32 * 4096;
/// The most arguments (and variables) of `execve(2)`.
pub const MAX_ARG_STRINGS: usize = 0x7fff_ffff;
/// What arguments and environment may always take, whatever `RLIMIT_STACK`; otherwise a quarter of the limit.
pub const ARG_MAX_MIN: u64 = 131_072;
/// What arguments and environment may take at most: three quarters of the default stack.
pub const ARG_MAX_CAP: u64 = 6 << 20;
/// How much of a file's start decides what it is (`BINPRM_BUF_SIZE`).
pub const BINPRM_BUF_SIZE: usize = 256;
/// How many interpreters may hide behind one another.
pub const BINPRM_MAX_DEPTH: usize = 5;

/// The bytes of a task's name, with the zero.
pub const TASK_COMM_LEN: usize = 16;
/// The most supplementary groups.
pub const NGROUPS_MAX: usize = 65536;
/// `kernel.pid_max` of a machine with few processors.
pub const PID_MAX_DEFAULT: i32 = 32768;
/// The highest `kernel.pid_max` (`PID_MAX_LIMIT`).
pub const PID_MAX_LIMIT: i32 = 4 << 20;
/// The first pids, which a wrapped counter skips (`RESERVED_PIDS`).
pub const RESERVED_PIDS: i32 = 300;
/// `fs.nr_open`: how high `RLIMIT_NOFILE` can be.
pub const NR_OPEN_DEFAULT: u64 = 1024 * 1024;
/// `vm.max_map_count`.
pub const MAX_MAP_COUNT_DEFAULT: usize = 65530;
/// `vm.mmap_min_addr`.
pub const MMAP_MIN_ADDR_DEFAULT: u64 = 65536;
/// How deep namespaces nest.
pub const MAX_NS_LEVEL: u32 = 32;
/// The longest host name, without the zero.
pub const HOST_NAME_MAX: usize = 64;
/// The kernel's user and group of what has no name in a user namespace.
pub const OVERFLOW_UID: u32 = 65534;
/// As [`OVERFLOW_UID`], for groups.
pub const OVERFLOW_GID: u32 = 65534;
/// No user, "leave as it is".
pub const INVALID_UID: u32 = u32::MAX;
