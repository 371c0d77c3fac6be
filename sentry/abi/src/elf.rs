//! ELF files of 64 bits, and the auxiliary vector.
#![allow(missing_docs, reason = "the names are those of elf(5) and getauxval(3)")]

use crate::pod::{flags, pod};

pub const ELFMAG: [u8; 4] = *b"\x7fELF";
pub const EI_NIDENT: usize = 16;
// Indices into `e_ident`.
pub const EI_CLASS: usize = 4;
pub const EI_DATA: usize = 5;
pub const EI_VERSION: usize = 6;
pub const EI_OSABI: usize = 7;
pub const EI_ABIVERSION: usize = 8;
pub const ELFCLASS32: u8 = 1;
pub const ELFCLASS64: u8 = 2;
pub const ELFDATA2LSB: u8 = 1;
pub const ELFDATA2MSB: u8 = 2;
pub const EV_CURRENT: u32 = 1;
pub const ELFOSABI_NONE: u8 = 0;
pub const ELFOSABI_LINUX: u8 = 3;

pod! {
    /// `Elf64_Ehdr`.
    pub struct Elf64Ehdr {
        pub e_ident: [u8; 16],
        /// `ET_*`.
        pub e_type: u16,
        /// `EM_*`.
        pub e_machine: u16,
        pub e_version: u32,
        pub e_entry: u64,
        pub e_phoff: u64,
        pub e_shoff: u64,
        pub e_flags: u32,
        pub e_ehsize: u16,
        pub e_phentsize: u16,
        pub e_phnum: u16,
        pub e_shentsize: u16,
        pub e_shnum: u16,
        pub e_shstrndx: u16,
    }

    /// `Elf64_Phdr`.
    pub struct Elf64Phdr {
        /// `PT_*`.
        pub p_type: u32,
        /// [`PhFlags`].
        pub p_flags: u32,
        pub p_offset: u64,
        pub p_vaddr: u64,
        pub p_paddr: u64,
        pub p_filesz: u64,
        pub p_memsz: u64,
        pub p_align: u64,
    }

    /// `Elf64_Shdr`.
    pub struct Elf64Shdr {
        pub sh_name: u32,
        pub sh_type: u32,
        pub sh_flags: u64,
        pub sh_addr: u64,
        pub sh_offset: u64,
        pub sh_size: u64,
        pub sh_link: u32,
        pub sh_info: u32,
        pub sh_addralign: u64,
        pub sh_entsize: u64,
    }

    /// `Elf64_Sym`.
    pub struct Elf64Sym {
        pub st_name: u32,
        pub st_info: u8,
        pub st_other: u8,
        pub st_shndx: u16,
        pub st_value: u64,
        pub st_size: u64,
    }

    /// `Elf64_Dyn`.
    pub struct Elf64Dyn {
        pub d_tag: i64,
        pub d_val: u64,
    }

    /// `Elf64_Nhdr`: a note's header, before its name and contents.
    pub struct Elf64Nhdr {
        pub n_namesz: u32,
        pub n_descsz: u32,
        pub n_type: u32,
    }

    /// `Elf64_auxv_t`.
    pub struct Auxv {
        /// `AT_*`.
        pub a_type: u64,
        pub a_val: u64,
    }
}

flags! {
    /// `PF_*` of a segment.
    pub struct PhFlags: u32 {
        const X = 1;
        const W = 2;
        const R = 4;
    }
}

pub const ET_NONE: u16 = 0;
pub const ET_REL: u16 = 1;
pub const ET_EXEC: u16 = 2;
pub const ET_DYN: u16 = 3;
pub const ET_CORE: u16 = 4;
pub const EM_NONE: u16 = 0;
pub const EM_386: u16 = 3;
pub const EM_ARM: u16 = 40;
pub const EM_X86_64: u16 = 62;
pub const EM_AARCH64: u16 = 183;
pub const EM_RISCV: u16 = 243;
pub const PT_NULL: u32 = 0x0;
pub const PT_LOAD: u32 = 0x1;
pub const PT_DYNAMIC: u32 = 0x2;
pub const PT_INTERP: u32 = 0x3;
pub const PT_NOTE: u32 = 0x4;
pub const PT_SHLIB: u32 = 0x5;
pub const PT_PHDR: u32 = 0x6;
pub const PT_TLS: u32 = 0x7;
pub const PT_GNU_EH_FRAME: u32 = 0x6474e550;
pub const PT_GNU_STACK: u32 = 0x6474e551;
pub const PT_GNU_RELRO: u32 = 0x6474e552;
pub const PT_GNU_PROPERTY: u32 = 0x6474e553;
pub const SHT_NULL: u32 = 0;
pub const SHT_PROGBITS: u32 = 1;
pub const SHT_SYMTAB: u32 = 2;
pub const SHT_STRTAB: u32 = 3;
pub const SHT_RELA: u32 = 4;
pub const SHT_HASH: u32 = 5;
pub const SHT_DYNAMIC: u32 = 6;
pub const SHT_NOTE: u32 = 7;
pub const SHT_NOBITS: u32 = 8;
pub const SHT_REL: u32 = 9;
pub const SHT_DYNSYM: u32 = 11;
pub const DT_NULL: i64 = 0;
pub const DT_NEEDED: i64 = 1;
pub const DT_HASH: i64 = 4;
pub const DT_STRTAB: i64 = 5;
pub const DT_SYMTAB: i64 = 6;
pub const DT_RELA: i64 = 7;
pub const DT_STRSZ: i64 = 10;
pub const DT_SYMENT: i64 = 11;
pub const DT_SONAME: i64 = 14;
pub const DT_GNU_HASH: i64 = 1879047925;
pub const DT_VERSYM: i64 = 1879048176;
pub const DT_VERDEF: i64 = 1879048188;
pub const DT_VERDEFNUM: i64 = 1879048189;
pub const NT_PRSTATUS: u32 = 0x1;
pub const NT_PRFPREG: u32 = 0x2;
pub const NT_PRPSINFO: u32 = 0x3;
pub const NT_AUXV: u32 = 0x6;
pub const NT_SIGINFO: u32 = 0x53494749;
pub const NT_FILE: u32 = 0x46494c45;
pub const NT_X86_XSTATE: u32 = 0x202;
pub const NT_GNU_PROPERTY_TYPE_0: u32 = 0x5;

/// The size of one entry in `e_phentsize`; others are refused with `ENOEXEC`.
pub const ELF64_PHENTSIZE: u16 = 56;
/// How many bytes of program headers Linux takes.
pub const ELF_MAX_PHDR_BYTES: usize = 65536;

// The auxiliary vector.
pub const AT_NULL: u64 = 0;
pub const AT_IGNORE: u64 = 1;
pub const AT_EXECFD: u64 = 2;
pub const AT_PHDR: u64 = 3;
pub const AT_PHENT: u64 = 4;
pub const AT_PHNUM: u64 = 5;
pub const AT_PAGESZ: u64 = 6;
pub const AT_BASE: u64 = 7;
pub const AT_FLAGS: u64 = 8;
pub const AT_ENTRY: u64 = 9;
pub const AT_NOTELF: u64 = 10;
pub const AT_UID: u64 = 11;
pub const AT_EUID: u64 = 12;
pub const AT_GID: u64 = 13;
pub const AT_EGID: u64 = 14;
pub const AT_PLATFORM: u64 = 15;
pub const AT_HWCAP: u64 = 16;
pub const AT_CLKTCK: u64 = 17;
pub const AT_SECURE: u64 = 23;
pub const AT_BASE_PLATFORM: u64 = 24;
pub const AT_RANDOM: u64 = 25;
pub const AT_HWCAP2: u64 = 26;
pub const AT_RSEQ_FEATURE_SIZE: u64 = 27;
pub const AT_RSEQ_ALIGN: u64 = 28;
pub const AT_HWCAP3: u64 = 29;
pub const AT_HWCAP4: u64 = 30;
pub const AT_EXECFN: u64 = 31;
pub const AT_SYSINFO_EHDR: u64 = 33;
pub const AT_MINSIGSTKSZ: u64 = 51;
