//! gofer-server: see ARCHITECTURE.md.
