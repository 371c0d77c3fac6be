//! ELF images (`elf(5)`), 64 bits, x86-64.

use super::read_some;
use abi::{
    Errno, MapFlags, Prot,
    elf::{
        EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, ET_DYN, ET_EXEC, Elf64Ehdr, Elf64Phdr,
        PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_PHDR, PhFlags,
    },
};
use mem::{UserAddr, UserMemoryExt, page_down, page_up};
use mm::{AddressSpace, MapRequest, MapSource};
use std::sync::Arc;
use vfs::File;
use zerocopy::FromBytes;

/// Linux's bound on the table of program headers.
const MAX_TABLE: usize = 65536;

/// A parsed image.
pub struct Elf {
    header: Elf64Ehdr,
    segments: Vec<Elf64Phdr>,
    /// `PT_GNU_STACK` asks for a stack that can be executed.
    pub executable_stack: bool,
}

/// Which of the two images of a program.
#[derive(Clone, Copy)]
pub enum Place {
    /// The program itself.
    Program {
        /// A dynamic linker comes with it.
        has_interpreter: bool,
    },
    /// The dynamic linker.
    Interpreter,
}

/// An image in memory.
pub struct Loaded {
    /// What was added to every address of the file.
    pub base: u64,
    /// Where it starts.
    pub entry: u64,
    /// Its program headers.
    pub phdr: u64,
    /// How many.
    pub phnum: u64,
    /// First byte behind its last segment.
    pub end: u64,
}

impl Elf {
    /// Reads the headers; `head` is the start of the file. `ENOEXEC` unless it is an image for this machine.
    pub fn parse(file: &Arc<File>, head: &[u8]) -> Result<Elf, Errno> {
        let (header, _) = Elf64Ehdr::read_from_prefix(head).map_err(|_| Errno::ENOEXEC)?;
        let ident = &header.e_ident;
        let right = ident.starts_with(&ELFMAG)
            && ident.get(EI_CLASS) == Some(&ELFCLASS64)
            && ident.get(EI_DATA) == Some(&ELFDATA2LSB)
            && header.e_machine == EM_X86_64
            && matches!(header.e_type, ET_EXEC | ET_DYN)
            && usize::from(header.e_phentsize) == size_of::<Elf64Phdr>();
        let size = usize::from(header.e_phnum) * size_of::<Elf64Phdr>();
        if !right || size == 0 || size > MAX_TABLE {
            return Err(Errno::ENOEXEC);
        }
        let table = read_some(file, header.e_phoff, size)?;
        if table.len() != size {
            return Err(Errno::ENOEXEC); // cut off
        }
        let entries = table.chunks_exact(size_of::<Elf64Phdr>());
        let segments: Vec<Elf64Phdr> = entries.filter_map(|e| Elf64Phdr::read_from_bytes(e).ok()).collect();
        let stack = segments.iter().find(|s| s.p_type == PT_GNU_STACK);
        let executable_stack = stack.is_some_and(|s| flags(s).contains(PhFlags::X));
        let elf = Elf { header, segments, executable_stack };
        elf.span()?;
        Ok(elf)
    }

    fn loads(&self) -> impl DoubleEndedIterator<Item = &Elf64Phdr> {
        self.segments.iter().filter(|s| s.p_type == PT_LOAD)
    }

    /// The first page and the end of the last, of all segments. `ENOEXEC` where there is none or numbers overflow.
    fn span(&self) -> Result<(u64, u64), Errno> {
        let mut span: Option<(u64, u64)> = None;
        for s in self.loads() {
            let end = s.p_vaddr.checked_add(s.p_memsz).and_then(page_up).ok_or(Errno::ENOEXEC)?;
            let sane = s.p_filesz <= s.p_memsz
                && s.p_vaddr % 4096 == s.p_offset % 4096
                && s.p_offset.checked_add(s.p_filesz).is_some();
            if !sane {
                return Err(Errno::ENOEXEC);
            }
            let (low, high) = span.unwrap_or((u64::MAX, 0));
            span = Some((low.min(page_down(s.p_vaddr)), high.max(end)));
        }
        span.filter(|(low, high)| low < high).ok_or(Errno::ENOEXEC)
    }

    /// The path of the dynamic linker, if the image names one.
    pub fn interpreter(&self, file: &Arc<File>) -> Result<Option<Vec<u8>>, Errno> {
        let Some(s) = self.segments.iter().find(|s| s.p_type == PT_INTERP) else { return Ok(None) };
        if !(2..=4096).contains(&s.p_filesz) {
            return Err(Errno::ENOEXEC);
        }
        let mut path = read_some(file, s.p_offset, s.p_filesz as usize)?;
        if path.pop() != Some(0) {
            return Err(Errno::ENOEXEC);
        }
        if let Some(nul) = path.iter().position(|b| *b == 0) {
            path.truncate(nul);
        }
        Ok(Some(path))
    }

    /// Notes where code and data are, for `/proc/pid/stat` and the like (Linux: `load_elf_binary`).
    pub fn note_parts(&self, mm: &AddressSpace, base: u64) {
        let code = || self.loads().filter(|s| flags(s).contains(PhFlags::X));
        let end = |s: &Elf64Phdr| s.p_vaddr + s.p_filesz;
        let at = |addr: Option<u64>| base.wrapping_add(addr.unwrap_or(0));
        mm.update_info(|info| {
            info.start_code = at(code().map(|s| s.p_vaddr).min());
            info.end_code = at(code().map(end).max());
            info.start_data = at(self.loads().map(|s| s.p_vaddr).max());
            info.end_data = at(self.loads().map(end).max());
        });
    }

    /// Maps the segments into `mm`.
    pub fn load(&self, mm: &AddressSpace, file: &Arc<File>, place: Place) -> Result<Loaded, Errno> {
        let (low, high) = self.span()?;
        let base = match (self.header.e_type, place) {
            (ET_EXEC, _) => 0,
            (_, Place::Program { has_interpreter: true }) => mm.pie_base(high - low)?.wrapping_sub(low),
            _ => room(mm, high - low)?.wrapping_sub(low),
        };
        for s in self.loads() {
            map_segment(mm, file, s, base)?;
        }
        let phdr = self.segments.iter().find(|s| s.p_type == PT_PHDR).map(|s| s.p_vaddr);
        let holds_table =
            |s: &&Elf64Phdr| (s.p_offset..s.p_offset + s.p_filesz).contains(&self.header.e_phoff);
        let phdr = phdr.or_else(|| {
            self.loads().find(holds_table).map(|s| s.p_vaddr + (self.header.e_phoff - s.p_offset))
        });
        Ok(Loaded {
            base,
            entry: base.wrapping_add(self.header.e_entry),
            phdr: base.wrapping_add(phdr.unwrap_or(0)),
            phnum: u64::from(self.header.e_phnum),
            end: base.wrapping_add(self.loads().map(|s| s.p_vaddr + s.p_memsz).max().unwrap_or(high)),
        })
    }
}

fn flags(s: &Elf64Phdr) -> PhFlags {
    PhFlags::from_bits_retain(s.p_flags)
}

fn prot(s: &Elf64Phdr) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, flags(s).contains(PhFlags::R));
    prot.set(Prot::WRITE, flags(s).contains(PhFlags::W));
    prot.set(Prot::EXEC, flags(s).contains(PhFlags::X));
    prot
}

/// An address with `len` free bytes behind it, where `mmap` would put a mapping of that size.
fn room(mm: &AddressSpace, len: u64) -> Result<u64, Errno> {
    let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::NORESERVE;
    let request = MapRequest { addr: 0, len, prot: Prot::empty(), flags, source: MapSource::Anonymous };
    let at = mm.mmap(&request)?;
    mm.munmap(at, len)?;
    Ok(at)
}

/// Maps one segment: its part of the file, zeros behind that on the same page, and anonymous pages for the rest.
fn map_segment(mm: &AddressSpace, file: &Arc<File>, s: &Elf64Phdr, base: u64) -> Result<(), Errno> {
    let start = base.wrapping_add(s.p_vaddr);
    let fixed = MapFlags::PRIVATE | MapFlags::FIXED;
    let lead = start % 4096;
    let file_end = start.checked_add(s.p_filesz).ok_or(Errno::ENOMEM)?;
    let end = start.checked_add(s.p_memsz).ok_or(Errno::ENOMEM)?;
    if s.p_filesz > 0 {
        let source = MapSource::File { file: file.clone(), offset: s.p_offset - lead, noexec: false };
        let request =
            MapRequest { addr: start - lead, len: s.p_filesz + lead, prot: prot(s), flags: fixed, source };
        mm.mmap(&request)?;
        let page_end = page_up(file_end).ok_or(Errno::ENOMEM)?;
        if end > file_end && flags(s).contains(PhFlags::W) {
            mm.zero(
                UserAddr(file_end),
                (page_end.min(page_up(end).ok_or(Errno::ENOMEM)?) - file_end) as usize,
            )?;
        }
    }
    let from = if s.p_filesz > 0 { page_up(file_end).ok_or(Errno::ENOMEM)? } else { page_down(start) };
    let to = page_up(end).ok_or(Errno::ENOMEM)?;
    if to > from {
        let flags = fixed | MapFlags::ANONYMOUS;
        mm.mmap(&MapRequest {
            addr: from,
            len: to - from,
            prot: prot(s),
            flags,
            source: MapSource::Anonymous,
        })?;
    }
    Ok(())
}
