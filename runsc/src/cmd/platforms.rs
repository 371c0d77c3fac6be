//! `platforms`: how application code can run on this host, and what `auto` takes.

use clap::Args;
use std::fs;

/// Options of `platforms`.
#[derive(Args, Debug)]
pub struct Platforms {}

impl Platforms {
    /// Prints them.
    pub fn run(self) -> anyhow::Result<i32> {
        let traced = tracing();
        let chosen = traced.is_ok();
        super::print(&format!("{:<10}{:<12}{}\n", "PLATFORM", "AVAILABLE", "WHY"));
        for (name, available) in [("ptrace", traced), ("systrap", Err(ABSENT.into())), ("kvm", kvm())] {
            let (word, why) = match &available {
                Ok(why) => ("yes", why),
                Err(why) => ("no", why),
            };
            super::print(&format!("{name:<10}{word:<12}{why}\n"));
        }
        if chosen {
            super::print("chosen by --platform=auto: ptrace\n");
            return Ok(0);
        }
        super::print("no platform works on this host\n");
        Ok(1)
    }
}

const ABSENT: &str = "not part of this version";

fn tracing() -> Result<String, String> {
    // Yama's highest level forbids tracing altogether; the levels below allow a process's own children.
    match fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default().trim() {
        "3" => Err("kernel.yama.ptrace_scope is 3: nobody may trace (sysctl, until reboot)".into()),
        _ => Ok("PTRACE_SYSEMU on this host".into()),
    }
}

fn kvm() -> Result<String, String> {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Err(format!("{ABSENT} (/dev/kvm is there)")),
        Err(error) => Err(format!("{ABSENT} (/dev/kvm: {})", crate::bundle::plain(&error))),
    }
}
