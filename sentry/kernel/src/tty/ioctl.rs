//! `ioctl(2)` on terminals (`ioctl_tty(2)`).

use super::{Far, Tty};
use crate::current;
use abi::{
    Cap, Errno, Signal, Termios, Winsize,
    ioctl::*,
    tty::{Termio, Termios2},
};
use ksync::Ready;
use mem::{UserMemory, UserPtr};
use std::sync::Arc;

/// The settings `new`, with what is settled as in `old`; there is one line discipline.
fn respecting(settled: &Termios, old: &Termios, new: &Termios) -> Termios {
    let bits = |settled: u32, old: u32, new: u32| (old & settled) | (new & !settled);
    let mut c_cc = new.c_cc;
    for (new, (old, settled)) in c_cc.iter_mut().zip(old.c_cc.iter().zip(&settled.c_cc)) {
        if *settled != 0 {
            *new = *old;
        }
    }
    Termios {
        c_iflag: bits(settled.c_iflag, old.c_iflag, new.c_iflag),
        c_oflag: bits(settled.c_oflag, old.c_oflag, new.c_oflag),
        c_cflag: bits(settled.c_cflag, old.c_cflag, new.c_cflag),
        c_lflag: bits(settled.c_lflag, old.c_lflag, new.c_lflag),
        c_line: 0,
        c_cc,
    }
}

/// Which end of a pair is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Near,
    Master,
}

impl Tty {
    pub(crate) fn ioctl(
        self: &Arc<Self>,
        end: End,
        mem: &dyn UserMemory,
        cmd: u32,
        arg: u64,
    ) -> Result<u64, Errno> {
        if end == End::Near && self.state.lock().hung_up {
            return Err(Errno::EIO);
        }
        match cmd {
            TIOCVHANGUP => {
                let task = current().ok_or(Errno::EPERM)?;
                if !task.cred().has_cap(abi::Cap::SYS_ADMIN) {
                    return Err(Errno::EPERM);
                }
                self.hang_up();
            }
            TCGETS => UserPtr::from(arg).write(mem, &self.state.lock().termios.clone())?,
            TCGETS2 => UserPtr::from(arg).write(mem, &with_speed(&self.termios()))?,
            TCGETA => UserPtr::from(arg).write(mem, &short(&self.termios()))?,
            TCSETS | TCSETSW | TCSETSF => {
                self.change(end, UserPtr::<Termios>::from(arg).read(mem)?, cmd == TCSETSF)?
            }
            TCSETS2 | TCSETSW2 | TCSETSF2 => {
                let t: Termios2 = UserPtr::from(arg).read(mem)?;
                let t = Termios {
                    c_iflag: t.c_iflag,
                    c_oflag: t.c_oflag,
                    c_cflag: t.c_cflag,
                    c_lflag: t.c_lflag,
                    c_line: t.c_line,
                    c_cc: t.c_cc,
                };
                self.change(end, t, cmd == TCSETSF2)?;
            }
            TCSETA | TCSETAW | TCSETAF => {
                let t: Termio = UserPtr::from(arg).read(mem)?;
                self.change(end, long(&self.termios(), &t), cmd == TCSETAF)?;
            }
            TIOCGWINSZ => UserPtr::from(arg).write(mem, &self.state.lock().winsize.clone())?,
            TIOCSWINSZ => self.set_winsize(UserPtr::from(arg).read(mem)?),
            TIOCSCTTY if end == End::Near => {
                let task = current().ok_or(Errno::ENOTTY)?;
                self.make_controlling(&task, arg == 1)?;
            }
            TIOCNOTTY => self.give_up()?,
            TIOCGPGRP => {
                let pgid = match end {
                    End::Near => self.foreground_for_caller()?,
                    End::Master => self.session_and_foreground().1.unwrap_or(0) as i32,
                };
                UserPtr::from(arg).write(mem, &pgid)?;
            }
            TIOCSPGRP => {
                let pgid: i32 = UserPtr::from(arg).read(mem)?;
                self.check_foreground(Signal::SIGTTOU)?;
                self.set_foreground(pgid)?;
            }
            TIOCGSID => {
                let sid = match end {
                    End::Near => self.session_for_caller()?,
                    End::Master => self.session_and_foreground().0.ok_or(Errno::ENOTTY)? as i32,
                };
                UserPtr::from(arg).write(mem, &sid)?;
            }
            FIONREAD => {
                let state = self.state.lock();
                let n = if end == End::Near { state.queued() } else { state.output.len() };
                drop(state);
                UserPtr::from(arg).write(mem, &(n as i32))?;
            }
            TIOCOUTQ => {
                let n = if end == End::Near { self.state.lock().output.len() } else { 0 };
                UserPtr::from(arg).write(mem, &(n as i32))?;
            }
            TCFLSH => self.flush(end, arg)?,
            TCXONC => self.flow(arg)?,
            TCSBRK | TCSBRKP | TIOCSBRK | TIOCCBRK => self.check_foreground(Signal::SIGTTOU)?,
            TIOCEXCL | TIOCNXCL => self.state.lock().exclusive = cmd == TIOCEXCL,
            TIOCGEXCL => UserPtr::from(arg).write(mem, &i32::from(self.state.lock().exclusive))?,
            TIOCGLCKTRMIOS => UserPtr::from(arg).write(mem, &self.state.lock().settled.clone())?,
            TIOCSLCKTRMIOS => {
                if !current().is_some_and(|t| t.cred().has_cap(Cap::SYS_ADMIN)) {
                    return Err(Errno::EPERM);
                }
                let settled = UserPtr::<Termios>::from(arg).read(mem)?;
                self.state.lock().settled = settled;
            }
            TIOCGETD => UserPtr::from(arg).write(mem, &i32::from(self.termios().c_line))?,
            TIOCSETD => {
                let line: i32 = UserPtr::from(arg).read(mem)?;
                if line != 0 {
                    return Err(Errno::EINVAL);
                }
            }
            TIOCGSOFTCAR => UserPtr::from(arg).write(mem, &0i32)?,
            TIOCSSOFTCAR => {}
            TIOCSTI => return Err(Errno::EIO), // as dev.tty.legacy_tiocsti=0
            TIOCGDEV => UserPtr::from(arg).write(mem, &(self.device(end) as u32))?,
            _ if matches!(self.far, Far::Master) => return self.pty_ioctl(end, mem, cmd, arg),
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn pty_ioctl(self: &Arc<Self>, end: End, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        match (end, cmd) {
            (End::Master, TIOCGPTN) => UserPtr::from(arg).write(mem, &self.index().unwrap_or(0))?,
            (End::Master, TIOCSPTLCK) => {
                let lock: i32 = UserPtr::from(arg).read(mem)?;
                self.state.lock().locked = lock != 0;
            }
            (End::Master, TIOCGPTLCK) => {
                UserPtr::from(arg).write(mem, &i32::from(self.state.lock().locked))?
            }
            (End::Master, TIOCPKT) => {
                let on: i32 = UserPtr::from(arg).read(mem)?;
                let mut state = self.state.lock();
                state.packet_mode = on != 0;
                state.packet = 0;
            }
            (End::Master, TIOCGPKT) => {
                UserPtr::from(arg).write(mem, &i32::from(self.state.lock().packet_mode))?
            }
            (End::Master, TIOCSIG) => {
                let signal = i32::try_from(arg).ok().and_then(Signal::new).ok_or(Errno::EINVAL)?;
                if !matches!(signal, Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTSTP) {
                    return Err(Errno::EINVAL);
                }
                self.signal_foreground(signal);
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    /// The settings.
    pub fn termios(&self) -> Termios {
        self.state.lock().termios
    }

    fn change(&self, end: End, new: Termios, flush: bool) -> Result<(), Errno> {
        if end == End::Near {
            self.check_foreground(Signal::SIGTTOU)?;
        }
        {
            let mut state = self.state.lock();
            let was_canonical = state.canonical();
            state.termios = respecting(&state.settled, &state.termios, &new);
            if flush {
                state.flush_input();
            }
            state.change_mode(was_canonical);
        }
        self.near_queue.notify(Ready::IN | Ready::OUT);
        Ok(())
    }

    /// Sets the window size; the foreground group is told of a change.
    pub fn set_winsize(&self, new: Winsize) {
        let changed = {
            let mut state = self.state.lock();
            let old = std::mem::replace(&mut state.winsize, new);
            (old.ws_row, old.ws_col) != (new.ws_row, new.ws_col)
        };
        if changed {
            self.signal_foreground(Signal::SIGWINCH);
        }
    }

    fn flush(&self, end: End, which: u64) -> Result<(), Errno> {
        if end == End::Near {
            self.check_foreground(Signal::SIGTTOU)?;
        }
        let (input, output) = match which {
            0 => (true, false),
            1 => (false, true),
            2 => (true, true),
            _ => return Err(Errno::EINVAL),
        };
        {
            let mut state = self.state.lock();
            // What is input at one end is output of the other.
            if if end == End::Near { input } else { output } {
                state.flush_input();
            }
            if if end == End::Near { output } else { input } {
                state.output.clear();
            }
        }
        self.near_queue.notify(Ready::OUT);
        self.far_queue.notify(Ready::OUT);
        Ok(())
    }

    fn flow(&self, what: u64) -> Result<(), Errno> {
        self.check_foreground(Signal::SIGTTOU)?;
        match what {
            0 => self.state.lock().stopped = true,
            1 => {
                let mut state = self.state.lock();
                state.stopped = false;
                self.drain_to_host(&mut state);
            }
            2 | 3 => return Ok(()),
            _ => return Err(Errno::EINVAL),
        }
        self.near_queue.notify(Ready::OUT);
        self.far_queue.notify(Ready::IN);
        Ok(())
    }

    /// Device number.
    pub(crate) fn device(&self, end: End) -> u64 {
        match (self.index(), end) {
            (Some(n), End::Near) => abi::stat::dev::makedev(136, n),
            (Some(_), End::Master) => abi::stat::dev::makedev(5, 2),
            (None, _) => abi::stat::dev::makedev(5, 1),
        }
    }
}

fn with_speed(t: &Termios) -> Termios2 {
    let speed = if t.c_cflag & 0o10017 == 0o17 { 38400 } else { 0 };
    Termios2 {
        c_iflag: t.c_iflag,
        c_oflag: t.c_oflag,
        c_cflag: t.c_cflag,
        c_lflag: t.c_lflag,
        c_line: t.c_line,
        c_cc: t.c_cc,
        c_ispeed: speed,
        c_ospeed: speed,
    }
}

fn short(t: &Termios) -> Termio {
    let mut c_cc = [0; 8];
    c_cc.iter_mut().zip(t.c_cc).for_each(|(to, from)| *to = from);
    Termio {
        c_iflag: t.c_iflag as u16,
        c_oflag: t.c_oflag as u16,
        c_cflag: t.c_cflag as u16,
        c_lflag: t.c_lflag as u16,
        c_line: t.c_line,
        c_cc,
        ..Termio::default()
    }
}

fn long(old: &Termios, new: &Termio) -> Termios {
    let join = |old: u32, new: u16| old & 0xffff_0000 | u32::from(new);
    let mut t = *old;
    t.c_iflag = join(old.c_iflag, new.c_iflag);
    t.c_oflag = join(old.c_oflag, new.c_oflag);
    t.c_cflag = join(old.c_cflag, new.c_cflag);
    t.c_lflag = join(old.c_lflag, new.c_lflag);
    t.c_cc.iter_mut().zip(new.c_cc).for_each(|(to, from)| *to = from);
    t
}
