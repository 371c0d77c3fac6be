//! mm: see ARCHITECTURE.md.
