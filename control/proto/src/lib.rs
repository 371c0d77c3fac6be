//! control-proto: see ARCHITECTURE.md.
