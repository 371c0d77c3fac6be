//! `/proc/PID/net`: the network namespace of a process, as the network says it.

use super::process::Process;
use crate::pseudo::{Child, Entry, PseudoDir, file};
use abi::{Errno, FileType};
use net::{namespace::NetNamespace, procfs};
use std::sync::Arc;

/// `net`.
pub(super) struct NetDir(pub Arc<Process>);

impl PseudoDir for NetDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        let known = procfs::NAMES.iter().find(|n| n.as_bytes() == name).ok_or(Errno::ENOENT)?;
        let process = self.0.clone();
        Ok(file(move || {
            let ns = process.task()?.namespaces().net.get::<NetNamespace>().ok_or(Errno::EINVAL)?;
            procfs::render(&ns, known).ok_or(Errno::ENOENT)
        }))
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let entry = |(pos, name): (u64, &&str)| Entry {
            pos,
            name: name.as_bytes().to_vec(),
            kind: FileType::Regular,
        };
        Ok((2..).zip(procfs::NAMES).map(entry).collect())
    }
}
