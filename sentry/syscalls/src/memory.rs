//! Memory: `mmap(2)` and its family. The rules are `mm`'s; this takes arguments apart.

use crate::{
    arg::{Arg, show_flags},
    row::Row,
    rows,
};
use abi::{Errno, MapFlags, Prot, mman::*, process::MountFlags};
use kernel::{SysResult, Task};
use mem::{PAGE_SIZE, UserAddr, UserMemoryExt, UserPtr, page_up};
use mm::{AddressSpace, MapRequest, MapSource};
use std::sync::Arc;
use vfs::Fd;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now MMAP = mmap as (u64, u64, Prot, MapFlags, Fd, u64) partial "no huge pages: MAP_HUGETLB is ENOMEM";
    now MUNMAP = munmap as (u64, u64);
    now MPROTECT = mprotect as (u64, u64, Prot);
    now PKEY_MPROTECT = pkey_mprotect as (u64, u64, Prot, i32) partial "no protection keys: only key -1";
    now PKEY_ALLOC = pkey_alloc as (u32, u32) partial "no protection keys: ENOSPC";
    now PKEY_FREE = pkey_free as (i32) partial "no protection keys: EINVAL";
    now MREMAP = mremap as (u64, u64, u64, MremapFlags, u64);
    now BRK = brk as (u64);
    now MADVISE = madvise as (u64, u64, i32) partial "advice about huge pages, merging and ageing is taken and has no effect";
    now REMAP_FILE_PAGES = remap_file_pages as (u64, u64, u64, u64, MapFlags);
    now MSEAL = mseal as (u64, u64, u64);
    now CACHESTAT = cachestat as (Fd, UserPtr<[u64; 2]>, UserPtr<[u64; 5]>, u32)
        partial "data that a file has count as cached";
    now SET_MEMPOLICY_HOME_NODE = set_mempolicy_home_node as (u64, u64, u64, u64)
        partial "no ranges have policies: ENOENT";
    now MSYNC = msync as (u64, u64, MsyncFlags);
    now MINCORE = mincore as (u64, u64, UserAddr) partial "mapped pages of host files count as resident";
    now MLOCK = mlock as (u64, u64);
    now MLOCK2 = mlock2 as (u64, u64, MlockFlags);
    now MUNLOCK = munlock as (u64, u64);
    now MLOCKALL = mlockall as (MlockallFlags);
    now MUNLOCKALL = munlockall as ();
    now MBIND = mbind as (u64, u64, u32, UserAddr, u64, u32) partial "one node: policies are checked and have no effect";
    now SET_MEMPOLICY = set_mempolicy as (u32, UserAddr, u64) partial "one node: policies are checked and have no effect";
    now GET_MEMPOLICY = get_mempolicy as (UserPtr<u32>, UserAddr, u64, u64, u32) partial "one node: always MPOL_DEFAULT";
};

macro_rules! flag_args {
    ($($t:ty: $bits:ident),*) => { $(impl Arg for $t {
        fn from_raw(raw: u64) -> Result<Self, Errno> { flag_args!(@$bits raw as u32) }
        fn show(raw: u64, _: &Task) -> String { show_flags::<$t>(raw) }
    })* };
    (@keep $raw:expr) => { Ok(Self::from_bits_retain($raw)) };
    (@refuse $raw:expr) => { Self::from_bits($raw).ok_or(Errno::EINVAL) };
}
flag_args!(Prot: keep, MapFlags: keep, MremapFlags: keep, MsyncFlags: keep, MlockFlags: refuse, MlockallFlags: refuse);

/// The caller's memory, knowing the limits of now.
fn space(task: &Arc<Task>) -> Result<Arc<AddressSpace>, Errno> {
    let mm = task.mm()?;
    mm.set_limits(task.mm_limits());
    Ok(mm)
}

fn mmap(
    task: &Arc<Task>,
    addr: u64,
    len: u64,
    prot: Prot,
    flags: MapFlags,
    fd: Fd,
    offset: u64,
) -> SysResult<u64> {
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let source = if flags.contains(MapFlags::ANONYMOUS) {
        MapSource::Anonymous
    } else {
        let file = task.file(fd)?;
        let noexec = file.path().mount().flags().contains(MountFlags::NOEXEC);
        MapSource::File { file, offset, noexec }
    };
    Ok(space(task)?.mmap(&MapRequest { addr, len, prot, flags, source })?)
}

fn munmap(task: &Arc<Task>, addr: u64, len: u64) -> SysResult<()> {
    Ok(task.mm()?.munmap(addr, len)?)
}

fn mprotect(task: &Arc<Task>, addr: u64, len: u64, prot: Prot) -> SysResult<()> {
    Ok(space(task)?.mprotect(addr, len, prot)?)
}

fn pkey_mprotect(task: &Arc<Task>, addr: u64, len: u64, prot: Prot, key: i32) -> SysResult<()> {
    // As on a CPU without protection keys: 0 is no key that was allocated either.
    if key != -1 { Err(Errno::EINVAL.into()) } else { mprotect(task, addr, len, prot) }
}

fn pkey_alloc(_: &Arc<Task>, flags: u32, rights: u32) -> SysResult<u64> {
    let known = PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE;
    let wrong = flags != 0 || rights & !known != 0;
    Err(if wrong { Errno::EINVAL } else { Errno::ENOSPC }.into())
}

fn pkey_free(_: &Arc<Task>, _key: i32) -> SysResult<()> {
    Err(Errno::EINVAL.into())
}

fn mremap(
    task: &Arc<Task>,
    old_addr: u64,
    old_len: u64,
    new_len: u64,
    flags: MremapFlags,
    new_addr: u64,
) -> SysResult<u64> {
    Ok(space(task)?.mremap(old_addr, old_len, new_len, flags, new_addr)?)
}

fn brk(task: &Arc<Task>, addr: u64) -> SysResult<u64> {
    Ok(space(task)?.brk(addr))
}

fn madvise(task: &Arc<Task>, addr: u64, len: u64, advice: i32) -> SysResult<()> {
    Ok(task.mm()?.madvise(addr, len, advice)?)
}

fn msync(task: &Arc<Task>, addr: u64, len: u64, flags: MsyncFlags) -> SysResult<()> {
    Ok(task.mm()?.msync(addr, len, flags)?)
}

fn mincore(task: &Arc<Task>, addr: u64, len: u64, vec: UserAddr) -> SysResult<()> {
    const STEP: u64 = 16 << 20;
    let mm = task.mm()?;
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let end = page_up(len).and_then(|l| addr.checked_add(l)).ok_or(Errno::ENOMEM)?;
    let (mut at, mut out) = (addr, vec);
    while at < end {
        let n = (end - at).min(STEP);
        let resident = mm.mincore(at, n)?;
        mm.copy_out(out, &resident)?;
        out = out.add(resident.len() as u64)?;
        at += n;
    }
    Ok(())
}

fn mlock(task: &Arc<Task>, addr: u64, len: u64) -> SysResult<()> {
    mlock2(task, addr, len, MlockFlags::empty())
}

fn mlock2(task: &Arc<Task>, addr: u64, len: u64, flags: MlockFlags) -> SysResult<()> {
    Ok(space(task)?.mlock(addr, len, flags)?)
}

fn munlock(task: &Arc<Task>, addr: u64, len: u64) -> SysResult<()> {
    Ok(task.mm()?.munlock(addr, len)?)
}

fn mlockall(task: &Arc<Task>, flags: MlockallFlags) -> SysResult<()> {
    Ok(space(task)?.mlockall(flags)?)
}

fn munlockall(task: &Arc<Task>) -> SysResult<()> {
    task.mm()?.munlockall();
    Ok(())
}

/// The nodes of a policy's mask: there is only node 0. `EINVAL` for others, or where the mode and they do not fit.
fn check_policy(mm: &AddressSpace, mode: u32, mask: UserAddr, max: u64) -> Result<(), Errno> {
    let flags = mode & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING);
    let mode = mode & !flags;
    if mode > MPOL_PREFERRED_MANY || flags == MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES {
        return Err(Errno::EINVAL);
    }
    let mut nodes = 0;
    // Linux takes one bit less than it is told of.
    let bits = max.saturating_sub(1);
    if !mask.is_null() && bits > 0 {
        if bits > PAGE_SIZE * 8 {
            return Err(Errno::EINVAL);
        }
        for word in 0..bits.div_ceil(64) {
            let mut value = UserPtr::<u64>::from(mask.0).at(word as usize)?.read(mm)?;
            let left = bits - word * 64;
            if left < 64 {
                value &= (1 << left) - 1;
            }
            if value & !u64::from(word == 0) != 0 {
                return Err(Errno::EINVAL);
            }
            nodes |= value;
        }
    }
    match mode {
        MPOL_DEFAULT | MPOL_LOCAL if nodes != 0 => Err(Errno::EINVAL),
        MPOL_BIND | MPOL_INTERLEAVE | MPOL_PREFERRED_MANY if nodes == 0 => Err(Errno::EINVAL),
        _ => Ok(()),
    }
}

fn mbind(
    task: &Arc<Task>,
    addr: u64,
    len: u64,
    mode: u32,
    mask: UserAddr,
    max: u64,
    flags: u32,
) -> SysResult<()> {
    let known = MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL;
    if flags & !known != 0 || !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm()?;
    check_policy(&mm, mode, mask, max)?;
    let end = page_up(len).and_then(|l| addr.checked_add(l)).ok_or(Errno::EINVAL)?;
    if addr < end && !mm.is_mapped(addr) {
        return Err(Errno::EFAULT.into());
    }
    Ok(())
}

fn set_mempolicy(task: &Arc<Task>, mode: u32, mask: UserAddr, max: u64) -> SysResult<()> {
    Ok(check_policy(&*task.mm()?, mode, mask, max)?)
}

fn get_mempolicy(
    task: &Arc<Task>,
    mode: UserPtr<u32>,
    mask: UserAddr,
    max: u64,
    addr: u64,
    flags: u32,
) -> SysResult<()> {
    let mm = task.mm()?;
    let allowed = flags & MPOL_F_MEMS_ALLOWED != 0;
    if flags & !(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED) != 0
        || (allowed && flags != MPOL_F_MEMS_ALLOWED)
        || (flags & MPOL_F_ADDR == 0 && addr != 0)
        || (flags == MPOL_F_NODE)
        || (!mask.is_null() && max == 0)
    {
        return Err(Errno::EINVAL.into());
    }
    if flags & MPOL_F_ADDR != 0 && !mm.is_mapped(addr) {
        return Err(Errno::EFAULT.into());
    }
    // MPOL_DEFAULT and node 0 are the same number.
    if !allowed {
        mode.write_opt(&*mm, &0)?;
    }
    if !mask.is_null() {
        let bytes = usize::try_from(max.div_ceil(64).saturating_mul(8)).unwrap_or(usize::MAX);
        if bytes > PAGE_SIZE as usize {
            return Err(Errno::EINVAL.into());
        }
        mm.zero(mask, bytes)?;
        if allowed {
            mm.copy_out(mask, &[1])?;
        }
    }
    Ok(())
}

/// Pages of shared mappings in another order: emulated by mapping them again, as Linux does since 4.0.
fn remap_file_pages(
    task: &Arc<Task>,
    start: u64,
    len: u64,
    prot: u64,
    page: u64,
    flags: MapFlags,
) -> SysResult<()> {
    if prot != 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(space(task)?.remap_file_pages(start, len, page, flags.contains(MapFlags::NONBLOCK))?)
}

fn mseal(task: &Arc<Task>, addr: u64, len: u64, flags: u64) -> SysResult<()> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(task.mm()?.seal(addr, len)?)
}

/// `struct cachestat_range` is offset and length, `struct cachestat` pages: cached, dirty, under writeback, evicted, evicted
/// recently.
fn cachestat(
    task: &Arc<Task>,
    fd: Fd,
    range: UserPtr<[u64; 2]>,
    out: UserPtr<[u64; 5]>,
    flags: u32,
) -> SysResult<()> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    let mm = task.mm()?;
    let [offset, len] = range.read(&*mm)?;
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let size = file.inode().attr()?.size;
    let wanted = if len == 0 { u64::MAX } else { offset.saturating_add(len) };
    let end = wanted.min(page_up(size).unwrap_or(u64::MAX));
    let (mut pages, mut at) = (0u64, mem::page_down(offset));
    while at < end && file.ops().seekable() {
        let Ok(data) = file.ops().next_extent(&file, at, true) else { break };
        let hole = file.ops().next_extent(&file, data, false).unwrap_or(end);
        let (from, to) = (mem::page_down(data).max(at), page_up(hole).unwrap_or(end).min(end));
        pages += to.saturating_sub(from) / PAGE_SIZE;
        at = to.max(at + PAGE_SIZE);
    }
    let in_memory = file.path().mount().fs.name() == "tmpfs";
    Ok(out.write(&*mm, &[pages, if in_memory { pages } else { 0 }, 0, 0, 0])?)
}

fn set_mempolicy_home_node(_: &Arc<Task>, start: u64, len: u64, node: u64, flags: u64) -> SysResult<()> {
    if !start.is_multiple_of(PAGE_SIZE) || flags != 0 || node != 0 {
        return Err(Errno::EINVAL.into());
    }
    let end = page_up(len).and_then(|len| start.checked_add(len)).ok_or(Errno::EINVAL)?;
    if end == start { Ok(()) } else { Err(Errno::ENOENT.into()) }
}
