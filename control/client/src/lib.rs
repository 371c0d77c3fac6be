//! control-client: see ARCHITECTURE.md.
