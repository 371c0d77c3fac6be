//! host: see ARCHITECTURE.md.
