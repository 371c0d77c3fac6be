//! Who a process is: user and group ids, `capabilities(7)`, process groups, sessions, `prctl(2)`.

mod ids;
mod jobs;
mod prctl;
mod seccomp;

use crate::{row::Row, rows};
use abi::{
    CapSet, Errno,
    process::{
        Cap, CapUserData, CapUserHeader, LINUX_CAPABILITY_VERSION_1, LINUX_CAPABILITY_VERSION_2,
        LINUX_CAPABILITY_VERSION_3,
    },
};
use ids::{Groups, Users};
use kernel::{SysResult, Task};
use mem::UserPtr;
use std::sync::Arc;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now GETUID = ids::get_real::<Users> as ();
    now GETEUID = ids::get_effective::<Users> as ();
    now GETGID = ids::get_real::<Groups> as ();
    now GETEGID = ids::get_effective::<Groups> as ();
    now GETRESUID = ids::get_res::<Users> as (UserPtr<u32>, UserPtr<u32>, UserPtr<u32>);
    now GETRESGID = ids::get_res::<Groups> as (UserPtr<u32>, UserPtr<u32>, UserPtr<u32>);
    now SETUID = ids::set::<Users> as (u32);
    now SETGID = ids::set::<Groups> as (u32);
    now SETREUID = ids::set_re::<Users> as (u32, u32);
    now SETREGID = ids::set_re::<Groups> as (u32, u32);
    now SETRESUID = ids::set_res::<Users> as (u32, u32, u32);
    now SETRESGID = ids::set_res::<Groups> as (u32, u32, u32);
    now SETFSUID = ids::set_fs::<Users> as (u32);
    now SETFSGID = ids::set_fs::<Groups> as (u32);
    now GETGROUPS = ids::getgroups as (i32, UserPtr<u32>);
    now SETGROUPS = ids::setgroups as (i32, UserPtr<u32>);
    now CAPGET = capget as (UserPtr<CapUserHeader>, UserPtr<CapUserData>);
    now CAPSET = capset as (UserPtr<CapUserHeader>, UserPtr<CapUserData>);
    now PRCTL = prctl::prctl as (i32, u64, u64, u64, u64) partial "no speculation control, core scheduling: EINVAL";
    now SECCOMP = seccomp::seccomp as (u32, u32, u64);
    now ARCH_PRCTL = prctl::arch_prctl as (u32, u64) partial "no CPUID faulting (ENODEV), no shadow stacks";
    now SETPGID = jobs::setpgid as (i32, i32);
    now GETPGID = jobs::getpgid as (i32);
    now GETPGRP = jobs::getpgrp as ();
    now SETSID = jobs::setsid as ();
    now GETSID = jobs::getsid as (i32);
    now PERSONALITY = personality as (u32) partial "remembered; READ_IMPLIES_EXEC and the like change nothing";
};

/// How many data structures follow a header; an unknown version is answered with the one to use.
fn cap_words(
    task: &Task,
    header: UserPtr<CapUserHeader>,
) -> Result<Result<(CapUserHeader, usize), Errno>, Errno> {
    let mm = task.mm()?;
    let given = header.read(&*mm)?;
    let words = match given.version {
        LINUX_CAPABILITY_VERSION_1 => 1,
        LINUX_CAPABILITY_VERSION_2 | LINUX_CAPABILITY_VERSION_3 => 2,
        _ => {
            header.write(&*mm, &CapUserHeader { version: LINUX_CAPABILITY_VERSION_3, ..given })?;
            return Ok(Err(Errno::EINVAL));
        }
    };
    Ok(Ok((given, words)))
}

fn capget(task: &Arc<Task>, header: UserPtr<CapUserHeader>, data: UserPtr<CapUserData>) -> SysResult<()> {
    let (given, words) = match cap_words(task, header)? {
        Ok(known) => known,
        // This is how programs ask for the version.
        Err(_) if data.is_null() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    if given.pid < 0 {
        return Err(Errno::EINVAL.into());
    }
    let cred = task.find_thread_or_self(given.pid)?.cred();
    if data.is_null() {
        return Ok(());
    }
    let mm = task.mm()?;
    for word in 0..words {
        let part = |set: CapSet| (set.bits() >> (32 * word)) as u32;
        let value = CapUserData {
            effective: part(cred.effective),
            permitted: part(cred.permitted),
            inheritable: part(cred.inheritable),
        };
        data.at(word)?.write(&*mm, &value)?;
    }
    Ok(())
}

fn capset(task: &Arc<Task>, header: UserPtr<CapUserHeader>, data: UserPtr<CapUserData>) -> SysResult<()> {
    let (given, words) = cap_words(task, header)??;
    if given.pid != 0 && u32::try_from(given.pid) != Ok(task.own_number()) {
        return Err(Errno::EPERM.into());
    }
    let parts = data.read_array(&*task.mm()?, words)?;
    let join = |pick: fn(&CapUserData) -> u32| {
        let bits = parts.iter().enumerate().map(|(i, part)| u64::from(pick(part)) << (32 * i)).sum();
        CapSet::from_bits(bits)
    };
    let (effective, permitted, inheritable) =
        (join(|d| d.effective), join(|d| d.permitted), join(|d| d.inheritable));
    Ok(task.change_cred(|new| {
        let capped = !new.effective.contains(Cap::SETPCAP);
        let allowed = (!capped || inheritable.is_subset(new.inheritable.union(new.permitted)))
            && inheritable.is_subset(new.inheritable.union(new.bounding))
            && permitted.is_subset(new.permitted)
            && effective.is_subset(permitted);
        if !allowed {
            return Err(Errno::EPERM);
        }
        (new.effective, new.permitted, new.inheritable) = (effective, permitted, inheritable);
        new.ambient = new.ambient.intersection(permitted.intersection(inheritable));
        Ok(())
    })?)
}

fn personality(task: &Arc<Task>, persona: u32) -> SysResult<u32> {
    let mut attributes = task.attributes.lock();
    let before = attributes.personality;
    if persona != abi::process::PERSONALITY_QUERY {
        attributes.personality = persona;
    }
    Ok(before)
}
