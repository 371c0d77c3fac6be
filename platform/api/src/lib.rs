//! platform: see ARCHITECTURE.md.
