//! From a raw register to a typed argument, and how it is shown.

use abi::{Errno, OpenFlags, fcntl::AtFlags};
use kernel::Task;
use mem::{UserAddr, UserMemoryExt, UserPtr};
use vfs::Fd;

/// Shows an argument as `strace(1)` would.
pub type ShowFn = fn(raw: u64, task: &Task) -> String;

/// An argument of a system call.
pub trait Arg: Sized {
    /// Decodes; unknown bits and values are refused as Linux refuses them for this type.
    fn from_raw(raw: u64) -> Result<Self, Errno>;
    /// Shows it.
    fn show(raw: u64, task: &Task) -> String;
}

macro_rules! number {
    ($($t:ty),*) => { $(impl Arg for $t {
        fn from_raw(raw: u64) -> Result<Self, Errno> { Ok(raw as $t) } // the ABI takes the low bits
        fn show(raw: u64, _: &Task) -> String { (raw as $t).to_string() }
    })* };
}
number!(u64, i64, usize, u32, i32, u16, u8);

impl Arg for Fd {
    fn from_raw(raw: u64) -> Result<Self, Errno> {
        Ok(Fd(raw as i32))
    }
    fn show(raw: u64, _: &Task) -> String {
        (raw as i32).to_string()
    }
}

/// A directory descriptor of an `*at` call, or `AT_FDCWD`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DirFd {
    /// The working directory.
    Cwd,
    /// This descriptor.
    Fd(Fd),
}

impl Arg for DirFd {
    fn from_raw(raw: u64) -> Result<Self, Errno> {
        Ok(match raw as i32 {
            abi::fcntl::AT_FDCWD => DirFd::Cwd,
            fd => DirFd::Fd(Fd(fd)),
        })
    }
    fn show(raw: u64, _: &Task) -> String {
        match raw as i32 {
            abi::fcntl::AT_FDCWD => "AT_FDCWD".into(),
            fd => fd.to_string(),
        }
    }
}

impl Arg for UserAddr {
    fn from_raw(raw: u64) -> Result<Self, Errno> {
        Ok(UserAddr(raw))
    }
    fn show(raw: u64, _: &Task) -> String {
        if raw == 0 { "NULL".into() } else { format!("{raw:#x}") }
    }
}

impl<T> Arg for UserPtr<T> {
    fn from_raw(raw: u64) -> Result<Self, Errno> {
        Ok(raw.into())
    }
    fn show(raw: u64, task: &Task) -> String {
        UserAddr::show(raw, task)
    }
}

/// The address of a path: a NUL-terminated string shorter than `PATH_MAX`.
#[derive(Clone, Copy, Debug)]
pub struct UserPath(pub UserAddr);

impl UserPath {
    /// Copies the path in; `EFAULT`, `ENAMETOOLONG`.
    pub fn read(self, task: &Task) -> Result<Vec<u8>, Errno> {
        task.mm()?.read_cstr(self.0, abi::limits::PATH_MAX)
    }
}

impl Arg for UserPath {
    fn from_raw(raw: u64) -> Result<Self, Errno> {
        Ok(Self(UserAddr(raw)))
    }
    fn show(raw: u64, task: &Task) -> String {
        if raw == 0 {
            return "NULL".into();
        }
        match Self(UserAddr(raw)).read(task) {
            Ok(path) => format!("{:?}", String::from_utf8_lossy(&path)),
            Err(_) => format!("{raw:#x}"),
        }
    }
}

/// Shows flags by name; what has none as a number.
pub(crate) fn show_flags<F: bitflags::Flags<Bits = u32>>(raw: u64) -> String {
    let flags = F::from_bits_retain(raw as u32);
    let mut names: Vec<String> = flags.iter_names().map(|(name, _)| name.to_owned()).collect();
    let known = flags.iter_names().fold(0, |bits, (_, f)| bits | f.bits());
    if flags.bits() & !known != 0 || names.is_empty() {
        names.push(format!("{:#x}", flags.bits() & !known));
    }
    names.join("|")
}

impl Arg for OpenFlags {
    fn from_raw(raw: u64) -> Result<Self, Errno> {
        Ok(OpenFlags::from_bits_retain(raw as u32)) // open(2) ignores what it does not know
    }
    fn show(raw: u64, _: &Task) -> String {
        show_flags::<OpenFlags>(raw)
    }
}

impl Arg for AtFlags {
    fn from_raw(raw: u64) -> Result<Self, Errno> {
        AtFlags::from_bits(raw as u32).ok_or(Errno::EINVAL)
    }
    fn show(raw: u64, _: &Task) -> String {
        show_flags::<AtFlags>(raw)
    }
}
