//! The first stub: a copy of the sentry, emptied. All others are copies of it, so that none costs a copy of the sentry.
//!
//! Everything is done to it from outside, call by call: it never runs a line of Rust.

use crate::{
    Error, code, filter,
    inject::{self, Broken},
    layout,
    orders::{Order, Orders, Slot},
    sys,
};
use host::{HostErrno, vdso::Vdso as HostVdso};
use std::os::fd::{AsRawFd, BorrowedFd};

/// What the keeper needs to make stubs.
pub struct Zygote {
    /// Its process and only thread; stopped, traced by the keeper.
    pub pid: i32,
    /// Keeps its order page.
    _slot: Slot,
    /// Floating point state in its initial configuration.
    pub initial_fp: Vec<u8>,
    /// The vDSO in every stub.
    pub vdso: Option<platform::Vdso>,
}

impl Drop for Zygote {
    fn drop(&mut self) {
        sys::kill(self.pid);
        while let Ok(stop) = sys::wait(self.pid) {
            if stop == sys::Stop::Exited {
                break;
            }
        }
    }
}

/// Makes the first stub. On the keeper's thread, which becomes its tracer.
pub fn make(code_file: BorrowedFd<'_>, orders: &std::sync::Arc<Orders>) -> Result<Zygote, Error> {
    let (slot, data) = (orders.take()?, orders.take()?);
    let mask = host::signal::block_all()?;
    let spawned = code::spawn(libc::CLONE_FILES as u64);
    let _ = host::signal::restore(&mask);
    let pid = spawned.map_err(|e| Error::Spawn(HostErrno::from_raw(e)))?;
    let mut zygote = Zygote { pid, _slot: slot, initial_fp: Vec::new(), vdso: None };
    inject::claim(pid).map_err(|_| Error::Trace)?;
    zygote.initial_fp = initial_fp(sys::get_fp(pid)?);
    zygote.vdso = empty(pid, code_file, &zygote._slot, &data)?;
    Ok(zygote)
}

fn initial_fp(mut fp: Vec<u8>) -> Vec<u8> {
    // The legacy area but for the mask of MXCSR and the software bytes, then the header (Intel SDM vol. 1, 13.4).
    for (i, byte) in fp.iter_mut().enumerate() {
        if !(28..32).contains(&i) && !(464..512).contains(&i) {
            *byte = 0;
        }
    }
    for (at, value) in [(0, 0x7f), (1, 0x03), (24, 0x80), (25, 0x1f), (512, 3)] {
        if let Some(byte) = fp.get_mut(at) {
            *byte = value;
        }
    }
    fp
}

/// One call that has to succeed.
fn must(pid: i32, what: &'static str, order: Order) -> Result<i64, Error> {
    check(what, inject::call(pid, &order))
}

fn check(what: &'static str, result: Result<i64, Broken>) -> Result<i64, Error> {
    match result {
        Err(Broken) => Err(Error::Lost(what)),
        Ok(ret) if ret < 0 => {
            Err(Error::Setup { what, errno: HostErrno::from_raw(i32::try_from(-ret).unwrap_or(0)) })
        }
        Ok(ret) => Ok(ret),
    }
}

fn empty(
    pid: i32,
    code_file: BorrowedFd<'_>,
    slot: &Slot,
    data: &Slot,
) -> Result<Option<platform::Vdso>, Error> {
    let gadget = code::call_in_sentry();
    let prot = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let flags = (libc::MAP_SHARED | libc::MAP_FIXED) as u64;
    let fd = code_file.as_raw_fd() as u64;
    let stub = Order::new(libc::SYS_mmap, [layout::STUB, layout::PAGE, prot, flags, fd, 0]);
    check("map the stub page", inject::call_at(pid, &stub, gadget))?;
    must(pid, "map the order page", slot.map_order(layout::ORDERS))?;
    must(pid, "map the data page", data.map_order(layout::DATA))?;

    privileges(pid, data)?;

    let vdso = host::vdso::locate().and_then(|v| move_vdso(pid, &v));
    let vdso_end = vdso.map_or(layout::VDSO, |v| v.range.1);
    for (from, to) in
        [(0, layout::VDSO), (vdso_end, layout::STUB), (layout::DATA + layout::PAGE, layout::TASK_SIZE)]
    {
        must(pid, "empty the address space", Order::new(libc::SYS_munmap, [from, to - from]))?;
    }

    let (program, len) = filter::program().map_err(|_| Error::Filter)?;
    let mut header = [0u8; 16];
    for (to, from) in header.iter_mut().zip(len.to_ne_bytes()) {
        *to = from;
    }
    for (to, from) in header.iter_mut().skip(8).zip((layout::DATA + 64).to_ne_bytes()) {
        *to = from;
    }
    data.write_bytes(0, &header);
    data.write_bytes(64, &program);
    must(pid, "install the filter", Order::new(libc::SYS_seccomp, [1, 0, layout::DATA]))?;
    must(pid, "unmap the data page", Order::new(libc::SYS_munmap, [layout::DATA, layout::PAGE]))?;
    Ok(vdso)
}

/// Takes away what the copy has of the sentry's authority, and undoes what its C library registered.
fn privileges(pid: i32, data: &Slot) -> Result<(), Error> {
    let rseq = sys::rseq(pid);
    if rseq.area != 0 {
        let args = [rseq.area, u64::from(rseq.size), 1, u64::from(rseq.signature)];
        must(pid, "unregister rseq", Order::new(libc::SYS_rseq, args))?;
    }
    let prctl = |option: i32, arg: u64| Order::new(libc::SYS_prctl, [option as u64, arg, 0, 0, 0]);
    must(pid, "set the death signal", prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64))?;
    data.write_bytes(0, b"runsc-stub\0");
    must(pid, "set the name", prctl(libc::PR_SET_NAME, layout::DATA))?;
    // _LINUX_CAPABILITY_VERSION_3, this thread, and three empty sets.
    data.write_bytes(0, &0x2008_0522u32.to_ne_bytes());
    data.write_bytes(4, &[0; 60]);
    must(pid, "drop capabilities", Order::new(libc::SYS_capset, [layout::DATA, layout::DATA + 8]))?;
    must(pid, "refuse new privileges", prctl(libc::PR_SET_NO_NEW_PRIVS, 1))?;
    // Workers attach to threads of stubs; a sentry that changed its user is not dumpable, and so would its copy be.
    must(pid, "allow tracing", prctl(libc::PR_SET_DUMPABLE, 1))?;
    data.write_bytes(0, &[0; 64]);
    let core = Order::new(libc::SYS_prlimit64, [0, libc::RLIMIT_CORE as u64, layout::DATA, 0]);
    must(pid, "forbid core files", core)?;

    // Default actions for what the CPU raises; the kick is ignored by threads that nobody traces yet.
    data.write_bytes(64, &(libc::SIG_IGN as u64).to_ne_bytes());
    let action = |signal: i32, at: u64| Order::new(libc::SYS_rt_sigaction, [signal as u64, at, 0, 8]);
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS] {
        must(pid, "reset a signal", action(signal, layout::DATA))?;
    }
    must(pid, "ignore the kick", action(host::signal::KICK, layout::DATA + 64))?;
    let mut mask = u64::MAX;
    for signal in [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGTRAP,
        libc::SIGSYS,
        host::signal::KICK,
    ] {
        mask &= !(1 << (signal - 1));
    }
    data.write_bytes(128, &mask.to_ne_bytes());
    let how = libc::SIG_SETMASK as u64;
    must(pid, "block signals", Order::new(libc::SYS_rt_sigprocmask, [how, layout::DATA + 128, 0, 8]))?;
    Ok(())
}

/// Moves the vDSO's parts as they lie to each other. `None` (and no vDSO) where the host will not.
fn move_vdso(pid: i32, vdso: &HostVdso) -> Option<platform::Vdso> {
    let (start, end) = vdso.range();
    let len = end.checked_sub(start)?;
    let apart = end <= layout::VDSO || start >= layout::TASK_SIZE;
    if len > layout::VDSO_MAX || !apart {
        return None;
    }
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
    for part in &vdso.parts {
        let (size, to) = (part.end - part.start, layout::VDSO + (part.start - start));
        let ret =
            inject::call(pid, &Order::new(libc::SYS_mremap, [part.start, size, size, flags, to])).ok()?;
        if ret < 0 {
            log::warn!("no vDSO for applications: mremap of its part at {:#x} says {ret}", part.start);
            let _ = inject::call(pid, &Order::new(libc::SYS_munmap, [layout::VDSO, layout::VDSO_MAX]));
            return None;
        }
    }
    Some(platform::Vdso {
        base: layout::VDSO + (vdso.base() - start),
        range: (layout::VDSO, layout::VDSO + len),
    })
}
