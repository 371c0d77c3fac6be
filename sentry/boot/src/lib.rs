//! boot: see ARCHITECTURE.md.
