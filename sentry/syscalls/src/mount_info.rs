//! What is mounted: `statmount(2)`, `listmount(2)`.

use crate::{row::Row, rows};
use abi::{Errno, limits::PAGE_SIZE, process::*};
use kernel::{SysResult, Task};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;
use vfs::{MountNamespace, mount::show};
use zerocopy::IntoBytes;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now STATMOUNT = statmount as (UserAddr, UserAddr, usize, u32);
    now LISTMOUNT = listmount as (UserAddr, UserPtr<u64>, usize, u32);
};

/// The most ids of one `listmount(2)`.
const LIST_MAX: usize = 1_000_000;

/// A request, whose size tells its version.
fn request(task: &Task, at: UserAddr) -> Result<MntIdReq, Errno> {
    let mm = task.mm()?;
    let size: u32 = UserPtr::from(at.0).read(&*mm)?;
    if u64::from(size) > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    if size < MNT_ID_REQ_SIZE_VER0 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; (size as usize).max(MntIdReq::SIZE)];
    mm.copy_in(at, bytes.get_mut(..size as usize).unwrap_or_default())?;
    if bytes.iter().skip(MntIdReq::SIZE).any(|b| *b != 0) {
        return Err(Errno::E2BIG);
    }
    let known = bytes.get(..MntIdReq::SIZE).unwrap_or_default();
    let request = <MntIdReq as zerocopy::FromBytes>::read_from_bytes(known).map_err(|_| Errno::EINVAL)?;
    if request.spare != 0 || request.mnt_id <= show::UNIQUE_ID_OFFSET {
        return Err(Errno::EINVAL);
    }
    Ok(request)
}

/// The namespace that a request is about: the caller's, or another that one of its processes is in. `ENOENT`.
fn namespace(task: &Task, id: u64) -> Result<Arc<MountNamespace>, Errno> {
    let own = task.namespaces().mount.clone();
    if id == 0 || id == own.id {
        return Ok(own);
    }
    let others = task.kernel.tasks();
    let found = others.iter().map(|t| t.namespaces().mount.clone()).find(|ns| ns.id == id);
    let found = found.ok_or(Errno::ENOENT)?;
    if task.cred().has_cap_in(&found.user_ns, Cap::SYS_ADMIN) { Ok(found) } else { Err(Errno::ENOENT) }
}

fn statmount(task: &Arc<Task>, req: UserAddr, out: UserAddr, room: usize, flags: u32) -> SysResult<()> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let request = request(task, req)?;
    let ns = namespace(task, request.mnt_ns_id)?;
    let admin = task.cred().has_cap_in(&ns.user_ns, Cap::SYS_ADMIN);
    let (answer, strings) = show::statmount(&ns, &task.fs().root(), request.mnt_id, request.param, admin)?;
    let mm = task.mm()?;
    if !strings.is_empty() && room < Statmount::SIZE + strings.len() {
        return Err(Errno::EOVERFLOW.into());
    }
    let head = answer.as_bytes();
    mm.copy_out(out, head.get(..room.min(head.len())).unwrap_or_default())?;
    if !strings.is_empty() {
        mm.copy_out(out.add(Statmount::SIZE as u64)?, &strings)?;
    }
    Ok(())
}

fn listmount(task: &Arc<Task>, req: UserAddr, ids: UserPtr<u64>, count: usize, flags: u32) -> SysResult<u64> {
    if flags & !LISTMOUNT_REVERSE != 0 {
        return Err(Errno::EINVAL.into());
    }
    if count > LIST_MAX {
        return Err(Errno::EOVERFLOW.into());
    }
    let request = request(task, req)?;
    let last = request.param;
    if last != 0 && last <= show::UNIQUE_ID_OFFSET {
        return Err(Errno::EINVAL.into());
    }
    let ns = namespace(task, request.mnt_ns_id)?;
    let admin = task.cred().has_cap_in(&ns.user_ns, Cap::SYS_ADMIN);
    let mut found = show::list_below(&ns, &task.fs().root(), request.mnt_id, admin)?;
    if flags & LISTMOUNT_REVERSE != 0 {
        found.reverse();
        found.retain(|id| last == 0 || *id < last);
    } else {
        found.retain(|id| *id > last);
    }
    let mm = task.mm()?;
    for (index, id) in found.iter().take(count).enumerate() {
        ids.at(index)?.write(&*mm, id)?;
    }
    Ok(found.len().min(count) as u64)
}
