//! How a tracee stops, and tells its tracer.

use super::{Answer, Hooks, Job, Stop};
use crate::{Task, ThreadGroup};
use abi::{
    Errno, SigInfo, Signal,
    process::{
        PTRACE_EVENT_CLONE, PTRACE_EVENT_EXEC, PTRACE_EVENT_EXIT, PTRACE_EVENT_FORK, PTRACE_EVENT_SECCOMP,
        PTRACE_EVENT_STOP, PTRACE_EVENT_VFORK, PTRACE_EVENT_VFORK_DONE, PtraceOptions,
    },
    signal::{CLD_STOPPED, CLD_TRAPPED, SI_USER, SaFlags},
};
use ksync::Ready;
use std::{future::poll_fn, sync::Arc, task::Poll};

/// Something that a tracer may ask to be told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A child that sends `SIGCHLD` was made.
    Fork,
    /// The same by `vfork`.
    Vfork,
    /// Any other child or thread was made.
    Clone,
    /// Another program was executed.
    Exec,
    /// A `vfork` child has let go of the memory.
    VforkDone,
    /// The thread is about to end.
    Exit,
    /// A filter says `SECCOMP_RET_TRACE`.
    Seccomp,
}

impl Event {
    /// `PTRACE_EVENT_*`.
    fn number(self) -> u32 {
        match self {
            Event::Fork => PTRACE_EVENT_FORK,
            Event::Vfork => PTRACE_EVENT_VFORK,
            Event::Clone => PTRACE_EVENT_CLONE,
            Event::Exec => PTRACE_EVENT_EXEC,
            Event::VforkDone => PTRACE_EVENT_VFORK_DONE,
            Event::Exit => PTRACE_EVENT_EXIT,
            Event::Seccomp => PTRACE_EVENT_SECCOMP,
        }
    }

    /// The option that asks for it.
    fn option(self) -> PtraceOptions {
        PtraceOptions::from_bits_truncate(1 << self.number())
    }
}

/// A stop to be made.
struct Request {
    /// What `wait` tells: a signal, and an event above it.
    code: i32,
    /// `si_code` of the tracer's `SIGCHLD`.
    why: i32,
    info: Option<SigInfo>,
    message: u64,
    /// The thread is ending already: being killed does not cut it short.
    ending: bool,
}

impl Task {
    /// Whether the tracer asked to be told of `event`.
    pub fn reports(&self, event: Event) -> bool {
        self.is_traced() && self.ptrace.lock().options.contains(event.option())
    }

    /// Stops for `event`, if the tracer asked for it.
    pub(crate) async fn report(self: &Arc<Self>, event: Event, message: u64) {
        if self.reports(event) {
            self.stop_with_code(
                Signal::SIGTRAP.number() | (event.number() << 8) as i32,
                message,
                event == Event::Exit,
            )
            .await;
        } else if event == Event::Exec && self.hooks() & (Hooks::TRACED | Hooks::SEIZED) == Hooks::TRACED {
            let _ = self.send_signal(SigInfo::kill(Signal::SIGTRAP, SI_USER, 0, 0));
        }
    }

    /// A stop that no signal caused; with which signal the tracer lets it go on.
    pub(crate) async fn stop_with_code(self: &Arc<Self>, code: i32, message: u64, ending: bool) -> i32 {
        let info = self.info_of_code(Signal::SIGTRAP, code);
        self.trace_stop(Request { code, why: CLD_TRAPPED, info: Some(info), message, ending }).await
    }

    fn info_of_code(&self, signal: Signal, code: i32) -> SigInfo {
        let cred = self.cred();
        SigInfo::kill(signal, code, self.own_number() as i32, cred.user_ns.show_uid(cred.ruid))
    }

    /// Signal-delivery-stop: what is left of the signal that is about to be delivered.
    pub(crate) async fn trace_signal(self: &Arc<Self>, info: SigInfo) -> Option<SigInfo> {
        let code = info.si_signo;
        let request = Request { code, why: CLD_TRAPPED, info: Some(info), message: 0, ending: false };
        let (signal, changed) = self.trace_stop_with_info(request).await;
        let signal = Signal::new(signal)?;
        let mut info = changed.unwrap_or(info);
        if info.signal() != Some(signal) {
            let (pid, uid) = self.tracer().map_or((0, 0), |t| t.group.seen_by(&self.group));
            info = SigInfo::kill(signal, SI_USER, pid, uid);
        }
        if self.signals.lock().mask.contains(signal) || self.is_killed() {
            let _ = self.send_signal(info);
            return None;
        }
        Some(info)
    }

    /// Stops with its process, or because the tracer asked for it (`PTRACE_INTERRUPT`).
    pub(crate) async fn trap_stop(self: &Arc<Self>) {
        let stopped_by = self.group.signals.lock().stop.signal();
        let request = if self.hooks().contains(Hooks::SEIZED) {
            let signal = stopped_by.unwrap_or(Signal::SIGTRAP);
            let code = signal.number() | (PTRACE_EVENT_STOP << 8) as i32;
            let info = Some(self.info_of_code(signal, code));
            Request { code, why: CLD_STOPPED, info, message: 0, ending: false }
        } else {
            let code = stopped_by.unwrap_or(Signal::SIGSTOP).number();
            Request { code, why: CLD_STOPPED, info: None, message: 0, ending: false }
        };
        self.trace_stop(request).await;
    }

    async fn trace_stop(self: &Arc<Self>, request: Request) -> i32 {
        self.trace_stop_with_info(request).await.0
    }

    /// Sleeps until the tracer lets it go on: with which signal, and what the tracer made of the information about it.
    async fn trace_stop_with_info(self: &Arc<Self>, request: Request) -> (i32, Option<SigInfo>) {
        if !request.ending && self.is_killed() {
            return (request.code, request.info);
        }
        {
            let mut ptrace = self.ptrace.lock();
            if ptrace.tracer.is_none() {
                self.remove_hooks(Hooks::TRAPS); // asked for by one that has gone
                return (request.code, request.info);
            }
            ptrace.stop = Some(Stop { info: request.info, message: request.message, resumed: false });
            ptrace.code = request.code;
            ptrace.listening = false;
            self.remove_hooks(Hooks::TRAP_STOP);
            if request.code >> 8 == PTRACE_EVENT_STOP as i32 {
                self.remove_hooks(Hooks::TRAP_NOTIFY);
            }
        }
        self.tell_tracer(request.why, request.code);
        poll_fn(|cx| {
            self.set_sleeper(Some(cx.waker().clone()));
            self.serve_job();
            let killed = match request.ending {
                // Two that trace one another must not wait for one another's end.
                true => self.tracer().is_none_or(|t| t.is_killed()),
                false => self.is_killed(),
            };
            let ptrace = self.ptrace.lock();
            let woken = ptrace.listening && self.trap_pending();
            let goes_on = killed || woken || ptrace.stop.is_none_or(|s| s.resumed);
            if goes_on { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.set_sleeper(None);
        let mut ptrace = self.ptrace.lock();
        ptrace.listening = false;
        let info = ptrace.stop.take().and_then(|s| s.info);
        let waiting = std::mem::take(&mut ptrace.job);
        let code = std::mem::take(&mut ptrace.code);
        drop(ptrace);
        if !matches!(waiting, Job::Idle | Job::Done(_)) {
            self.wake_tracer();
        }
        (code, info)
    }

    /// Does what the tracer wants to be done with the context, on the worker that this belongs to.
    fn serve_job(&self) {
        let job = {
            let mut ptrace = self.ptrace.lock();
            match ptrace.job {
                Job::Idle | Job::Done(_) => return,
                _ => std::mem::take(&mut ptrace.job),
            }
        };
        let done = match self.context.lock().as_mut() {
            Some(context) => do_job(job, &mut **context),
            None => Err(Errno::ESRCH),
        };
        self.ptrace.lock().job = Job::Done(done);
        self.wake_tracer();
    }

    fn wake_tracer(&self) {
        if let Some(tracer) = self.tracer() {
            tracer.group.child_events.notify(Ready::OTHER);
        }
    }

    /// Wakes a tracer that waits, and sends it `SIGCHLD` unless it asked not to be told of stops.
    fn tell_tracer(self: &Arc<Self>, why: i32, code: i32) {
        let Some(tracer) = self.tracer() else { return };
        self.group.tell_of_stop(&tracer.group, Some(self), why, code & 0x7f);
        tracer.group.child_events.notify(Ready::OTHER);
    }
}

fn do_job(job: Job, context: &mut dyn platform::Context) -> Result<Answer, Errno> {
    match job {
        Job::FetchFp => Ok(Answer::Fp(context.fp())),
        Job::StoreFp(fp) => context.set_fp(&fp).map(|()| Answer::Nothing),
        Job::PeekDebug(index) => {
            context.debug_registers().map_or(Ok(0), |debug| debug.peek(index)).map(Answer::Word)
        }
        // Without any, nothing is watched: only that can be said.
        Job::PokeDebug(_, 0) if context.debug_registers().is_none() => Ok(Answer::Nothing),
        Job::PokeDebug(index, value) => {
            context.debug_registers().ok_or(Errno::EIO)?.poke(index, value).map(|()| Answer::Nothing)
        }
        Job::Idle | Job::Done(_) => Err(Errno::ESRCH),
    }
}

impl ThreadGroup {
    /// Sends `SIGCHLD` about the process, or one thread of it, that stopped or goes on, unless `to` asked not to be told.
    pub(crate) fn tell_of_stop(&self, to: &Arc<ThreadGroup>, task: Option<&Task>, code: i32, status: i32) {
        let wanted = {
            let signals = to.signals.lock();
            let action = signals.hand.get(Signal::SIGCHLD);
            !action.is_ignore() && !action.sa_flags().contains(SaFlags::NOCLDSTOP)
        };
        if wanted {
            let pid = task.map_or_else(|| self.pid.clone(), |t| t.pid());
            let pid = to.pid.namespace().and_then(|ns| pid.number_in(ns)).unwrap_or(0);
            let (_, uid) = self.seen_by(to);
            let tick = |ns: u64| (ns / 10_000_000) as i64;
            let (user, system) = task.map_or_else(|| self.times_ns(), |t| t.times_ns());
            let info = SigInfo::chld(code, pid as i32, uid, status, tick(user), tick(system));
            let _ = to.send_signal(info);
        }
    }
}
