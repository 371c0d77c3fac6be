//! Making a stopped stub thread do something for the sentry.
//!
//! All functions are for stopped tracees of the calling thread, and leave them stopped with other registers than
//! before (those that the application sees are in its task's `Regs`). Floating point state, segment bases and
//! selectors stay. Signals that come meanwhile are dropped; interrupts are remembered elsewhere.

use crate::{
    code, layout,
    orders::{Order, Slot},
    sys::{self, Stop},
};
use platform::Regs;

/// The stub is gone, or does what no stub does; it is to be killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the stub process is gone or broken")]
pub struct Broken;

impl From<host::HostErrno> for Broken {
    fn from(_: host::HostErrno) -> Self {
        Self
    }
}

/// Runs stub code from `regs` to its `int3`; `regs` are then what it left. Answers the thread that it made, if any.
fn run(tid: i32, regs: &mut Regs) -> Result<Option<i32>, Broken> {
    regs.cs = crate::regs::USER_CS;
    regs.ss = crate::regs::USER_SS;
    regs.rflags = 0x202;
    regs.orig_rax = u64::MAX;
    sys::set_general_regs(tid, regs)?;
    let mut newborn = None;
    loop {
        sys::cont(tid)?;
        match sys::wait(tid)? {
            Stop::Exited => return Err(Broken),
            Stop::Event(libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK) => {
                newborn = Some(sys::event_message(tid)?);
            }
            Stop::Signal(libc::SIGTRAP) => {
                sys::get_regs(tid, regs)?;
                return Ok(newborn);
            }
            // These cannot be suppressed: the instruction would only raise them again.
            Stop::Signal(libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGSYS) => {
                return Err(Broken);
            }
            Stop::Signal(_) | Stop::Event(_) | Stop::Syscall => {}
        }
    }
}

fn load(order: &Order, rip: u64) -> Regs {
    let [rdi, rsi, rdx, r10, r8, r9] = order.args;
    Regs { rax: order.nr, rdi, rsi, rdx, r10, r8, r9, rip, ..Regs::default() }
}

/// One call at the given `syscall; int3`; the result as the kernel gives it (negative errno).
pub fn call_at(tid: i32, order: &Order, rip: u64) -> Result<i64, Broken> {
    let mut regs = load(order, rip);
    run(tid, &mut regs)?;
    Ok(regs.rax as i64)
}

/// One call from the stub page.
pub fn call(tid: i32, order: &Order) -> Result<i64, Broken> {
    call_at(tid, order, code::CALL)
}

/// Which order failed, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed {
    /// Its index.
    pub index: usize,
    /// The (positive) error number.
    pub errno: i32,
}

/// Makes calls in order until one fails. `left` are the registers that the thread is left with.
pub fn calls(tid: i32, slot: &Slot, orders: &[Order], left: &mut Regs) -> Result<Result<(), Failed>, Broken> {
    let failed = |index, ret: i64| Failed { index, errno: i32::try_from(-ret).unwrap_or(libc::EIO) };
    if let [only] = orders {
        *left = load(only, code::CALL);
        run(tid, left)?;
        let ret = left.rax as i64;
        return Ok(if (-4095..0).contains(&ret) { Err(failed(0, ret)) } else { Ok(()) });
    }
    let mut done = 0;
    for batch in orders.chunks(crate::orders::BATCH) {
        slot.write(batch);
        let end = layout::ORDERS + std::mem::size_of_val(batch) as u64;
        *left = Regs { rbx: layout::ORDERS, rbp: end, rip: code::orders(), ..Regs::default() };
        run(tid, left)?;
        if left.rbx != end {
            let index = left.rbx.wrapping_sub(layout::ORDERS) / size_of::<Order>() as u64;
            return Ok(Err(failed(done + usize::try_from(index).unwrap_or(0), left.rax as i64)));
        }
        done += batch.len();
    }
    Ok(Ok(()))
}

/// Flags of a further thread of a stub process.
pub const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

/// A further thread that sleeps, traced by nobody.
pub const PARKED: i32 = THREAD | libc::CLONE_UNTRACED;

/// A further process. Descriptors are the sentry's, so that their numbers mean the same in `mmap`.
pub const PROCESS: i32 = libc::CLONE_FILES | libc::CLONE_PARENT;

/// Makes a thread or process, a stopped tracee of the caller unless `flags` say otherwise.
pub fn clone(tid: i32, flags: i32) -> Result<Result<i32, i32>, Broken> {
    let order = Order::new(libc::SYS_clone, [flags as u64]);
    let mut regs = load(&order, code::clone());
    let newborn = run(tid, &mut regs)?;
    let ret = regs.rax as i64;
    if ret < 0 {
        return Ok(Err(i32::try_from(-ret).unwrap_or(libc::EIO)));
    }
    match newborn {
        Some(newborn) => {
            // Its first stop, before it runs anything.
            match sys::wait(newborn)? {
                Stop::Exited => Err(Broken),
                _ => Ok(Ok(newborn)),
            }
        }
        None => Ok(Ok(i32::try_from(ret).map_err(|_| Broken)?)),
    }
}

/// Ends a thread (not a leader) and reaps it.
pub fn exit(tid: i32) -> Result<(), Broken> {
    let mut regs = load(&Order::new(libc::SYS_exit, [0]), code::CALL);
    match run(tid, &mut regs) {
        // It went away, as it should.
        Err(Broken) => Ok(()),
        Ok(_) => Err(Broken),
    }
}

/// Makes a parked thread a stopped tracee of the caller.
pub fn claim(tid: i32) -> Result<(), Broken> {
    sys::seize(tid)?;
    sys::interrupt(tid)?;
    match sys::wait(tid)? {
        Stop::Exited => Err(Broken),
        _ => Ok(()),
    }
}
