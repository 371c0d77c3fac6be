//! The machine that a container runs on: executor, platform, memory, kernel.

use crate::{
    StartError, StartErrorKind,
    config::{Limits, PlatformConfig},
    host_facts,
};
use kernel::{
    Kernel, SyscallTable,
    kernel::{KernelConfig, NamespaceIds},
};
use ksync::exec::Executor;
use mem::MemoryFile;
use mm::VdsoImage;
use platform::Platform;
use std::{sync::Arc, thread};
use vfs::Vfs;

fn failed(kind: StartErrorKind, what: &str, error: impl std::fmt::Display) -> StartError {
    StartError::new(kind, format!("{what}: {error}"))
}

/// Makes the kernel. No worker runs before [`start_workers`].
pub fn build(
    platform: &PlatformConfig,
    limits: &Limits,
    namespace_ids: NamespaceIds,
    allow_suid: bool,
    syscalls: Arc<dyn SyscallTable>,
) -> Result<Arc<Kernel>, StartError> {
    let platform: Arc<dyn Platform> = match platform.name.as_str() {
        "ptrace" => ptrace::PtracePlatform::new()
            .map_err(|e| failed(StartErrorKind::Platform, "cannot use ptrace", e))?,
        other => return Err(failed(StartErrorKind::Platform, "no such platform", other)),
    };
    let cpus = host::thread::affinity(0).map(|set| host::thread::cpus(&set).len()).unwrap_or(1).max(1);
    let internal = |what: &'static str| move |e: std::io::Error| failed(StartErrorKind::Internal, what, e);
    let executor = Executor::new(cpus).map_err(internal("cannot start the executor"))?;
    let memory_bytes = limits.memory.unwrap_or_else(total_memory).min(total_memory());
    // Memory that was asked for and not touched counts there, so the bound is far above what there is.
    let memory =
        MemoryFile::new(memory_bytes.saturating_mul(16)).map_err(internal("cannot make the memory file"))?;
    let kernel = Kernel::new(KernelConfig {
        executor,
        vdso: vdso(&*platform),
        platform,
        memory: Arc::new(memory.of_machine(memory_bytes)),
        vfs: Vfs::new(),
        syscalls,
        cpus,
        memory_bytes,
        aux: host_facts::get().aux,
        allow_suid,
        namespace_ids,
    });
    kernel.publish();
    Ok(kernel)
}

fn vdso(platform: &dyn Platform) -> Option<VdsoImage> {
    let at = platform.vdso()?;
    let image = host::vdso::locate().map(|v| v.image()).unwrap_or_default();
    Some(VdsoImage { range: at.range.0..at.range.1, base: at.base, image: image.into() })
}

fn total_memory() -> u64 {
    nix::sys::sysinfo::sysinfo().map_or(1 << 30, |s| s.ram_total())
}

/// Starts a thread for each worker; they end with [`Executor::stop`].
pub fn start_workers(kernel: &Arc<Kernel>) -> Result<(), StartError> {
    for index in 0..kernel.executor.workers() {
        let kernel = kernel.clone();
        let run = move || {
            let idle = kernel.platform.new_worker(index);
            kernel.executor.run_worker(index, idle);
        };
        thread::Builder::new()
            .name(format!("worker{index}"))
            .spawn(run)
            .map_err(|e| failed(StartErrorKind::Internal, "cannot start a worker", e))?;
    }
    Ok(())
}
