//! Mount options of tmpfs.

use abi::Errno;
use mem::{MemoryFile, PAGE_SIZE};
use vfs::{Gid, Uid};

/// What a tmpfs is mounted with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Most bytes; 0 for no limit, `None` for half of the memory.
    pub size: Option<u64>,
    /// Most inodes; 0 for no limit, `None` for one a page of half of the memory.
    pub nr_inodes: Option<u64>,
    /// Permissions of the root directory; 01777 unless given.
    pub mode: Option<u32>,
    /// Owner of the root directory.
    pub uid: Uid,
    /// Group of the root directory.
    pub gid: Gid,
}

/// Half of all memory that applications can have.
pub(super) fn half_of(memory: &MemoryFile) -> u64 {
    memory.machine_bytes() / 2 / PAGE_SIZE * PAGE_SIZE
}

/// A number with `k`, `m` or `g` behind it.
fn number(text: &str) -> Result<u64, Errno> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let n: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    n.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

impl Options {
    /// Reads `data` on top of `base`; `EINVAL` for an option or a value that tmpfs does not know.
    pub fn parse_over(base: &Options, data: &str, memory: &MemoryFile) -> Result<Options, Errno> {
        let mut options = base.clone();
        for option in data.split(',').filter(|o| !o.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            match key {
                "size" => {
                    let bytes = match value.strip_suffix('%') {
                        Some(percent) => memory.machine_bytes() / 100 * number(percent)?.min(100),
                        None => number(value)?,
                    };
                    options.size = Some(bytes.div_ceil(PAGE_SIZE).saturating_mul(PAGE_SIZE));
                }
                "nr_blocks" => {
                    options.size = Some(number(value)?.checked_mul(PAGE_SIZE).ok_or(Errno::EINVAL)?);
                }
                "nr_inodes" => options.nr_inodes = Some(number(value)?),
                "mode" => {
                    let mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)?;
                    options.mode = Some(mode & 0o7777);
                }
                "uid" => options.uid = Uid(value.parse().map_err(|_| Errno::EINVAL)?),
                "gid" => options.gid = Gid(value.parse().map_err(|_| Errno::EINVAL)?),
                "huge" | "mpol" | "inode32" | "inode64" | "noswap" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }

    /// As `/proc/mounts` shows them.
    pub(super) fn show(&self) -> String {
        let mut text = String::new();
        if let Some(size) = self.size {
            text.push_str(&format!(",size={}k", size >> 10));
        }
        if let Some(inodes) = self.nr_inodes {
            text.push_str(&format!(",nr_inodes={inodes}"));
        }
        if let Some(mode) = self.mode.filter(|m| *m != 0o1777) {
            text.push_str(&format!(",mode={mode:o}"));
        }
        if self.uid != Uid::ROOT {
            text.push_str(&format!(",uid={}", self.uid.0));
        }
        if self.gid != Gid::ROOT {
            text.push_str(&format!(",gid={}", self.gid.0));
        }
        text
    }
}
