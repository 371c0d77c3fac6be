//! Device nodes and kernel settings that a configuration asks for.

use crate::{StartError, StartErrorKind, config::DeviceConfig};
use abi::{Errno, FileType, OpenFlags};
use mem::IoSrc;
use std::collections::BTreeMap;
use vfs::{Lookup, WalkContext, devices::DeviceKind, ops};

/// Makes the nodes that the standard set lacks. A device that the sandbox does not have gets none: the node would only
/// say `ENXIO`, where programs look for the name to tell whether there is one.
pub fn make_devices(ctx: &WalkContext, devices: &[DeviceConfig]) -> Result<(), StartError> {
    for device in devices {
        let name = device.path.as_bytes();
        let kind = match FileType::from_mode(device.mode) {
            Some(FileType::BlockDevice) => Some(DeviceKind::Block),
            Some(FileType::CharDevice) => Some(DeviceKind::Char),
            _ => None,
        };
        if kind.is_some_and(|kind| ctx.vfs.devices.find(kind, device.major, device.minor).is_err()) {
            log::warn!("{}: there is no device {}:{} here", device.path, device.major, device.minor);
            continue;
        }
        make_device(ctx, name, device).map_err(|e| {
            let text = format!("cannot make device node {:?}: {}", device.path, e.message());
            StartError::new(StartErrorKind::BadConfig, text)
        })?;
    }
    Ok(())
}

fn make_device(ctx: &WalkContext, name: &[u8], device: &DeviceConfig) -> Result<(), Errno> {
    if ctx.resolve(name, Lookup::FOLLOW).is_ok() {
        return Ok(());
    }
    if let Some(end) = name.iter().rposition(|b| *b == b'/') {
        crate::mounts::make_path(ctx, name.get(..end).unwrap_or_default(), false)?;
    }
    ops::mknod(ctx, name, device.mode, abi::stat::dev::makedev(device.major, device.minor))?;
    let (uid, gid) = (ctx.cred.user_ns.uid(device.uid), ctx.cred.user_ns.gid(device.gid));
    ops::chown(&ctx.cred, &ctx.resolve(name, Lookup::empty())?, uid, gid)
}

/// Writes `net.ipv4.x` = value to `/proc/sys`. What is not there is logged: container managers pass settings unasked.
pub fn write_settings(ctx: &WalkContext, settings: &BTreeMap<String, String>) {
    let others = settings.iter().filter(|(name, _)| network_setting(name).is_none());
    for (name, value) in others {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        if let Err(e) = write(ctx, path.as_bytes(), value.as_bytes()) {
            log::warn!("sysctl {name}={value}: {}", e.message());
        }
    }
}

/// The name of a setting that a network namespace has, as it knows it.
pub fn network_setting(name: &str) -> Option<&str> {
    name.strip_prefix("net.ipv4.").filter(|name| net::namespace::SETTINGS.contains(name))
}

fn write(ctx: &WalkContext, path: &[u8], value: &[u8]) -> Result<(), Errno> {
    let file = ops::open(ctx, path, &ops::OpenHow::open(OpenFlags::WRONLY.bits(), 0))?;
    let mut value = value.to_vec();
    file.ops().write_at(&file, 0, &mut IoSrc::bytes(&mut value)).map(drop)
}
