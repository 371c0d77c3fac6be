//! What a confined process asks of the host: calls, and what their arguments may be. Seccomp filters are made of these.
//!
//! [`host_calls!`](crate::host_calls) declares a list:
//!
//! ```
//! use platform::{HostCall, host_calls};
//! const CALLS: &[HostCall] = host_calls! {
//!     SYS_close;
//!     SYS_mmap: 2 lacks libc::PROT_EXEC;
//!     SYS_socket: 0 in [libc::AF_INET, libc::AF_INET6], 1 but (libc::SOCK_CLOEXEC) in [libc::SOCK_STREAM];
//! };
//! assert_eq!(CALLS[2].checks.len(), 2);
//! assert_eq!(CALLS[1].checks[0].mask, libc::PROT_EXEC as u64);
//! ```

/// A call of the host, and all that must hold of its arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostCall {
    /// Its number.
    pub nr: i64,
    /// Holds if each of these does; always if there is none.
    pub checks: &'static [ArgCheck],
}

/// What an argument may be: some of its bits must have one of several values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArgCheck {
    /// Which argument, from 0.
    pub arg: u8,
    /// The bits that are looked at.
    pub mask: u64,
    /// What they may be.
    pub one_of: &'static [u64],
}

/// Declares a list of [`HostCall`]s: names of `libc`'s numbers, each with what must hold of its arguments.
///
/// `2 in [A, B]` compares the lower half of argument 2, as Linux does for what it takes as an `int`; `2 but (FLAGS) in
/// [A, B]` leaves bits out; `2 lacks BITS` wants none of them set; `2 null` wants a null pointer.
#[macro_export]
macro_rules! host_calls {
    ($($nr:ident $(: $($arg:literal $op:ident $(($flags:expr) in)? $([$($value:expr),* $(,)?])? $($bits:path)?),+)?;)*) => {
        &[$($crate::HostCall {
            nr: ::libc::$nr,
            checks: &[$($($crate::host_calls!(
                @check $arg $op $(($flags) in)? $([$($value),*])? $($bits)?
            )),+)?],
        }),*]
    };
    (@check $arg:literal in [$($value:expr),*]) => {
        $crate::ArgCheck { arg: $arg, mask: 0xffff_ffff, one_of: &[$($value as u32 as u64),*] }
    };
    (@check $arg:literal but ($flags:expr) in [$($value:expr),*]) => {
        $crate::ArgCheck { arg: $arg, mask: !($flags as u32) as u64, one_of: &[$($value as u32 as u64),*] }
    };
    (@check $arg:literal lacks $bits:path) => {
        $crate::ArgCheck { arg: $arg, mask: $bits as u32 as u64, one_of: &[0] }
    };
    (@check $arg:literal null) => {
        $crate::ArgCheck { arg: $arg, mask: u64::MAX, one_of: &[0] }
    };
}
