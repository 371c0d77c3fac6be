//! `madvise(2)`.

use crate::{
    AddressSpace, MemoryObject,
    area::{Area, AreaFlags, Mapped, Place},
    op::{Op, clipped},
    state::State,
};
use abi::{Errno, Prot, mman::*};
use mem::{PAGE_SIZE, page_up, range_map::Split};
use std::{ops::Range, sync::Arc};

/// `FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE`.
const PUNCH: u32 = 3;

/// What a piece of advice comes to for an area.
enum Step {
    Nothing,
    Flags { set: AreaFlags, clear: AreaFlags },
    Discard,
}

fn flags(set: AreaFlags, clear: AreaFlags) -> Result<Step, Errno> {
    Ok(Step::Flags { set, clear })
}

/// What `advice` means for `area`, or why it cannot be had.
fn step(advice: i32, area: &Area) -> Result<Step, Errno> {
    let none = AreaFlags::empty();
    // What would lose contents that the application itself cannot write to.
    if matches!(advice, MADV_FREE | MADV_DONTNEED | MADV_DONTNEED_LOCKED | MADV_DONTFORK | MADV_WIPEONFORK)
        && area.sealed()
        && area.is_private_anonymous()
        && !area.prot.contains(Prot::WRITE)
    {
        return Err(Errno::EPERM);
    }
    match advice {
        MADV_NORMAL => flags(none, AreaFlags::RANDOM | AreaFlags::SEQUENTIAL),
        MADV_RANDOM => flags(AreaFlags::RANDOM, AreaFlags::SEQUENTIAL),
        MADV_SEQUENTIAL => flags(AreaFlags::SEQUENTIAL, AreaFlags::RANDOM),
        MADV_DONTFORK => flags(AreaFlags::DONTFORK, none),
        MADV_DOFORK => flags(none, AreaFlags::DONTFORK),
        MADV_WIPEONFORK if !area.is_private_anonymous() => Err(Errno::EINVAL),
        MADV_WIPEONFORK => flags(AreaFlags::WIPEONFORK, none),
        MADV_KEEPONFORK => flags(none, AreaFlags::WIPEONFORK),
        MADV_DONTDUMP => flags(AreaFlags::DONTDUMP, none),
        MADV_DODUMP => flags(none, AreaFlags::DONTDUMP),
        MADV_MERGEABLE => flags(AreaFlags::MERGEABLE, none),
        MADV_UNMERGEABLE => flags(none, AreaFlags::MERGEABLE),
        MADV_HUGEPAGE => flags(AreaFlags::HUGEPAGE, AreaFlags::NOHUGEPAGE),
        MADV_NOHUGEPAGE => flags(AreaFlags::NOHUGEPAGE, AreaFlags::HUGEPAGE),
        MADV_COLD | MADV_PAGEOUT | MADV_DONTNEED | MADV_FREE if area.locked() => Err(Errno::EINVAL),
        MADV_FREE if !area.is_private_anonymous() => Err(Errno::EINVAL),
        MADV_DONTNEED | MADV_DONTNEED_LOCKED | MADV_FREE => Ok(Step::Discard),
        // Reading ahead, ageing and paging out are the host's business.
        _ => Ok(Step::Nothing),
    }
}

impl AddressSpace {
    /// `madvise(2)`.
    pub fn madvise(&self, addr: u64, len: u64, advice: i32) -> Result<(), Errno> {
        match advice {
            MADV_NORMAL..=MADV_DONTNEED | MADV_FREE..=MADV_DONTNEED_LOCKED => {}
            // Pages cannot be poisoned, as without CONFIG_MEMORY_FAILURE. There are no huge pages to collapse into.
            _ => return Err(Errno::EINVAL),
        }
        if !addr.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let end = page_up(len).and_then(|l| addr.checked_add(l)).ok_or(Errno::EINVAL)?;
        if addr == end {
            return Ok(());
        }
        let range = addr..end;
        match advice {
            MADV_REMOVE => self.remove(range),
            MADV_POPULATE_READ | MADV_POPULATE_WRITE => {
                if self.core.state.read().covered(&range) < end - addr {
                    return Err(Errno::ENOMEM);
                }
                self.populate(range, Some(advice == MADV_POPULATE_WRITE))
            }
            _ => self.core.run(|state, op| {
                let mut result = Ok(());
                let mut at = range.start;
                for (r, area) in clipped(&state.areas, &range) {
                    if r.start > at {
                        // The rest is advised of all the same.
                        result = Err(Errno::ENOMEM);
                    }
                    at = r.end;
                    let step = step(advice, &area);
                    match step? {
                        Step::Nothing => {}
                        Step::Flags { set, clear } => {
                            state.update_areas(r, |a| a.flags = (a.flags - clear) | set);
                        }
                        Step::Discard => state.discard(op, r, &area),
                    }
                    op.discard_area(area);
                }
                if at < range.end { Err(Errno::ENOMEM) } else { result }
            }),
        }
    }

    /// `MADV_REMOVE`: a hole in what is mapped.
    fn remove(&self, range: Range<u64>) -> Result<(), Errno> {
        enum Target {
            File(Arc<Mapped>),
            Memory(Arc<MemoryObject>),
        }
        let mut targets = Vec::new();
        let mut result = Ok(());
        {
            let state = self.core.state.read();
            if state.covered(&range) < range.end - range.start {
                result = Err(Errno::ENOMEM);
            }
            for (r, area) in clipped(&state.areas, &range) {
                if area.locked() {
                    result = Err(Errno::EINVAL);
                    break;
                }
                let Some(object) = &area.object else {
                    result = Err(Errno::EINVAL);
                    break;
                };
                if !area.shared() || !area.max.contains(Prot::WRITE) {
                    result = Err(Errno::EACCES);
                    break;
                }
                let part = area.offset..area.offset + (r.end - r.start);
                let target = match &object.memory {
                    Some(memory) => Target::Memory(memory.clone()),
                    None => Target::File(object.clone()),
                };
                targets.push((target, part));
            }
        }
        // Files are called, and let go of, without the lock.
        for (target, part) in targets {
            match target {
                Target::Memory(object) => object.punch_hole(part),
                Target::File(mapped) => {
                    let file = mapped.file.as_ref().ok_or(Errno::EINVAL)?;
                    file.ops().fallocate(file, PUNCH, part.start, part.end - part.start)?;
                }
            }
        }
        result
    }
}

impl State {
    /// Makes the private pages of `range` in `area` what they were before they were stored to.
    fn discard(&mut self, op: &mut Op<'_>, range: Range<u64>, area: &Area) {
        for (run, pages) in clipped(&self.pages, &range) {
            if !pages.owned {
                continue;
            }
            let mut at = run.start;
            while at < run.end {
                let Place::Memory(off) = pages.advanced(at - run.start).place else { break };
                let rest = run.end - at;
                let (sole, n) =
                    if pages.cow { op.core.memory.sole_prefix(off..off + rest) } else { (true, rest) };
                if sole && area.is_private_anonymous() {
                    // A hole reads as zeros wherever it is mapped: the platform need not know.
                    op.core.memory.discard(off..off + n);
                } else {
                    self.drop_pages(op, at..at + n);
                }
                at += n;
            }
        }
    }
}
