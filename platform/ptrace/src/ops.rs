//! What contexts and spaces do with the calling thread's tracees.

use crate::{
    inject,
    inject::{Broken, Failed},
    keeper::Keeper,
    orders::Order,
    process::Process,
    roster::ThreadShared,
    sys,
    tracer::{State, with, with_existing},
    worker::WorkerShared,
};
use host::time::monotonic_ns;
use platform::{AddressSpace, Regs};
use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

/// A thread and the worker that traces it.
type Owned = (Arc<ThreadShared>, Arc<WorkerShared>);

/// A stopped thread of `process` for a context of the calling thread's.
pub fn acquire(keeper: &Keeper, process: &Arc<Process>) -> Result<Owned, Broken> {
    for _ in 0..4 {
        let done = with(|t| -> Result<Option<Owned>, Broken> {
            if process.is_dead() {
                return Err(Broken);
            }
            let tid = match t.stopped(process.pid, true) {
                Some(tid) => tid,
                None => match t.make_thread(keeper, process)? {
                    Some(tid) => tid,
                    None => return Ok(None),
                },
            };
            let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
            entry.assigned = true;
            Ok(Some((entry.shared.clone(), t.shared.clone())))
        });
        if let Some(found) = done.ok_or(Broken)?? {
            return Ok(found);
        }
        keeper.thread(process)?;
    }
    Err(Broken)
}

/// Makes calls in a process, by whichever of its threads the calling thread can use, or the keeper.
pub fn calls(
    keeper: &Keeper,
    process: &Arc<Process>,
    orders: &[Order],
) -> Result<Result<(), Failed>, Broken> {
    if process.is_dead() {
        return Err(Broken);
    }
    let here = with_existing(|t| -> Result<Option<Result<(), Failed>>, Broken> {
        let tid = match t.stopped(process.pid, false) {
            Some(tid) => tid,
            None => match process.take_parked() {
                Some(tid) => {
                    inject::claim(tid)?;
                    t.adopt(tid, process, keeper)?;
                    tid
                }
                None => return Ok(None),
            },
        };
        let entry = t.threads.get(&tid).ok_or(Broken)?;
        if !entry.shared.pinned.load(Ordering::Relaxed) {
            t.pin(entry);
        }
        let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
        Ok(Some(inject::calls(tid, &process.slot, orders, &mut entry.regs)?))
    });
    match here {
        Some(Ok(Some(result))) => Ok(result),
        Some(Err(broken)) => Err(broken),
        Some(Ok(None)) | None => keeper.calls(process, orders),
    }
}

/// Empties a process whose space is gone, if the calling thread traces a stopped thread of it.
pub fn empty_here(process: &Arc<Process>) -> bool {
    if process.is_dead() || process.is_crowded() {
        return false;
    }
    let all = Order::new(libc::SYS_munmap, [0, crate::layout::USER_MAX]);
    let emptied = with_existing(|t| {
        let tid = t.stopped(process.pid, true)?;
        let result = inject::call(tid, &all);
        t.refresh(tid).ok()?;
        Some(result == Ok(0))
    });
    emptied.flatten().unwrap_or(false)
}

/// The worker that the calling thread is, if it traces anything.
pub fn current() -> Option<Arc<WorkerShared>> {
    with_existing(|t| t.shared.clone())
}

/// Gives a stopped thread registers and lets it run application code.
pub fn resume(keeper: &Keeper, tid: i32, regs: Option<&Regs>, waker: &Waker) -> Result<(), Broken> {
    with(|t| {
        let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
        if entry.state == State::Dead {
            return Err(Broken);
        }
        if let Some(regs) = regs {
            crate::regs::load(tid, regs, &mut entry.regs)?;
        }
        entry.shared.since.store(monotonic_ns(), Ordering::SeqCst);
        sys::sysemu(tid)?;
        entry.state = State::Running;
        match &mut entry.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        if entry.shared.pinned.load(Ordering::Relaxed) {
            keeper.note_running();
        }
        t.running.push(tid);
        Ok(())
    })
    .ok_or(Broken)?
}

/// What happened to a thread that was resumed.
pub enum Report {
    /// Nothing yet; the waker was left with it.
    Running,
    /// It stopped.
    Stopped(sys::Stop),
    /// It is gone.
    Dead,
}

/// Asks for a thread's stop.
pub fn take_report(tid: i32, waker: &Waker) -> Report {
    with(|t| {
        let Some(entry) = t.threads.get_mut(&tid) else { return Report::Dead };
        match entry.state {
            State::Running => {
                match &mut entry.waker {
                    Some(old) => old.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                Report::Running
            }
            State::Reported(status) => {
                entry.state = State::Stopped;
                Report::Stopped(sys::decode(status))
            }
            State::Stopped => Report::Stopped(sys::Stop::Event(libc::PTRACE_EVENT_STOP)),
            State::Dead => Report::Dead,
        }
    })
    .unwrap_or(Report::Dead)
}

/// Reads the registers of a stopped thread.
pub fn read_regs(tid: i32, regs: &mut Regs) -> Result<(), Broken> {
    with(|t| {
        let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
        sys::get_regs(tid, &mut entry.regs)?;
        *regs = entry.regs;
        Ok(())
    })
    .ok_or(Broken)?
}

/// The instruction pointer that a stopped thread holds.
pub fn held_rip(tid: i32) -> u64 {
    with(|t| t.threads.get(&tid).map_or(0, |e| e.regs.rip)).unwrap_or(0)
}

/// Gives a context's thread back, from any host thread.
pub fn release(owner: &Arc<WorkerShared>, tid: i32, space: Arc<dyn AddressSpace>) {
    let mut space = Some(space);
    let here = with_existing(|t| {
        if !Arc::ptr_eq(&t.shared, owner) {
            return None;
        }
        space.take().map(|space| t.release(tid, space))
    });
    // Whatever came back is dropped here, outside the borrow.
    drop(here);
    if let Some(space) = space {
        owner.ask_to_release(tid, space);
    }
}
