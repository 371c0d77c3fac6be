//! Signals by name or number, and which ones a foreground command passes on.

use nix::sys::signal::Signal;

/// `15`, `TERM` or `SIGTERM` (any case), also `RTMIN+n` and `RTMAX-n`.
pub fn parse(text: &str) -> anyhow::Result<i32> {
    let unknown = || anyhow::anyhow!("unknown signal {text:?}");
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(number) = real_time(name) {
        return Ok(number);
    }
    // Other names of the same.
    let name = match name {
        "CLD" => "CHLD",
        "POLL" => "IO",
        "IOT" => "ABRT",
        name => name,
    };
    format!("SIG{name}").parse::<Signal>().map(|signal| signal as i32).map_err(|_| unknown())
}

/// Real-time signals as kill(1) names them.
fn real_time(name: &str) -> Option<i32> {
    const MIN: i32 = 34;
    const MAX: i32 = 64;
    let offset = |text: &str| text.parse::<i32>().ok().filter(|offset| (0..=MAX - MIN).contains(offset));
    match name {
        "RTMIN" => Some(MIN),
        "RTMAX" => Some(MAX),
        _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(up), _) => Some(MIN + offset(up)?),
            (_, Some(down)) => Some(MAX - offset(down)?),
            _ => None,
        },
    }
}

/// Signals that a foreground command blocks, reads from a descriptor and passes on.
pub fn forwarded() -> nix::sys::signal::SigSet {
    let mut set = nix::sys::signal::SigSet::all();
    for own in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGABRT,
        Signal::SIGTRAP,
        Signal::SIGSYS,
        Signal::SIGPIPE,
        Signal::SIGCHLD,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ] {
        set.remove(own);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("sigterm", 15),
            ("SIGUSR1", 10),
            ("RTMIN", 34),
            ("SIGRTMAX-1", 63),
            ("WINCH", 28),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for text in ["FOO", "0", "65", "-1", "", "SIG", "RTMIN+40"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("FOO").unwrap_err().to_string(), "unknown signal \"FOO\"");
    }
}
