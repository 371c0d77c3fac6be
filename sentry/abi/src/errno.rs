//! Error numbers.
/// An error number as `errno(3)` names it. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(u16);
