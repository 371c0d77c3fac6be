//! Pseudoterminals (`pty(7)`): the files of both ends.

use super::{BUFFER, Far, Tty, ioctl::End};
use abi::{Errno, Signal, tty::LocalFlags};
use ksync::{Ready, WaitQueue};
use mem::{IoDst, IoSrc, UserMemory};
use std::{any::Any, sync::Arc};
use vfs::{File, FileOps};

/// The end that terminal emulators use (`/dev/ptmx`).
pub struct Master {
    tty: Arc<Tty>,
    /// Told that the pair is gone, so that its number can be handed out again.
    on_close: Box<dyn Fn() + Send + Sync>,
}

/// The end that programs use (`/dev/pts/N`), `/dev/console` and `/dev/tty`.
pub struct Slave {
    tty: Arc<Tty>,
}

/// A new pair with the number `index`: its terminal, and the open master. `on_close` is called when the master closes.
pub fn open_pair(index: u32, on_close: Box<dyn Fn() + Send + Sync>) -> (Arc<Tty>, Box<dyn FileOps>) {
    let tty = Tty::new(Far::Master, Some(index));
    (tty.clone(), Box::new(Master { tty, on_close }))
}

/// Opens the near end. `EIO` where the master has locked it or gone, `EBUSY` where somebody has it exclusively.
pub fn open_slave(tty: &Arc<Tty>) -> Result<Box<dyn FileOps>, Errno> {
    let mut state = tty.state.lock();
    if state.locked || state.hung_up {
        return Err(Errno::EIO);
    }
    if state.exclusive && !crate::current().is_some_and(|t| t.cred().has_cap(abi::Cap::SYS_ADMIN)) {
        return Err(Errno::EBUSY);
    }
    state.slaves += 1;
    state.was_open = true;
    drop(state);
    Ok(Box::new(Slave { tty: tty.clone() }))
}

impl Slave {
    /// The terminal.
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }
}

impl FileOps for Slave {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        self.tty.check_foreground(Signal::SIGTTIN)?;
        self.tty.read(dst)
    }
    fn write(&self, _: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if self.tty.termios().local().contains(LocalFlags::TOSTOP) {
            self.tty.check_foreground(Signal::SIGTTOU)?;
        }
        self.tty.write(src)
    }
    fn read_timeout_ns(&self) -> Option<u64> {
        self.tty.read_timeout_ns()
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        self.tty.ready()
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.near_queue)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        self.tty.ioctl(End::Near, mem, cmd, arg)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        self.tty.state.lock().slaves -= 1;
        self.tty.far_queue.notify(Ready::IN | Ready::HUP);
    }
}

impl Master {
    /// The terminal.
    pub fn tty(&self) -> &Arc<Tty> {
        &self.tty
    }
}

impl FileOps for Master {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut state = self.tty.state.lock();
        if state.packet_mode && state.packet != 0 {
            let packet = std::mem::take(&mut state.packet);
            return dst.put(&[packet]);
        }
        if state.output.is_empty() || state.stopped {
            return Err(if state.slaves == 0 && state.was_open && !state.stopped {
                Errno::EIO
            } else {
                Errno::EAGAIN
            });
        }
        let packet = usize::from(state.packet_mode);
        let n = state.output.len().min(dst.remaining().saturating_sub(packet)).min(4096);
        let bytes: Vec<u8> = state.output.drain(..n).collect();
        drop(state);
        if packet > 0 {
            dst.put(&[0])?;
        }
        let put = dst.put(&bytes)?;
        self.tty.near_queue.notify(Ready::OUT | Ready::WRNORM);
        Ok(put + packet)
    }
    fn write(&self, _: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let bytes = src.take_vec(4096)?;
        let taken = self.tty.receive(&bytes);
        src.untake(bytes.len() - taken);
        if taken == 0 && !bytes.is_empty() { Err(Errno::EAGAIN) } else { Ok(taken) }
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        let state = self.tty.state.lock();
        let mut ready = Ready::empty();
        if !state.output.is_empty() && !state.stopped || state.packet != 0 {
            ready |= Ready::IN | Ready::RDNORM;
        }
        if state.has_room() && state.output.len() < BUFFER {
            ready |= Ready::OUT | Ready::WRNORM;
        }
        if state.slaves == 0 && state.was_open {
            ready |= Ready::HUP;
        }
        ready
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.tty.far_queue)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        self.tty.ioctl(End::Master, mem, cmd, arg)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.tty.hang_up();
        (self.on_close)();
    }
}
