//! fs: see ARCHITECTURE.md.
