//! A kernel on a `FakePlatform` with a tmpfs as its root, and a program in it.

use crate::app::{self, App};
use abi::{
    OpenFlags,
    elf::{
        EI_CLASS, EI_DATA, EI_VERSION, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, ET_EXEC, Elf64Ehdr,
        Elf64Phdr, PT_LOAD, PhFlags,
    },
    process::MountFlags,
};
use fs::tmpfs::Tmpfs;
use kernel::{
    Kernel,
    kernel::KernelConfig,
    limits::Limits,
    loader::Program,
    namespaces::{Namespaces, OpaqueNamespace, UtsNames, UtsNamespace},
    task::spawn::SpawnRequest,
    tree::ExitStatus,
};
use ksync::exec::Executor;
use mem::{IoSrc, MemoryFile};
use platform::fake::FakePlatform;
use std::{
    any::Any,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};
use vfs::{Credentials, FdTable, FsContext, Lookup, Vfs, WalkContext, ops};
use zerocopy::IntoBytes;

/// Where [`PROGRAM`] has its only instruction, a system call.
pub const SYSCALL_AT: u64 = 0x40_0000 + (Elf64Ehdr::SIZE + Elf64Phdr::SIZE) as u64;
/// Where it starts: behind that, so that it can be told whether the kernel wants the call made again.
pub const ENTRY: u64 = SYSCALL_AT + 2;
/// The program that every process executes.
pub const PROGRAM: &str = "/program";
/// No scenario takes as long.
const LIMIT: Duration = Duration::from_secs(30);

/// How a scenario's first process ended, or what a thread of it panicked with.
pub type End = Result<ExitStatus, Box<dyn Any + Send>>;

/// What all threads of a scenario share.
pub struct World {
    pub kernel: Arc<Kernel>,
    pub platform: Arc<FakePlatform>,
    /// Ends the scenario.
    pub end: mpsc::Sender<End>,
}

/// Runs `init` as the program of a kernel's first process; how that ended. Panics where a thread of the scenario did.
pub fn run(init: impl FnOnce(&mut App) + Send + 'static) -> ExitStatus {
    let platform = FakePlatform::new();
    let kernel = Kernel::new(KernelConfig {
        executor: Executor::new(1).unwrap(),
        platform: platform.clone(),
        memory: Arc::new(MemoryFile::new(1 << 30).unwrap()),
        vfs: Vfs::new(),
        syscalls: syscalls::Table::new(None),
        cpus: 1,
        memory_bytes: 1 << 30,
        vdso: None,
        aux: Default::default(),
        allow_suid: false,
        namespace_ids: Default::default(),
    });
    kernel.publish();
    let (end, ended) = mpsc::channel();
    let world = Arc::new(World { kernel: kernel.clone(), platform, end: end.clone() });
    let told = Mutex::new(end);
    let _ = kernel.on_root_end.set(Box::new(move |_, status| {
        let _ = told.lock().unwrap().send(Ok(status));
    }));
    app::start(&world, Vec::new(), "init", init);
    let task = kernel.spawn(first_process(&kernel)).unwrap();
    let on_worker = kernel.clone();
    let worker = std::thread::spawn(move || {
        let idle = on_worker.platform.new_worker(0);
        on_worker.executor.run_worker(0, idle);
    });
    task.start();
    drop(task);
    let outcome = ended.recv_timeout(LIMIT);
    if outcome.is_err() {
        world.print_tasks();
    }
    kernel.executor.stop();
    match outcome {
        Ok(Ok(status)) => {
            worker.join().unwrap();
            status
        }
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(_) => panic!("the scenario hangs; its tasks are printed above"),
    }
}

impl World {
    fn print_tasks(&self) {
        for task in self.kernel.tasks() {
            let call = u32::try_from(task.regs.lock().orig_rax).ok().and_then(abi::sysno::name);
            eprintln!("task {}: in {}, asleep: {}", task.tid(), call.unwrap_or("no call"), task.is_asleep());
        }
    }
}

/// Root and namespaces of the first process, with [`PROGRAM`] in the root and no descriptors.
fn first_process(kernel: &Arc<Kernel>) -> SpawnRequest {
    fs::register(kernel).unwrap();
    let user_ns = kernel.root_user_ns.clone();
    let cred = Credentials::root(user_ns.clone());
    let (tmpfs, top) = Tmpfs::new(&kernel.vfs, &kernel.memory, "tmpfs", &Default::default()).unwrap();
    let (mount, root) =
        kernel.vfs.new_namespace(user_ns.clone(), (tmpfs, top), b"none", MountFlags::empty()).unwrap();
    let ctx = kernel.vfs.context(root.clone(), cred.clone());
    write_program(&ctx);
    let names = UtsNames { host: b"box".to_vec(), domain: b"(none)".to_vec() };
    let ns = Arc::new(Namespaces {
        uts: UtsNamespace::new(user_ns.clone(), names),
        ipc: kernel.create_ipc_namespace(user_ns.clone()),
        net: OpaqueNamespace::new(user_ns, Arc::new(())),
        mount,
        pid_for_children: kernel.root_pid_ns.clone(),
        time_id: 1,
        cgroup_id: 2,
    });
    let _ = kernel.root_namespaces.set(ns.clone());
    SpawnRequest {
        program: Program {
            file: ops::open::open_exec(&ctx, PROGRAM.as_bytes(), Lookup::FOLLOW).unwrap(),
            path: PROGRAM.into(),
            argv: vec![b"init".to_vec()],
            envp: Vec::new(),
        },
        cred,
        ns,
        pid_ns: kernel.root_pid_ns.clone(),
        fs: FsContext::new(root.clone(), root, 0o022),
        fds: FdTable::new(),
        limits: Limits::default(),
        terminal: None,
    }
}

/// The smallest ELF image there is: headers and one `syscall`.
fn write_program(ctx: &WalkContext) {
    let mut e_ident = [0; 16];
    e_ident[..4].copy_from_slice(&ELFMAG);
    (e_ident[EI_CLASS], e_ident[EI_DATA], e_ident[EI_VERSION]) = (ELFCLASS64, ELFDATA2LSB, 1);
    let code = [0x0f, 0x05, 0x90];
    let header = Elf64Ehdr {
        e_ident,
        e_type: ET_EXEC,
        e_machine: EM_X86_64,
        e_version: 1,
        e_entry: ENTRY,
        e_phoff: Elf64Ehdr::SIZE as u64,
        e_ehsize: Elf64Ehdr::SIZE as u16,
        e_phentsize: Elf64Phdr::SIZE as u16,
        e_phnum: 1,
        ..Default::default()
    };
    let size = (Elf64Ehdr::SIZE + Elf64Phdr::SIZE + code.len()) as u64;
    let segment = Elf64Phdr {
        p_type: PT_LOAD,
        p_flags: (PhFlags::R | PhFlags::X).bits(),
        p_vaddr: 0x40_0000,
        p_filesz: size,
        p_memsz: size,
        p_align: 4096,
        ..Default::default()
    };
    let mut image = [header.as_bytes(), segment.as_bytes(), &code].concat();
    let how = ops::OpenHow::open((OpenFlags::CREAT | OpenFlags::WRONLY).bits(), 0o755);
    let file = ops::open(ctx, PROGRAM.as_bytes(), &how).unwrap();
    file.ops().write_at(&file, 0, &mut IoSrc::bytes(&mut image)).unwrap();
}
