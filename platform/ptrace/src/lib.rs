//! ptrace: see ARCHITECTURE.md.
