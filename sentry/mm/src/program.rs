//! What exec puts beside the program's segments: heap and stack; `brk(2)`.

use crate::{
    AddressSpace,
    area::{Area, AreaFlags},
};
use abi::{Errno, Prot};
use mem::{PAGE_SIZE, page_down, page_up};

impl AddressSpace {
    /// `brk(2)`: the end of the heap afterwards, which is `addr` or, if that cannot be, the old one.
    pub fn brk(&self, addr: u64) -> u64 {
        let done = self.core.run(|state, op| {
            let old = state.layout.brk;
            if addr < state.layout.start_brk || addr > state.layout.range.end {
                return Err(Errno::ENOMEM);
            }
            let info = &state.info;
            let heap =
                (addr - state.layout.start_brk).saturating_add(info.end_data.saturating_sub(info.start_data));
            if heap > state.limits.data {
                return Err(Errno::ENOMEM);
            }
            let from = page_up(old).ok_or(Errno::ENOMEM)?;
            let to = page_up(addr).ok_or(Errno::ENOMEM)?;
            if to < from {
                state.check_unsealed(&(to..from))?;
                state.unmap(op, to..from);
            } else if to > from {
                let area = Area::anonymous(Prot::READ | Prot::WRITE, state.lock_future);
                if state.areas.overlapping(from..to + PAGE_SIZE).next().is_some()
                    || !state.is_free(&(from..to))
                {
                    return Err(Errno::ENOMEM);
                }
                state.check_limits(&area, to - from, 0)?;
                if area.locked() {
                    state.check_lock_limit(to - from)?;
                }
                state.layout.brk = addr;
                state.insert_area(from..to, area);
                if let Err(e) = state.prefault(op, from..to) {
                    state.unmap(op, from..to);
                    state.layout.brk = old;
                    return Err(e);
                }
            }
            state.layout.brk = addr;
            Ok(())
        });
        let _ = done;
        self.core.state.read().layout.brk
    }

    /// Exec: the heap starts, empty, at `addr`.
    pub fn set_brk_start(&self, addr: u64) {
        let mut state = self.core.state.write();
        state.layout.start_brk = addr;
        state.layout.brk = addr;
    }

    /// Exec: makes the stack, `size` bytes to begin with; its end. `ENOMEM`.
    pub fn create_stack(&self, size: u64, executable: bool) -> Result<u64, Errno> {
        let size = page_up(size).ok_or(Errno::ENOMEM)?;
        let mut prot = Prot::READ | Prot::WRITE;
        prot.set(Prot::EXEC, executable);
        self.core.run(|state, op| {
            let top = page_down(state.layout.stack_top);
            let range = top.checked_sub(size).ok_or(Errno::ENOMEM)?..top;
            let area = Area::anonymous(prot, AreaFlags::GROWSDOWN);
            state.check_limits(&area, size, 0)?;
            state.insert_area(range.clone(), area);
            state.info.start_stack = top;
            state.prefault(op, range)?;
            Ok(top)
        })
    }

    /// Exec: where to load a position-independent program of `len` bytes.
    pub fn pie_base(&self, len: u64) -> Result<u64, Errno> {
        let mut state = self.core.state.write();
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        let base = state.layout.pie_base;
        let end = base.checked_add(len).ok_or(Errno::ENOMEM)?;
        if end <= state.layout.range.end && state.is_free(&(base..end)) {
            Ok(base)
        } else {
            state.find_room(len)
        }
    }

    /// Exec: where the heap is to start for a program that ends at `end`: a random way behind it.
    pub fn random_brk(&self, end: u64) -> u64 {
        let away = host::random::u64().unwrap_or(0) % (32 << 20);
        page_up(end.saturating_add(away)).unwrap_or(end)
    }
}
