//! The container's seccomp profile as the kernel keeps it.

use crate::config::{SeccompAction, SeccompOp, SeccompProfile};
use abi::process::*;
use kernel::seccomp::{Compare, Filter, Profile, Test};
use std::sync::Arc;

/// Resolves the names of calls; those that do not exist are left out.
pub fn filter(profile: &SeccompProfile) -> Arc<Filter> {
    let mut made = Profile::new(answer(profile.default_action));
    for rule in &profile.rules {
        for nr in rule.names.iter().filter_map(|name| abi::arch::x86_64::sysno::from_name(name)) {
            let tests = rule.args.iter().map(|arg| {
                let (compare, value) = match arg.op {
                    SeccompOp::NotEqual => (Compare::NotEqual, arg.value),
                    SeccompOp::LessThan => (Compare::Less, arg.value),
                    SeccompOp::LessOrEqual => (Compare::LessOrEqual, arg.value),
                    SeccompOp::Equal => (Compare::Equal, arg.value),
                    SeccompOp::GreaterOrEqual => (Compare::GreaterOrEqual, arg.value),
                    SeccompOp::GreaterThan => (Compare::Greater, arg.value),
                    SeccompOp::MaskedEqual => (Compare::Masked(arg.value), arg.value_two),
                };
                Test { index: arg.index as usize, compare, value }
            });
            made.add(nr, tests.collect(), answer(rule.action));
        }
    }
    Arc::new(Filter::Profile(made))
}

fn answer(action: SeccompAction) -> u32 {
    let with = |action: u32, data: u32| action | data & SECCOMP_RET_DATA;
    match action {
        SeccompAction::Allow => SECCOMP_RET_ALLOW,
        SeccompAction::Log => SECCOMP_RET_LOG,
        SeccompAction::Errno(errno) => with(SECCOMP_RET_ERRNO, errno),
        SeccompAction::Trap => SECCOMP_RET_TRAP,
        SeccompAction::Trace(data) => with(SECCOMP_RET_TRACE, data),
        SeccompAction::KillThread => SECCOMP_RET_KILL_THREAD,
        SeccompAction::KillProcess => SECCOMP_RET_KILL_PROCESS,
    }
}
