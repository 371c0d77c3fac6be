//! Names of flags and values, in the order in which `strace(1)` shows them.

use super::show::Names;

pub(super) const OPEN: Names = Names {
    unknown: "O_???",
    list: &[
        (0x40, "O_CREAT"),
        (0x80, "O_EXCL"),
        (0x100, "O_NOCTTY"),
        (0x200, "O_TRUNC"),
        (0x400, "O_APPEND"),
        (0x800, "O_NONBLOCK"),
        (0x101000, "O_SYNC"),
        (0x1000, "O_DSYNC"),
        (0x2000, "O_ASYNC"),
        (0x4000, "O_DIRECT"),
        (0x8000, "O_LARGEFILE"),
        (0x410000, "O_TMPFILE"),
        (0x10000, "O_DIRECTORY"),
        (0x20000, "O_NOFOLLOW"),
        (0x40000, "O_NOATIME"),
        (0x80000, "O_CLOEXEC"),
        (0x200000, "O_PATH"),
    ],
};
pub(super) const PROT: Names = Names {
    unknown: "PROT_???",
    list: &[
        (0x1, "PROT_READ"),
        (0x2, "PROT_WRITE"),
        (0x4, "PROT_EXEC"),
        (0x8, "PROT_SEM"),
        (0x1000000, "PROT_GROWSDOWN"),
        (0x2000000, "PROT_GROWSUP"),
    ],
};
pub(super) const MAP: Names = Names {
    unknown: "MAP_???",
    list: &[
        (0x10, "MAP_FIXED"),
        (0x20, "MAP_ANONYMOUS"),
        (0x40, "MAP_32BIT"),
        (0x4000, "MAP_NORESERVE"),
        (0x8000, "MAP_POPULATE"),
        (0x10000, "MAP_NONBLOCK"),
        (0x100, "MAP_GROWSDOWN"),
        (0x800, "MAP_DENYWRITE"),
        (0x1000, "MAP_EXECUTABLE"),
        (0x2000, "MAP_LOCKED"),
        (0x20000, "MAP_STACK"),
        (0x40000, "MAP_HUGETLB"),
        (0x80000, "MAP_SYNC"),
        (0x100000, "MAP_FIXED_NOREPLACE"),
    ],
};
pub(super) const MREMAP: Names = Names {
    unknown: "MREMAP_???",
    list: &[(0x1, "MREMAP_MAYMOVE"), (0x2, "MREMAP_FIXED"), (0x4, "MREMAP_DONTUNMAP")],
};
pub(super) const MSYNC: Names =
    Names { unknown: "MS_???", list: &[(0x1, "MS_ASYNC"), (0x4, "MS_SYNC"), (0x2, "MS_INVALIDATE")] };
pub(super) const MADV: Names = Names {
    unknown: "MADV_???",
    list: &[
        (0x0, "MADV_NORMAL"),
        (0x1, "MADV_RANDOM"),
        (0x2, "MADV_SEQUENTIAL"),
        (0x3, "MADV_WILLNEED"),
        (0x4, "MADV_DONTNEED"),
        (0x8, "MADV_FREE"),
        (0x9, "MADV_REMOVE"),
        (0xa, "MADV_DONTFORK"),
        (0xb, "MADV_DOFORK"),
        (0xc, "MADV_MERGEABLE"),
        (0xd, "MADV_UNMERGEABLE"),
        (0xe, "MADV_HUGEPAGE"),
        (0xf, "MADV_NOHUGEPAGE"),
        (0x10, "MADV_DONTDUMP"),
        (0x11, "MADV_DODUMP"),
        (0x12, "MADV_WIPEONFORK"),
        (0x13, "MADV_KEEPONFORK"),
        (0x14, "MADV_COLD"),
        (0x15, "MADV_PAGEOUT"),
        (0x16, "MADV_POPULATE_READ"),
        (0x17, "MADV_POPULATE_WRITE"),
        (0x18, "MADV_DONTNEED_LOCKED"),
        (0x19, "MADV_COLLAPSE"),
        (0x64, "MADV_HWPOISON"),
    ],
};
pub(super) const AT: Names = Names {
    unknown: "AT_???",
    list: &[
        (0x100, "AT_SYMLINK_NOFOLLOW"),
        (0x400, "AT_SYMLINK_FOLLOW"),
        (0x800, "AT_NO_AUTOMOUNT"),
        (0x1000, "AT_EMPTY_PATH"),
        (0x8000, "AT_RECURSIVE"),
    ],
};
pub(super) const AT_UNLINK: Names = Names { unknown: "AT_???", list: &[(0x200, "AT_REMOVEDIR")] };
pub(super) const AT_ACCESS: Names = Names {
    unknown: "AT_???",
    list: &[(0x100, "AT_SYMLINK_NOFOLLOW"), (0x200, "AT_EACCESS"), (0x1000, "AT_EMPTY_PATH")],
};
pub(super) const ACCESS: Names =
    Names { unknown: "?_OK???", list: &[(0x4, "R_OK"), (0x2, "W_OK"), (0x1, "X_OK")] };
pub(super) const WHENCE: Names = Names {
    unknown: "SEEK_???",
    list: &[(0x0, "SEEK_SET"), (0x1, "SEEK_CUR"), (0x2, "SEEK_END"), (0x3, "SEEK_DATA"), (0x4, "SEEK_HOLE")],
};
pub(super) const FCNTL: Names = Names {
    unknown: "F_???",
    list: &[
        (0x0, "F_DUPFD"),
        (0x1, "F_GETFD"),
        (0x2, "F_SETFD"),
        (0x3, "F_GETFL"),
        (0x4, "F_SETFL"),
        (0x5, "F_GETLK"),
        (0x6, "F_SETLK"),
        (0x7, "F_SETLKW"),
        (0x8, "F_SETOWN"),
        (0x9, "F_GETOWN"),
        (0xa, "F_SETSIG"),
        (0xb, "F_GETSIG"),
        (0xf, "F_SETOWN_EX"),
        (0x10, "F_GETOWN_EX"),
        (0x24, "F_OFD_GETLK"),
        (0x25, "F_OFD_SETLK"),
        (0x26, "F_OFD_SETLKW"),
        (0x400, "F_SETLEASE"),
        (0x401, "F_GETLEASE"),
        (0x402, "F_NOTIFY"),
        (0x406, "F_DUPFD_CLOEXEC"),
        (0x407, "F_SETPIPE_SZ"),
        (0x408, "F_GETPIPE_SZ"),
        (0x409, "F_ADD_SEALS"),
        (0x40a, "F_GET_SEALS"),
    ],
};
pub(super) const FD: Names = Names { unknown: "FD_???", list: &[(0x1, "FD_CLOEXEC")] };
pub(super) const LOCK: Names =
    Names { unknown: "F_???", list: &[(0x0, "F_RDLCK"), (0x1, "F_WRLCK"), (0x2, "F_UNLCK")] };
pub(super) const FLOCK: Names = Names {
    unknown: "LOCK_???",
    list: &[(0x1, "LOCK_SH"), (0x2, "LOCK_EX"), (0x8, "LOCK_UN"), (0x4, "LOCK_NB")],
};
pub(super) const SEAL: Names = Names {
    unknown: "F_SEAL_???",
    list: &[
        (0x1, "F_SEAL_SEAL"),
        (0x2, "F_SEAL_SHRINK"),
        (0x4, "F_SEAL_GROW"),
        (0x8, "F_SEAL_WRITE"),
        (0x10, "F_SEAL_FUTURE_WRITE"),
        (0x20, "F_SEAL_EXEC"),
    ],
};
pub(super) const FAMILY: Names = Names {
    unknown: "AF_???",
    list: &[
        (0x0, "AF_UNSPEC"),
        (0x1, "AF_UNIX"),
        (0x2, "AF_INET"),
        (0x3, "AF_AX25"),
        (0xa, "AF_INET6"),
        (0x10, "AF_NETLINK"),
        (0x11, "AF_PACKET"),
        (0x26, "AF_ALG"),
        (0x28, "AF_VSOCK"),
        (0xf, "AF_KEY"),
        (0x1f, "AF_BLUETOOTH"),
        (0x2c, "AF_XDP"),
    ],
};
pub(super) const SOCK_TYPE: Names = Names {
    unknown: "SOCK_???",
    list: &[
        (0x1, "SOCK_STREAM"),
        (0x2, "SOCK_DGRAM"),
        (0x3, "SOCK_RAW"),
        (0x4, "SOCK_RDM"),
        (0x5, "SOCK_SEQPACKET"),
        (0xa, "SOCK_PACKET"),
    ],
};
pub(super) const SOCK_FLAG: Names =
    Names { unknown: "SOCK_???", list: &[(0x80000, "SOCK_CLOEXEC"), (0x800, "SOCK_NONBLOCK")] };
pub(super) const IPPROTO: Names = Names {
    unknown: "IPPROTO_???",
    list: &[
        (0x0, "IPPROTO_IP"),
        (0x1, "IPPROTO_ICMP"),
        (0x2, "IPPROTO_IGMP"),
        (0x6, "IPPROTO_TCP"),
        (0x11, "IPPROTO_UDP"),
        (0x29, "IPPROTO_IPV6"),
        (0x3a, "IPPROTO_ICMPV6"),
        (0xff, "IPPROTO_RAW"),
    ],
};
pub(super) const NETLINK: Names = Names {
    unknown: "NETLINK_???",
    list: &[
        (0x0, "NETLINK_ROUTE"),
        (0x2, "NETLINK_USERSOCK"),
        (0x4, "NETLINK_SOCK_DIAG"),
        (0xf, "NETLINK_KOBJECT_UEVENT"),
        (0x10, "NETLINK_GENERIC"),
        (0x9, "NETLINK_AUDIT"),
        (0xc, "NETLINK_NETFILTER"),
    ],
};
pub(super) const MSG: Names = Names {
    unknown: "MSG_???",
    list: &[
        (0x1, "MSG_OOB"),
        (0x2, "MSG_PEEK"),
        (0x4, "MSG_DONTROUTE"),
        (0x8, "MSG_CTRUNC"),
        (0x20, "MSG_TRUNC"),
        (0x40, "MSG_DONTWAIT"),
        (0x80, "MSG_EOR"),
        (0x100, "MSG_WAITALL"),
        (0x800, "MSG_CONFIRM"),
        (0x2000, "MSG_ERRQUEUE"),
        (0x4000, "MSG_NOSIGNAL"),
        (0x8000, "MSG_MORE"),
        (0x10000, "MSG_WAITFORONE"),
        (0x20000000, "MSG_FASTOPEN"),
        (0x40000000, "MSG_CMSG_CLOEXEC"),
        (0x4000000, "MSG_ZEROCOPY"),
    ],
};
pub(super) const SHUT: Names =
    Names { unknown: "SHUT_???", list: &[(0x0, "SHUT_RD"), (0x1, "SHUT_WR"), (0x2, "SHUT_RDWR")] };
pub(super) const SOL: Names = Names {
    unknown: "SOL_???",
    list: &[
        (0x1, "SOL_SOCKET"),
        (0x0, "SOL_IP"),
        (0x29, "SOL_IPV6"),
        (0x6, "SOL_TCP"),
        (0x11, "SOL_UDP"),
        (0xff, "SOL_RAW"),
        (0x107, "SOL_PACKET"),
        (0x10e, "SOL_NETLINK"),
    ],
};
pub(super) const SO: Names = Names {
    unknown: "SO_???",
    list: &[
        (0x1, "SO_DEBUG"),
        (0x2, "SO_REUSEADDR"),
        (0x3, "SO_TYPE"),
        (0x4, "SO_ERROR"),
        (0x5, "SO_DONTROUTE"),
        (0x6, "SO_BROADCAST"),
        (0x7, "SO_SNDBUF"),
        (0x8, "SO_RCVBUF"),
        (0x9, "SO_KEEPALIVE"),
        (0xa, "SO_OOBINLINE"),
        (0xc, "SO_PRIORITY"),
        (0xd, "SO_LINGER"),
        (0xf, "SO_REUSEPORT"),
        (0x10, "SO_PASSCRED"),
        (0x11, "SO_PEERCRED"),
        (0x12, "SO_RCVLOWAT"),
        (0x13, "SO_SNDLOWAT"),
        (0x14, "SO_RCVTIMEO_OLD"),
        (0x15, "SO_SNDTIMEO_OLD"),
        (0x19, "SO_BINDTODEVICE"),
        (0x1a, "SO_ATTACH_FILTER"),
        (0x1b, "SO_DETACH_FILTER"),
        (0x1c, "SO_PEERNAME"),
        (0x1d, "SO_TIMESTAMP_OLD"),
        (0x1e, "SO_ACCEPTCONN"),
        (0x1f, "SO_PEERSEC"),
        (0x20, "SO_SNDBUFFORCE"),
        (0x21, "SO_RCVBUFFORCE"),
        (0x22, "SO_PASSSEC"),
        (0x24, "SO_MARK"),
        (0x26, "SO_PROTOCOL"),
        (0x27, "SO_DOMAIN"),
        (0x2a, "SO_PEEK_OFF"),
        (0x31, "SO_INCOMING_CPU"),
        (0x39, "SO_COOKIE"),
        (0x3b, "SO_PEERGROUPS"),
        (0x3c, "SO_ZEROCOPY"),
    ],
};
pub(super) const TCP: Names = Names {
    unknown: "TCP_???",
    list: &[
        (0x1, "TCP_NODELAY"),
        (0x2, "TCP_MAXSEG"),
        (0x3, "TCP_CORK"),
        (0x4, "TCP_KEEPIDLE"),
        (0x5, "TCP_KEEPINTVL"),
        (0x6, "TCP_KEEPCNT"),
        (0x7, "TCP_SYNCNT"),
        (0x8, "TCP_LINGER2"),
        (0x9, "TCP_DEFER_ACCEPT"),
        (0xa, "TCP_WINDOW_CLAMP"),
        (0xb, "TCP_INFO"),
        (0xc, "TCP_QUICKACK"),
        (0xd, "TCP_CONGESTION"),
        (0x12, "TCP_USER_TIMEOUT"),
        (0x17, "TCP_FASTOPEN"),
        (0x1e, "TCP_FASTOPEN_CONNECT"),
    ],
};
pub(super) const IP: Names = Names {
    unknown: "IP_???",
    list: &[
        (0x1, "IP_TOS"),
        (0x2, "IP_TTL"),
        (0x3, "IP_HDRINCL"),
        (0x4, "IP_OPTIONS"),
        (0x6, "IP_RECVOPTS"),
        (0x8, "IP_PKTINFO"),
        (0xa, "IP_MTU_DISCOVER"),
        (0xb, "IP_RECVERR"),
        (0xc, "IP_RECVTTL"),
        (0xd, "IP_RECVTOS"),
        (0xe, "IP_MTU"),
        (0xf, "IP_FREEBIND"),
        (0x20, "IP_MULTICAST_IF"),
        (0x21, "IP_MULTICAST_TTL"),
        (0x22, "IP_MULTICAST_LOOP"),
        (0x23, "IP_ADD_MEMBERSHIP"),
        (0x24, "IP_DROP_MEMBERSHIP"),
        (0x18, "IP_BIND_ADDRESS_NO_PORT"),
    ],
};
pub(super) const IPV6: Names = Names {
    unknown: "IPV6_???",
    list: &[
        (0x10, "IPV6_UNICAST_HOPS"),
        (0x11, "IPV6_MULTICAST_IF"),
        (0x12, "IPV6_MULTICAST_HOPS"),
        (0x13, "IPV6_MULTICAST_LOOP"),
        (0x14, "IPV6_JOIN_GROUP"),
        (0x15, "IPV6_LEAVE_GROUP"),
        (0x17, "IPV6_MTU_DISCOVER"),
        (0x18, "IPV6_MTU"),
        (0x19, "IPV6_RECVERR"),
        (0x1a, "IPV6_V6ONLY"),
        (0x31, "IPV6_RECVPKTINFO"),
        (0x43, "IPV6_TCLASS"),
        (0x42, "IPV6_RECVTCLASS"),
    ],
};
pub(super) const POLL: Names = Names {
    unknown: "POLL???",
    list: &[
        (0x1, "POLLIN"),
        (0x2, "POLLPRI"),
        (0x4, "POLLOUT"),
        (0x8, "POLLERR"),
        (0x10, "POLLHUP"),
        (0x20, "POLLNVAL"),
        (0x40, "POLLRDNORM"),
        (0x80, "POLLRDBAND"),
        (0x100, "POLLWRNORM"),
        (0x200, "POLLWRBAND"),
        (0x400, "POLLMSG"),
        (0x2000, "POLLRDHUP"),
    ],
};
pub(super) const EPOLL: Names = Names {
    unknown: "EPOLL???",
    list: &[
        (0x1, "EPOLLIN"),
        (0x2, "EPOLLPRI"),
        (0x4, "EPOLLOUT"),
        (0x8, "EPOLLERR"),
        (0x10, "EPOLLHUP"),
        (0x40, "EPOLLRDNORM"),
        (0x80, "EPOLLRDBAND"),
        (0x100, "EPOLLWRNORM"),
        (0x200, "EPOLLWRBAND"),
        (0x400, "EPOLLMSG"),
        (0x2000, "EPOLLRDHUP"),
        (0x10000000, "EPOLLEXCLUSIVE"),
        (0x20000000, "EPOLLWAKEUP"),
        (0x40000000, "EPOLLONESHOT"),
        (0x80000000, "EPOLLET"),
    ],
};
pub(super) const EPOLL_CTL: Names = Names {
    unknown: "EPOLL_CTL_???",
    list: &[(0x1, "EPOLL_CTL_ADD"), (0x2, "EPOLL_CTL_DEL"), (0x3, "EPOLL_CTL_MOD")],
};
pub(super) const EPOLL_CREATE: Names = Names { unknown: "EPOLL_???", list: &[(0x80000, "EPOLL_CLOEXEC")] };
pub(super) const EFD: Names = Names {
    unknown: "EFD_???",
    list: &[(0x1, "EFD_SEMAPHORE"), (0x800, "EFD_NONBLOCK"), (0x80000, "EFD_CLOEXEC")],
};
pub(super) const TFD: Names =
    Names { unknown: "TFD_???", list: &[(0x800, "TFD_NONBLOCK"), (0x80000, "TFD_CLOEXEC")] };
pub(super) const TFD_TIMER: Names =
    Names { unknown: "TFD_???", list: &[(0x1, "TFD_TIMER_ABSTIME"), (0x2, "TFD_TIMER_CANCEL_ON_SET")] };
pub(super) const SFD: Names =
    Names { unknown: "SFD_???", list: &[(0x800, "SFD_NONBLOCK"), (0x80000, "SFD_CLOEXEC")] };
pub(super) const IN_INIT: Names =
    Names { unknown: "IN_???", list: &[(0x800, "IN_NONBLOCK"), (0x80000, "IN_CLOEXEC")] };
pub(super) const IN: Names = Names {
    unknown: "IN_???",
    list: &[
        (0x1, "IN_ACCESS"),
        (0x2, "IN_MODIFY"),
        (0x4, "IN_ATTRIB"),
        (0x8, "IN_CLOSE_WRITE"),
        (0x10, "IN_CLOSE_NOWRITE"),
        (0x20, "IN_OPEN"),
        (0x40, "IN_MOVED_FROM"),
        (0x80, "IN_MOVED_TO"),
        (0x100, "IN_CREATE"),
        (0x200, "IN_DELETE"),
        (0x400, "IN_DELETE_SELF"),
        (0x800, "IN_MOVE_SELF"),
        (0x2000, "IN_UNMOUNT"),
        (0x4000, "IN_Q_OVERFLOW"),
        (0x8000, "IN_IGNORED"),
        (0x1000000, "IN_ONLYDIR"),
        (0x2000000, "IN_DONT_FOLLOW"),
        (0x4000000, "IN_EXCL_UNLINK"),
        (0x20000000, "IN_MASK_ADD"),
        (0x10000000, "IN_MASK_CREATE"),
        (0x40000000, "IN_ISDIR"),
        (0x80000000, "IN_ONESHOT"),
    ],
};
pub(super) const SA: Names = Names {
    unknown: "SA_???",
    list: &[
        (0x4000000, "SA_RESTORER"),
        (0x8000000, "SA_ONSTACK"),
        (0x10000000, "SA_RESTART"),
        (0x40000000, "SA_NODEFER"),
        (0x80000000, "SA_RESETHAND"),
        (0x4, "SA_SIGINFO"),
        (0x1, "SA_NOCLDSTOP"),
        (0x2, "SA_NOCLDWAIT"),
    ],
};
pub(super) const SIGHOW: Names =
    Names { unknown: "SIG_???", list: &[(0x0, "SIG_BLOCK"), (0x1, "SIG_UNBLOCK"), (0x2, "SIG_SETMASK")] };
pub(super) const CLOCK: Names = Names {
    unknown: "CLOCK_???",
    list: &[
        (0x0, "CLOCK_REALTIME"),
        (0x1, "CLOCK_MONOTONIC"),
        (0x2, "CLOCK_PROCESS_CPUTIME_ID"),
        (0x3, "CLOCK_THREAD_CPUTIME_ID"),
        (0x4, "CLOCK_MONOTONIC_RAW"),
        (0x5, "CLOCK_REALTIME_COARSE"),
        (0x6, "CLOCK_MONOTONIC_COARSE"),
        (0x7, "CLOCK_BOOTTIME"),
        (0x8, "CLOCK_REALTIME_ALARM"),
        (0x9, "CLOCK_BOOTTIME_ALARM"),
        (0xb, "CLOCK_TAI"),
    ],
};
pub(super) const TIMER: Names = Names { unknown: "TIMER_???", list: &[(0x1, "TIMER_ABSTIME")] };
pub(super) const ITIMER: Names = Names {
    unknown: "ITIMER_???",
    list: &[(0x0, "ITIMER_REAL"), (0x1, "ITIMER_VIRTUAL"), (0x2, "ITIMER_PROF")],
};
pub(super) const RLIMIT: Names = Names {
    unknown: "RLIMIT_???",
    list: &[
        (0x0, "RLIMIT_CPU"),
        (0x1, "RLIMIT_FSIZE"),
        (0x2, "RLIMIT_DATA"),
        (0x3, "RLIMIT_STACK"),
        (0x4, "RLIMIT_CORE"),
        (0x5, "RLIMIT_RSS"),
        (0x6, "RLIMIT_NPROC"),
        (0x7, "RLIMIT_NOFILE"),
        (0x8, "RLIMIT_MEMLOCK"),
        (0x9, "RLIMIT_AS"),
        (0xa, "RLIMIT_LOCKS"),
        (0xb, "RLIMIT_SIGPENDING"),
        (0xc, "RLIMIT_MSGQUEUE"),
        (0xd, "RLIMIT_NICE"),
        (0xe, "RLIMIT_RTPRIO"),
        (0xf, "RLIMIT_RTTIME"),
    ],
};
pub(super) const RUSAGE: Names = Names {
    unknown: "RUSAGE_???",
    list: &[(0x0, "RUSAGE_SELF"), (0xffffffff, "RUSAGE_CHILDREN"), (0x1, "RUSAGE_THREAD")],
};
pub(super) const WAIT: Names = Names {
    unknown: "W???",
    list: &[
        (0x1, "WNOHANG"),
        (0x2, "WSTOPPED"),
        (0x4, "WEXITED"),
        (0x8, "WCONTINUED"),
        (0x1000000, "WNOWAIT"),
        (0x20000000, "__WNOTHREAD"),
        (0x80000000, "__WCLONE"),
        (0x40000000, "__WALL"),
    ],
};
pub(super) const WAITID: Names =
    Names { unknown: "P_???", list: &[(0x0, "P_ALL"), (0x1, "P_PID"), (0x2, "P_PGID"), (0x3, "P_PIDFD")] };
pub(super) const CLONE: Names = Names {
    unknown: "CLONE_???",
    list: &[
        (0x100, "CLONE_VM"),
        (0x200, "CLONE_FS"),
        (0x400, "CLONE_FILES"),
        (0x800, "CLONE_SIGHAND"),
        (0x1000, "CLONE_PIDFD"),
        (0x2000, "CLONE_PTRACE"),
        (0x4000, "CLONE_VFORK"),
        (0x8000, "CLONE_PARENT"),
        (0x10000, "CLONE_THREAD"),
        (0x20000, "CLONE_NEWNS"),
        (0x40000, "CLONE_SYSVSEM"),
        (0x80000, "CLONE_SETTLS"),
        (0x100000, "CLONE_PARENT_SETTID"),
        (0x200000, "CLONE_CHILD_CLEARTID"),
        (0x400000, "CLONE_DETACHED"),
        (0x800000, "CLONE_UNTRACED"),
        (0x1000000, "CLONE_CHILD_SETTID"),
        (0x2000000, "CLONE_NEWCGROUP"),
        (0x4000000, "CLONE_NEWUTS"),
        (0x8000000, "CLONE_NEWIPC"),
        (0x10000000, "CLONE_NEWUSER"),
        (0x20000000, "CLONE_NEWPID"),
        (0x40000000, "CLONE_NEWNET"),
        (0x80000000, "CLONE_IO"),
        (0x80, "CLONE_NEWTIME"),
        (0x100000000, "CLONE_CLEAR_SIGHAND"),
        (0x200000000, "CLONE_INTO_CGROUP"),
    ],
};
pub(super) const FUTEX: Names = Names {
    unknown: "FUTEX_???",
    list: &[
        (0x0, "FUTEX_WAIT"),
        (0x1, "FUTEX_WAKE"),
        (0x2, "FUTEX_FD"),
        (0x3, "FUTEX_REQUEUE"),
        (0x4, "FUTEX_CMP_REQUEUE"),
        (0x5, "FUTEX_WAKE_OP"),
        (0x6, "FUTEX_LOCK_PI"),
        (0x7, "FUTEX_UNLOCK_PI"),
        (0x8, "FUTEX_TRYLOCK_PI"),
        (0x9, "FUTEX_WAIT_BITSET"),
        (0xa, "FUTEX_WAKE_BITSET"),
        (0xb, "FUTEX_WAIT_REQUEUE_PI"),
        (0xc, "FUTEX_CMP_REQUEUE_PI"),
        (0xd, "FUTEX_LOCK_PI2"),
    ],
};
pub(super) const PRCTL: Names = Names {
    unknown: "PR_???",
    list: &[
        (0x1, "PR_SET_PDEATHSIG"),
        (0x2, "PR_GET_PDEATHSIG"),
        (0x3, "PR_GET_DUMPABLE"),
        (0x4, "PR_SET_DUMPABLE"),
        (0x7, "PR_GET_KEEPCAPS"),
        (0x8, "PR_SET_KEEPCAPS"),
        (0xf, "PR_SET_NAME"),
        (0x10, "PR_GET_NAME"),
        (0x15, "PR_GET_SECCOMP"),
        (0x16, "PR_SET_SECCOMP"),
        (0x17, "PR_CAPBSET_READ"),
        (0x18, "PR_CAPBSET_DROP"),
        (0x19, "PR_GET_TSC"),
        (0x1a, "PR_SET_TSC"),
        (0x1b, "PR_GET_SECUREBITS"),
        (0x1c, "PR_SET_SECUREBITS"),
        (0x1d, "PR_SET_TIMERSLACK"),
        (0x1e, "PR_GET_TIMERSLACK"),
        (0x23, "PR_SET_MM"),
        (0x24, "PR_SET_CHILD_SUBREAPER"),
        (0x25, "PR_GET_CHILD_SUBREAPER"),
        (0x26, "PR_SET_NO_NEW_PRIVS"),
        (0x27, "PR_GET_NO_NEW_PRIVS"),
        (0x28, "PR_GET_TID_ADDRESS"),
        (0x29, "PR_SET_THP_DISABLE"),
        (0x2a, "PR_GET_THP_DISABLE"),
        (0x2f, "PR_CAP_AMBIENT"),
        (0x34, "PR_GET_SPECULATION_CTRL"),
        (0x35, "PR_SET_SPECULATION_CTRL"),
        (0x53564d41, "PR_SET_VMA"),
        (0x59616d61, "PR_SET_PTRACER"),
    ],
};
pub(super) const ARCH: Names = Names {
    unknown: "ARCH_???",
    list: &[
        (0x1001, "ARCH_SET_GS"),
        (0x1002, "ARCH_SET_FS"),
        (0x1003, "ARCH_GET_FS"),
        (0x1004, "ARCH_GET_GS"),
        (0x1011, "ARCH_GET_CPUID"),
        (0x1012, "ARCH_SET_CPUID"),
        (0x3001, "ARCH_CET_STATUS"),
    ],
};
pub(super) const GRND: Names = Names {
    unknown: "GRND_???",
    list: &[(0x1, "GRND_NONBLOCK"), (0x2, "GRND_RANDOM"), (0x4, "GRND_INSECURE")],
};
pub(super) const MFD: Names = Names {
    unknown: "MFD_???",
    list: &[
        (0x1, "MFD_CLOEXEC"),
        (0x2, "MFD_ALLOW_SEALING"),
        (0x4, "MFD_HUGETLB"),
        (0x8, "MFD_NOEXEC_SEAL"),
        (0x10, "MFD_EXEC"),
    ],
};
pub(super) const SPLICE: Names = Names {
    unknown: "SPLICE_F_???",
    list: &[
        (0x1, "SPLICE_F_MOVE"),
        (0x2, "SPLICE_F_NONBLOCK"),
        (0x4, "SPLICE_F_MORE"),
        (0x8, "SPLICE_F_GIFT"),
    ],
};
pub(super) const FALLOC: Names = Names {
    unknown: "FALLOC_FL_???",
    list: &[
        (0x1, "FALLOC_FL_KEEP_SIZE"),
        (0x2, "FALLOC_FL_PUNCH_HOLE"),
        (0x4, "FALLOC_FL_NO_HIDE_STALE"),
        (0x8, "FALLOC_FL_COLLAPSE_RANGE"),
        (0x10, "FALLOC_FL_ZERO_RANGE"),
        (0x20, "FALLOC_FL_INSERT_RANGE"),
        (0x40, "FALLOC_FL_UNSHARE_RANGE"),
    ],
};
pub(super) const FADV: Names = Names {
    unknown: "POSIX_FADV_???",
    list: &[
        (0x0, "POSIX_FADV_NORMAL"),
        (0x1, "POSIX_FADV_RANDOM"),
        (0x2, "POSIX_FADV_SEQUENTIAL"),
        (0x3, "POSIX_FADV_WILLNEED"),
        (0x4, "POSIX_FADV_DONTNEED"),
        (0x5, "POSIX_FADV_NOREUSE"),
    ],
};
pub(super) const RENAME: Names = Names {
    unknown: "RENAME_???",
    list: &[(0x1, "RENAME_NOREPLACE"), (0x2, "RENAME_EXCHANGE"), (0x4, "RENAME_WHITEOUT")],
};
pub(super) const MOUNT: Names = Names {
    unknown: "MS_???",
    list: &[
        (0x1, "MS_RDONLY"),
        (0x2, "MS_NOSUID"),
        (0x4, "MS_NODEV"),
        (0x8, "MS_NOEXEC"),
        (0x10, "MS_SYNCHRONOUS"),
        (0x20, "MS_REMOUNT"),
        (0x40, "MS_MANDLOCK"),
        (0x80, "MS_DIRSYNC"),
        (0x400, "MS_NOATIME"),
        (0x800, "MS_NODIRATIME"),
        (0x1000, "MS_BIND"),
        (0x2000, "MS_MOVE"),
        (0x4000, "MS_REC"),
        (0x8000, "MS_SILENT"),
        (0x10000, "MS_POSIXACL"),
        (0x20000, "MS_UNBINDABLE"),
        (0x40000, "MS_PRIVATE"),
        (0x80000, "MS_SLAVE"),
        (0x100000, "MS_SHARED"),
        (0x200000, "MS_RELATIME"),
        (0x400000, "MS_KERNMOUNT"),
        (0x800000, "MS_I_VERSION"),
        (0x1000000, "MS_STRICTATIME"),
        (0x2000000, "MS_LAZYTIME"),
    ],
};
pub(super) const UMOUNT: Names = Names {
    unknown: "MNT_???",
    list: &[(0x1, "MNT_FORCE"), (0x2, "MNT_DETACH"), (0x4, "MNT_EXPIRE"), (0x8, "UMOUNT_NOFOLLOW")],
};
pub(super) const STATX: Names = Names {
    unknown: "STATX_???",
    list: &[
        (0x1, "STATX_TYPE"),
        (0x2, "STATX_MODE"),
        (0x4, "STATX_NLINK"),
        (0x8, "STATX_UID"),
        (0x10, "STATX_GID"),
        (0x20, "STATX_ATIME"),
        (0x40, "STATX_MTIME"),
        (0x80, "STATX_CTIME"),
        (0x100, "STATX_INO"),
        (0x200, "STATX_SIZE"),
        (0x400, "STATX_BLOCKS"),
        (0x800, "STATX_BTIME"),
        (0x1000, "STATX_MNT_ID"),
        (0x2000, "STATX_DIOALIGN"),
        (0x4000, "STATX_MNT_ID_UNIQUE"),
    ],
};
pub(super) const ST: Names = Names {
    unknown: "ST_???",
    list: &[
        (0x20, "ST_VALID"),
        (0x1, "ST_RDONLY"),
        (0x2, "ST_NOSUID"),
        (0x4, "ST_NODEV"),
        (0x8, "ST_NOEXEC"),
        (0x10, "ST_SYNCHRONOUS"),
        (0x40, "ST_MANDLOCK"),
        (0x400, "ST_NOATIME"),
        (0x800, "ST_NODIRATIME"),
        (0x1000, "ST_RELATIME"),
        (0x2000, "ST_NOSYMFOLLOW"),
    ],
};
pub(super) const FSMAGIC: Names = Names {
    unknown: "_MAGIC???",
    list: &[
        (0xef53, "EXT2_SUPER_MAGIC"),
        (0x1021994, "TMPFS_MAGIC"),
        (0x9fa0, "PROC_SUPER_MAGIC"),
        (0x62656572, "SYSFS_MAGIC"),
        (0x794c7630, "OVERLAYFS_SUPER_MAGIC"),
        (0x1cd1, "DEVPTS_SUPER_MAGIC"),
        (0x27e0eb, "CGROUP_SUPER_MAGIC"),
        (0x63677270, "CGROUP2_SUPER_MAGIC"),
        (0x50495045, "PIPEFS_MAGIC"),
        (0x534f434b, "SOCKFS_MAGIC"),
        (0x858458f6, "RAMFS_MAGIC"),
        (0x58465342, "XFS_SB_MAGIC"),
        (0x9123683e, "BTRFS_SUPER_MAGIC"),
        (0x9041934, "ANON_INODE_FS_MAGIC"),
        (0x6e736673, "NSFS_MAGIC"),
    ],
};
pub(super) const PRIO: Names =
    Names { unknown: "PRIO_???", list: &[(0x0, "PRIO_PROCESS"), (0x1, "PRIO_PGRP"), (0x2, "PRIO_USER")] };
pub(super) const SECCOMP: Names = Names {
    unknown: "SECCOMP_???",
    list: &[
        (0x0, "SECCOMP_SET_MODE_STRICT"),
        (0x1, "SECCOMP_SET_MODE_FILTER"),
        (0x2, "SECCOMP_GET_ACTION_AVAIL"),
        (0x3, "SECCOMP_GET_NOTIF_SIZES"),
    ],
};
pub(super) const CLOSE_RANGE: Names =
    Names { unknown: "CLOSE_RANGE_???", list: &[(0x2, "CLOSE_RANGE_UNSHARE"), (0x4, "CLOSE_RANGE_CLOEXEC")] };
pub(super) const XATTR: Names =
    Names { unknown: "XATTR_???", list: &[(0x1, "XATTR_CREATE"), (0x2, "XATTR_REPLACE")] };
pub(super) const IPC: Names =
    Names { unknown: "IPC_???", list: &[(0x200, "IPC_CREAT"), (0x400, "IPC_EXCL"), (0x800, "IPC_NOWAIT")] };
pub(super) const SHM: Names = Names {
    unknown: "SHM_???",
    list: &[(0x1000, "SHM_RDONLY"), (0x2000, "SHM_RND"), (0x4000, "SHM_REMAP"), (0x8000, "SHM_EXEC")],
};
pub(super) const RWF: Names = Names {
    unknown: "RWF_???",
    list: &[
        (0x1, "RWF_HIPRI"),
        (0x2, "RWF_DSYNC"),
        (0x4, "RWF_SYNC"),
        (0x8, "RWF_NOWAIT"),
        (0x10, "RWF_APPEND"),
    ],
};
pub(super) const MEMBARRIER: Names = Names {
    unknown: "MEMBARRIER_CMD_???",
    list: &[
        (0x0, "MEMBARRIER_CMD_QUERY"),
        (0x1, "MEMBARRIER_CMD_GLOBAL"),
        (0x2, "MEMBARRIER_CMD_GLOBAL_EXPEDITED"),
        (0x4, "MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED"),
        (0x8, "MEMBARRIER_CMD_PRIVATE_EXPEDITED"),
        (0x10, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED"),
        (0x20, "MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE"),
        (0x40, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE"),
    ],
};
pub(super) const IOCTL: Names = Names {
    unknown: "_IOC_???",
    list: &[
        (0x5401, "TCGETS"),
        (0x5402, "TCSETS"),
        (0x5403, "TCSETSW"),
        (0x5404, "TCSETSF"),
        (0x5405, "TCGETA"),
        (0x5409, "TCSBRK"),
        (0x540a, "TCXONC"),
        (0x540b, "TCFLSH"),
        (0x540c, "TIOCEXCL"),
        (0x540d, "TIOCNXCL"),
        (0x540e, "TIOCSCTTY"),
        (0x540f, "TIOCGPGRP"),
        (0x5410, "TIOCSPGRP"),
        (0x5411, "TIOCOUTQ"),
        (0x5412, "TIOCSTI"),
        (0x5413, "TIOCGWINSZ"),
        (0x5414, "TIOCSWINSZ"),
        (0x541b, "FIONREAD"),
        (0x541d, "TIOCCONS"),
        (0x5420, "TIOCPKT"),
        (0x5421, "FIONBIO"),
        (0x5422, "TIOCNOTTY"),
        (0x5429, "TIOCGSID"),
        (0x80045430, "TIOCGPTN"),
        (0x40045431, "TIOCSPTLCK"),
        (0x5441, "TIOCGPTPEER"),
        (0x5450, "FIONCLEX"),
        (0x5451, "FIOCLEX"),
        (0x5452, "FIOASYNC"),
        (0x8912, "SIOCGIFCONF"),
        (0x8913, "SIOCGIFFLAGS"),
        (0x8915, "SIOCGIFADDR"),
        (0x8910, "SIOCGIFNAME"),
        (0x8933, "SIOCGIFINDEX"),
        (0x8927, "SIOCGIFHWADDR"),
        (0x8921, "SIOCGIFMTU"),
        (0x80086601, "FS_IOC_GETFLAGS"),
        (0x40049409, "FICLONE"),
    ],
};
