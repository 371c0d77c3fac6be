//! `ptrace(2)` and `wait4(2)`, safe: a wrong thread id is an error and never memory of ours.
//!
//! Requests are answered only for tracees of the *calling thread* that are stopped; `ESRCH` otherwise.

use host::{HostErrno, Result};
use platform::Regs;
use zerocopy::{FromZeros, IntoBytes};

/// Options of every tracee: the kernel kills them if their tracer ends, and tells calls from `SIGTRAP`s.
pub const OPTIONS: i32 = libc::PTRACE_O_EXITKILL
    | libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK;

const NT_X86_XSTATE: usize = 0x202;
pub const PTRACE_SYSEMU: u32 = 31;
pub const PTRACE_GET_RSEQ_CONFIGURATION: u32 = 0x420f;

/// # Safety
/// `data` is what the request says it is, live and of the right size.
unsafe fn ptrace(request: u32, tid: i32, addr: usize, data: usize) -> Result<i64> {
    // SAFETY: the caller answers for `data`; `addr` is in the tracee or a number.
    let ret = unsafe { libc::syscall(libc::SYS_ptrace, request as usize, tid as isize, addr, data) };
    if ret < 0 { Err(HostErrno::last()) } else { Ok(ret) }
}

/// Becomes the tracer of a running thread, without stopping it.
pub fn seize(tid: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { ptrace(libc::PTRACE_SEIZE, tid, 0, OPTIONS as usize) }.map(drop)
}

/// Asks a seized thread to stop.
pub fn interrupt(tid: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0) }.map(drop)
}

/// Resumes; system calls go to the host.
pub fn cont(tid: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { ptrace(libc::PTRACE_CONT, tid, 0, 0) }.map(drop)
}

/// Resumes; a system call stops the thread and never reaches the host.
pub fn sysemu(tid: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    unsafe { ptrace(PTRACE_SYSEMU, tid, 0, 0) }.map(drop)
}

/// All registers.
pub fn get_regs(tid: i32, regs: &mut Regs) -> Result<()> {
    // SAFETY: `Regs` is laid out as `user_regs_struct` (checked by a test) and live.
    unsafe { ptrace(libc::PTRACE_GETREGS, tid, 0, std::ptr::from_mut(regs) as usize) }.map(drop)
}

/// Registers up to and with `ss`: all but segment bases and data segment selectors.
pub fn set_general_regs(tid: i32, regs: &Regs) -> Result<()> {
    let mut iov = libc::iovec {
        iov_base: std::ptr::from_ref(regs).cast_mut().cast(),
        iov_len: std::mem::offset_of!(Regs, fs_base),
    };
    let data = std::ptr::from_mut(&mut iov) as usize;
    // SAFETY: the iovec and the registers that it points to are live; the kernel only reads the latter.
    unsafe { ptrace(libc::PTRACE_SETREGSET, tid, libc::NT_PRSTATUS as usize, data) }.map(drop)
}

/// All registers. `EIO` for a value that the kernel refuses; those before it in the struct are set then.
pub fn set_regs(tid: i32, regs: &Regs) -> Result<()> {
    // SAFETY: `Regs` is laid out as `user_regs_struct` and live; the kernel only reads it.
    unsafe { ptrace(libc::PTRACE_SETREGS, tid, 0, std::ptr::from_ref(regs) as usize) }.map(drop)
}

/// The XSAVE area, in standard format, whatever its size (at most 16 KiB).
pub fn get_fp(tid: i32) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; 16384];
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let data = std::ptr::from_mut(&mut iov) as usize;
    // SAFETY: the iovec and the bytes that it points to are live; the kernel writes no more than its length.
    unsafe { ptrace(libc::PTRACE_GETREGSET, tid, NT_X86_XSTATE, data) }?;
    bytes.truncate(iov.iov_len);
    Ok(bytes)
}

/// Replaces the XSAVE area.
pub fn set_fp(tid: i32, bytes: &[u8]) -> Result<()> {
    let mut iov = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let data = std::ptr::from_mut(&mut iov) as usize;
    // SAFETY: the iovec and the bytes that it points to are live; the kernel only reads the latter.
    unsafe { ptrace(libc::PTRACE_SETREGSET, tid, NT_X86_XSTATE, data) }.map(drop)
}

/// What is known of the signal that stopped a thread.
#[derive(Clone, Copy, Debug)]
pub struct SigInfo {
    /// `si_code`.
    pub code: i32,
    /// `si_addr`, where the signal has one.
    pub addr: u64,
}

/// `siginfo` of the stop.
pub fn siginfo(tid: i32) -> Result<SigInfo> {
    // SAFETY: zeros are a valid siginfo.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let data = std::ptr::from_mut(&mut info) as usize;
    // SAFETY: `info` is a live siginfo.
    unsafe { ptrace(libc::PTRACE_GETSIGINFO, tid, 0, data) }?;
    // SAFETY: the address field is plain bytes of the struct, valid whatever the signal.
    let addr = unsafe { info.si_addr() } as u64;
    Ok(SigInfo { code: info.si_code, addr })
}

/// The new thread's id, at the stop of a clone.
pub fn event_message(tid: i32) -> Result<i32> {
    let mut message: libc::c_ulong = 0;
    let data = std::ptr::from_mut(&mut message) as usize;
    // SAFETY: `message` is a live `unsigned long`.
    unsafe { ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, data) }?;
    i32::try_from(message).map_err(|_| HostErrno::EIO)
}

/// Eight bytes of a tracee's memory.
pub fn peek(tid: i32, addr: u64) -> Result<u64> {
    let mut word = 0u64;
    let data = std::ptr::from_mut(&mut word) as usize;
    let addr = usize::try_from(addr).map_err(|_| HostErrno::EFAULT)?;
    // SAFETY: the call (not the C library's wrapper) stores the word at `data`, which is live.
    unsafe { ptrace(libc::PTRACE_PEEKDATA, tid, addr, data) }?;
    Ok(word)
}

/// A word of a tracee's `struct user`.
pub fn peek_user(tid: i32, offset: usize) -> Result<u64> {
    let mut word = 0u64;
    let data = std::ptr::from_mut(&mut word) as usize;
    // SAFETY: the call (not the C library's wrapper) stores the word at `data`, which is live.
    unsafe { ptrace(libc::PTRACE_PEEKUSER, tid, offset, data) }?;
    Ok(word)
}

/// Replaces a word of a tracee's `struct user`.
pub fn poke_user(tid: i32, offset: usize, value: u64) -> Result<()> {
    let value = usize::try_from(value).map_err(|_| HostErrno::EIO)?;
    // SAFETY: takes numbers only.
    unsafe { ptrace(libc::PTRACE_POKEUSER, tid, offset, value) }.map(drop)
}

/// A thread's registration with restartable sequences, which it has from the C library.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromZeros, IntoBytes)]
pub struct Rseq {
    /// Address of the area; 0 if not registered.
    pub area: u64,
    /// Its size.
    pub size: u32,
    /// The signature that goes with it.
    pub signature: u32,
    flags: u32,
    pad: u32,
}

/// The registration of a tracee; none where the kernel cannot tell (it is older than restartable sequences in libc).
pub fn rseq(tid: i32) -> Rseq {
    let mut rseq = Rseq::default();
    let data = std::ptr::from_mut(&mut rseq) as usize;
    // SAFETY: `rseq` is a live struct of the size that is passed.
    match unsafe { ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, size_of::<Rseq>(), data) } {
        Ok(_) => rseq,
        Err(_) => Rseq::default(),
    }
}

/// What `wait4` said of a tracee.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// At a system call.
    Syscall,
    /// About to get a signal.
    Signal(i32),
    /// At a `PTRACE_EVENT_*`.
    Event(i32),
    /// Gone.
    Exited,
}

/// Reads a wait status.
pub fn decode(status: i32) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Exited;
    }
    match (status >> 16, libc::WSTOPSIG(status)) {
        (0, s) if s == libc::SIGTRAP | 0x80 => Stop::Syscall,
        (0, s) => Stop::Signal(s),
        (event, _) => Stop::Event(event),
    }
}

/// Waits for one tracee (or child) of the calling thread.
pub fn wait(tid: i32) -> Result<Stop> {
    loop {
        match wait_raw(tid, libc::__WALL) {
            Err(HostErrno::EINTR) => {}
            Ok(Some((_, status))) => return Ok(decode(status)),
            Ok(None) => return Err(HostErrno::ECHILD),
            Err(e) => return Err(e),
        }
    }
}

/// Looks whether a tracee of the calling thread (-1: any) has something to say.
pub fn wait_now(tid: i32) -> Result<Option<(i32, i32)>> {
    wait_raw(tid, libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG)
}

fn wait_raw(tid: i32, options: i32) -> Result<Option<(i32, i32)>> {
    let mut status = 0;
    // SAFETY: `status` is live; no usage is asked for.
    let got = unsafe { libc::wait4(tid, &mut status, options, std::ptr::null_mut()) };
    match got {
        0 => Ok(None),
        tid if tid > 0 => Ok(Some((tid, status))),
        _ => Err(HostErrno::last()),
    }
}

/// Kills a process.
pub fn kill(pid: i32) {
    // SAFETY: takes numbers only.
    let _ = unsafe { libc::kill(pid, libc::SIGKILL) };
}
