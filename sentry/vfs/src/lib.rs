//! vfs: see ARCHITECTURE.md.
