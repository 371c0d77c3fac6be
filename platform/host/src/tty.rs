//! Terminals of the host: window sizes and the controlling terminal.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// `struct winsize`.
pub use libc::winsize as WindowSize;

/// `TIOCGWINSZ`. `ENOTTY` where it is no terminal.
pub fn window_size(tty: BorrowedFd<'_>) -> io::Result<WindowSize> {
    let mut size = WindowSize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize.
    if unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(size)
}

/// `TIOCSWINSZ`. On a pseudoterminal either end will do; its foreground process group gets `SIGWINCH`.
pub fn set_window_size(tty: BorrowedFd<'_>, size: WindowSize) -> io::Result<()> {
    // SAFETY: TIOCSWINSZ reads one winsize.
    if unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `TIOCSCTTY`: makes `tty` the controlling terminal of the calling session leader.
pub fn set_controlling(tty: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    if unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
