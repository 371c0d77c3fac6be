//! syscalls: see ARCHITECTURE.md.
