//! [`AddressSpace`]: making, forking and ending one.

use crate::{
    FaultError, Limits,
    area::{Area, AreaFlags, Place},
    layout::Layout,
    op::{Op, clipped},
    state::State,
};
use abi::Errno;
use ksync::{RwLock, rank};
use mem::{Invalidate, MappingSet, MemoryFile};
use platform::Access;
use std::{
    ops::Range,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

/// The vDSO that the platform puts into every space.
#[derive(Clone)]
pub struct VdsoImage {
    /// All of it: the data that its code reads, then the code.
    pub range: Range<u64>,
    /// Where the code starts.
    pub base: u64,
    /// The code's bytes, for reads by the kernel.
    pub image: Arc<[u8]>,
}

/// What observers of objects refer to: everything but the handle, whose drop ends the space.
pub(crate) struct Core {
    pub id: u64,
    pub this: Weak<Core>,
    pub memory: Arc<MemoryFile>,
    pub platform: Arc<dyn platform::AddressSpace>,
    pub vdso: Option<VdsoImage>,
    pub state: RwLock<State>,
}

/// The memory of a process: areas, pages, and what the platform has of them.
///
/// Dropping the last handle unmaps everything and closes the files that were mapped, so it is not to be done under a lock.
pub struct AddressSpace {
    pub(crate) core: Arc<Core>,
    /// `PR_SET_DUMPABLE`.
    dumpable: AtomicU32,
    /// CPU time that was charged to threads so far; see [`Self::charge_cpu_time`].
    charged_ns: AtomicU64,
    /// CPU time that the platform last said was used.
    used_ns: AtomicU64,
}

impl Core {
    /// Runs one operation: `f` under the lock, then the platform is told, then everything is let go of.
    ///
    /// What `f` did before it failed is done.
    pub fn run<R, E: From<Errno>>(
        &self,
        f: impl FnOnce(&mut State, &mut Op<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut state = self.state.write();
        let mut op = Op::new(self);
        let result = f(&mut state, &mut op);
        let (told, trash) = op.commit();
        drop(state);
        drop(trash);
        let value = result?;
        told?;
        Ok(value)
    }

    pub fn observer(&self) -> Weak<dyn Invalidate> {
        self.this.clone()
    }
}

impl Invalidate for Core {
    fn invalidate(&self, object: &MappingSet, range: Range<u64>, copies: bool) {
        let identity = std::ptr::from_ref(object).addr();
        let done = self.run(|state, op| {
            let hit: Vec<Range<u64>> = state
                .areas
                .iter()
                .filter_map(|(r, area)| {
                    let object = area.object.as_ref().filter(|o| o.identity() == identity)?;
                    let _ = object;
                    let start = range.start.max(area.offset);
                    let end = range.end.min(area.offset + (r.end - r.start));
                    (start < end).then(|| r.start + (start - area.offset)..r.start + (end - area.offset))
                })
                .collect();
            for part in hit {
                for (run, pages) in clipped(&state.pages, &part) {
                    if copies || !pages.owned {
                        state.drop_pages(op, run);
                    }
                }
            }
            Ok::<_, Errno>(())
        });
        if let Err(e) = done {
            log::warn!("pages of a truncated object could not be unmapped: {e:?}");
        }
    }
}

impl AddressSpace {
    /// An empty address space over `platform`, whose user range is `range`.
    ///
    /// The platform is told of nothing before [`activate`](Self::activate) (or the first fault): what exec puts in is one batch.
    pub fn new(
        memory: Arc<MemoryFile>,
        platform: Arc<dyn platform::AddressSpace>,
        range: (u64, u64),
        vdso: Option<VdsoImage>,
        limits: Limits,
    ) -> Arc<Self> {
        let layout = Layout::new(range.0..range.1, limits.stack);
        let mut state = State::new(limits, layout);
        state.cold = true;
        Self::with_state(memory, platform, vdso, state)
    }

    fn with_state(
        memory: Arc<MemoryFile>,
        platform: Arc<dyn platform::AddressSpace>,
        vdso: Option<VdsoImage>,
        state: State,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let core = Arc::new_cyclic(|this| Core {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            this: this.clone(),
            memory,
            platform,
            vdso,
            state: RwLock::new(rank::MM, state),
        });
        let zero = || AtomicU64::new(0);
        Arc::new(Self { core, dumpable: AtomicU32::new(1), charged_ns: zero(), used_ns: zero() })
    }

    /// The platform's side.
    pub fn platform_space(&self) -> Arc<dyn platform::AddressSpace> {
        self.core.platform.clone()
    }

    /// Charges a thread's run of application code that took `wall_ns`: says how much of it was CPU time for which no thread was
    /// charged before.
    ///
    /// The platform knows what all threads together have used, and is asked only when they were charged for a little more than it
    /// said last time.
    pub fn charge_cpu_time(&self, wall_ns: u64) -> u64 {
        const TOLERANCE_NS: u64 = 500_000;
        let charged = self.charged_ns.load(Ordering::Relaxed);
        let mut due = wall_ns;
        if charged.saturating_add(wall_ns) > self.used_ns.load(Ordering::Relaxed).saturating_add(TOLERANCE_NS)
            && let Some(used) = self.core.platform.cpu_time_ns()
        {
            self.used_ns.store(used, Ordering::Relaxed);
            due = wall_ns.min(used.saturating_sub(charged));
        }
        self.charged_ns.fetch_add(due, Ordering::Relaxed);
        due
    }

    /// The memory file.
    pub fn memory(&self) -> &Arc<MemoryFile> {
        &self.core.memory
    }

    /// Exec: the program is about to run; everything that was put in is mapped.
    pub fn activate(&self) -> Result<(), Errno> {
        self.core.run(|state, op| {
            state.warm_up(op);
            Ok(())
        })
    }

    /// Unique among the address spaces of the sandbox, for all time.
    pub fn id(&self) -> u64 {
        self.core.id
    }

    /// The vDSO, if there is one.
    pub fn vdso(&self) -> Option<&VdsoImage> {
        self.core.vdso.as_ref()
    }

    /// `PR_GET_DUMPABLE`.
    pub fn dumpable(&self) -> u32 {
        self.dumpable.load(Ordering::Relaxed)
    }

    /// `PR_SET_DUMPABLE`, and what exec and changes of credentials make of it.
    pub fn set_dumpable(&self, value: u32) {
        self.dumpable.store(value, Ordering::Relaxed);
    }

    /// Resource limits changed (`prlimit(2)`).
    pub fn set_limits(&self, limits: Limits) {
        if self.core.state.read().limits == limits {
            return;
        }
        self.core.state.write().limits = limits;
    }

    /// A copy for a new process, over the empty `platform`. Private pages are shared until either side stores to them.
    ///
    /// The copy starts with nothing mapped: what a child touches before `execve` is little.
    pub fn fork(&self, platform: Arc<dyn platform::AddressSpace>) -> Result<Arc<AddressSpace>, Errno> {
        let core = &self.core;
        let child = core.run(|state, op| {
            let mut copy = State::new(state.limits, state.layout.clone());
            copy.info = state.info.clone();
            copy.scan_from = state.scan_from;
            copy.skipped = state.skipped;
            let child = Self::with_state(core.memory.clone(), platform, core.vdso.clone(), copy);
            let mut copy = child.core.state.write_nested();
            let areas: Vec<(Range<u64>, Area)> = state
                .areas
                .iter()
                .filter(|(_, a)| !a.flags.contains(AreaFlags::DONTFORK))
                .map(|(r, a)| (r, a.clone()))
                .collect();
            for (range, mut area) in areas {
                area.flags -= AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT;
                area.object = area.object.map(|o| o.for_other(child.core.observer()));
                if !area.flags.contains(AreaFlags::WIPEONFORK) {
                    let copied = &mut copy.pages;
                    let writable = area.access();
                    state.pages.update(range.clone(), |r, pages| {
                        let len = r.end - r.start;
                        match &pages.place {
                            Place::Memory(off) => core.memory.retain(*off..*off + len),
                            Place::Store(store, off) => store.retain(*off..*off + len),
                            Place::Host(..) => {}
                        }
                        if pages.owned {
                            pages.cow = true;
                            if let Some(now) = pages.mapped
                                && now.contains(Access::WRITE)
                            {
                                let target = writable - Access::WRITE;
                                op.protect(r.clone(), target);
                                pages.mapped = Some(target);
                            }
                        }
                        let mut theirs = pages.clone();
                        theirs.mapped = None;
                        copied.insert(r, theirs);
                    });
                }
                copy.insert_area(range, area);
            }
            copy.peak = copy.totals.all;
            drop(copy);
            Ok::<_, Errno>(child)
        })?;
        child.set_dumpable(self.dumpable());
        Ok(child)
    }

    /// Makes the page of a fault present, growing a stack if need be.
    pub fn handle_fault(&self, addr: u64, access: Access) -> Result<(), FaultError> {
        self.core.run(|state, op| state.fault(op, addr, access))
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let mut state = self.core.state.write();
        let mut op = Op::new(&self.core);
        let all = 0..u64::MAX;
        state.unmap(&mut op, all);
        let exe = state.info.exe.take();
        // Nothing runs here any more; what the platform still maps goes with the space itself.
        let trash = op.commit_dead();
        drop(state);
        drop(trash);
        drop(exe);
    }
}
