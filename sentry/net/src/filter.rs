//! `SO_ATTACH_FILTER`: a program of classic BPF that picks what a socket is to receive (`socket(7)`,
//! `Documentation/networking/filter.rst`).

use crate::{caller::Caller, namespace::LOOPBACK_INDEX};
use abi::{
    Errno,
    process::{BPF_MAXINSNS, SockFilter, SockFprog},
    socket::ARPHRD_LOOPBACK,
};
use kernel::seccomp::{Program, bpf::Input};
use ksync::{Mutex, rank};
use mem::{UserAddr, UserMemoryExt};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use zerocopy::FromBytes;

/// Offsets from here on are of what is known about a packet (`SKF_AD_OFF`), ...
const ABOUT: u32 = 0xffff_f000;
/// ... of its network header (`SKF_NET_OFF`), ...
const NETWORK: u32 = 0xfff0_0000;
/// ... and of its link header (`SKF_LL_OFF`).
const LINK: u32 = 0xffe0_0000;

/// A packet as a program sees it.
pub struct Packet<'a> {
    /// From where the socket's protocol begins.
    pub bytes: &'a [u8],
    /// Where its network header begins in these.
    pub network: usize,
    /// Its Ethernet protocol.
    pub protocol: u16,
    /// `PACKET_*`.
    pub kind: u8,
}

impl Input for Packet<'_> {
    fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn load(&self, offset: u32, count: u32) -> Option<u32> {
        let at = match offset {
            ABOUT.. => {
                return match offset - ABOUT {
                    0 => Some(u32::from(self.protocol)),
                    4 => Some(u32::from(self.kind)),
                    8 => Some(LOOPBACK_INDEX as u32),
                    28 => Some(u32::from(ARPHRD_LOOPBACK)),
                    // Mark, queue, hash, CPU, tags of VLANs.
                    20 | 24 | 32 | 36 | 44 | 48 | 60 => Some(0),
                    _ => None,
                };
            }
            NETWORK.. => self.network.checked_add((offset - NETWORK) as usize)?,
            LINK.. => (offset - LINK) as usize,
            offset => offset as usize,
        };
        let bytes = self.bytes.get(at..at.checked_add(count as usize)?)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    }
}

/// The filter of a socket.
pub struct Filter {
    program: Mutex<Option<Arc<Program>>>,
    is_set: AtomicBool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { program: Mutex::new(rank::LEAF, None), is_set: AtomicBool::new(false) }
    }
}

impl Filter {
    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Takes the program that a `struct sock_fprog` names; `EINVAL`, `EFAULT`.
    pub fn attach(&self, caller: &Caller<'_>, value: &[u8]) -> Result<(), Errno> {
        let given = SockFprog::read_from_bytes(value).map_err(|_| Errno::EINVAL)?;
        let len = usize::from(given.len);
        if len == 0 || len > BPF_MAXINSNS || given.filter == 0 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = vec![0; len * SockFilter::SIZE];
        caller.task().ok_or(Errno::EINVAL)?.mm()?.copy_in(UserAddr(given.filter), &mut bytes)?;
        let instructions = bytes.chunks_exact(SockFilter::SIZE).map(SockFilter::read_from_bytes);
        let instructions = instructions.collect::<Result<Vec<_>, _>>().map_err(|_| Errno::EINVAL)?;
        let program = Arc::new(Program::for_packets(instructions)?);
        let old = self.program.lock().replace(program);
        drop(old);
        self.is_set.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes it away; `ENOENT`.
    pub fn detach(&self) -> Result<(), Errno> {
        self.is_set.store(false, Ordering::Relaxed);
        let old = self.program.lock().take();
        old.map(drop).ok_or(Errno::ENOENT)
    }

    /// How many bytes of a packet are to be received; `None` for a packet that is not.
    pub fn kept(&self, packet: &Packet<'_>) -> Option<usize> {
        if !self.is_set() {
            return Some(packet.bytes.len());
        }
        let program = self.program.lock().clone();
        let Some(program) = program else { return Some(packet.bytes.len()) };
        let most = program.run_on(packet).unwrap_or(0) as usize;
        (most > 0).then(|| most.min(packet.bytes.len()))
    }
}
