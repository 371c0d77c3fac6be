//! host: the one door to host system calls that need `unsafe`. See ARCHITECTURE.md.

pub mod inherit;
pub mod launch;
pub mod mount;
pub mod process;
pub mod scm;
pub mod tty;
