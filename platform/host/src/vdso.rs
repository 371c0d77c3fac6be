//! The host's vDSO: where it lies in the sentry, and its bytes.

use std::{
    io::{BufRead, BufReader, Read},
    sync::OnceLock,
};

/// One mapping of the group that makes up the vDSO (`[vvar]`, `[vvar_vclock]`, `[vdso]`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// First address.
    pub start: u64,
    /// Address behind the last byte.
    pub end: u64,
    /// Whether this is the code, which starts with the ELF header.
    pub code: bool,
}

/// The parts of the vDSO, ascending and adjacent: the clock data that the code reads relative to itself, and the code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vdso {
    /// The parts.
    pub parts: Vec<Part>,
}

impl Vdso {
    /// First address of the first part and address behind the last.
    pub fn range(&self) -> (u64, u64) {
        let start = self.parts.first().map_or(0, |p| p.start);
        (start, self.parts.last().map_or(start, |p| p.end))
    }

    /// Where the ELF header is (what `AT_SYSINFO_EHDR` says).
    pub fn base(&self) -> u64 {
        self.parts.iter().find(|p| p.code).map_or(0, |p| p.start)
    }

    /// A copy of the code's pages: a whole ELF shared object.
    pub fn image(&self) -> Vec<u8> {
        let Some(code) = self.parts.iter().find(|p| p.code) else { return Vec::new() };
        let (Ok(start), Ok(len)) =
            (usize::try_from(code.start), usize::try_from(code.end.wrapping_sub(code.start)))
        else {
            return Vec::new();
        };
        // SAFETY: the host mapped these pages readable at exec and the sentry never unmaps them; they never change.
        unsafe { std::slice::from_raw_parts(start as *const u8, len) }.to_vec()
    }
}

static FOUND: OnceLock<Option<Vdso>> = OnceLock::new();

/// Finds the vDSO of this process while `/proc` can be read; later [`locate`] gives what was found.
pub fn remember() {
    FOUND.get_or_init(|| parse(std::fs::File::open("/proc/self/maps").ok()?));
}

/// The vDSO of this process; `None` where there is none, or `/proc` could not be read when this or [`remember`] was
/// called first.
pub fn locate() -> Option<Vdso> {
    remember();
    FOUND.get().cloned().flatten()
}

fn parse(maps: impl Read) -> Option<Vdso> {
    let mut parts: Vec<Part> = Vec::new();
    for line in BufReader::new(maps).lines() {
        let line = line.ok()?;
        let code = line.ends_with("[vdso]");
        if !code && !line.ends_with("[vvar]") && !line.ends_with("[vvar_vclock]") {
            continue;
        }
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let part = Part {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            code,
        };
        // The code finds its data by distance, so only a gapless group can be moved as one.
        if parts.last().is_some_and(|last| last.end != part.start) {
            return None;
        }
        parts.push(part);
    }
    parts.iter().any(|p| p.code).then_some(Vdso { parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_vdso_is_elf() {
        let vdso = locate().unwrap();
        assert_eq!(vdso.image().get(..4), Some(&b"\x7fELF"[..]));
        assert!(vdso.range().0 <= vdso.base() && vdso.base() < vdso.range().1);
    }

    #[test]
    fn odd_maps() {
        assert_eq!(parse(&b""[..]), None);
        assert_eq!(parse(&b"1000-2000 r--p 0 0 0 [vvar]\n"[..]), None);
        assert_eq!(parse(&b"1000-2000 r--p 0 0 0 [vvar]\n3000-4000 r-xp 0 0 0 [vdso]\n"[..]), None);
        assert_eq!(parse(&b"zz-2000 r--p 0 0 0 [vdso]\n"[..]), None);
        let two = parse(&b"1000-2000 r--p 0 0 0 [vvar]\n2000-4000 r-xp 0 0 0 [vdso]\n"[..]).unwrap();
        assert_eq!((two.range(), two.base()), ((0x1000, 0x4000), 0x2000));
    }
}
