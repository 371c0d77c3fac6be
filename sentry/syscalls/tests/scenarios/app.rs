//! One application thread: a closure on a host thread of its own, which has control exactly while the platform would run
//! application code.
//!
//! The worker that polls the task asks its script what happens next; the script passes the registers to the thread and
//! waits until that has come to its next trap. So a scenario's threads never run at the same time, and the order of
//! everything is that of the kernel's run queue.
//!
//! Like a CPU, [`App`] goes where the instruction pointer says: into a handler, back through `rt_sigreturn`, or through
//! the same `syscall` again where the kernel has made it stand before that.

use crate::machine::{ENTRY, End, SYSCALL_AT, World};
use abi::{Errno, SigInfo, sysno};
use platform::{
    Access, Regs, Trap,
    fake::{Cpu, Mapped, Step},
};
use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, mpsc},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Addresses of handlers; nothing is there, as nothing is executed.
const HANDLERS: u64 = 0x50_0000;
const HANDLER_LEN: u64 = 16;
/// `SA_RESTORER` of every handler.
pub const RESTORER: u64 = HANDLERS - HANDLER_LEN;
const PAGE: u64 = 4096;

/// What a handler runs.
pub type Handler = Arc<dyn Fn(&mut App, SigInfo) + Send + Sync>;

/// From the application to its script.
enum Ask {
    /// What is mapped there?
    Lookup(u64),
    /// Until here; these are the registers.
    Trap(Box<Regs>, Step),
}

/// From the script to the application.
enum Answer {
    Mapped(Option<Mapped>),
    /// It has control, with these registers.
    Resumed(Regs),
}

/// Unwinds a thread whose task is gone.
struct Gone;

/// An application thread, as its program sees it.
pub struct App {
    /// The registers.
    pub regs: Regs,
    pub(crate) world: Arc<World>,
    pub(crate) handlers: Vec<Handler>,
    /// Memory that [`put`](Self::put) gives out, and its end.
    pub(crate) scratch: (u64, u64),
    ask: mpsc::Sender<Ask>,
    answers: mpsc::Receiver<Answer>,
}

/// Gives the platform's next context `program` as its code.
pub fn start(
    world: &Arc<World>,
    handlers: Vec<Handler>,
    name: &str,
    program: impl FnOnce(&mut App) + Send + 'static,
) {
    let (ask, asked) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let script = move |cpu: &mut Cpu<'_>| {
        let _ = answer.send(Answer::Resumed(*cpu.regs));
        loop {
            match asked.recv() {
                Ok(Ask::Lookup(addr)) => {
                    let _ = answer.send(Answer::Mapped(cpu.space.lookup(addr)));
                }
                Ok(Ask::Trap(regs, step)) => {
                    *cpu.regs = *regs;
                    return step;
                }
                Err(_) => return Step::Trap(Trap::Lost), // its thread has panicked
            }
        }
    };
    world.platform.script(script);
    let shared = world.clone();
    let body = move || {
        let Ok(Answer::Resumed(regs)) = answers.recv() else { return };
        let mut app = App { regs, world: shared, handlers, scratch: (0, 0), ask, answers };
        let run = AssertUnwindSafe(|| {
            app.settle();
            program(&mut app);
            app.exit_group(0)
        });
        // Told before `app` goes: the kernel ends the task then, and others would wonder about that.
        report(catch_unwind(run), &app.world.end);
    };
    std::thread::Builder::new().name(name.into()).spawn(body).unwrap();
}

/// Ends the scenario if a thread of it panicked.
fn report(result: Result<Infallible, Box<dyn Any + Send>>, end: &mpsc::Sender<End>) {
    if let Err(panic) = result
        && !panic.is::<Gone>()
    {
        let _ = end.send(Err(panic));
    }
}

impl App {
    fn answer(&self) -> Answer {
        self.answers.recv().unwrap_or_else(|_| resume_unwind(Box::new(Gone)))
    }

    fn ask(&self, ask: Ask) -> Answer {
        if self.ask.send(ask).is_err() {
            resume_unwind(Box::new(Gone));
        }
        self.answer()
    }

    /// Gives up control until the kernel gives it back.
    fn step(&mut self, step: Step) {
        match self.ask(Ask::Trap(Box::new(self.regs), step)) {
            Answer::Resumed(regs) => self.regs = regs,
            Answer::Mapped(_) => unreachable!("nothing was looked up"),
        }
    }

    fn trap(&mut self, trap: Trap) {
        self.step(Step::Trap(trap));
        self.settle();
    }

    /// Goes where the kernel has put the instruction pointer, until that is the program itself.
    fn settle(&mut self) {
        loop {
            match self.regs.rip {
                SYSCALL_AT => self.make_call(self.regs.rax),
                rip if rip >= HANDLERS => self.handle(((rip - HANDLERS) / HANDLER_LEN) as usize),
                _ => return,
            }
        }
    }

    fn make_call(&mut self, nr: u64) {
        self.regs.orig_rax = nr;
        self.regs.rip = ENTRY;
        self.regs.rax = Errno::ENOSYS.to_return();
        self.step(Step::Trap(Trap::Syscall));
    }

    /// Runs a handler whose frame the stack pointer stands on, and returns from it.
    fn handle(&mut self, index: usize) {
        let handler = self.handlers[index].clone();
        let frame = self.regs.rsp;
        assert_eq!(self.load::<u64>(frame), RESTORER, "a handler returns to its restorer");
        let info: SigInfo = self.load(self.regs.rsi);
        assert_eq!(self.regs.rdi, info.si_signo as u64);
        self.regs.rip = ENTRY; // somewhere in the handler, for signals that come meanwhile
        handler(self, info);
        self.regs.rsp = frame + 8; // `ret` has taken the address of the restorer
        self.make_call(u64::from(sysno::RT_SIGRETURN));
    }

    /// Makes a system call.
    pub fn call<const N: usize>(&mut self, nr: u32, args: [u64; N]) -> Result<u64, Errno> {
        let mut six = [0; 6];
        six[..N].copy_from_slice(&args);
        [self.regs.rdi, self.regs.rsi, self.regs.rdx, self.regs.r10, self.regs.r8, self.regs.r9] = six;
        self.make_call(u64::from(nr));
        self.settle();
        let result = self.regs.rax.cast_signed();
        match i32::try_from(-result).ok().and_then(Errno::from_code) {
            Some(e) => Err(e),
            None => Ok(self.regs.rax),
        }
    }

    /// Computes until it is interrupted.
    pub fn compute(&mut self) {
        self.step(Step::Compute);
        self.settle();
    }

    /// Adds a handler; its address.
    pub(crate) fn add_handler(&mut self, handler: Handler) -> u64 {
        self.handlers.push(handler);
        HANDLERS + (self.handlers.len() as u64 - 1) * HANDLER_LEN
    }

    /// Finds the memory behind `addr`, having taken the faults of touching it.
    fn touch(&mut self, addr: u64, access: Access) -> Mapped {
        for _ in 0..8 {
            match self.ask(Ask::Lookup(addr)) {
                Answer::Mapped(Some(mapped)) if mapped.access.contains(access) => return mapped,
                Answer::Mapped(found) => {
                    let missing = access - found.map_or(Access::empty(), |m| m.access);
                    self.trap(Trap::Fault { addr, access: missing });
                }
                Answer::Resumed(_) => unreachable!("no trap was made"),
            }
        }
        panic!("{addr:#x} faults for ever");
    }

    /// Calls `each` with every piece of application memory in a range.
    fn pieces(
        &mut self,
        addr: u64,
        len: usize,
        access: Access,
        mut each: impl FnMut(mem::VolatileSlice<'_>, usize),
    ) {
        let mut done = 0;
        while done < len {
            let at = addr + done as u64;
            let n = ((PAGE - at % PAGE) as usize).min(len - done);
            let mapped = self.touch(at, access);
            let memory = &self.world.kernel.memory;
            assert_eq!(mapped.fd, memory.raw_fd(), "scenarios have no memory but the memory file");
            each(memory.slice(mapped.offset, n).unwrap(), done);
            done += n;
        }
    }

    /// Reads memory, as an instruction would: with faults.
    pub fn load_bytes(&mut self, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.pieces(addr, len, Access::READ, |piece, at| {
            piece.copy_to(&mut bytes[at..at + piece.len()]);
        });
        bytes
    }

    /// Writes memory, as an instruction would: with faults.
    pub fn store_bytes(&mut self, addr: u64, bytes: &[u8]) {
        self.pieces(addr, bytes.len(), Access::WRITE, |piece, at| {
            piece.copy_from(&bytes[at..at + piece.len()]);
        });
    }

    /// Reads a value.
    pub fn load<T: FromBytes>(&mut self, addr: u64) -> T {
        T::read_from_bytes(&self.load_bytes(addr, size_of::<T>())).unwrap_or_else(|_| unreachable!())
    }

    /// Writes a value.
    pub fn store<T: IntoBytes + Immutable>(&mut self, addr: u64, value: T) {
        self.store_bytes(addr, value.as_bytes());
    }
}
