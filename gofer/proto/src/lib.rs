//! gofer-proto: see ARCHITECTURE.md.
