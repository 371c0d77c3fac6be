//! A container's profile: a table from system call to answer.

use abi::{
    Errno,
    process::{SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, SeccompData},
};
use std::collections::HashMap;

/// How an argument is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compare {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    /// Under this mask.
    Masked(u64),
}

/// A condition on an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Test {
    /// Which argument, from 0.
    pub index: usize,
    /// How it is compared.
    pub compare: Compare,
    /// With what.
    pub value: u64,
}

impl Test {
    fn holds(&self, args: &[u64; 6]) -> bool {
        let Some(arg) = args.get(self.index) else { return false };
        match self.compare {
            Compare::NotEqual => *arg != self.value,
            Compare::Less => *arg < self.value,
            Compare::LessOrEqual => *arg <= self.value,
            Compare::Equal => *arg == self.value,
            Compare::GreaterOrEqual => *arg >= self.value,
            Compare::Greater => *arg > self.value,
            Compare::Masked(mask) => arg & mask == self.value,
        }
    }
}

/// All of the conditions, and the answer where they hold.
type Rule = (Vec<Test>, u32);

/// What is answered to which call.
pub struct Profile {
    /// For calls without a rule that holds.
    default: u32,
    rules: HashMap<u32, Vec<Rule>>,
    /// The highest number that has a rule.
    last: u32,
}

impl Profile {
    /// Nothing but `default`, `SECCOMP_RET_*`.
    pub fn new(default: u32) -> Self {
        Self { default, rules: HashMap::new(), last: 0 }
    }

    /// Call `nr` is answered with `answer` where all `tests` hold and no earlier rule does.
    pub fn add(&mut self, nr: u32, tests: Vec<Test>, answer: u32) {
        self.rules.entry(nr).or_default().push((tests, answer));
        self.last = self.last.max(nr);
    }

    pub(super) fn answer(&self, data: &SeccompData) -> u32 {
        let Ok(nr) = u32::try_from(data.nr) else { return self.default };
        if nr & abi::arch::x86_64::sysno::X32_SYSCALL_BIT != 0 {
            return SECCOMP_RET_KILL_PROCESS; // calls of an architecture that the profile does not speak of
        }
        let Some(rules) = self.rules.get(&nr) else {
            // Newer than the profile: programs know what to do without it, where they would take EPERM for an answer.
            let unknown = nr > self.last && self.default & SECCOMP_RET_ACTION_FULL == SECCOMP_RET_ERRNO;
            return if unknown { SECCOMP_RET_ERRNO | Errno::ENOSYS.code() as u32 } else { self.default };
        };
        let rule = rules.iter().find(|(tests, _)| tests.iter().all(|test| test.holds(&data.args)));
        rule.map_or(self.default, |(_, answer)| *answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::process::{AUDIT_ARCH_X86_64, SECCOMP_RET_ALLOW};

    #[test]
    fn the_first_rule_that_holds_decides() {
        let mut profile = Profile::new(SECCOMP_RET_ERRNO | 1);
        let equal = |value| vec![Test { index: 0, compare: Compare::Equal, value }];
        profile.add(135, equal(8), SECCOMP_RET_ALLOW);
        profile.add(
            135,
            vec![Test { index: 0, compare: Compare::Masked(0xf0), value: 0x10 }],
            SECCOMP_RET_ERRNO | 7,
        );
        let ask = |nr, arg| {
            let args = [arg, 0, 0, 0, 0, 0];
            profile.answer(&SeccompData { nr, arch: AUDIT_ARCH_X86_64, instruction_pointer: 0, args })
        };
        assert_eq!(ask(135, 8), SECCOMP_RET_ALLOW);
        assert_eq!(ask(135, 0x1f), SECCOMP_RET_ERRNO | 7);
        assert_eq!(ask(135, 9), SECCOMP_RET_ERRNO | 1);
        assert_eq!(ask(0, 0), SECCOMP_RET_ERRNO | 1);
        assert_eq!(ask(136, 0), SECCOMP_RET_ERRNO | 38);
        assert_eq!(ask(0x4000_0000, 0), SECCOMP_RET_KILL_PROCESS);
    }
}
