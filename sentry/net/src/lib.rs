//! net: see ARCHITECTURE.md.
