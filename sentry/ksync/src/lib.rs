//! ksync: see ARCHITECTURE.md.
