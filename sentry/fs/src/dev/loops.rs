//! Loop devices: files that are read and written as block devices, `loop(4)`.
//!
//! All [`MINORS`] are there from the start and free; a node for one, and for `loop-control`, is up to the container's
//! configuration. A file is attached until it is detached and nobody has the device open any more.
//!
//! **Lock order:** [`Loops`] is a leaf: files are read, written and dropped outside of it.
//! **Absent on purpose:** file systems on block devices (no type of ours takes one), partitions, encryption, files that are
//! themselves devices (so that no chain of them can be endless), events in `/sys/block`.

use ::mem::{IoDst, IoSrc, UserMemory, UserPtr};
use abi::{
    Errno,
    fcntl::OpenFlags,
    ioctl::*,
    stat::{
        FileType,
        dev::{LOOP_CTRL_MINOR, LOOP_MAJOR, MISC_MAJOR},
    },
};
use ksync::{Mutex, rank};
use std::{any::Any, collections::BTreeMap, sync::Arc};
use vfs::{
    Fd, File, FileOps, OpenRequest, Vfs,
    devices::{DeviceKind, DeviceOpen},
    file::Seek,
};

/// How many devices there are.
const MINORS: u32 = 256;
/// Bytes of a sector: sizes are whole ones.
const SECTOR: u64 = 512;

/// What is attached to a device.
#[derive(Clone)]
struct Backing {
    file: Arc<File>,
    info: LoopInfo64,
}

impl Backing {
    /// Bytes of the device.
    fn size(&self) -> Result<u64, Errno> {
        let size = self.file.inode().attr()?.size.saturating_sub(self.info.lo_offset);
        let limit = self.info.lo_sizelimit;
        let size = if limit == 0 { size } else { size.min(limit) };
        Ok(size - size % SECTOR)
    }

    /// Where `offset` of the device is in the file, and how many bytes follow.
    fn place(&self, offset: u64) -> Result<(u64, usize), Errno> {
        let left = self.size()?.saturating_sub(offset);
        let at = self.info.lo_offset.checked_add(offset).ok_or(Errno::EINVAL)?;
        Ok((at, usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn read_only(&self) -> bool {
        self.info.lo_flags & LO_FLAGS_READ_ONLY != 0
    }
}

/// A device that is attached or open; the others have no entry.
#[derive(Default)]
struct Slot {
    backing: Option<Backing>,
    opens: usize,
}

/// The devices by minor number.
struct Loops(Mutex<BTreeMap<u32, Slot>>);

impl Loops {
    fn backing(&self, minor: u32) -> Option<Backing> {
        self.0.lock().get(&minor)?.backing.clone()
    }

    /// Changes what is attached; `ENXIO` where nothing is.
    fn change<T>(
        &self,
        minor: u32,
        change: impl FnOnce(&mut LoopInfo64) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mut slots = self.0.lock();
        let slot = slots.get_mut(&minor).and_then(|s| s.backing.as_mut()).ok_or(Errno::ENXIO)?;
        change(&mut slot.info)
    }

    fn attach(&self, minor: u32, device: &File, fd: i32, mut info: LoopInfo64) -> Result<(), Errno> {
        let task = kernel::current().ok_or(Errno::EBADF)?;
        let file = task.file(Fd(fd))?;
        if file.is_path_only() {
            return Err(Errno::EBADF);
        }
        if file.path().file_type() != FileType::Regular {
            return Err(Errno::EINVAL);
        }
        if !file.flags().writable() || !device.flags().writable() {
            info.lo_flags |= LO_FLAGS_READ_ONLY;
        }
        info.lo_number = minor;
        let mut slots = self.0.lock();
        let slot = slots.entry(minor).or_default();
        if slot.backing.is_some() {
            return Err(Errno::EBUSY);
        }
        slot.backing = Some(Backing { file, info });
        Ok(())
    }

    /// Detaches at once, or with the last close where others have the device open.
    fn detach(&self, minor: u32) -> Result<(), Errno> {
        let taken = {
            let mut slots = self.0.lock();
            let slot = slots.get_mut(&minor).ok_or(Errno::ENXIO)?;
            let backing = slot.backing.as_mut().ok_or(Errno::ENXIO)?;
            if slot.opens > 1 {
                backing.info.lo_flags |= LO_FLAGS_AUTOCLEAR;
                None
            } else {
                slot.backing.take()
            }
        };
        drop(taken);
        Ok(())
    }

    /// The lowest device to which nothing is attached.
    fn free(&self) -> Option<u32> {
        let slots = self.0.lock();
        (0..MINORS).find(|minor| slots.get(minor).is_none_or(|slot| slot.backing.is_none()))
    }
}

/// An open device.
struct Open {
    loops: Arc<Loops>,
    minor: u32,
}

impl Drop for Open {
    fn drop(&mut self) {
        let gone = {
            let mut slots = self.loops.0.lock();
            let Some(slot) = slots.get_mut(&self.minor) else { return };
            slot.opens = slot.opens.saturating_sub(1);
            let clears = |b: &Backing| b.info.lo_flags & LO_FLAGS_AUTOCLEAR != 0;
            if slot.opens > 0 || slot.backing.as_ref().is_some_and(|b| !clears(b)) {
                return;
            }
            slots.remove(&self.minor)
        };
        drop(gone);
    }
}

/// What `LOOP_SET_STATUS` may set and clear of the flags.
fn new_flags(old: u32, new: u32) -> u32 {
    const SETTABLE: u32 = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN;
    (old & !LO_FLAGS_AUTOCLEAR) | (new & SETTABLE)
}

impl Open {
    fn size(&self) -> Result<u64, Errno> {
        self.loops.backing(self.minor).map_or(Ok(0), |b| b.size())
    }

    fn status(&self) -> Result<LoopInfo64, Errno> {
        let backing = self.loops.backing(self.minor).ok_or(Errno::ENXIO)?;
        let attr = backing.file.inode().attr()?;
        Ok(LoopInfo64 { lo_inode: attr.ino, lo_rdevice: 0, ..backing.info })
    }

    fn set_status(&self, new: &LoopInfo64) -> Result<(), Errno> {
        if new.lo_encrypt_type != 0 || i64::try_from(new.lo_offset).is_err() {
            return Err(Errno::EINVAL);
        }
        self.loops.change(self.minor, |info| {
            info.lo_offset = new.lo_offset;
            info.lo_sizelimit = new.lo_sizelimit;
            info.lo_flags = new_flags(info.lo_flags, new.lo_flags);
            info.lo_file_name = new.lo_file_name;
            Ok(())
        })
    }

    /// Requests of block devices; `None` for others.
    fn block_ioctl(&self, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Option<Result<u64, Errno>> {
        let int = |value: i32| UserPtr::<i32>::from(arg).write(mem, &value).map(|()| 0);
        let long = |value: u64| UserPtr::<u64>::from(arg).write(mem, &value).map(|()| 0);
        Some(match cmd {
            BLKGETSIZE64 => self.size().and_then(long),
            BLKGETSIZE => self.size().and_then(|size| long(size / SECTOR)),
            BLKSSZGET | BLKPBSZGET | BLKIOMIN => int(SECTOR as i32),
            BLKBSZGET => int(4096),
            BLKIOOPT | BLKALIGNOFF => int(0),
            BLKROGET => int(self.loops.backing(self.minor).is_some_and(|b| b.read_only()).into()),
            BLKFLSBUF => Ok(0),
            BLKRRPART => Err(Errno::EINVAL),
            _ => return None,
        })
    }
}

/// The short form of a status; `EOVERFLOW` where it has no room.
fn short(info: &LoopInfo64) -> Result<LoopInfo, Errno> {
    Ok(LoopInfo {
        lo_number: i32::try_from(info.lo_number).map_err(|_| Errno::EOVERFLOW)?,
        lo_device: info.lo_device,
        lo_inode: info.lo_inode,
        lo_rdevice: info.lo_rdevice,
        lo_offset: i32::try_from(info.lo_offset).map_err(|_| Errno::EOVERFLOW)?,
        lo_flags: info.lo_flags,
        lo_name: info.lo_file_name,
        ..LoopInfo::default()
    })
}

/// The long form of a status.
fn long(info: &LoopInfo) -> Result<LoopInfo64, Errno> {
    Ok(LoopInfo64 {
        lo_offset: u64::try_from(info.lo_offset).map_err(|_| Errno::EINVAL)?,
        lo_encrypt_type: u32::try_from(info.lo_encrypt_type).map_err(|_| Errno::EINVAL)?,
        lo_flags: info.lo_flags,
        lo_file_name: info.lo_name,
        ..LoopInfo64::default()
    })
}

impl FileOps for Open {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let Some(backing) = self.loops.backing(self.minor) else { return Ok(0) };
        let (at, left) = backing.place(offset)?;
        dst.limit(left);
        if left == 0 { Ok(0) } else { backing.file.ops().read_at(&backing.file, at, dst) }
    }
    fn write_at(&self, _: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let backing = self.loops.backing(self.minor).ok_or(Errno::ENOSPC)?;
        if backing.read_only() {
            return Err(Errno::EPERM);
        }
        let (at, left) = backing.place(offset)?;
        if left == 0 && src.remaining() > 0 {
            return Err(Errno::ENOSPC);
        }
        src.limit(left);
        backing.file.ops().write_at(&backing.file, at, src)
    }
    fn append(&self, file: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        // O_APPEND means nothing to a block device.
        let offset = *file.pos.lock();
        self.write_at(file, offset, src).map(|n| (offset.saturating_add(n as u64), n))
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let mut pos = file.pos.lock();
        let n = self.write_at(file, *pos, src)?;
        *pos = pos.saturating_add(n as u64);
        Ok(n)
    }
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        let size = i64::try_from(self.size()?).map_err(|_| Errno::EOVERFLOW)?;
        let mut pos = file.pos.lock();
        let from = |base: i64, n: i64| base.checked_add(n).ok_or(Errno::EOVERFLOW);
        let new = match to {
            Seek::Set(n) => n,
            Seek::Cur(n) => from(i64::try_from(*pos).map_err(|_| Errno::EOVERFLOW)?, n)?,
            Seek::End(n) => from(size, n)?,
            Seek::Data(n) | Seek::Hole(n) if !(0..size).contains(&n) => return Err(Errno::ENXIO),
            Seek::Data(n) => n,
            Seek::Hole(_) => size,
        };
        *pos = u64::try_from(new).ok().filter(|_| new <= size).ok_or(Errno::EINVAL)?;
        Ok(*pos)
    }
    fn fsync(&self, _: &File, data_only: bool) -> Result<(), Errno> {
        let backing = self.loops.backing(self.minor);
        backing.map_or(Ok(()), |b| b.file.ops().fsync(&b.file, data_only))
    }
    fn ioctl(&self, file: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        if let Some(answer) = self.block_ioctl(mem, cmd, arg) {
            return answer;
        }
        // The kernel asks for a device that is open for writing, or CAP_SYS_ADMIN.
        let changes = matches!(
            cmd,
            LOOP_SET_STATUS
                | LOOP_SET_STATUS64
                | LOOP_SET_CAPACITY
                | LOOP_SET_DIRECT_IO
                | LOOP_SET_BLOCK_SIZE
        );
        if changes && !file.flags().writable() {
            return Err(Errno::EPERM);
        }
        let fd = || i32::try_from(arg).map_err(|_| Errno::EBADF);
        match cmd {
            LOOP_SET_FD => self.loops.attach(self.minor, file, fd()?, LoopInfo64::default())?,
            LOOP_CONFIGURE => self.configure(file, &UserPtr::<LoopConfig>::from(arg).read(mem)?)?,
            LOOP_CLR_FD => self.loops.detach(self.minor)?,
            LOOP_SET_STATUS => self.set_status(&long(&UserPtr::<LoopInfo>::from(arg).read(mem)?)?)?,
            LOOP_SET_STATUS64 => self.set_status(&UserPtr::<LoopInfo64>::from(arg).read(mem)?)?,
            LOOP_GET_STATUS => UserPtr::<LoopInfo>::from(arg).write(mem, &short(&self.status()?)?)?,
            LOOP_GET_STATUS64 => UserPtr::<LoopInfo64>::from(arg).write(mem, &self.status()?)?,
            // Sizes are looked at whenever they are used.
            LOOP_SET_CAPACITY => self.status().map(drop)?,
            LOOP_SET_BLOCK_SIZE if arg != SECTOR => return Err(Errno::EINVAL),
            LOOP_SET_BLOCK_SIZE => self.status().map(drop)?,
            LOOP_SET_DIRECT_IO if arg != 0 => return Err(Errno::EINVAL),
            LOOP_SET_DIRECT_IO => self.status().map(drop)?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Open {
    /// `LOOP_CONFIGURE`.
    fn configure(&self, device: &File, config: &LoopConfig) -> Result<(), Errno> {
        const FLAGS: u32 = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN | LO_FLAGS_DIRECT_IO;
        let info = &config.info;
        let block_size = matches!(u64::from(config.block_size), 0 | SECTOR);
        if !block_size || info.lo_flags & !FLAGS != 0 || info.lo_encrypt_type != 0 {
            return Err(Errno::EINVAL);
        }
        if i64::try_from(info.lo_offset).is_err() {
            return Err(Errno::EINVAL);
        }
        // Direct I/O is a wish, which is not granted here.
        let info = LoopInfo64 { lo_flags: info.lo_flags & !LO_FLAGS_DIRECT_IO, ..*info };
        let fd = i32::try_from(config.fd).map_err(|_| Errno::EBADF)?;
        self.loops.attach(self.minor, device, fd, info)
    }
}

/// `/dev/loop-control`, open.
struct Control(Arc<Loops>);

impl FileOps for Control {
    fn seekable(&self) -> bool {
        false
    }
    fn ioctl(&self, _: &File, _: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        let known = u32::try_from(arg).ok().filter(|minor| *minor < MINORS);
        match cmd {
            LOOP_CTL_GET_FREE => self.0.free().map(u64::from).ok_or(Errno::ENOSPC),
            LOOP_CTL_ADD if known.is_some() => Err(Errno::EEXIST),
            LOOP_CTL_ADD => Err(Errno::ENOSPC),
            LOOP_CTL_REMOVE if known.is_some() => Err(Errno::EBUSY),
            LOOP_CTL_REMOVE => Err(Errno::ENODEV),
            _ => Err(Errno::ENOSYS),
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Driver(Arc<Loops>);

impl DeviceOpen for Driver {
    fn open(&self, request: &OpenRequest<'_>, major: u32, minor: u32) -> Result<Box<dyn FileOps>, Errno> {
        if major == MISC_MAJOR {
            return Ok(Box::new(Control(self.0.clone())));
        }
        let mut slots = self.0.0.lock();
        let slot = slots.entry(minor).or_default();
        let read_only = slot.backing.as_ref().is_some_and(Backing::read_only);
        if read_only && request.flags.writable() && !request.flags.contains(OpenFlags::PATH) {
            return Err(Errno::EACCES);
        }
        slot.opens += 1;
        drop(slots);
        Ok(Box::new(Open { loops: self.0.clone(), minor }))
    }
}

/// Makes the devices known.
pub fn register(vfs: &Vfs) -> Result<(), Errno> {
    let driver = Arc::new(Driver(Arc::new(Loops(Mutex::new(rank::LEAF, BTreeMap::new())))));
    vfs.devices.register(DeviceKind::Block, LOOP_MAJOR, 0..=MINORS - 1, "loop", driver.clone())?;
    let control = LOOP_CTRL_MINOR..=LOOP_CTRL_MINOR;
    vfs.devices.register(DeviceKind::Char, MISC_MAJOR, control, "misc", driver)
}
