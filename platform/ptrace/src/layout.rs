//! Where things lie in every stub's address space.
//!
//! The application has `[USER_MIN, USER_MAX)`; everything above is the platform's: the host's vDSO, the stub page and the
//! order page. An application can read and execute what is there, to no effect: a system call made from
//! the stub page traps like any other, because the thread was resumed with `PTRACE_SYSEMU`.

/// Lowest address that an application can map (the host's usual `vm.mmap_min_addr`).
pub const USER_MIN: u64 = 0x1_0000;
/// Behind the highest address that an application can map.
pub const USER_MAX: u64 = 0x7fff_fe00_0000;
/// The host's `TASK_SIZE_MAX` with four-level page tables: behind the highest address of user mode.
pub const TASK_SIZE: u64 = 0x7fff_ffff_f000;
/// Where the lowest part of the vDSO group goes.
pub const VDSO: u64 = 0x7fff_ff00_0000;
/// Room kept for the vDSO group.
pub const VDSO_MAX: u64 = 0x40_0000;
/// The page of stub code, readable and executable.
pub const STUB: u64 = 0x7fff_ff80_0000;
/// The process's page of orders, read-only.
pub const ORDERS: u64 = STUB + 0x1000;
/// Arguments that are structs, while the first stub is set up.
pub const DATA: u64 = ORDERS + 0x1000;
/// The size of a page.
pub const PAGE: u64 = 0x1000;
