//! Security modules: `lsm_list_modules(2)` and its kin. There are capabilities and landlock, neither of which has attributes.

use crate::{row::Row, rows};
use abi::{Errno, limits::PAGE_SIZE};
use kernel::{SysResult, Task};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now LSM_GET_SELF_ATTR = get_self_attr as (u32, UserAddr, UserPtr<u32>, u32);
    now LSM_SET_SELF_ATTR = set_self_attr as (u32, UserAddr, u32, u32);
    now LSM_LIST_MODULES = list_modules as (UserPtr<u64>, UserPtr<u32>, u32);
};

const LSM_ID_CAPABILITY: u64 = 100;
const LSM_ID_LANDLOCK: u64 = 110;
const LSM_FLAG_SINGLE: u32 = 1;
/// `struct lsm_ctx` without the context that follows it.
const LSM_CTX_SIZE: u32 = 32;

fn get_self_attr(
    task: &Arc<Task>,
    attr: u32,
    ctx: UserAddr,
    size: UserPtr<u32>,
    flags: u32,
) -> SysResult<u32> {
    if attr == 0 || size.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm()?;
    size.read(&*mm)?;
    if flags != 0 {
        if flags & !LSM_FLAG_SINGLE != 0 || ctx.is_null() {
            return Err(Errno::EINVAL.into());
        }
        let id: u64 = UserPtr::from(ctx.0).read(&*mm)?;
        if id == 0 {
            return Err(Errno::EINVAL.into());
        }
    }
    size.write(&*mm, &0)?;
    Err(Errno::EOPNOTSUPP.into())
}

fn set_self_attr(task: &Arc<Task>, _attr: u32, ctx: UserAddr, size: u32, flags: u32) -> SysResult<u32> {
    if flags != 0 || size < LSM_CTX_SIZE {
        return Err(Errno::EINVAL.into());
    }
    if u64::from(size) > PAGE_SIZE {
        return Err(Errno::E2BIG.into());
    }
    let mut bytes = vec![0; size as usize];
    task.mm()?.copy_in(ctx, &mut bytes)?;
    let word =
        |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes);
    let (len, ctx_len) = (word(16), word(24));
    let required = ctx_len.checked_add(u64::from(LSM_CTX_SIZE)).ok_or(Errno::EINVAL)?;
    if u64::from(size) < len || len < required {
        return Err(Errno::EINVAL.into());
    }
    Err(Errno::EOPNOTSUPP.into())
}

fn list_modules(task: &Arc<Task>, ids: UserPtr<u64>, size: UserPtr<u32>, flags: u32) -> SysResult<u32> {
    let all = [LSM_ID_CAPABILITY, LSM_ID_LANDLOCK];
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm()?;
    let room = size.read(&*mm)?;
    let needed = (all.len() * size_of::<u64>()) as u32;
    size.write(&*mm, &needed)?;
    if room < needed {
        return Err(Errno::E2BIG.into());
    }
    for (index, id) in all.iter().enumerate() {
        ids.at(index)?.write(&*mm, id)?;
    }
    Ok(all.len() as u32)
}
