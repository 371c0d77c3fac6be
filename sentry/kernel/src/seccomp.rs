//! System call filters of applications (`seccomp(2)`).
//!
//! A task has a [`Seccomp`]: the strict mode, or a list of [`Filter`]s that are all asked before a call is answered; the
//! strictest answer counts. A filter is a classic BPF program that an application installed, or a [`Profile`] from the
//! container's configuration, which is kept as a table. Filters are never taken away; children and new programs keep them.
//!
//! **Invariant:** a [`Program`] has passed [`Program::new`], so running it ends: all jumps go forward and its last instruction
//! returns.

pub mod bpf;
pub mod notify;
mod profile;

pub use bpf::Program;
pub use profile::{Compare, Profile, Test};

use crate::{SysResult, Task, ThreadGroup, ptrace::Hooks, tree::ExitStatus};
use abi::{Errno, SigInfo, Signal, process::*, sysno};
use notify::{Listener, Watched};
use std::sync::Arc;

/// One filter.
pub enum Filter {
    /// An application's; whether what it does not allow is logged; and who answers calls in its stead.
    Program(Program, bool, Option<Watched>),
    /// The container's.
    Profile(Profile),
}

impl Filter {
    fn answer(&self, data: &SeccompData) -> u32 {
        match self {
            Self::Program(program, ..) => program.run(data),
            Self::Profile(profile) => profile.answer(data),
        }
    }
    fn listener(&self) -> Option<&Arc<Listener>> {
        match self {
            Self::Program(_, _, watched) => watched.as_ref().map(|w| &w.0),
            Self::Profile(_) => None,
        }
    }
    /// What counts towards the limit of a task.
    fn size(&self) -> usize {
        match self {
            Self::Program(program, ..) => program.len() + 4,
            Self::Profile(_) => 0,
        }
    }
}

/// What the filters of a task say of a call.
pub(crate) enum Verdict {
    /// It is to be made.
    Make,
    /// It is not; this is its result.
    Answer(SysResult),
    /// The tracer decides, who is told this.
    Trace(u32),
    /// Somebody else answers.
    Notify(Arc<Listener>, SeccompData),
}

/// What a task is under.
#[derive(Clone, Default)]
pub struct Seccomp {
    strict: bool,
    /// Oldest first.
    filters: Arc<[Arc<Filter>]>,
}

/// Calls of the strict mode.
const STRICT: [u32; 4] = [sysno::READ, sysno::WRITE, sysno::EXIT, sysno::RT_SIGRETURN];

/// Order of actions: the lower one counts.
fn rank(answer: u32) -> i32 {
    (answer & SECCOMP_RET_ACTION_FULL) as i32
}

impl Seccomp {
    /// `SECCOMP_MODE_*`.
    pub fn mode(&self) -> u32 {
        match (self.strict, self.filters.is_empty()) {
            (true, _) => SECCOMP_MODE_STRICT,
            (false, true) => SECCOMP_MODE_DISABLED,
            (false, false) => SECCOMP_MODE_FILTER,
        }
    }

    /// The program of filter `index`, counted from the oldest, and its flags. `EINVAL` without filters, `ENOENT` behind the last,
    /// `EMEDIUMTYPE` for one that is no program.
    pub fn filter_at(&self, index: u64) -> Result<(Vec<SockFilter>, SeccompFilterFlags), Errno> {
        if self.mode() != SECCOMP_MODE_FILTER {
            return Err(Errno::EINVAL);
        }
        let filter = usize::try_from(index).ok().and_then(|at| self.filters.get(at)).ok_or(Errno::ENOENT)?;
        match &**filter {
            Filter::Program(program, logs, _) => {
                let flags = if *logs { SeccompFilterFlags::LOG } else { SeccompFilterFlags::empty() };
                Ok((program.instructions().to_vec(), flags))
            }
            Filter::Profile(_) => Err(Errno::EMEDIUMTYPE),
        }
    }

    /// How many filters there are.
    pub fn count(&self) -> usize {
        self.filters.len()
    }

    /// With one more filter; `ENOMEM` for too much of it.
    fn with(&self, filter: Arc<Filter>) -> Result<Self, Errno> {
        let size = self.filters.iter().map(|f| f.size()).sum::<usize>() + filter.size();
        if size > MAX_INSNS_PER_PATH {
            return Err(Errno::ENOMEM);
        }
        let filters = self.filters.iter().cloned().chain([filter]).collect();
        Ok(Self { strict: self.strict, filters })
    }

    /// Whether everything that holds here holds for `other`, too.
    fn is_ancestor_of(&self, other: &Self) -> bool {
        !self.strict
            && self.filters.len() <= other.filters.len()
            && self.filters.iter().zip(other.filters.iter()).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// The answer that counts, and the filter that gave it.
    fn answer(&self, data: &SeccompData) -> (u32, Option<&Arc<Filter>>) {
        if self.strict {
            let allowed = u32::try_from(data.nr).is_ok_and(|nr| STRICT.contains(&nr));
            return (if allowed { SECCOMP_RET_ALLOW } else { SECCOMP_RET_KILL_THREAD }, None);
        }
        // The newest is asked first, and of equals its data count.
        let answers = self.filters.iter().rev().map(|f| (f.answer(data), Some(f)));
        answers.fold(
            (SECCOMP_RET_ALLOW, None),
            |least, next| if rank(next.0) < rank(least.0) { next } else { least },
        )
    }
}

impl Task {
    /// The container's profile, for a process that has not run yet.
    pub fn set_seccomp_profile(&self, profile: &Arc<Filter>) {
        let with = self.seccomp.lock().with(profile.clone());
        if let Ok(with) = with {
            self.set_seccomp(with);
        }
    }

    pub(crate) fn set_seccomp(&self, new: Seccomp) {
        let is_on = new.mode() != SECCOMP_MODE_DISABLED;
        let old = std::mem::replace(&mut *self.seccomp.lock(), new);
        if is_on {
            self.add_hooks(Hooks::SECCOMP);
        }
        drop(old);
    }

    /// What it is under now.
    pub fn seccomp(&self) -> Seccomp {
        self.seccomp.lock().clone()
    }

    /// Asks the filters about a call.
    pub(crate) fn filter_syscall(self: &Arc<Self>, nr: u64, args: [u64; 6]) -> Verdict {
        let (seccomp, instruction_pointer) = (self.seccomp(), self.regs.lock().rip);
        let nr = nr as i32; // as Linux: the number is 32 bits
        let data = SeccompData { nr, arch: AUDIT_ARCH_X86_64, instruction_pointer, args };
        let (answer, filter) = seccomp.answer(&data);
        let value = answer & SECCOMP_RET_DATA;
        match answer & SECCOMP_RET_ACTION_FULL {
            SECCOMP_RET_ALLOW => return Verdict::Make,
            SECCOMP_RET_LOG => {
                log::info!("seccomp: task {} makes call {nr}", self.tid());
                return Verdict::Make;
            }
            // Zero is a result like any other.
            SECCOMP_RET_ERRNO => return Verdict::Answer(Ok((-i64::from(value.min(4095))) as u64)),
            SECCOMP_RET_TRACE => return Verdict::Trace(value),
            SECCOMP_RET_USER_NOTIF => {
                return match filter.and_then(|f| f.listener()) {
                    Some(listener) => Verdict::Notify(listener.clone(), data),
                    None => Verdict::Answer(Err(Errno::ENOSYS.into())),
                };
            }
            SECCOMP_RET_TRAP => {
                self.force_signal(SigInfo::sys(instruction_pointer, nr, AUDIT_ARCH_X86_64, value as i32));
                return Verdict::Answer(Ok(nr as u64)); // the register is as it was before the call
            }
            SECCOMP_RET_KILL_THREAD => {
                self.kill_thread(if seccomp.strict { Signal::SIGKILL } else { Signal::SIGSYS })
            }
            _ => self.end_by(Signal::SIGSYS),
        }
        log::info!("seccomp: task {} is ended for call {nr}", self.tid());
        Verdict::Answer(Ok(nr as u64))
    }

    /// Ends this thread; the last one takes the process along.
    fn kill_thread(self: &Arc<Self>, signal: Signal) {
        let alone = self.group.signals.lock().live().nth(1).is_none();
        if alone {
            self.end_by(signal);
        } else {
            self.exit_by(ExitStatus::Signal { signo: signal.number(), core: false });
        }
    }

    /// Ends the process by `signal`, whatever it does about it.
    pub(crate) fn end_by(&self, signal: Signal) {
        let core = signal == Signal::SIGSYS && self.kernel.dumps_core(self);
        self.group.begin_exit(ExitStatus::Signal { signo: signal.number(), core });
    }

    /// `SECCOMP_SET_MODE_STRICT`.
    pub fn enter_strict_mode(&self) -> Result<(), Errno> {
        let now = self.seccomp();
        if now.mode() == SECCOMP_MODE_FILTER {
            return Err(Errno::EINVAL);
        }
        self.set_seccomp(Seccomp { strict: true, filters: now.filters });
        Ok(())
    }

    /// `SECCOMP_SET_MODE_FILTER`. With `TSYNC` every thread of the process gets it; the number of one that cannot where
    /// there is one.
    ///
    /// `listener` answers what the filter leaves to it; `EBUSY` if another one answers for this task already.
    pub fn add_seccomp_filter(
        &self,
        program: Program,
        flags: SeccompFilterFlags,
        listener: Option<Arc<Listener>>,
    ) -> Result<u32, Errno> {
        let now = self.seccomp();
        if now.strict {
            return Err(Errno::EINVAL);
        }
        if listener.is_some() && now.filters.iter().any(|f| f.listener().is_some()) {
            return Err(Errno::EBUSY);
        }
        let filter = Filter::Program(program, flags.contains(SeccompFilterFlags::LOG), listener.map(Watched));
        let new = now.with(Arc::new(filter))?;
        if flags.contains(SeccompFilterFlags::TSYNC) {
            let others = threads(&self.group);
            if let Some(other) = others.iter().find(|other| !other.seccomp().is_ancestor_of(&now)) {
                let number = other.pid().number_in(&self.pid_namespace()).unwrap_or(0);
                return if flags.contains(SeccompFilterFlags::TSYNC_ESRCH) {
                    Err(Errno::ESRCH)
                } else {
                    Ok(number)
                };
            }
            let no_new_privs = self.cred().no_new_privs;
            for other in others {
                if no_new_privs && !other.cred().no_new_privs {
                    other.change_cred(|cred| {
                        cred.no_new_privs = true;
                        Ok(())
                    })?;
                }
                other.set_seccomp(new.clone());
            }
        }
        self.set_seccomp(new);
        Ok(0)
    }
}

fn threads(group: &ThreadGroup) -> Vec<Arc<Task>> {
    group.signals.lock().live().collect()
}
