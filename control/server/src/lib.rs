//! control-server: see ARCHITECTURE.md.
