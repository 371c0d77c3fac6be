//! `FakePlatform`: application code is a script of traps; for unit tests of the kernel with no host at all.
//!
//! A script is a closure that stands for the code of one thread: it is called at each switch, sees the registers
//! as the kernel left them (results of the last call, a signal frame's `rip`), edits them, and says what happens
//! next. Address spaces only record their changes. Scripts are handed to contexts in the order in which
//! [`FakePlatform::script`] got them, one a context.
//!
//! ```
//! use platform::{Platform, Trap, fake::{FakePlatform, Step}};
//! let platform = FakePlatform::new();
//! let mut calls = 0;
//! platform.script(move |cpu| {
//!     calls += 1;
//!     match calls {
//!         1 => cpu.syscall(39, [0; 6]),                       // getpid
//!         _ => { let pid = cpu.regs.rax; cpu.syscall(231, [pid, 0, 0, 0, 0, 0]) } // exit_group(pid)
//!     }
//! });
//! let context = platform.new_context().unwrap();
//! ```

use crate::{
    Access, AddressSpace, Change, Context, FpState, Interrupt, Kick, Platform, Regs, Trap, Worker, arch,
};
use abi::Errno;
use std::{
    collections::{BTreeMap, VecDeque},
    os::fd::RawFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// What application code does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It traps.
    Trap(Trap),
    /// It computes until it is interrupted, or until [`FakePlatform::advance`] has the script asked again.
    Compute,
}

/// What a script sees of the thread that it stands for.
#[derive(Debug)]
pub struct Cpu<'a> {
    /// The registers, as the kernel set them.
    pub regs: &'a mut Regs,
    /// The address space that the thread is in.
    pub space: &'a FakeSpace,
}

impl Cpu<'_> {
    /// Loads a call's number and arguments, as code would have before `syscall`, and makes the call.
    pub fn syscall(&mut self, nr: u64, args: [u64; 6]) -> Step {
        let [rdi, rsi, rdx, r10, r8, r9] = args;
        let rip = self.regs.rip.wrapping_add(2);
        *self.regs = Regs { rdi, rsi, rdx, r10, r8, r9, rip, rcx: rip, ..*self.regs };
        self.regs.orig_rax = nr;
        // What the CPU's entry leaves for the kernel to replace: -ENOSYS.
        self.regs.rax = (-38i64).cast_unsigned();
        Step::Trap(Trap::Syscall)
    }

    /// Touches memory: a fault if the space does not map it so, nothing otherwise.
    pub fn touch(&mut self, addr: u64, access: Access) -> Option<Step> {
        let have = self.space.lookup(addr).map_or(Access::empty(), |m| m.access);
        let missing = access - have;
        (!missing.is_empty()).then_some(Step::Trap(Trap::Fault { addr, access: missing }))
    }
}

type Script = Box<dyn FnMut(&mut Cpu<'_>) -> Step + Send>;

/// Takes a lock whether or not a test panicked while it held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The platform.
#[derive(Default)]
pub struct FakePlatform {
    scripts: Mutex<VecDeque<Script>>,
    spaces: Mutex<Vec<std::sync::Weak<FakeSpace>>>,
    computing: Mutex<Vec<Arc<FakeRun>>>,
}

impl FakePlatform {
    /// One with no scripts.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Gives the next context without one its script. A context that finds none computes for ever.
    pub fn script(&self, script: impl FnMut(&mut Cpu<'_>) -> Step + Send + 'static) {
        lock(&self.scripts).push_back(Box::new(script));
    }

    /// The spaces that are alive, oldest first.
    pub fn spaces(&self) -> Vec<Arc<FakeSpace>> {
        lock(&self.spaces).iter().filter_map(std::sync::Weak::upgrade).collect()
    }

    /// Has the scripts of all contexts that compute asked again.
    pub fn advance(&self) {
        for run in lock(&self.computing).iter() {
            run.set(|state| state.advanced = true);
        }
    }
}

impl Platform for FakePlatform {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn user_range(&self) -> (u64, u64) {
        (0x1_0000, 0x7fff_fe00_0000)
    }

    fn new_address_space(&self) -> Result<Arc<dyn AddressSpace>, Errno> {
        let space = Arc::new(FakeSpace::default());
        let mut spaces = lock(&self.spaces);
        spaces.retain(|s| s.strong_count() > 0);
        spaces.push(Arc::downgrade(&space));
        Ok(space)
    }

    fn new_context(&self) -> Result<Box<dyn Context>, Errno> {
        let script = lock(&self.scripts).pop_front().unwrap_or_else(|| Box::new(|_| Step::Compute));
        let run = Arc::new(FakeRun::default());
        let mut computing = lock(&self.computing);
        computing.retain(|r| Arc::strong_count(r) > 1);
        computing.push(run.clone());
        Ok(Box::new(FakeContext { script, run, fp: FpState(arch::initial_fp()), computing: false }))
    }

    fn new_worker(&self, _index: usize) -> Box<dyn Worker> {
        Box::new(FakeWorker(Arc::default()))
    }
}

/// What lies behind an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapped {
    /// The host file.
    pub fd: RawFd,
    /// The offset in it.
    pub offset: u64,
    /// What the application may do.
    pub access: Access,
}

/// An address space that records.
#[derive(Default, Debug)]
pub struct FakeSpace(Mutex<SpaceState>);

#[derive(Default, Debug)]
struct SpaceState {
    changes: Vec<Change>,
    pages: BTreeMap<u64, Mapped>,
    fail: Option<(usize, Errno)>,
}

const PAGE: u64 = 4096;

impl FakeSpace {
    /// Every change made so far, in order.
    pub fn changes(&self) -> Vec<Change> {
        lock(&self.0).changes.clone()
    }

    /// What an address is mapped to.
    pub fn lookup(&self, addr: u64) -> Option<Mapped> {
        let page = addr - addr % PAGE;
        let mapped = *lock(&self.0).pages.get(&page)?;
        Some(Mapped { offset: mapped.offset + addr % PAGE, ..mapped })
    }

    /// How many pages are mapped.
    pub fn page_count(&self) -> usize {
        lock(&self.0).pages.len()
    }

    /// Has the `n`th change from now (0: the next) fail.
    pub fn fail_after(&self, n: usize, error: Errno) {
        lock(&self.0).fail = Some((n, error));
    }
}

impl SpaceState {
    fn apply(&mut self, change: &Change) -> Result<(), Errno> {
        if let Some((n, error)) = &mut self.fail {
            if *n == 0 {
                let error = *error;
                self.fail = None;
                return Err(error);
            }
            *n -= 1;
        }
        let (Change::Map { addr, len, .. } | Change::Unmap { addr, len } | Change::Protect { addr, len, .. }) =
            *change;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        if addr % PAGE != 0 || len % PAGE != 0 || len == 0 {
            return Err(Errno::EINVAL);
        }
        self.changes.push(*change);
        match *change {
            Change::Map { fd, offset, access, .. } => {
                for at in (addr..end).step_by(PAGE as usize) {
                    self.pages.insert(at, Mapped { fd, offset: offset + (at - addr), access });
                }
            }
            Change::Unmap { .. } => {
                let mut rest = self.pages.split_off(&addr);
                self.pages.append(&mut rest.split_off(&end));
            }
            Change::Protect { access, .. } => {
                self.pages.range_mut(addr..end).for_each(|(_, page)| page.access = access);
            }
        }
        Ok(())
    }
}

impl AddressSpace for FakeSpace {
    fn apply(&self, changes: &[Change]) -> Result<(), Errno> {
        let mut state = lock(&self.0);
        changes.iter().try_for_each(|change| state.apply(change))
    }

    fn clear(&self) -> Result<(), Errno> {
        lock(&self.0).pages.clear();
        Ok(())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// What others may do to a running context.
#[derive(Default)]
struct FakeRun(Mutex<RunState>);

#[derive(Default)]
struct RunState {
    interrupted: bool,
    advanced: bool,
    waker: Option<Waker>,
}

impl FakeRun {
    fn set(&self, change: impl FnOnce(&mut RunState)) {
        let mut state = lock(&self.0);
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Interrupt for FakeRun {
    fn interrupt(&self) {
        self.set(|state| state.interrupted = true);
    }
}

struct FakeContext {
    script: Script,
    run: Arc<FakeRun>,
    fp: FpState,
    computing: bool,
}

impl Context for FakeContext {
    fn poll_switch(
        &mut self,
        cx: &mut std::task::Context<'_>,
        space: &Arc<dyn AddressSpace>,
        regs: &mut Regs,
    ) -> Poll<Trap> {
        let Some(space) = space.as_any().downcast_ref::<FakeSpace>() else { return Poll::Ready(Trap::Lost) };
        let mut state = lock(&self.run.0);
        if std::mem::take(&mut state.interrupted) {
            self.computing = false;
            return Poll::Ready(Trap::Interrupted);
        }
        if !self.computing || state.advanced {
            state.advanced = false;
            // The script may interrupt or advance this very context.
            drop(state);
            match (self.script)(&mut Cpu { regs, space }) {
                Step::Trap(trap) => {
                    self.computing = false;
                    return Poll::Ready(trap);
                }
                Step::Compute => self.computing = true,
            }
            state = lock(&self.run.0);
            if std::mem::take(&mut state.interrupted) {
                self.computing = false;
                return Poll::Ready(Trap::Interrupted);
            }
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn fp(&mut self) -> FpState {
        self.fp.clone()
    }

    fn set_fp(&mut self, fp: &FpState) -> Result<(), Errno> {
        if fp.0.len() != self.fp.0.len() {
            return Err(Errno::EINVAL);
        }
        self.fp = fp.clone();
        Ok(())
    }

    fn interrupter(&self) -> Arc<dyn Interrupt> {
        self.run.clone()
    }
}

/// A worker that sleeps until it is kicked. (Contexts call their wakers themselves, and those kick.)
struct FakeWorker(Arc<FakeKick>);

#[derive(Default)]
struct FakeKick {
    kicked: Mutex<bool>,
    changed: Condvar,
}

impl Kick for FakeKick {
    fn kick(&self) {
        *lock(&self.kicked) = true;
        self.changed.notify_one();
    }
}

impl Worker for FakeWorker {
    fn poll(&mut self) {}

    fn idle(&mut self) {
        let mut kicked = lock(&self.0.kicked);
        while !std::mem::take(&mut *kicked) {
            kicked = self.0.changed.wait(kicked).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn kicker(&self) -> Arc<dyn Kick> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Context as Cx;

    #[test]
    fn scripts_see_what_the_kernel_did() {
        let platform = FakePlatform::new();
        let mut step = 0;
        platform.script(move |cpu| {
            step += 1;
            match step {
                1 => cpu.touch(0x5000, Access::WRITE).unwrap(),
                2 => {
                    assert_eq!(cpu.touch(0x5008, Access::WRITE), None);
                    cpu.syscall(39, [1, 2, 3, 4, 5, 6])
                }
                _ if cpu.regs.rax == 7 => Step::Compute,
                _ => Step::Trap(Trap::Lost),
            }
        });
        let space = platform.new_address_space().unwrap();
        let mut context = platform.new_context().unwrap();
        let mut worker = platform.new_worker(0);
        let mut cx = Cx::from_waker(Waker::noop());
        let mut regs = Regs { rip: 0x1000, ..Regs::default() };
        let fault = Trap::Fault { addr: 0x5000, access: Access::WRITE };
        assert_eq!(context.poll_switch(&mut cx, &space, &mut regs), Poll::Ready(fault));
        let access = Access::READ | Access::WRITE;
        let map = Change::Map { addr: 0x5000, len: 0x2000, fd: 3, offset: 0x9000, access, populate: false };
        space.apply(&[map]).unwrap();
        let seen = platform.spaces().pop().unwrap();
        assert_eq!(seen.lookup(0x6010), Some(Mapped { fd: 3, offset: 0xa010, access }));
        assert_eq!(context.poll_switch(&mut cx, &space, &mut regs), Poll::Ready(Trap::Syscall));
        assert_eq!((regs.orig_rax, regs.syscall_args(), regs.rip), (39, [1, 2, 3, 4, 5, 6], 0x1002));
        regs.rax = 7;
        assert_eq!(context.poll_switch(&mut cx, &space, &mut regs), Poll::Pending);
        context.interrupter().interrupt();
        assert_eq!(context.poll_switch(&mut cx, &space, &mut regs), Poll::Ready(Trap::Interrupted));
        assert_eq!(context.poll_switch(&mut cx, &space, &mut regs), Poll::Pending);
        regs.rax = 8;
        platform.advance();
        assert_eq!(context.poll_switch(&mut cx, &space, &mut regs), Poll::Ready(Trap::Lost));
        worker.kicker().kick();
        worker.idle();
    }

    #[test]
    fn spaces_record_and_fail() {
        let space = FakeSpace::default();
        let access = Access::READ;
        let map = Change::Map { addr: 0x4000, len: 0x4000, fd: 3, offset: 0, access, populate: false };
        space.apply(&[map, Change::Unmap { addr: 0x5000, len: 0x1000 }]).unwrap();
        assert_eq!((space.page_count(), space.lookup(0x5000), space.changes().len()), (3, None, 2));
        space.apply(&[Change::Protect { addr: 0x4000, len: 0x4000, access: Access::empty() }]).unwrap();
        assert_eq!(space.lookup(0x7fff).map(|m| m.access), Some(Access::empty()));
        space.fail_after(1, Errno::ENOMEM);
        assert_eq!(space.apply(&[map, map]), Err(Errno::ENOMEM));
        assert_eq!(space.apply(&[Change::Unmap { addr: 1, len: 4096 }]), Err(Errno::EINVAL));
        space.clear().unwrap();
        assert_eq!(space.page_count(), 0);
    }
}
