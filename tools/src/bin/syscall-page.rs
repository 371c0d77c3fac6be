//! Writes `docs/syscalls.md` from the table of system calls.

fn main() -> anyhow::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/syscalls.md");
    std::fs::write(path, tools::syscall_page())?;
    Ok(())
}
