//! Loading programs: `#!` scripts, ELF images, and the first stack.
//!
//! [`load`] turns an open file into an [`Image`]: a new address space with everything in it that a program finds when
//! it starts. Nothing of the calling task changes before that has succeeded.
//! What a file says is hostile: every number is checked before it is used.

mod elf;
mod script;
mod stack;

use crate::Kernel;
use abi::Errno;
use mem::IoDst;
use mm::AddressSpace;
use std::sync::Arc;
use vfs::{Credentials, File};

/// Finds and opens interpreters, with the rights and the root of whoever executes.
pub type OpenFn<'a> = dyn Fn(&[u8]) -> Result<Arc<File>, Errno> + 'a;

/// What is to be executed.
pub struct Program {
    /// The file.
    pub file: Arc<File>,
    /// Its path as it was given (`AT_EXECFN`, and what a script's interpreter is told).
    pub path: Vec<u8>,
    /// Arguments.
    pub argv: Vec<Vec<u8>>,
    /// Environment.
    pub envp: Vec<Vec<u8>>,
}

/// A loaded program.
pub struct Image {
    /// Its memory.
    pub mm: Arc<AddressSpace>,
    /// Where it starts.
    pub entry: u64,
    /// Its stack pointer.
    pub stack_pointer: u64,
    /// The file that ELF was loaded from: the script's interpreter for a script.
    pub file: Arc<File>,
}

/// Numbers of the machine for the auxiliary vector, read once at boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuxInfo {
    /// `AT_HWCAP`.
    pub hwcap: u64,
    /// `AT_HWCAP2`.
    pub hwcap2: u64,
    /// `AT_MINSIGSTKSZ`.
    pub min_signal_stack: u64,
}

/// Interpreters of interpreters, at most.
const MAX_SCRIPTS: usize = 5;

/// Makes the address space of a program. `ENOEXEC` for files that are no program; `E2BIG`, `ELOOP`, `ENOMEM`, `EIO`.
///
/// `secure` says that the program gains privileges: its C library is told so.
pub fn load(
    kernel: &Kernel,
    mut program: Program,
    limits: mm::Limits,
    cred: &Credentials,
    secure: bool,
    open: &OpenFn<'_>,
) -> Result<Image, Errno> {
    let execfn = program.path.clone();
    let mut scripts = 0;
    let head = loop {
        let head = read_some(&program.file, 0, script::HEAD)?;
        let Some(interpreter) = script::parse(&head)? else { break head };
        scripts += 1;
        if scripts > MAX_SCRIPTS {
            return Err(Errno::ELOOP);
        }
        let file = open(&interpreter.path)?;
        script::apply(&mut program, interpreter, file);
    };
    let main = elf::Elf::parse(&program.file, &head)?;
    let interpreter = match main.interpreter(&program.file)? {
        None => None,
        Some(path) => {
            let file = open(&path)?;
            let head = read_some(&file, 0, script::HEAD)?;
            let elf = elf::Elf::parse(&file, &head).map_err(|_| Errno::ELIBBAD)?;
            Some((file, elf))
        }
    };
    let platform = &kernel.platform;
    let space = platform.new_address_space()?;
    let mm =
        AddressSpace::new(kernel.memory.clone(), space, platform.user_range(), kernel.vdso.clone(), limits);
    let loaded =
        main.load(&mm, &program.file, elf::Place::Program { has_interpreter: interpreter.is_some() })?;
    mm.set_brk_start(mm.random_brk(loaded.end));
    let linker = match &interpreter {
        None => None,
        Some((file, elf)) => {
            let linker = elf.load(&mm, file, elf::Place::Interpreter)?;
            file.allow_write(); // only the program stays busy; the linker is a library from here on
            Some(linker)
        }
    };
    let vectors = stack::Vectors { argv: &program.argv, envp: &program.envp, execfn: &execfn };
    let facts = stack::Facts { program: &loaded, linker: linker.as_ref(), cred, secure, aux: kernel.aux };
    let stack_pointer = stack::build(&mm, &vectors, &facts, main.executable_stack)?;
    main.note_parts(&mm, loaded.base);
    mm.set_exe(Some(program.file.clone()));
    mm.activate()?;
    Ok(Image {
        entry: linker.as_ref().map_or(loaded.entry, |l| l.entry),
        mm,
        stack_pointer,
        file: program.file,
    })
}

/// Up to `len` bytes of `file` at `offset`: fewer only at its end.
fn read_some(file: &Arc<File>, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        let rest = bytes.get_mut(done..).unwrap_or_default();
        match file.ops().read_at(file, offset + done as u64, &mut IoDst::bytes(rest))? {
            0 => break,
            n => done += n,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}
