//! Memory devices: `null(4)`, `zero`, `full(4)`, `random(4)`, `urandom`.

use ::mem::{IoDst, IoSrc, Mappable, MemoryFile, UserMemory};
use abi::{Errno, stat::dev::MEM_MAJOR};
use mm::MemoryObject;
use std::{any::Any, sync::Arc};
use vfs::{
    File, FileOps, OpenRequest, Vfs,
    devices::{DeviceKind, DeviceOpen},
    file::Seek,
};

/// The devices by minor number of [`MEM_MAJOR`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "names of the nodes")]
pub enum MemDevice {
    Null = 3,
    Zero = 5,
    Full = 7,
    Random = 8,
    Urandom = 9,
}

const ALL: [MemDevice; 5] =
    [MemDevice::Null, MemDevice::Zero, MemDevice::Full, MemDevice::Random, MemDevice::Urandom];

struct Open {
    device: MemDevice,
    memory: Arc<MemoryFile>,
}

/// `ioctl`: bits of entropy that the pool has.
const RNDGETENTCNT: u32 = 0x8004_5200;

impl Open {
    fn fill_random(dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut total = 0;
        let mut bytes = [0u8; 256];
        while dst.remaining() > 0 {
            let n = bytes.len().min(dst.remaining());
            let chunk = bytes.get_mut(..n).ok_or(Errno::EIO)?;
            host::random::fill(chunk).map_err(|_| Errno::EIO)?;
            match dst.put(chunk) {
                Ok(put) => {
                    total += put;
                    if put < n {
                        break;
                    }
                }
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total)
    }

    /// Takes all of `src` without looking at it.
    fn swallow(src: &mut IoSrc<'_>) -> usize {
        let n = src.remaining();
        src.limit(0);
        n
    }
}

impl FileOps for Open {
    fn read_at(&self, _: &File, _: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        match self.device {
            MemDevice::Null => Ok(0),
            MemDevice::Zero | MemDevice::Full => dst.put_zeros(dst.remaining()),
            MemDevice::Random | MemDevice::Urandom => Self::fill_random(dst),
        }
    }
    fn write_at(&self, _: &File, _: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        match self.device {
            MemDevice::Full => Err(Errno::ENOSPC),
            _ => Ok(Self::swallow(src)),
        }
    }
    fn append(&self, file: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        self.write_at(file, 0, src).map(|n| (0, n))
    }
    fn read(&self, file: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        self.read_at(file, 0, dst)
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        self.write_at(file, 0, src)
    }
    fn seek(&self, _: &File, to: Seek) -> Result<u64, Errno> {
        match to {
            Seek::Set(_) | Seek::Cur(_) | Seek::End(_) => Ok(0),
            Seek::Data(_) | Seek::Hole(_) => Err(Errno::EINVAL),
        }
    }
    fn mappable(&self, _: &File) -> Result<Arc<dyn Mappable>, Errno> {
        if self.device != MemDevice::Zero {
            return Err(Errno::ENODEV);
        }
        // As large as a mapping can be; pages come into being as they are touched.
        let object = MemoryObject::new(self.memory.clone());
        object.set_size(mm::object::MAX_SIZE)?;
        Ok(object)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        match (self.device, cmd) {
            (MemDevice::Random | MemDevice::Urandom, RNDGETENTCNT) => {
                ::mem::UserPtr::<i32>::from(arg).write(mem, &256)?;
                Ok(0)
            }
            (MemDevice::Random | MemDevice::Urandom, _) => Err(Errno::EINVAL),
            _ => Err(Errno::ENOTTY),
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Driver(Arc<MemoryFile>);

impl DeviceOpen for Driver {
    fn open(&self, _: &OpenRequest<'_>, _: u32, minor: u32) -> Result<Box<dyn FileOps>, Errno> {
        let device = ALL.into_iter().find(|d| *d as u32 == minor).ok_or(Errno::ENXIO)?;
        Ok(Box::new(Open { device, memory: self.0.clone() }))
    }
}

/// Makes the devices known.
pub fn register(vfs: &Vfs, memory: &Arc<MemoryFile>) -> Result<(), Errno> {
    vfs.devices.register(DeviceKind::Char, MEM_MAJOR, 0..=255, "mem", Arc::new(Driver(memory.clone())))
}
