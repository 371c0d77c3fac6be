//! Process groups and sessions (`setpgid(2)`, `setsid(2)`).

use abi::Errno;
use kernel::{SysResult, Task};
use std::sync::Arc;

pub(super) fn setpgid(task: &Arc<Task>, pid: i32, pgid: i32) -> SysResult<()> {
    if pgid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let mine = task.group.tgid();
    let process = if pid == 0 { mine } else { task.root_number(pid)? };
    let wanted = if pgid == 0 { Ok(process) } else { task.root_number(pgid).map_err(|_| Errno::EPERM) };
    Ok(task.kernel.tree.lock().set_process_group(mine, process, wanted)?)
}

/// The node of `pid` (0: the caller's), and what `pick` takes of it, as the caller sees the number.
fn of_process(task: &Arc<Task>, pid: i32, pick: fn(&kernel::tree::Node) -> u32) -> SysResult<u32> {
    let process = if pid == 0 { task.group.tgid() } else { task.root_number(pid)? };
    let found = {
        let tree = task.kernel.tree.lock();
        // A thread's number stands for its process.
        let node = tree.nodes.get(&process).or_else(|| tree.nodes.get(&tree.task(process)?.group.tgid()));
        node.map(pick).ok_or(Errno::ESRCH)?
    };
    Ok(task.shown_number(found))
}

pub(super) fn getpgid(task: &Arc<Task>, pid: i32) -> SysResult<u32> {
    of_process(task, pid, |node| node.pgid)
}

pub(super) fn getpgrp(task: &Arc<Task>) -> SysResult<u32> {
    of_process(task, 0, |node| node.pgid)
}

pub(super) fn getsid(task: &Arc<Task>, pid: i32) -> SysResult<u32> {
    of_process(task, pid, |node| node.sid)
}

pub(super) fn setsid(task: &Arc<Task>) -> SysResult<u32> {
    task.kernel.tree.lock().begin_session(task.group.tgid())?;
    Ok(task.own_process_number())
}
