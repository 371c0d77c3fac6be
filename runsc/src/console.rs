//! Terminals: the pair that a container gets, handing its master over, and a person's terminal in raw mode.

use anyhow::{Context, bail};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr},
};
use std::{
    fs::File,
    io::{IsTerminal, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    thread,
};

/// A pseudoterminal of the host.
#[derive(Debug)]
pub struct Pty {
    /// The end for whoever shows it.
    pub master: OwnedFd,
    /// The end for the container.
    pub slave: OwnedFd,
}

impl Pty {
    /// A new pair, with the given size (rows, columns).
    pub fn open(size: Option<(u16, u16)>) -> anyhow::Result<Self> {
        let pair = nix::pty::openpty(None, None).context("cannot make a pseudoterminal")?;
        for fd in [&pair.master, &pair.slave] {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        if let Some((rows, columns)) = size {
            let size = host::tty::WindowSize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            host::tty::set_window_size(pair.master.as_fd(), size)?;
        }
        Ok(Self { master: pair.master, slave: pair.slave })
    }
}

/// Sends the master to whoever listens at `socket`.
pub fn send_master(socket: &Path, master: BorrowedFd<'_>) -> anyhow::Result<()> {
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot connect to console socket {}", socket.display()))?;
    // The data is the terminal's name, which receivers may show.
    let name = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&master)))
        .map_or_else(|_| "/dev/ptmx".into(), |path| path.display().to_string());
    host::scm::send_all(stream.as_fd(), name.as_bytes(), &[master])
        .with_context(|| format!("cannot send the terminal to {}", socket.display()))
}

/// Checks that terminal options fit together, as other runtimes do.
pub fn check(terminal: bool, detach: bool, socket: Option<&Path>) -> anyhow::Result<()> {
    match (terminal, detach, socket) {
        (true, true, None) => {
            bail!("cannot allocate tty if runsc-rs will detach without setting console socket")
        }
        (false, _, Some(_)) => bail!("cannot use console socket if runsc-rs will not allocate tty"),
        (_, false, Some(_)) => bail!("cannot use console socket if runsc-rs will not detach"),
        _ => Ok(()),
    }
}

/// The settings of a person's terminal, put back when dropped.
pub struct SavedTerminal {
    terminal: OwnedFd,
    settings: Termios,
}

impl SavedTerminal {
    /// Remembers the settings of standard input; `None` where that is no terminal.
    pub fn of_stdin() -> anyhow::Result<Option<Self>> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let terminal = stdin.as_fd().try_clone_to_owned()?;
        let settings = tcgetattr(&terminal).context("cannot read the terminal's settings")?;
        Ok(Some(Self { terminal, settings }))
    }

    /// Raw mode: keys go to the container as they come.
    pub fn make_raw(&self) -> anyhow::Result<()> {
        let mut raw = self.settings.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&self.terminal, SetArg::TCSANOW, &raw).context("cannot put the terminal into raw mode")
    }

    /// Gives `master` the window size of this terminal.
    pub fn copy_size(&self, master: BorrowedFd<'_>) {
        if let Ok(size) = host::tty::window_size(self.terminal.as_fd()) {
            let _ = host::tty::set_window_size(master, size);
        }
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.settings);
    }
}

/// Copies standard input to `master` on a thread of its own, for as long as there is any.
pub fn pump_input(master: &OwnedFd) -> anyhow::Result<()> {
    let mut master = File::from(master.try_clone()?);
    thread::Builder::new().name("input".into()).spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 4096];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => {
                    // What a terminal sends at the end of input. Without it a reader would wait for ever.
                    let _ = master.write_all(&[4]);
                    return;
                }
                Ok(len) => {
                    if master.write_all(buffer.get(..len).unwrap_or_default()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    })?;
    Ok(())
}

/// Copies what `master` has to standard output; false at its end.
pub fn copy_output(master: &OwnedFd) -> bool {
    let mut buffer = [0; 16 << 10];
    match nix::unistd::read(master, &mut buffer) {
        Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => true,
        // EIO: nobody has the other end open any more.
        Ok(0) | Err(_) => false,
        Ok(len) => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(buffer.get(..len).unwrap_or_default()).and_then(|()| stdout.flush()).is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_fit_together() {
        let socket = Some(Path::new("/s"));
        assert!(check(true, true, socket).is_ok() && check(true, false, None).is_ok());
        assert!(check(true, true, None).is_err());
        assert!(check(false, true, socket).is_err());
        assert!(check(true, false, socket).is_err());
    }

    #[test]
    fn the_master_travels() {
        let path = std::env::temp_dir().join(format!("runsc-console-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let pty = Pty::open(Some((10, 20))).unwrap();
        send_master(&path, pty.master.as_fd()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (peer, _) = listener.accept().unwrap();
        let received = host::scm::recv(peer.as_fd(), &mut [0; 100]).unwrap();
        let size = host::tty::window_size(received.fds[0].as_fd()).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (10, 20));
    }
}
