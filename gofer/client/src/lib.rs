//! gofer-client: see ARCHITECTURE.md.
