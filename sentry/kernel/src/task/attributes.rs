//! What a thread has been told about how it is to be scheduled, and other settings that the sentry mostly only remembers:
//! nice values, policies, affinity, I/O priority, timer slack, personality, memory policy.
//!
//! CPUs are the host's to share out: none of this changes how a task is run, but all of it reads back as it was set.

use super::dispatch::UserDispatch;
use abi::process::{MAX_NICE, MIN_NICE, SCHED_NORMAL};

/// The settings of a thread; a child gets those of [`fork`](Self::fork).
#[derive(Clone, Debug)]
pub struct Attributes {
    /// -20 to 19.
    pub nice: i32,
    /// `SCHED_*`.
    pub policy: i32,
    /// 1 to 99 for `SCHED_FIFO` and `SCHED_RR`, otherwise 0.
    pub rt_priority: i32,
    /// Children start with `SCHED_NORMAL`.
    pub reset_on_fork: bool,
    /// CPUs that it may run on; none set stands for all.
    pub affinity: Vec<u64>,
    /// `ioprio_set(2)`; 0 for none.
    pub ioprio: u32,
    /// `PR_SET_TIMERSLACK`.
    pub timer_slack_ns: u64,
    /// What `PR_SET_TIMERSLACK` with 0 goes back to.
    pub default_timer_slack_ns: u64,
    /// `personality(2)`.
    pub personality: u32,
    /// `PR_MCE_KILL`.
    pub mce_kill: u64,
    /// `PR_SET_SYSCALL_USER_DISPATCH`.
    pub user_dispatch: Option<UserDispatch>,
    /// `PR_SET_TSC`.
    pub tsc: u64,
    /// `PR_SET_IO_FLUSHER`.
    pub io_flusher: bool,
    /// `set_mempolicy(2)`: mode with its flags, and nodes.
    pub mempolicy: (u32, u64),
}

/// What Linux gives its first process.
const TIMER_SLACK_NS: u64 = 50_000;

impl Default for Attributes {
    fn default() -> Self {
        Self {
            nice: 0,
            policy: SCHED_NORMAL,
            rt_priority: 0,
            reset_on_fork: false,
            affinity: Vec::new(),
            ioprio: 0,
            timer_slack_ns: TIMER_SLACK_NS,
            default_timer_slack_ns: TIMER_SLACK_NS,
            personality: 0,
            mce_kill: abi::process::PR_MCE_KILL_DEFAULT,
            user_dispatch: None,
            tsc: abi::process::PR_TSC_ENABLE,
            io_flusher: false,
            mempolicy: (0, 0),
        }
    }
}

impl Attributes {
    /// What a child of a thread with these starts with.
    pub fn fork(&self) -> Self {
        let mut child = self.clone();
        child.default_timer_slack_ns = self.timer_slack_ns;
        child.user_dispatch = None;
        if self.reset_on_fork {
            child.reset_on_fork = false;
            child.nice = self.nice.max(0);
            (child.policy, child.rt_priority) = (SCHED_NORMAL, 0);
        }
        child
    }

    /// Sets the nice value, cut to what there is.
    pub fn set_nice(&mut self, nice: i32) {
        self.nice = nice.clamp(MIN_NICE, MAX_NICE);
    }

    /// The CPUs that it may run on, of `cpus` that there are.
    pub fn cpus(&self, cpus: usize) -> Vec<u64> {
        let all = all_cpus(cpus);
        let mine: Vec<u64> = all
            .iter()
            .enumerate()
            .map(|(i, word)| word & self.affinity.get(i).copied().unwrap_or(0))
            .collect();
        if mine.iter().all(|word| *word == 0) { all } else { mine }
    }
}

/// The mask of CPUs 0 to `cpus`.
fn all_cpus(cpus: usize) -> Vec<u64> {
    let mut mask = vec![0u64; cpus.div_ceil(64).max(1)];
    for cpu in 0..cpus {
        if let Some(word) = mask.get_mut(cpu / 64) {
            *word |= 1 << (cpu % 64);
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_without_any_cpu_that_there_is_stands_for_all() {
        let some = Attributes { affinity: vec![0b110], ..Attributes::default() };
        assert_eq!(some.cpus(2), [0b10]);
        assert_eq!(some.cpus(1), [0b1]);
        assert_eq!(Attributes::default().cpus(65), [u64::MAX, 1]);
    }

    #[test]
    fn reset_on_fork_forgets_policy_and_negative_nice() {
        let parent =
            Attributes { nice: -5, policy: 1, rt_priority: 9, reset_on_fork: true, ..Attributes::default() };
        let child = parent.fork();
        assert_eq!((child.nice, child.policy, child.rt_priority, child.reset_on_fork), (0, 0, 0, false));
    }
}
