//! What a program finds on its stack: arguments, environment, auxiliary vector (System V ABI, 3.4.1).

use super::{AuxInfo, elf::Loaded};
use abi::{Errno, elf::*};
use mem::{UserAddr, UserMemoryExt};
use mm::AddressSpace;
use vfs::Credentials;

/// Strings for the new program.
pub struct Vectors<'a> {
    pub argv: &'a [Vec<u8>],
    pub envp: &'a [Vec<u8>],
    pub execfn: &'a [u8],
}

/// What the auxiliary vector tells.
pub struct Facts<'a> {
    pub program: &'a Loaded,
    pub linker: Option<&'a Loaded>,
    pub cred: &'a Credentials,
    pub secure: bool,
    pub aux: AuxInfo,
}

/// Room below the strings to begin with; more comes as it is touched.
const INITIAL: u64 = 128 << 10;

/// Bytes being laid out downwards from the end of the stack.
struct Block {
    /// Address of the first byte of `bytes`, which are reversed groups kept in order of address.
    at: u64,
    /// Groups from high to low addresses.
    groups: Vec<Vec<u8>>,
}

impl Block {
    fn push(&mut self, bytes: Vec<u8>) -> u64 {
        self.at -= bytes.len() as u64;
        self.groups.push(bytes);
        self.at
    }
    fn string(&mut self, text: &[u8]) -> u64 {
        let mut bytes = text.to_vec();
        bytes.push(0);
        self.push(bytes)
    }
    fn strings(&mut self, texts: &[Vec<u8>]) -> Vec<u64> {
        let mut at: Vec<u64> = texts.iter().rev().map(|t| self.string(t)).collect();
        at.reverse();
        at
    }
}

/// Makes the stack and puts everything on it; the stack pointer.
pub fn build(
    mm: &AddressSpace,
    vectors: &Vectors<'_>,
    facts: &Facts<'_>,
    executable: bool,
) -> Result<u64, Errno> {
    let text: usize = vectors.argv.iter().chain(vectors.envp).map(|s| s.len() + 1 + 8).sum();
    let top = mm.create_stack(INITIAL + text as u64 + vectors.execfn.len() as u64, executable)?;
    let mut block = Block { at: top, groups: Vec::new() };
    block.push(vec![0; 8]);
    let execfn = block.string(vectors.execfn);
    let env_end = block.at;
    let env = block.strings(vectors.envp);
    let arg_end = block.at;
    let args = block.strings(vectors.argv);
    let arg_start = block.at;
    let platform = block.string(b"x86_64");
    let mut random = vec![0; 16];
    host::random::fill(&mut random).map_err(|_| Errno::EIO)?;
    let random = block.push(random);
    let ns = &facts.cred.user_ns;
    let aux = [
        mm.vdso().map(|v| (AT_SYSINFO_EHDR, v.base)),
        Some((AT_HWCAP, facts.aux.hwcap)),
        Some((AT_PAGESZ, mem::PAGE_SIZE)),
        Some((AT_CLKTCK, 100)),
        Some((AT_PHDR, facts.program.phdr)),
        Some((AT_PHENT, size_of::<Elf64Phdr>() as u64)),
        Some((AT_PHNUM, facts.program.phnum)),
        Some((AT_BASE, facts.linker.map_or(0, |l| l.base))),
        Some((AT_FLAGS, 0)),
        Some((AT_ENTRY, facts.program.entry)),
        Some((AT_UID, u64::from(ns.show_uid(facts.cred.ruid)))),
        Some((AT_EUID, u64::from(ns.show_uid(facts.cred.euid)))),
        Some((AT_GID, u64::from(ns.show_gid(facts.cred.rgid)))),
        Some((AT_EGID, u64::from(ns.show_gid(facts.cred.egid)))),
        Some((AT_SECURE, u64::from(facts.secure))),
        Some((AT_RANDOM, random)),
        Some((AT_HWCAP2, facts.aux.hwcap2)),
        Some((AT_EXECFN, execfn)),
        Some((AT_PLATFORM, platform)),
        Some((AT_MINSIGSTKSZ, facts.aux.min_signal_stack)).filter(|(_, size)| *size > 0),
        Some((AT_NULL, 0)),
    ];
    let mut words = vec![args.len() as u64];
    words.extend(&args);
    words.push(0);
    words.extend(&env);
    words.push(0);
    let aux_at = words.len();
    words.extend(aux.iter().flatten().flat_map(|(kind, value)| [*kind, *value]));
    // The stack pointer is a multiple of 16 where the first word, argc, is.
    let len = words.len() as u64 * 8;
    let sp = (block.at - len) & !15;
    block.push(vec![0; (block.at - len - sp) as usize]);
    block.push(words.iter().flat_map(|w| w.to_le_bytes()).collect());
    let bytes: Vec<u8> = block.groups.into_iter().rev().flatten().collect();
    mm.copy_out(UserAddr(sp), &bytes)?;
    let auxv = words.iter().skip(aux_at).flat_map(|w| w.to_le_bytes()).collect();
    mm.update_info(|info| {
        (info.arg_start, info.arg_end) = (arg_start, arg_end);
        (info.env_start, info.env_end) = (arg_end, env_end);
        info.auxv = auxv;
    });
    Ok(sp)
}
