//! What `/proc/net` shows.

use crate::{
    namespace::NetNamespace,
    unix::{UnixName, UnixSocket},
};
use std::{fmt::Write, sync::atomic::Ordering};

/// The file `name` of `/proc/net`; `None` if there is none.
pub fn render(ns: &NetNamespace, name: &str) -> Option<String> {
    Some(match name {
        "unix" => unix(ns),
        _ => return None,
    })
}

/// The names that [`render`] knows.
pub const NAMES: &[&str] = &["unix"];

fn unix(ns: &NetNamespace) -> String {
    let mut text = String::from("Num       RefCount Protocol Flags    Type St Inode Path\n");
    for socket in ns.sockets() {
        let Some(unix) = socket.as_any().downcast_ref::<UnixSocket>() else { continue };
        let common = socket.common();
        let (state, flags, name) = unix.describe();
        let ino = common.ino.load(Ordering::Relaxed);
        let kind = common.kind.to_raw();
        let _ = write!(text, "{:016x}: {:08X} {:08X} {flags:08X} {kind:04X} {state:02X} {ino:5}", 0, 2, 0);
        match name {
            Some(UnixName::Path(path)) => {
                let _ = write!(text, " {}", String::from_utf8_lossy(&path));
            }
            Some(UnixName::Abstract(name)) => {
                let shown: String = name.iter().map(|b| if *b == 0 { '@' } else { char::from(*b) }).collect();
                let _ = write!(text, " @{shown}");
            }
            None => {}
        }
        text.push('\n');
    }
    text
}
