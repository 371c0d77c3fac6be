//! Files about a process that can be written.

use super::process::Process;
use abi::{Errno, process::Cap};
use kernel::{
    current,
    namespaces::{show_id_map, write_id_map, write_setgroups},
};
use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use vfs::{File, Uid, UserNamespace};

/// A number with white space around it.
pub(crate) fn parse<T: FromStr>(bytes: &[u8]) -> Result<T, Errno> {
    let text = std::str::from_utf8(bytes.trim_ascii()).map_err(|_| Errno::EINVAL)?;
    text.trim_end_matches('\0').trim().parse().map_err(|_| Errno::EINVAL)
}

/// Takes anything: there is nothing that it would change.
pub(super) fn ignore(process: &Process, _: &File, _: u64, _: &[u8]) -> Result<(), Errno> {
    process.group().map(|_| ())
}

/// Takes nothing, whoever asks.
pub(super) fn refuse(_: &Process, _: &File, _: u64, _: &[u8]) -> Result<(), Errno> {
    Err(Errno::EPERM)
}

/// Takes nothing, since nothing makes sense.
pub(super) fn invalid(_: &Process, _: &File, _: u64, _: &[u8]) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Writes `comm`: one's own, or another thread's of one's own process.
pub(super) fn set_comm(process: &Process, _: &File, _: u64, bytes: &[u8]) -> Result<(), Errno> {
    let task = process.task()?;
    if current().is_some_and(|c| !Arc::ptr_eq(&c.group, &task.group)) {
        return Err(Errno::EINVAL);
    }
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let name: Vec<u8> = bytes.iter().copied().take(end.min(abi::limits::TASK_COMM_LEN - 1)).collect();
    task.state.lock().comm = name;
    Ok(())
}

/// `oom_score_adj`.
pub(super) fn oom_score_adj(process: &Process) -> Result<Vec<u8>, Errno> {
    let value = process.group()?.oom_score_adj.load(Ordering::Relaxed);
    Ok(format!("{value}\n").into_bytes())
}

fn store_oom(process: &Process, value: i32) -> Result<(), Errno> {
    let group = process.group()?;
    let may_lower = current().is_none_or(|c| c.cred().has_cap(Cap::SYS_RESOURCE));
    if value < group.oom_score_adj_min.load(Ordering::Relaxed) && !may_lower {
        return Err(Errno::EACCES);
    }
    group.oom_score_adj.store(value, Ordering::Relaxed);
    if may_lower {
        group.oom_score_adj_min.store(value, Ordering::Relaxed);
    }
    Ok(())
}

/// Writes `oom_score_adj`.
pub(super) fn set_oom_score_adj(process: &Process, _: &File, _: u64, bytes: &[u8]) -> Result<(), Errno> {
    let value: i32 = parse(bytes)?;
    if (-1000..=1000).contains(&value) { store_oom(process, value) } else { Err(Errno::EINVAL) }
}

/// `oom_adj`, the old scale.
pub(super) fn oom_adj(process: &Process) -> Result<Vec<u8>, Errno> {
    let value = match process.group()?.oom_score_adj.load(Ordering::Relaxed) {
        1000 => 15,
        other => other * 17 / 1000,
    };
    Ok(format!("{value}\n").into_bytes())
}

/// Writes `oom_adj`.
pub(super) fn set_oom_adj(process: &Process, _: &File, _: u64, bytes: &[u8]) -> Result<(), Errno> {
    match parse::<i32>(bytes)? {
        15 => store_oom(process, 1000),
        value @ -17..=14 => store_oom(process, value * 1000 / 17),
        _ => Err(Errno::EINVAL),
    }
}

/// `loginuid`.
pub(super) fn login_uid(process: &Process) -> Result<Vec<u8>, Errno> {
    let uid = process.group()?.login_uid.load(Ordering::Relaxed);
    let shown = if uid == u32::MAX { uid } else { reader().map_or(uid, |ns| ns.show_uid(Uid(uid))) };
    Ok(shown.to_string().into_bytes())
}

/// `sessionid`.
pub(super) fn login_session(process: &Process) -> Result<Vec<u8>, Errno> {
    Ok(process.group()?.login_session.load(Ordering::Relaxed).to_string().into_bytes())
}

/// Writes `loginuid`: one's own, by anybody the first time and by who has `CAP_AUDIT_CONTROL` later.
pub(super) fn set_login_uid(process: &Process, _: &File, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    static SESSIONS: AtomicU32 = AtomicU32::new(1);
    let (group, caller) = (process.group()?, current().ok_or(Errno::EPERM)?);
    if !Arc::ptr_eq(&group, &caller.group) {
        return Err(Errno::EPERM);
    }
    if offset != 0 {
        return Err(Errno::EINVAL);
    }
    let cred = caller.cred();
    let uid = match parse::<u32>(bytes)? {
        u32::MAX => u32::MAX,
        uid => cred.user_ns.uid(uid).ok_or(Errno::EINVAL)?.0,
    };
    if group.login_uid.load(Ordering::Relaxed) != u32::MAX && !cred.has_cap(Cap::AUDIT_CONTROL) {
        return Err(Errno::EPERM);
    }
    let session = if uid == u32::MAX { uid } else { SESSIONS.fetch_add(1, Ordering::Relaxed) };
    group.login_uid.store(uid, Ordering::Relaxed);
    group.login_session.store(session, Ordering::Relaxed);
    Ok(())
}

fn reader() -> Option<Arc<UserNamespace>> {
    current().map(|c| c.cred().user_ns.clone())
}

fn id_map(process: &Process, is_gid: bool) -> Result<Vec<u8>, Errno> {
    let ns = process.cred()?.user_ns.clone();
    let reader = reader().unwrap_or_else(|| ns.clone());
    Ok(show_id_map(&ns, &reader, is_gid).into_bytes())
}

fn set_id_map(process: &Process, file: &File, offset: u64, bytes: &[u8], is_gid: bool) -> Result<(), Errno> {
    if offset != 0 {
        return Err(Errno::EINVAL);
    }
    let ns = process.cred()?.user_ns.clone();
    let writer = current().map_or_else(|| file.cred().clone(), |c| c.cred());
    write_id_map(file.cred(), &writer, &ns, bytes, is_gid)
}

/// `uid_map`.
pub(super) fn uid_map(process: &Process) -> Result<Vec<u8>, Errno> {
    id_map(process, false)
}
/// `gid_map`.
pub(super) fn gid_map(process: &Process) -> Result<Vec<u8>, Errno> {
    id_map(process, true)
}
/// Writes `uid_map`.
pub(super) fn set_uid_map(process: &Process, file: &File, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    set_id_map(process, file, offset, bytes, false)
}
/// Writes `gid_map`.
pub(super) fn set_gid_map(process: &Process, file: &File, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    set_id_map(process, file, offset, bytes, true)
}

/// `projid_map`: projects (quotas) are all themselves in the initial namespace and cannot be mapped in others.
pub(super) fn projid_map(process: &Process) -> Result<Vec<u8>, Errno> {
    let initial = process.cred()?.user_ns.parent.is_none();
    let all = format!("{:>10} {:>10} {:>10}\n", 0, 0, u32::MAX);
    Ok(if initial { all.into_bytes() } else { Vec::new() })
}

/// `setgroups`.
pub(super) fn setgroups(process: &Process) -> Result<Vec<u8>, Errno> {
    let denied = process.cred()?.user_ns.maps().setgroups_denied;
    Ok(if denied { b"deny\n".to_vec() } else { b"allow\n".to_vec() })
}

/// Writes `setgroups`.
pub(super) fn set_setgroups(process: &Process, file: &File, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    if offset != 0 || bytes.len() >= 8 {
        return Err(Errno::EINVAL);
    }
    write_setgroups(file.cred(), &process.cred()?.user_ns.clone(), bytes)
}

/// Whether the caller may look at and change scheduling of `process`.
fn may_schedule(process: &Process) -> Result<(), Errno> {
    let task = process.task()?;
    match current() {
        Some(c) if !Arc::ptr_eq(&c.group, &task.group) && !c.cred().has_cap(Cap::SYS_NICE) => {
            Err(Errno::EPERM)
        }
        _ => Ok(()),
    }
}

/// `timerslack_ns`.
pub(super) fn timer_slack(process: &Process) -> Result<Vec<u8>, Errno> {
    may_schedule(process)?;
    let slack = process.task()?.attributes.lock().timer_slack_ns;
    Ok(format!("{slack}\n").into_bytes())
}

/// Writes `timerslack_ns`; 0 goes back to the default.
pub(super) fn set_timer_slack(process: &Process, _: &File, _: u64, bytes: &[u8]) -> Result<(), Errno> {
    let value: u64 = parse(bytes)?;
    may_schedule(process)?;
    let task = process.task()?;
    let mut attributes = task.attributes.lock();
    attributes.timer_slack_ns = if value == 0 { attributes.default_timer_slack_ns } else { value };
    Ok(())
}
