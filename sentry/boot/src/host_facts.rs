//! What the sentry learns from the host's `/proc` before that is gone.

use kernel::loader::AuxInfo;
use std::sync::OnceLock;

/// Facts about the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostFacts {
    /// Numbers for auxiliary vectors.
    pub aux: AuxInfo,
}

static FACTS: OnceLock<HostFacts> = OnceLock::new();

/// Reads everything once. Call it first of all in a sandbox process, while the host's `/proc` is still there.
pub fn prepare() {
    FACTS.get_or_init(|| HostFacts { aux: aux_info(&std::fs::read("/proc/self/auxv").unwrap_or_default()) });
    host::vdso::remember();
}

/// What [`prepare`] found; nothing if it was not called.
pub fn get() -> HostFacts {
    FACTS.get().copied().unwrap_or_default()
}

fn aux_info(auxv: &[u8]) -> AuxInfo {
    let word = |b: &[u8]| b.try_into().map_or(0, u64::from_le_bytes);
    let value = |kind: u64| {
        auxv.chunks_exact(16)
            .find(|e| e.get(..8).is_some_and(|k| word(k) == kind))
            .and_then(|e| e.get(8..))
            .map_or(0, word)
    };
    AuxInfo {
        hwcap: value(abi::elf::AT_HWCAP),
        hwcap2: value(abi::elf::AT_HWCAP2),
        min_signal_stack: value(abi::elf::AT_MINSIGSTKSZ),
    }
}
