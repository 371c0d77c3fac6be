//! The system calls of a scenario's program, as a C library would offer them.
#![allow(missing_docs, reason = "the names are those of section 2 of the manual")]

use crate::{
    app::{self, App, Handler, RESTORER},
    machine::PROGRAM,
};
use abi::{
    Errno, MapFlags, Prot, SigInfo, SigSet, Signal,
    process::CloneFlags,
    signal::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SaFlags, SigAction},
    sysno,
    time::Timespec,
};
use kernel::Task;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How a wait sees `exit_group(code)`.
pub const fn exited(code: i32) -> i32 {
    code << 8
}

/// How a wait sees the end by a signal.
pub const fn killed(signal: Signal) -> i32 {
    signal.number()
}

const SCRATCH: usize = 64 << 10;
/// How long a scenario waits for another task to come somewhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// Memory.
impl App {
    /// Anonymous memory.
    pub fn mmap(&mut self, len: usize, flags: MapFlags) -> u64 {
        let prot = (Prot::READ | Prot::WRITE).bits();
        let flags = (flags | MapFlags::ANONYMOUS).bits();
        self.call(sysno::MMAP, [0, len as u64, u64::from(prot), u64::from(flags), u64::MAX, 0]).unwrap()
    }

    /// A place of its own for `len` bytes.
    pub fn alloc(&mut self, len: usize) -> u64 {
        if self.scratch.1 - self.scratch.0 < len as u64 {
            let at = self.mmap(SCRATCH.max(len), MapFlags::PRIVATE);
            self.scratch = (at, at + SCRATCH.max(len) as u64);
        }
        let at = self.scratch.0;
        self.scratch.0 += (len as u64).next_multiple_of(16).min(self.scratch.1 - at);
        at
    }

    /// A copy of `value` in memory.
    pub fn put<T: zerocopy::IntoBytes + zerocopy::Immutable>(&mut self, value: T) -> u64 {
        let at = self.alloc(size_of::<T>());
        self.store(at, value);
        at
    }

    /// A string with its NUL.
    pub fn put_str(&mut self, text: &str) -> u64 {
        let bytes = [text.as_bytes(), &[0]].concat();
        let at = self.alloc(bytes.len());
        self.store_bytes(at, &bytes);
        at
    }
}

/// Files.
impl App {
    /// Both ends of a pipe, to read and to write.
    pub fn pipe(&mut self) -> (i32, i32) {
        self.pipe2(0)
    }

    pub fn pipe2(&mut self, flags: u32) -> (i32, i32) {
        let fds = self.alloc(8);
        self.call(sysno::PIPE2, [fds, u64::from(flags)]).unwrap();
        (self.load(fds), self.load(fds + 4))
    }

    /// Up to `len` bytes.
    pub fn read(&mut self, fd: i32, len: usize) -> Result<Vec<u8>, Errno> {
        let to = self.alloc(len);
        let n = self.call(sysno::READ, [fd as u64, to, len as u64])?;
        Ok(self.load_bytes(to, n as usize))
    }

    pub fn write(&mut self, fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
        let from = self.alloc(bytes.len());
        self.store_bytes(from, bytes);
        self.call(sysno::WRITE, [fd as u64, from, bytes.len() as u64]).map(|n| n as usize)
    }

    pub fn close(&mut self, fd: i32) {
        self.call(sysno::CLOSE, [fd as u64]).unwrap();
    }
}

/// Processes and threads.
impl App {
    pub fn getpid(&mut self) -> i32 {
        self.call(sysno::GETPID, []).unwrap() as i32
    }
    pub fn getppid(&mut self) -> i32 {
        self.call(sysno::GETPPID, []).unwrap() as i32
    }
    pub fn gettid(&mut self) -> i32 {
        self.call(sysno::GETTID, []).unwrap() as i32
    }

    /// A child that runs `program`; its number.
    pub fn fork(&mut self, program: impl FnOnce(&mut App) + Send + 'static) -> i32 {
        self.clone(CloneFlags::empty(), program)
    }

    /// The same, sharing or making anew what `flags` say. Returns in the parent only.
    pub fn clone(&mut self, flags: CloneFlags, program: impl FnOnce(&mut App) + Send + 'static) -> i32 {
        app::start(&self.world, self.handlers.clone(), "child", program);
        let flags = flags.bits() | Signal::SIGCHLD.number() as u64;
        self.call(sysno::CLONE, [flags, 0, 0, 0, 0]).unwrap() as i32
    }

    /// A thread that runs `program`, ends behind it, and clears its number in the word whose address it returns too.
    pub fn thread(&mut self, program: impl FnOnce(&mut App) + Send + 'static) -> (i32, u64) {
        let stack = self.mmap(SCRATCH, MapFlags::PRIVATE) + SCRATCH as u64 - 16;
        let word = self.put(0u32);
        app::start(&self.world, self.handlers.clone(), "thread", move |app: &mut App| {
            program(app);
            app.exit(0)
        });
        use CloneFlags as F;
        let flags = F::VM | F::FS | F::FILES | F::SIGHAND | F::THREAD | F::SYSVSEM;
        let flags = (flags | F::CHILD_CLEARTID | F::PARENT_SETTID).bits();
        let tid = self.call(sysno::CLONE, [flags, stack, word, word, 0]).unwrap() as i32;
        (tid, word)
    }

    /// Waits until a thread has ended: the word that [`thread`](Self::thread) gave.
    pub fn join(&mut self, word: u64) {
        loop {
            let tid: u32 = self.load(word);
            if tid == 0 {
                return;
            }
            // Shared, as the kernel wakes it.
            let _ =
                self.call(sysno::FUTEX, [word, u64::from(abi::futex::FUTEX_WAIT), u64::from(tid), 0, 0, 0]);
        }
    }

    /// Becomes [`PROGRAM`] with `program` as its code. Whatever fails is a panic.
    pub fn execve(&mut self, program: impl FnOnce(&mut App) + Send + 'static) -> ! {
        app::start(&self.world, Vec::new(), "executed", program);
        let path = self.put_str(PROGRAM);
        let argv = self.put([path, 0]);
        let result = self.call(sysno::EXECVE, [path, argv, 0]);
        panic!("execve: {result:?}")
    }

    pub fn exit(&mut self, code: i32) -> ! {
        let _ = self.call(sysno::EXIT, [code as u64]);
        unreachable!("a thread that has ended ran")
    }

    pub fn exit_group(&mut self, code: i32) -> ! {
        let _ = self.call(sysno::EXIT_GROUP, [code as u64]);
        unreachable!("a process that has ended ran")
    }

    /// Number and status of a child; number 0 with `WNOHANG`.
    pub fn wait4(&mut self, pid: i32, options: abi::process::WaitOptions) -> Result<(i32, i32), Errno> {
        let status = self.put(0i32);
        let pid = self.call(sysno::WAIT4, [pid as u64, status, u64::from(options.bits()), 0])?;
        Ok((pid as i32, self.load(status)))
    }

    /// Waits for the end of a child; its status.
    pub fn reap(&mut self, pid: i32) -> i32 {
        let (found, status) = self.wait4(pid, Default::default()).unwrap();
        assert_eq!(found, pid);
        status
    }
}

/// Signals.
impl App {
    pub fn kill(&mut self, pid: i32, signal: Signal) -> Result<(), Errno> {
        self.call(sysno::KILL, [pid as u64, signal.number() as u64]).map(drop)
    }

    pub fn tgkill(&mut self, tgid: i32, tid: i32, signal: Signal) -> Result<(), Errno> {
        self.call(sysno::TGKILL, [tgid as u64, tid as u64, signal.number() as u64]).map(drop)
    }

    fn sigaction(&mut self, signal: Signal, action: SigAction) {
        let action = self.put(action);
        self.call(sysno::RT_SIGACTION, [signal.number() as u64, action, 0, SigSet::SIZE as u64]).unwrap();
    }

    /// Has `handler` run on `signal`.
    pub fn on_signal(
        &mut self,
        signal: Signal,
        flags: SaFlags,
        handler: impl Fn(&mut App, SigInfo) + Send + Sync + 'static,
    ) {
        self.on_signal_masking(signal, flags, SigSet::EMPTY, handler);
    }

    /// The same, with other signals blocked meanwhile.
    pub fn on_signal_masking(
        &mut self,
        signal: Signal,
        flags: SaFlags,
        mask: SigSet,
        handler: impl Fn(&mut App, SigInfo) + Send + Sync + 'static,
    ) {
        let handler: Handler = Arc::new(handler);
        let handler = self.add_handler(handler);
        let flags = (flags | SaFlags::SIGINFO | SaFlags::RESTORER).bits();
        self.sigaction(signal, SigAction { handler, flags, restorer: RESTORER, mask });
    }

    /// Has `signal` ignored.
    pub fn ignore(&mut self, signal: Signal) {
        self.sigaction(signal, SigAction { handler: abi::signal::SIG_IGN, ..Default::default() });
    }

    /// The address of a signal's handler, 0 and 1 for `SIG_DFL` and `SIG_IGN`.
    pub fn handler_of(&mut self, signal: Signal) -> u64 {
        let old = self.put(SigAction::default());
        self.call(sysno::RT_SIGACTION, [signal.number() as u64, 0, old, SigSet::SIZE as u64]).unwrap();
        self.load::<SigAction>(old).handler
    }

    fn change_mask(&mut self, how: i32, set: SigSet) -> SigSet {
        let (set, old) = (self.put(set), self.put(SigSet::EMPTY));
        self.call(sysno::RT_SIGPROCMASK, [how as u64, set, old, SigSet::SIZE as u64]).unwrap();
        self.load(old)
    }

    pub fn block(&mut self, signals: &[Signal]) -> SigSet {
        self.change_mask(SIG_BLOCK, SigSet::of(signals))
    }
    pub fn unblock(&mut self, signals: &[Signal]) -> SigSet {
        self.change_mask(SIG_UNBLOCK, SigSet::of(signals))
    }
    pub fn set_mask(&mut self, set: SigSet) -> SigSet {
        self.change_mask(SIG_SETMASK, set)
    }
    /// The mask as it is.
    pub fn mask(&mut self) -> SigSet {
        self.block(&[])
    }

    pub fn pending(&mut self) -> SigSet {
        let set = self.put(SigSet::EMPTY);
        self.call(sysno::RT_SIGPENDING, [set, SigSet::SIZE as u64]).unwrap();
        self.load(set)
    }
}

/// Futexes and time.
impl App {
    /// `futex(2)` on a private word.
    pub fn futex(&mut self, op: u32, addr: u64, val: u32, rest: [u64; 3]) -> Result<u64, Errno> {
        let op = op | abi::futex::FUTEX_PRIVATE_FLAG;
        let [timeout, addr2, val3] = rest;
        self.call(sysno::FUTEX, [addr, u64::from(op), u64::from(val), timeout, addr2, val3])
    }

    pub fn put_time(&mut self, ms: u64) -> u64 {
        self.put(Timespec::from_ns(ms * 1_000_000))
    }

    pub fn nanosleep(&mut self, ms: u64) -> Result<(), Errno> {
        let time = self.put_time(ms);
        self.call(sysno::NANOSLEEP, [time, 0]).map(drop)
    }

    /// `CLOCK_MONOTONIC` as the kernel says.
    pub fn now_ns(&mut self) -> u64 {
        let to = self.alloc(Timespec::SIZE);
        self.call(sysno::CLOCK_GETTIME, [abi::time::CLOCK_MONOTONIC as u64, to]).unwrap();
        self.load::<Timespec>(to).to_duration_ns().unwrap()
    }
}

/// What a scenario sees of the kernel from outside.
impl App {
    fn task(&self, tid: i32) -> Option<Arc<Task>> {
        self.world.kernel.tree.lock().task(tid as u32)
    }

    /// Lets other tasks run until `what` holds.
    pub fn until(&mut self, what: impl Fn(&mut App) -> bool) {
        let from = Instant::now();
        while !what(self) {
            assert!(from.elapsed() < PATIENCE, "nothing came of it");
            self.call(sysno::SCHED_YIELD, []).unwrap();
        }
    }

    /// Lets the thread `tid` (a number of the initial namespace) run until it sleeps in a system call.
    pub fn until_asleep(&mut self, tid: i32) {
        self.until(|app| app.task(tid).is_some_and(|t| t.is_asleep()));
    }

    /// Lets it run until it has ended.
    pub fn until_gone(&mut self, tid: i32) {
        self.until(|app| app.task(tid).is_none());
    }

    /// The numbers of all processes, zombies included.
    pub fn processes(&self) -> Vec<u32> {
        self.world.kernel.tree.lock().nodes.keys().copied().collect()
    }

    /// Whether a process is a zombie, or not there any more.
    pub fn has_ended(&self, pid: i32) -> bool {
        self.world.kernel.tree.lock().nodes.get(&(pid as u32)).is_none_or(|n| n.zombie.is_some())
    }
}
