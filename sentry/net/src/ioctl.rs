//! `ioctl(2)` requests about interfaces (`netdevice(7)`); any socket takes them.

use crate::{
    caller::Caller,
    namespace::{LOOPBACK_INDEX, LOOPBACK_NAME, NetNamespace},
};
use abi::{Cap, Errno, socket::*};
use mem::{UserMemory, UserMemoryExt, UserPtr};
use std::sync::atomic::Ordering;
use zerocopy::IntoBytes;

/// Whether `cmd` is one of them.
pub fn is_interface_request(cmd: u32) -> bool {
    matches!(cmd, SIOCGIFNAME..=SIOCSIFTXQLEN | SIOCETHTOOL..=SIOCSMIIREG | SIOCGIFMAP | SIOCSIFMAP | SIOCADDRT | SIOCDELRT)
}

const LOOPBACK_ADDRESS: [u8; 4] = [127, 0, 0, 1];

fn put_in(request: &mut Ifreq, addr: [u8; 4]) {
    let addr = SockaddrIn { sin_family: AF_INET, sin_addr: addr, ..SockaddrIn::default() };
    if let Some(place) = request.ifr_data.get_mut(..SockaddrIn::SIZE) {
        place.copy_from_slice(addr.as_bytes());
    }
}

/// Answers an interface request.
pub fn interface(
    ns: &NetNamespace,
    caller: Caller<'_>,
    mem: &dyn UserMemory,
    cmd: u32,
    arg: u64,
) -> Result<u64, Errno> {
    if cmd == SIOCGIFCONF {
        return list(mem, arg);
    }
    if matches!(cmd, SIOCADDRT | SIOCDELRT) {
        return Err(if may_change(ns, caller) { Errno::EOPNOTSUPP } else { Errno::EPERM });
    }
    let at = UserPtr::<Ifreq>::from(arg);
    let mut request = at.read(mem)?;
    if cmd == SIOCGIFNAME {
        if request.int() != LOOPBACK_INDEX {
            return Err(Errno::ENODEV);
        }
        request.ifr_name = [0; IFNAMSIZ];
        request.ifr_name[..LOOPBACK_NAME.len()].copy_from_slice(LOOPBACK_NAME);
        return at.write(mem, &request).map(|()| 0);
    }
    // An alias ("lo:1") is another name of the address, not of the interface.
    let name = request.name().split(|b| *b == b':').next().unwrap_or_default();
    if ns.interface_index(name).is_none() {
        return Err(Errno::ENODEV);
    }
    let lo = &ns.loopback;
    match cmd {
        SIOCGIFFLAGS => request.set_short(lo.flags().bits() as u16),
        SIOCGIFADDR | SIOCGIFDSTADDR if lo.is_up() => put_in(&mut request, LOOPBACK_ADDRESS),
        SIOCGIFNETMASK if lo.is_up() => put_in(&mut request, [255, 0, 0, 0]),
        SIOCGIFBRDADDR if lo.is_up() => put_in(&mut request, [0; 4]),
        SIOCGIFADDR | SIOCGIFDSTADDR | SIOCGIFNETMASK | SIOCGIFBRDADDR => return Err(Errno::EADDRNOTAVAIL),
        SIOCGIFMTU => request.set_int(lo.mtu.load(Ordering::Relaxed) as i32),
        SIOCGIFINDEX => request.set_int(LOOPBACK_INDEX),
        SIOCGIFMETRIC => request.set_int(0),
        SIOCGIFTXQLEN => request.set_int(lo.tx_queue.load(Ordering::Relaxed) as i32),
        SIOCGIFHWADDR => {
            request.ifr_data = [0; 24];
            request.set_short(ARPHRD_LOOPBACK);
        }
        SIOCGIFMAP => request.ifr_data = [0; 24],
        SIOCETHTOOL | SIOCGMIIPHY | SIOCGMIIREG | SIOCSMIIREG => return Err(Errno::EOPNOTSUPP),
        SIOCSIFFLAGS | SIOCSIFMTU | SIOCSIFTXQLEN | SIOCSIFADDR | SIOCSIFNETMASK | SIOCSIFDSTADDR
        | SIOCSIFBRDADDR | SIOCSIFNAME | SIOCSIFHWADDR | SIOCSIFMETRIC => {
            if !may_change(ns, caller) {
                return Err(Errno::EPERM);
            }
            return change(ns, cmd, &request).map(|()| 0);
        }
        _ => return Err(Errno::EINVAL),
    }
    at.write(mem, &request).map(|()| 0)
}

fn may_change(ns: &NetNamespace, caller: Caller<'_>) -> bool {
    caller.cred().has_cap_in(&ns.user_ns, Cap::NET_ADMIN)
}

fn change(ns: &NetNamespace, cmd: u32, request: &Ifreq) -> Result<(), Errno> {
    let lo = &ns.loopback;
    let number = || u32::try_from(request.int()).map_err(|_| Errno::EINVAL);
    match cmd {
        SIOCSIFFLAGS => lo.set_up(u32::from(request.short()) & IffFlags::UP.bits() != 0),
        SIOCSIFMTU => lo.mtu.store(number()?, Ordering::Relaxed),
        SIOCSIFTXQLEN => lo.tx_queue.store(number()?, Ordering::Relaxed),
        // What it has already; other addresses and names cannot be given to it.
        SIOCSIFADDR if request.ifr_data.get(4..8) == Some(&LOOPBACK_ADDRESS) => {
            lo.set_up(true); // as setting an address does on Linux
        }
        SIOCSIFNETMASK if request.ifr_data.get(4..8) == Some(&[255, 0, 0, 0]) => {}
        _ => return Err(Errno::EOPNOTSUPP),
    }
    Ok(())
}

/// `SIOCGIFCONF`: the interfaces that have IPv4 addresses.
fn list(mem: &dyn UserMemory, arg: u64) -> Result<u64, Errno> {
    let at = UserPtr::<Ifconf>::from(arg);
    let mut conf = at.read(mem)?;
    let mut entry = Ifreq::default();
    entry.ifr_name[..LOOPBACK_NAME.len()].copy_from_slice(LOOPBACK_NAME);
    put_in(&mut entry, LOOPBACK_ADDRESS);
    let room = usize::try_from(conf.ifc_len).map_err(|_| Errno::EINVAL)?;
    if conf.ifc_buf == 0 {
        conf.ifc_len = Ifreq::SIZE as i32;
    } else if room >= Ifreq::SIZE {
        mem.copy_out(mem::UserAddr(conf.ifc_buf), entry.as_bytes())?;
        conf.ifc_len = Ifreq::SIZE as i32;
    } else {
        conf.ifc_len = 0;
    }
    at.write(mem, &conf).map(|()| 0)
}
