//! `linux.seccomp`: profiles for applications.

use boot::config::{SeccompAction, SeccompArg, SeccompOp, SeccompProfile, SeccompRule};
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};

const EPERM: u32 = 1;

/// Converts a profile; `None` where it is for other architectures alone.
pub fn seccomp(profile: &LinuxSeccomp) -> Option<SeccompProfile> {
    let native = profile.architectures().as_ref().is_none_or(|list| {
        list.is_empty() || list.iter().any(|arch| matches!(arch, Arch::ScmpArchX86_64 | Arch::ScmpArchNative))
    });
    if !native {
        return None;
    }
    let rules = profile.syscalls().iter().flatten().map(|rule| SeccompRule {
        names: rule.names().clone(),
        action: action(rule.action(), rule.errno_ret()),
        args: rule.args().iter().flatten().filter_map(argument).collect(),
    });
    Some(SeccompProfile {
        default_action: action(profile.default_action(), profile.default_errno_ret()),
        rules: rules.collect(),
        flags: profile.flags().iter().flatten().map(|flag| format!("{flag:?}")).collect(),
    })
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> SeccompAction {
    match action {
        LinuxSeccompAction::ScmpActAllow => SeccompAction::Allow,
        LinuxSeccompAction::ScmpActLog => SeccompAction::Log,
        LinuxSeccompAction::ScmpActErrno => SeccompAction::Errno(errno.unwrap_or(EPERM)),
        LinuxSeccompAction::ScmpActTrap => SeccompAction::Trap,
        // Nobody listens for notifications in a sandbox; without a listener Linux answers as for a missing tracer.
        LinuxSeccompAction::ScmpActTrace | LinuxSeccompAction::ScmpActNotify => {
            SeccompAction::Trace(errno.unwrap_or(0))
        }
        LinuxSeccompAction::ScmpActKillProcess => SeccompAction::KillProcess,
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => SeccompAction::KillThread,
    }
}

fn argument(arg: &LinuxSeccompArg) -> Option<SeccompArg> {
    let op = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => SeccompOp::NotEqual,
        LinuxSeccompOperator::ScmpCmpLt => SeccompOp::LessThan,
        LinuxSeccompOperator::ScmpCmpLe => SeccompOp::LessOrEqual,
        LinuxSeccompOperator::ScmpCmpEq => SeccompOp::Equal,
        LinuxSeccompOperator::ScmpCmpGe => SeccompOp::GreaterOrEqual,
        LinuxSeccompOperator::ScmpCmpGt => SeccompOp::GreaterThan,
        LinuxSeccompOperator::ScmpCmpMaskedEq => SeccompOp::MaskedEqual,
    };
    let index = u32::try_from(arg.index()).ok().filter(|index| *index < 6)?;
    Some(SeccompArg { index, op, value: arg.value(), value_two: arg.value_two().unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile() {
        let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],
            "syscalls":[{"names":["personality"],"action":"SCMP_ACT_ALLOW",
              "args":[{"index":0,"value":8,"op":"SCMP_CMP_EQ"}]},{"names":["a"],"action":"SCMP_ACT_ERRNO"}]}"#;
        let profile = seccomp(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(profile.default_action, SeccompAction::Errno(38));
        assert_eq!(profile.rules[0].args[0].op, SeccompOp::Equal);
        assert_eq!(profile.rules[1].action, SeccompAction::Errno(1));
        let other = text.replace("X86_64", "ARM");
        assert_eq!(seccomp(&serde_json::from_str(&other).unwrap()), None);
    }
}
