//! What `/proc` and `prctl(2)` tell about an address space.

use crate::{
    AddressSpace,
    area::{Area, AreaFlags, Pages, Place},
    op::clipped,
    state::State,
};
use abi::{Errno, Prot};
use mem::{MemoryFile, page_up};
use std::{ops::Range, sync::Arc};
use vfs::File;

/// Where the parts of the program are, as exec or `PR_SET_MM` said.
#[derive(Clone, Default)]
#[allow(missing_docs, reason = "fields of Linux's mm_struct")]
pub struct MmInfo {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    /// The auxiliary vector as it was put on the stack.
    pub auxv: Vec<u8>,
    /// The program (`/proc/pid/exe`).
    pub exe: Option<Arc<File>>,
}

/// A line of `/proc/pid/maps`.
#[derive(Clone)]
pub struct MapsEntry {
    /// Addresses.
    pub range: Range<u64>,
    /// `rwx`.
    pub prot: Prot,
    /// What `mprotect` could make of it.
    pub max_prot: Prot,
    /// Shared, flags and advice.
    pub flags: AreaFlags,
    /// Offset in the object; 0 without one.
    pub offset: u64,
    /// The file, whose path and inode are shown.
    pub file: Option<Arc<File>>,
    /// What is shown where there is no file: `[heap]`, `[stack]`, `[vdso]`, `[anon:name]` and the like; empty for nothing.
    pub name: String,
}

/// Memory that an area takes, in bytes (`smaps`).
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Pages in memory.
    pub resident: u64,
    /// Each page divided by how many have it; estimated as half for those that a fork shares.
    pub proportional: u64,
    /// In memory, and others' too.
    pub shared: u64,
    /// In memory, and of this address space alone.
    pub private: u64,
    /// In memory and anonymous.
    pub anonymous: u64,
}

/// Figures for `/proc/pid/status`, `statm` and `stat`, in bytes.
#[derive(Clone, Copy, Default, Debug)]
#[allow(missing_docs, reason = "named as in proc(5)")]
pub struct Sizes {
    pub vm_size: u64,
    pub vm_peak: u64,
    pub vm_data: u64,
    pub vm_stack: u64,
    pub vm_exec: u64,
    pub vm_lib: u64,
    pub vm_locked: u64,
    pub rss_anon: u64,
    pub rss_file: u64,
    pub rss_shmem: u64,
    pub vm_hwm: u64,
    pub vm_pte: u64,
    pub map_count: usize,
}

impl Sizes {
    /// `VmRSS`.
    pub fn rss(&self) -> u64 {
        self.rss_anon + self.rss_file + self.rss_shmem
    }
}

fn usage(memory: &MemoryFile, state: &State, range: &Range<u64>) -> Usage {
    let mut usage = Usage::default();
    for (run, pages) in clipped(&state.pages, range) {
        let resident = resident(memory, &run, &pages);
        let shared = !pages.owned || pages.cow;
        usage.resident += resident;
        usage.proportional += if shared { resident / 2 } else { resident };
        *(if shared { &mut usage.shared } else { &mut usage.private }) += resident;
        if pages.owned {
            usage.anonymous += resident;
        }
    }
    usage
}

fn resident(memory: &MemoryFile, run: &Range<u64>, pages: &Pages) -> u64 {
    match pages.place {
        Place::Memory(off) => memory.resident_in(off..off + (run.end - run.start)),
        // The host does not say which of the file's pages it holds; what was never mapped counts as absent.
        Place::Store(..) | Place::Host(..) if pages.mapped.is_some() => run.end - run.start,
        Place::Store(..) | Place::Host(..) => 0,
    }
}

impl State {
    fn name(&self, range: &Range<u64>, area: &Area) -> String {
        if let Some(object) = &area.object {
            if let Some(name) = &area.name {
                return format!("[anon_shmem:{name}]");
            }
            return object.name.as_deref().unwrap_or_default().to_owned();
        }
        let brk = page_up(self.layout.brk).unwrap_or(self.layout.brk);
        if range.start < brk && range.end > self.layout.start_brk && self.layout.start_brk != 0 {
            return "[heap]".to_owned();
        }
        let stack = self.info.start_stack;
        if range.start < stack && stack <= range.end {
            return "[stack]".to_owned();
        }
        area.name.as_ref().map(|n| format!("[anon:{n}]")).unwrap_or_default()
    }

    fn entry(&self, range: Range<u64>, area: &Area) -> MapsEntry {
        MapsEntry {
            prot: area.prot,
            max_prot: area.max,
            flags: area.flags,
            offset: area.offset,
            file: area.object.as_ref().and_then(|o| o.file.clone()),
            name: self.name(&range, area),
            range,
        }
    }
}

impl AddressSpace {
    /// The lines of `/proc/pid/maps`, ascending. The files in them are to be let go of without locks.
    pub fn maps(&self) -> Vec<MapsEntry> {
        self.list(|_, _| ()).into_iter().map(|(e, ())| e).collect()
    }

    /// The same with what each takes (`/proc/pid/smaps`).
    pub fn smaps(&self) -> Vec<(MapsEntry, Usage)> {
        self.list(|state, range| usage(&self.core.memory, state, range))
    }

    fn list<T>(&self, more: impl Fn(&State, &Range<u64>) -> T) -> Vec<(MapsEntry, T)> {
        let state = self.core.state.read();
        let mut list: Vec<_> = state
            .areas
            .iter()
            .map(|(r, area)| {
                let more = more(&state, &r);
                (state.entry(r, area), more)
            })
            .collect();
        if let Some(vdso) = &self.core.vdso {
            let entry = |range: Range<u64>, prot, name: &str| {
                let more = more(&state, &range);
                let (flags, max_prot) = (AreaFlags::empty(), Prot::READ | Prot::EXEC);
                (
                    MapsEntry { range, prot, max_prot, flags, offset: 0, file: None, name: name.to_owned() },
                    more,
                )
            };
            if vdso.range.start < vdso.base {
                list.push(entry(vdso.range.start..vdso.base, Prot::READ, "[vvar]"));
            }
            list.push(entry(vdso.base..vdso.range.end, Prot::READ | Prot::EXEC, "[vdso]"));
            list.sort_by_key(|(e, _)| e.range.start);
        }
        list
    }

    /// The figures of `/proc/pid/status`.
    pub fn sizes(&self) -> Sizes {
        let mut sizes = Sizes::default();
        {
            let state = self.core.state.read();
            let totals = state.totals;
            sizes.vm_size = totals.all;
            sizes.vm_peak = state.peak.max(totals.all);
            sizes.vm_data = totals.data;
            sizes.vm_stack = totals.stack;
            let text = page_up(state.info.end_code)
                .unwrap_or(0)
                .saturating_sub(mem::page_down(state.info.start_code));
            sizes.vm_exec = text.min(totals.exec);
            sizes.vm_lib = totals.exec - sizes.vm_exec;
            sizes.vm_locked = totals.locked;
            sizes.map_count = state.areas.len();
            for (run, pages) in state.pages.iter() {
                let bytes = resident(&self.core.memory, &run, pages);
                *(match (&pages.place, pages.owned) {
                    (_, true) => &mut sizes.rss_anon,
                    (Place::Memory(_), false) => &mut sizes.rss_shmem,
                    (Place::Store(..) | Place::Host(..), false) => &mut sizes.rss_file,
                }) += bytes;
            }
            // A page of the table for each two mebibytes, and a few above.
            sizes.vm_pte = sizes.rss().div_ceil(2 << 20) * mem::PAGE_SIZE + 4 * mem::PAGE_SIZE;
            sizes.vm_hwm = state.high_water.max(sizes.rss());
        }
        let mut state = self.core.state.write();
        state.high_water = state.high_water.max(sizes.vm_hwm);
        sizes
    }

    /// Where the parts of the program are.
    pub fn info(&self) -> MmInfo {
        self.core.state.read().info.clone()
    }

    /// Changes what [`info`](Self::info) says, but for the program file.
    pub fn update_info(&self, change: impl FnOnce(&mut MmInfo)) {
        let mut state = self.core.state.write();
        let exe = state.info.exe.clone();
        change(&mut state.info);
        let given = std::mem::replace(&mut state.info.exe, exe);
        drop(state);
        drop(given);
    }

    /// Sets the program file (exec, `PR_SET_MM_EXE_FILE`).
    pub fn set_exe(&self, exe: Option<Arc<File>>) {
        let old = std::mem::replace(&mut self.core.state.write().info.exe, exe);
        drop(old);
    }

    /// The program file.
    pub fn exe(&self) -> Option<Arc<File>> {
        self.core.state.read().info.exe.clone()
    }

    /// Start and end of the heap (`/proc/pid/stat`, `PR_SET_MM_MAP`).
    pub fn heap(&self) -> Range<u64> {
        let state = self.core.state.read();
        state.layout.start_brk..state.layout.brk
    }

    /// Bytes of areas that are there (`VmSize`), without counting pages.
    pub fn vm_size(&self) -> u64 {
        self.core.state.read().totals.all
    }

    /// Whether anything is mapped at `addr`.
    pub fn is_mapped(&self, addr: u64) -> bool {
        self.core.state.read().areas.get(addr).is_some()
    }

    /// `PR_SET_VMA_ANON_NAME`: names the anonymous areas of a range; `None` takes the name away.
    /// `EBADF` for areas with a file, `ENOMEM` for holes.
    pub fn set_anon_name(&self, addr: u64, len: u64, name: Option<&str>) -> Result<(), Errno> {
        if !addr.is_multiple_of(mem::PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let end = page_up(len).and_then(|l| addr.checked_add(l)).ok_or(Errno::EINVAL)?;
        let name: Option<Arc<str>> = name.map(Arc::from);
        let mut state = self.core.state.write();
        let whole = state.covered(&(addr..end)) == end - addr;
        if state
            .areas
            .overlapping(addr..end)
            .any(|(_, a)| a.object.as_ref().is_some_and(|o| o.file.is_some()))
        {
            return Err(Errno::EBADF);
        }
        state.update_areas(addr..end, |a| a.name = name.clone());
        if whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}
