//! `runsc-rs`: OCI runtime and command line. See ARCHITECTURE.md.

fn main() {}
