//! Chores of the project, as programs: see `src/bin`.
#![forbid(unsafe_code)]

use std::fmt::Write;

/// The page of system calls, as `docs/syscalls.md` has it.
pub fn syscall_page() -> String {
    let all = syscalls::table::coverage();
    let count = |start: &str| all.iter().filter(|c| c.support.starts_with(start)).count();
    let mut page = String::from(
        "# System calls\n\nMade by `cargo run -p tools --bin syscall-page`; a test holds it to the table.\n\n",
    );
    let _ = writeln!(
        page,
        "Of the {} calls of Linux 6.12 on x86-64, {} are full, {} partial, {} refused on purpose, {} absent.\n",
        all.len(),
        count("full"),
        count("partial"),
        count("refused"),
        count("absent")
    );
    page.push_str("| number | call | support |\n| ---: | --- | --- |\n");
    for c in &all {
        let _ = writeln!(page, "| {} | `{}` | {} |", c.nr, c.name, c.support);
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_of_system_calls_says_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/syscalls.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == super::syscall_page(),
            "docs/syscalls.md is out of date: cargo run -p tools --bin syscall-page"
        );
    }
}
