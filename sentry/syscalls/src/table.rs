//! The table of all system calls.

use crate::{
    row::{Handler, Row, Support},
    strace,
};
use abi::{Errno, SigInfo, sysno};
use kernel::{SyscallTable, Task, kernel::SyscallStart, tree::ExitStatus};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The families; each has its own module.
const FAMILIES: &[&[Row]] = &[
    crate::aio::ROWS,
    crate::attributes::ROWS,
    crate::descriptor::ROWS,
    crate::epoll::ROWS,
    crate::futex::ROWS,
    crate::identity::ROWS,
    crate::io::ROWS,
    crate::ipc::ROWS,
    crate::landlock::ROWS,
    crate::lsm::ROWS,
    crate::memory::ROWS,
    crate::mount::ROWS,
    crate::mount_fd::ROWS,
    crate::mount_info::ROWS,
    crate::mq::ROWS,
    crate::names::ROWS,
    crate::namespaces::ROWS,
    crate::notify::ROWS,
    crate::open::ROWS,
    crate::poll::ROWS,
    crate::process::ROWS,
    crate::process_memory::ROWS,
    crate::ptrace::ROWS,
    crate::sched::ROWS,
    crate::signal::ROWS,
    crate::socket::ROWS,
    crate::splice::ROWS,
    crate::system::ROWS,
    crate::time::ROWS,
];

/// Calls that are refused on purpose: number, errno, and why. The errno is what a host gives that has the feature off.
pub const REFUSED: &[(u32, Errno, &str)] = &[
    (sysno::RSEQ, Errno::ENOSYS, "no restartable sequences; the C library does without"),
    (sysno::IO_URING_SETUP, Errno::ENOSYS, "as a kernel without io_uring"),
    (sysno::IO_URING_ENTER, Errno::ENOSYS, "as a kernel without io_uring"),
    (sysno::IO_URING_REGISTER, Errno::ENOSYS, "as a kernel without io_uring"),
    (sysno::USERFAULTFD, Errno::ENOSYS, "as a kernel without userfaultfd"),
    (sysno::BPF, Errno::EPERM, "nothing is loaded into the kernel"),
    (sysno::PERF_EVENT_OPEN, Errno::EACCES, "no counters; as with kernel.perf_event_paranoid=4"),
    (sysno::INIT_MODULE, Errno::EPERM, "no modules"),
    (sysno::FINIT_MODULE, Errno::EPERM, "no modules"),
    (sysno::DELETE_MODULE, Errno::EPERM, "no modules"),
    (sysno::KEXEC_LOAD, Errno::EPERM, "no other kernel"),
    (sysno::KEXEC_FILE_LOAD, Errno::EPERM, "no other kernel"),
    (sysno::ADD_KEY, Errno::ENOSYS, "as a kernel without keys"),
    (sysno::REQUEST_KEY, Errno::ENOSYS, "as a kernel without keys"),
    (sysno::KEYCTL, Errno::ENOSYS, "as a kernel without keys"),
    (sysno::FANOTIFY_INIT, Errno::ENOSYS, "as a kernel without fanotify"),
    (sysno::FANOTIFY_MARK, Errno::ENOSYS, "as a kernel without fanotify"),
    (sysno::NAME_TO_HANDLE_AT, Errno::EOPNOTSUPP, "no file system has handles"),
    (sysno::OPEN_BY_HANDLE_AT, Errno::EOPNOTSUPP, "no file system has handles"),
    (sysno::EPOLL_CTL_OLD, Errno::ENOSYS, "never was"),
    (sysno::EPOLL_WAIT_OLD, Errno::ENOSYS, "never was"),
    (sysno::SWAPON, Errno::EPERM, "swapping is the host's"),
    (sysno::SWAPOFF, Errno::EPERM, "swapping is the host's"),
    (sysno::ACCT, Errno::EPERM, "no process accounting"),
    (sysno::QUOTACTL, Errno::ENOSYS, "as a kernel without quotas"),
    (sysno::QUOTACTL_FD, Errno::ENOSYS, "as a kernel without quotas"),
    (sysno::IOPL, Errno::EPERM, "no ports"),
    (sysno::IOPERM, Errno::EPERM, "no ports"),
    (sysno::MODIFY_LDT, Errno::ENOSYS, "no 16-bit and 32-bit segments"),
    (sysno::USTAT, Errno::ENOSYS, "obsolete"),
    (sysno::SYSFS, Errno::ENOSYS, "obsolete"),
    (sysno::USELIB, Errno::ENOSYS, "obsolete"),
    (sysno::_SYSCTL, Errno::ENOSYS, "obsolete"),
    (sysno::LOOKUP_DCOOKIE, Errno::ENOSYS, "obsolete"),
    (sysno::NFSSERVCTL, Errno::ENOSYS, "obsolete"),
    (sysno::MEMFD_SECRET, Errno::ENOSYS, "as a kernel booted without secretmem"),
    (sysno::SET_THREAD_AREA, Errno::ENOSYS, "of 32-bit programs"),
    (sysno::GET_THREAD_AREA, Errno::ENOSYS, "of 32-bit programs"),
    (sysno::URETPROBE, Errno::ENOSYS, "as a kernel without probes"),
    (sysno::CREATE_MODULE, Errno::ENOSYS, "obsolete"),
    (sysno::GET_KERNEL_SYMS, Errno::ENOSYS, "obsolete"),
    (sysno::QUERY_MODULE, Errno::ENOSYS, "obsolete"),
    (sysno::GETPMSG, Errno::ENOSYS, "never was"),
    (sysno::PUTPMSG, Errno::ENOSYS, "never was"),
    (sysno::AFS_SYSCALL, Errno::ENOSYS, "never was"),
    (sysno::TUXCALL, Errno::ENOSYS, "never was"),
    (sysno::SECURITY, Errno::ENOSYS, "never was"),
    (sysno::VSERVER, Errno::ENOSYS, "never was"),
    (sysno::MAP_SHADOW_STACK, Errno::EOPNOTSUPP, "no shadow stacks"),
];

/// Numbers above this are no calls.
const SIZE: usize = 512;

/// How one number is answered.
#[derive(Clone, Copy)]
enum Entry {
    Row(&'static Row),
    Refused(Errno),
    Unknown,
}

/// The table.
pub struct Table {
    entries: Box<[Entry; SIZE]>,
    /// How often each number was asked for that nobody answers.
    refused: Box<[AtomicU64; SIZE]>,
    /// Which calls are printed to the log; empty for none.
    strace: Vec<bool>,
}

impl Table {
    /// The table; with `strace` calls go to the log.
    pub fn new(strace: Option<&strace::Strace>) -> Arc<Self> {
        let strace = strace.map(|s| s.install(SIZE)).unwrap_or_default();
        let mut entries = Box::new([Entry::Unknown; SIZE]);
        for (nr, errno, _) in REFUSED {
            if let Some(slot) = entries.get_mut(*nr as usize) {
                *slot = Entry::Refused(*errno);
            }
        }
        for row in FAMILIES.iter().copied().flatten() {
            if let Some(slot) = entries.get_mut(row.nr as usize) {
                *slot = Entry::Row(row);
            }
        }
        let refused = Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Arc::new(Self { entries, refused, strace })
    }

    /// Calls that were made and that nobody answers: number and how often.
    pub fn refused_calls(&self) -> Vec<(u32, u64)> {
        let counts = self.refused.iter().enumerate().map(|(nr, n)| (nr as u32, n.load(Ordering::Relaxed)));
        counts.filter(|(_, n)| *n > 0).collect()
    }

    /// Whether calls of this number are printed; those without a place in the table are where all are.
    fn prints(&self, nr: u64) -> bool {
        if self.strace.is_empty() {
            return false;
        }
        let known = usize::try_from(nr).ok().and_then(|nr| self.strace.get(nr));
        known.copied().unwrap_or_else(|| self.strace.iter().all(|p| *p))
    }

    fn refuse(&self, nr: u64, errno: Errno) -> Errno {
        if let Some(count) = self.refused.get(nr as usize)
            && count.fetch_add(1, Ordering::Relaxed) == 0
        {
            let name = u32::try_from(nr).ok().and_then(abi::sysno::name).unwrap_or("?");
            log::info!("system call {nr} ({name}) is not there: {errno:?}");
        }
        errno
    }
}

impl SyscallTable for Table {
    fn start<'a>(&self, task: &'a Arc<Task>, nr: u64, args: [u64; 6]) -> SyscallStart<'a> {
        let entry =
            usize::try_from(nr).ok().and_then(|nr| self.entries.get(nr)).copied().unwrap_or(Entry::Unknown);
        let row = match entry {
            Entry::Row(row) => row,
            Entry::Refused(errno) => return self.traced(task, nr, args, Err(self.refuse(nr, errno).into())),
            Entry::Unknown => return self.traced(task, nr, args, Err(self.refuse(nr, Errno::ENOSYS).into())),
        };
        match row.handler {
            Handler::Now(f) if !self.prints(nr) => SyscallStart::Done(f(task, args)),
            Handler::Again { first, later } if !self.prints(nr) => match first(task, args) {
                Some(result) => SyscallStart::Done(result),
                None => SyscallStart::Later(later(task, args)),
            },
            Handler::Later(f) if !self.prints(nr) => SyscallStart::Later(f(task, args)),
            Handler::Now(f) => {
                let line = strace::Line::begin(task, nr, Some(row), &args);
                let result = f(task, args);
                log::info!("{}", line.end(task, &result));
                SyscallStart::Done(result)
            }
            Handler::Later(f) | Handler::Again { later: f, .. } => {
                SyscallStart::Later(Box::pin(async move {
                    let line = strace::Line::begin(task, nr, Some(row), &args);
                    let result = f(task, args).await;
                    log::info!("{}", line.end(task, &result));
                    result
                }))
            }
        }
    }

    fn signal_delivered(&self, task: &Task, info: &SigInfo) {
        if !self.strace.is_empty() {
            log::info!("{}", strace::signal(task, info));
        }
    }

    fn thread_stopped(&self, task: &Task, signo: i32) {
        if !self.strace.is_empty() {
            log::info!("{}", strace::stopped(task, signo));
        }
    }

    fn thread_ended(&self, task: &Task, status: ExitStatus) {
        if !self.strace.is_empty() {
            log::info!("{}", strace::exited(task, status));
        }
    }
}

impl Table {
    fn traced<'a>(
        &self,
        task: &Task,
        nr: u64,
        args: [u64; 6],
        result: kernel::SysResult,
    ) -> SyscallStart<'a> {
        if self.prints(nr) {
            log::info!("{}", strace::Line::begin(task, nr, None, &args).end(task, &result));
        }
        SyscallStart::Done(result)
    }
}

/// One line of the generated page of system calls.
pub struct Coverage {
    /// Number.
    pub nr: u32,
    /// Name.
    pub name: &'static str,
    /// `full`, `partial` or `refused`, and what there is to say.
    pub support: String,
}

/// Every call of Linux 6.12 and how much of it there is.
pub fn coverage() -> Vec<Coverage> {
    let describe = |nr: u32| -> String {
        if let Some(row) = FAMILIES.iter().copied().flatten().find(|r| r.nr == nr) {
            return match row.support {
                Support::Full => "full".into(),
                Support::Partial(note) => format!("partial: {note}"),
            };
        }
        match REFUSED.iter().find(|(n, _, _)| *n == nr) {
            Some((_, errno, why)) => format!("refused with {errno:?}: {why}"),
            None => "absent: ENOSYS".into(),
        }
    };
    let named = |nr: u32| abi::sysno::name(nr).map(|name| Coverage { nr, name, support: describe(nr) });
    (0..SIZE as u32).filter_map(named).collect()
}
