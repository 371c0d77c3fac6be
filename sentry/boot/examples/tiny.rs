//! Runs one static program of the host in a sandbox that has nothing but it, in memory: for work on the kernel itself.
//!
//! `cargo run -p boot --example tiny -- PROGRAM [ARG...]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use abi::{Errno, OpenFlags};
use kernel::{
    limits::Limits,
    loader::Program,
    namespaces::{Namespaces, OpaqueNamespace, UtsNames, UtsNamespace},
    task::spawn::SpawnRequest,
};
use mem::{IoDst, IoSrc};
use std::{
    any::Any,
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
};
use vfs::{Credentials, FdTable, File, FileOps, FsContext, ops};

/// A descriptor of ours as the program's.
struct Stdio(i32);

impl FileOps for Stdio {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut buffer = [0; 4096];
        let n = std::io::stdin().read(&mut buffer).unwrap_or(0);
        dst.put(&buffer[..n])
    }
    fn write(&self, _: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let bytes = src.take_vec(65536)?;
        let done = if self.0 == 1 {
            std::io::stdout().write_all(&bytes)
        } else {
            std::io::stderr().write_all(&bytes)
        };
        done.map(|()| bytes.len()).map_err(|_| Errno::EIO)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    boot::prepare();
    boot::logging::to_stderr();
    let config = boot::config::PlatformConfig { name: "ptrace".into(), device_fd: None };
    let table = syscalls::Table::new(
        std::env::var_os("STRACE").map(|_| syscalls::Strace { calls: Vec::new(), shown: 0 }).as_ref(),
    );
    let kernel =
        boot::machine::build(&config, &Default::default(), Default::default(), false, table).unwrap();
    let cred = Credentials::root(kernel.root_user_ns.clone());
    fs::tmpfs::register(&kernel.vfs, &kernel.memory);
    let (tmpfs, top) =
        fs::tmpfs::Tmpfs::new(&kernel.vfs, &kernel.memory, "tmpfs", &Default::default()).unwrap();
    let tmpfs: vfs::vfs::Mounted = (tmpfs, top);
    let (mount, root) = kernel
        .vfs
        .new_namespace(kernel.root_user_ns.clone(), tmpfs, b"none", abi::process::MountFlags::empty())
        .unwrap();
    let ctx = kernel.vfs.context(root.clone(), cred.clone());
    for (i, name) in args.iter().enumerate() {
        if let Ok(mut bytes) = std::fs::read(name) {
            let name =
                if i == 0 { "/program".into() } else { format!("/{}", name.rsplit('/').next().unwrap()) };
            let how = ops::OpenHow::open((OpenFlags::CREAT | OpenFlags::WRONLY).bits(), 0o755);
            let file = ops::open(&ctx, name.as_bytes(), &how).unwrap();
            file.ops().write_at(&file, 0, &mut IoSrc::bytes(&mut bytes)).unwrap();
        }
    }
    ops::mkdir(&ctx, b"/tmp", 0o777).unwrap();
    let user = kernel.root_user_ns.clone();
    let ns = Arc::new(Namespaces {
        uts: UtsNamespace::new(user.clone(), UtsNames { host: b"tiny".to_vec(), domain: b"(none)".to_vec() }),
        ipc: kernel.create_ipc_namespace(user.clone()),
        net: OpaqueNamespace::new(user, Arc::new(())),
        mount,
        pid_for_children: kernel.root_pid_ns.clone(),
        time_id: 0,
        cgroup_id: 0,
    });
    let file = ops::open::open_exec(&ctx, b"/program", vfs::Lookup::FOLLOW).unwrap();
    let fds = FdTable::new();
    for n in 0..3 {
        let ops = Box::new(Stdio(n));
        let file = kernel.vfs.anon_file("pipe", abi::FileType::Fifo, OpenFlags::RDWR, &cred, ops);
        fds.put(vfs::Fd(n), file, 1024, false).unwrap();
    }
    let request = SpawnRequest {
        program: Program {
            file,
            path: b"/program".to_vec(),
            argv: args.iter().map(|a| a.clone().into_bytes()).collect(),
            envp: vec![b"PATH=/bin".to_vec()],
        },
        cred,
        ns,
        pid_ns: kernel.root_pid_ns.clone(),
        fs: FsContext::new(root.clone(), root, 0o022),
        fds,
        limits: Limits::default(),
        terminal: None,
    };
    let end = Arc::new((Mutex::new(None), Condvar::new()));
    let told = end.clone();
    let _ = kernel.on_root_end.set(Box::new(move |_, status| {
        *told.0.lock().unwrap() = Some(status);
        told.1.notify_all();
    }));
    boot::machine::start_workers(&kernel).unwrap();
    let task = kernel.spawn(request).unwrap();
    task.start();
    let mut status = end.0.lock().unwrap();
    while status.is_none() {
        status = end.1.wait(status).unwrap();
    }
    eprintln!("ended: {status:?}");
}
