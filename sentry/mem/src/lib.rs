//! mem: see ARCHITECTURE.md.
