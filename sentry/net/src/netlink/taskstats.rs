//! Statistics of tasks (`Documentation/accounting/taskstats.rst`).
//!
//! Times, names and sizes are what `/proc` shows. Delays, input and output are not counted and are 0, as on a kernel without
//! delay accounting.

use super::build::{Message, Reply, attribute};
use crate::caller::Caller;
use abi::{Errno, socket::*};
use kernel::{Task, ThreadGroup, time::clock::realtime_ns};
use std::sync::{Arc, atomic::Ordering};
use zerocopy::{FromBytes, IntoBytes};

/// `AFORK`: it has not called `execve` since it was forked.
const AFORK: u8 = 1;
/// `AGROUP`: what is counted is the whole process.
const AGROUP: u8 = 0x20;

/// `TASKSTATS_CMD_GET`: `message` begins an answer with a command.
pub fn get(
    caller: &Caller<'_>,
    attrs: &[(u16, &[u8])],
    message: &dyn Fn(u8) -> Message,
    reply: &mut Reply,
) -> Result<(), Errno> {
    let number = |data: &[u8]| i32::read_from_prefix(data).map(|(n, _)| n).map_err(|_| Errno::EINVAL);
    let find = |kind| attrs.iter().find(|(k, _)| *k == kind).map(|(_, data)| *data);
    let me = caller.task().ok_or(Errno::ESRCH)?;
    let (outer, inner, number, stats) = if find(TASKSTATS_CMD_ATTR_REGISTER_CPUMASK).is_some()
        || find(TASKSTATS_CMD_ATTR_DEREGISTER_CPUMASK).is_some()
    {
        return Err(Errno::EOPNOTSUPP);
    } else if let Some(data) = find(TASKSTATS_CMD_ATTR_PID) {
        let number = number(data)?;
        let task = me.find_thread(number)?;
        (TASKSTATS_TYPE_AGGR_PID, TASKSTATS_TYPE_PID, number, of_thread(&me, &task))
    } else if let Some(data) = find(TASKSTATS_CMD_ATTR_TGID) {
        let number = number(data)?;
        let group = me.find_process(number)?;
        (TASKSTATS_TYPE_AGGR_TGID, TASKSTATS_TYPE_TGID, number, of_process(&group))
    } else {
        return Err(Errno::EINVAL);
    };
    let both =
        [attribute(inner, number.as_bytes()), attribute(TASKSTATS_TYPE_STATS, stats.as_bytes())].concat();
    reply.push(message(TASKSTATS_CMD_NEW).attr(outer | NLA_F_NESTED, &both));
    Ok(())
}

/// Microseconds since `start_ns`.
fn age_us(group: &ThreadGroup, start_ns: u64) -> u64 {
    group.kernel.monotonic_ns().saturating_sub(start_ns) / 1000
}

fn of_process(group: &ThreadGroup) -> Taskstats {
    let (user, system) = group.times_ns();
    Taskstats {
        version: TASKSTATS_VERSION,
        ac_flag: AGROUP,
        cpu_run_real_total: user + system,
        cpu_run_virtual_total: user + system,
        ac_etime: age_us(group, group.start_ns),
        ac_utime: user / 1000,
        ac_stime: system / 1000,
        ..Taskstats::default()
    }
}

/// `task` as `me` sees it.
fn of_thread(me: &Arc<Task>, task: &Arc<Task>) -> Taskstats {
    let group = &task.group;
    let (user, system) = task.times_ns();
    let (name, mm) = {
        let state = task.state.lock();
        (state.comm.clone(), state.mm.clone())
    };
    let (parent, has_execed) = {
        let tree = group.kernel.tree.lock();
        tree.nodes.get(&group.tgid()).map_or((0, true), |n| (n.parent, n.has_execed))
    };
    let mut comm = [0; 32];
    comm.iter_mut().zip(name.iter().take(15)).for_each(|(to, from)| *to = *from);
    let (cred, mine) = (task.cred(), me.cred());
    let attributes = task.attributes.lock().clone();
    let sizes = mm.as_ref().map(|mm| mm.sizes()).unwrap_or_default();
    let age = age_us(group, task.start_ns);
    let begun = realtime_ns().saturating_sub(age * 1000) / 1_000_000_000;
    let pids = me.pid_namespace();
    Taskstats {
        version: TASKSTATS_VERSION,
        ac_flag: if has_execed { 0 } else { AFORK },
        ac_nice: attributes.nice as i8 as u8,
        cpu_run_real_total: user + system,
        cpu_run_virtual_total: user + system,
        ac_comm: comm,
        ac_sched: attributes.policy as u8,
        ac_uid: mine.user_ns.show_uid(cred.ruid),
        ac_gid: mine.user_ns.show_gid(cred.rgid),
        ac_pid: task.pid().number_in(&pids).unwrap_or(0),
        ac_ppid: me.shown_number(parent),
        ac_btime: u32::try_from(begun).unwrap_or(u32::MAX),
        ac_etime: age,
        ac_utime: user / 1000,
        ac_stime: system / 1000,
        hiwater_rss: (sizes.vm_hwm / 1024).max(group.max_rss_kb.load(Ordering::Relaxed)),
        hiwater_vm: sizes.vm_peak / 1024,
        ac_utimescaled: user / 1000,
        ac_stimescaled: system / 1000,
        cpu_scaled_run_real_total: user + system,
        ac_btime64: begun,
        ac_tgid: group.pid.number_in(&pids).unwrap_or(0),
        ac_tgetime: age_us(group, group.start_ns),
        ..Taskstats::default()
    }
}
