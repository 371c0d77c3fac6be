//! Sockets of the family `AF_PACKET` (`packet(7)`): frames that go over the loopback.
//!
//! A frame is an Ethernet header of zeros and a packet. Every one is seen twice, leaving and coming in.
//!
//! **Lock order:** `state`, `queue`.
//! **Absent on purpose:** rings in shared memory (`PACKET_RX_RING` and what belongs to it), fanout, `PACKET_VNET_HDR`: `ENOPROTOOPT`,
//! as where a kernel lacks them.

use crate::{
    caller::Caller,
    common::{Common, int_value, value_of},
    filter::Packet,
    inet::{
        ancillary, stack,
        wire::{self, Ip},
    },
    message::{Address, Control, OptionValue, RecvMsg, SendMsg},
    namespace::{LOOPBACK_INDEX, NetNamespace},
    socket::SocketOps,
};
use abi::{Errno, SockType, socket::*, time::Timespec};
use ksync::{Mutex, Ready, rank};
use std::{any::Any, collections::VecDeque, sync::Arc};
use zerocopy::{FromBytes, IntoBytes};

/// What a frame takes of the receive buffer beside its data.
const OVERHEAD: usize = 576;

/// A frame as it went by.
#[derive(Clone)]
pub struct Sighting {
    /// The frame, with its Ethernet header.
    pub frame: Arc<[u8]>,
    /// Its Ethernet protocol.
    pub protocol: u16,
    /// `PACKET_HOST`, `PACKET_OUTGOING`, ...
    pub kind: u8,
    /// When.
    pub at: Timespec,
}

#[derive(Default)]
struct State {
    /// Ethernet protocol that is listened to; 0 is none.
    protocol: u16,
    /// Interface; 0 is any.
    interface: i32,
    auxdata: bool,
    ignore_outgoing: bool,
    /// `PACKET_ADD_MEMBERSHIP`: interface and kind.
    memberships: Vec<(i32, u16)>,
    /// Numbers that are kept and change nothing here: name and value.
    kept: Vec<(i32, i32)>,
}

#[derive(Default)]
struct Queue {
    /// Frames, and how many bytes of each are kept.
    sightings: VecDeque<(Sighting, usize)>,
    used: usize,
    stats: TpacketStats,
}

/// A packet socket.
pub struct PacketSocket {
    common: Common,
    state: Mutex<State>,
    queue: Mutex<Queue>,
}

/// Options that are numbers and change nothing here.
const KEPT: &[i32] =
    &[PACKET_COPY_THRESH, PACKET_ORIGDEV, PACKET_LOSS, PACKET_TIMESTAMP, PACKET_QDISC_BYPASS];

fn parse(bytes: &[u8]) -> Result<SockaddrLl, Errno> {
    let (addr, _) = SockaddrLl::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?;
    if addr.sll_family == AF_PACKET { Ok(addr) } else { Err(Errno::EINVAL) }
}

impl PacketSocket {
    /// A socket for `protocol` (in network order, as `socket(2)` takes it); `ESOCKTNOSUPPORT`.
    pub fn new(
        ns: &Arc<NetNamespace>,
        kind: SockType,
        protocol: i32,
        uid: vfs::Uid,
    ) -> Result<Arc<Self>, Errno> {
        if !matches!(kind, SockType::Raw | SockType::Dgram) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        let state = State { protocol: (protocol as u16).swap_bytes(), ..State::default() };
        let socket = Arc::new(Self {
            common: Common::new(ns.clone(), AF_PACKET, kind, protocol, uid),
            state: Mutex::new(rank::SOCKET, state),
            queue: Mutex::new(rank::SOCKET_QUEUE, Queue::default()),
        });
        ns.taps.add_packet(&socket);
        Ok(socket)
    }

    fn is_raw(&self) -> bool {
        self.common.kind == SockType::Raw
    }

    /// Bytes of a frame that are not for the application.
    fn skipped(&self, frame: &[u8]) -> usize {
        if self.is_raw() { 0 } else { ETH_HLEN.min(frame.len()) }
    }

    /// Protocol, interface and bytes in use, for `/proc/net/packet`.
    pub(crate) fn describe(&self) -> (u16, i32, usize) {
        let (protocol, interface) = {
            let state = self.state.lock();
            (state.protocol, state.interface)
        };
        (protocol, interface, self.queue.lock().used)
    }

    /// Offers a frame that goes by.
    pub(crate) fn offer(&self, sighting: Sighting) {
        let wanted = {
            let state = self.state.lock();
            let outgoing = sighting.kind == PACKET_OUTGOING;
            // What leaves is shown only to those who listen to everything.
            let by_protocol =
                state.protocol == ETH_P_ALL || (state.protocol == sighting.protocol && !outgoing);
            state.protocol != 0
                && by_protocol
                && matches!(state.interface, 0 | LOOPBACK_INDEX)
                && !(outgoing && state.ignore_outgoing)
        };
        if !wanted {
            return;
        }
        let Sighting { protocol, kind, .. } = sighting;
        let skip = self.skipped(&sighting.frame);
        let bytes = sighting.frame.get(skip..).unwrap_or_default();
        let Some(kept) = self.common.filter.kept(&Packet { bytes, network: ETH_HLEN - skip, protocol, kind })
        else {
            return;
        };
        let size = sighting.frame.len() + OVERHEAD;
        {
            let mut queue = self.queue.lock();
            queue.stats.tp_packets = queue.stats.tp_packets.wrapping_add(1);
            if queue.used + size > self.common.rcvbuf().max(size) {
                queue.stats.tp_drops = queue.stats.tp_drops.wrapping_add(1);
                return;
            }
            queue.used += size;
            queue.sightings.push_back((sighting, kept));
        }
        self.common.queue.notify(Ready::IN | Ready::RDNORM);
    }

    fn do_send(&self, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        let (mut protocol, mut interface) = {
            let state = self.state.lock();
            (state.protocol, state.interface)
        };
        let mut to = [0u8; 6];
        if let Some(name) = msg.name {
            // The family is not looked at, as Linux does not.
            let (addr, _) = SockaddrLl::read_from_prefix(name).map_err(|_| Errno::EINVAL)?;
            protocol = u16::from_be_bytes(addr.sll_protocol);
            interface = addr.sll_ifindex;
            if !self.is_raw() {
                to.iter_mut().zip(addr.sll_addr).for_each(|(to, from)| *to = from);
            }
        }
        let ns = &self.common.ns;
        if interface != LOOPBACK_INDEX {
            return Err(Errno::ENXIO);
        }
        if !ns.loopback.is_up() {
            return Err(Errno::ENETDOWN);
        }
        let len = msg.src.remaining();
        let (least, more) = if self.is_raw() { (ETH_HLEN, ETH_HLEN) } else { (0, 0) };
        if len
            > usize::try_from(ns.loopback.mtu.load(std::sync::atomic::Ordering::Relaxed)).unwrap_or(0) + more
        {
            return Err(Errno::EMSGSIZE);
        }
        if len < least {
            return Err(Errno::EINVAL);
        }
        let data = if len == 0 { Vec::new() } else { msg.src.take_vec(len)? };
        if data.len() < len {
            return Err(Errno::EFAULT);
        }
        let frame = if self.is_raw() {
            data
        } else {
            let mut frame = to.to_vec();
            frame.extend_from_slice(&[0; 6]);
            frame.extend_from_slice(&protocol.to_be_bytes());
            frame.extend_from_slice(&data);
            frame
        };
        self.put_on_loopback(frame);
        Ok(len)
    }

    /// The frame leaves, comes in, and goes to the protocol that it names.
    fn put_on_loopback(&self, frame: Vec<u8>) {
        let ns = &self.common.ns;
        let protocol = wire::be16(&frame, 12).unwrap_or(0);
        let kind = match frame.first_chunk::<6>() {
            Some([0, 0, 0, 0, 0, 0]) => PACKET_HOST, // the loopback's broadcast address too
            Some([first, ..]) if first & 1 != 0 => PACKET_MULTICAST,
            _ => PACKET_OTHERHOST,
        };
        ns.loopback.count(frame.len());
        let frame: Arc<[u8]> = frame.into();
        ns.show_frame(&frame, protocol, kind, Some(self));
        // A frame from here has no route of the sender's yet, and Linux routes none to 127.0.0.0/8
        // (net.ipv4.conf.*.route_localnet): IPv4 ends here.
        let packet = frame.get(ETH_HLEN..).unwrap_or_default();
        if protocol == ETH_P_IPV6
            && kind != PACKET_OTHERHOST
            && let Some(ip) = Ip::parse(packet).filter(|ip| ip.dst.is_ipv6() && ns.is_local(ip.dst))
        {
            let taken = ns.show_raw(&ip, packet);
            stack::receive(ns, packet, taken);
        }
    }

    fn name_of(&self, sighting: &Sighting) -> Address {
        let name = SockaddrLl {
            sll_family: AF_PACKET,
            sll_protocol: sighting.protocol.to_be_bytes(),
            sll_ifindex: LOOPBACK_INDEX,
            sll_hatype: ARPHRD_LOOPBACK,
            sll_pkttype: sighting.kind,
            sll_halen: 6,
            sll_addr: [0; 8],
        };
        let mut bytes = Address::from_slice(name.as_bytes());
        let source = sighting.frame.get(6..12).unwrap_or_default();
        bytes.iter_mut().skip(12).zip(source).for_each(|(to, from)| *to = *from);
        bytes
    }

    fn do_recv(&self, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        self.common.check_error()?;
        let auxdata = self.state.lock().auxdata;
        let mut queue = self.queue.lock();
        let (sighting, kept) = queue.sightings.front().ok_or(Errno::EAGAIN)?.clone();
        let skip = self.skipped(&sighting.frame);
        let whole = sighting.frame.get(skip..).unwrap_or_default();
        let data = whole.get(..kept).unwrap_or(whole);
        let n = msg.put_datagram(data)?;
        if msg.wants_name {
            msg.name = Some(self.name_of(&sighting));
        }
        ancillary::put_time(&self.common, sighting.at, msg);
        if auxdata {
            let aux = TpacketAuxdata {
                tp_status: TP_STATUS_USER,
                tp_len: whole.len() as u32,
                tp_snaplen: data.len() as u32,
                tp_net: (ETH_HLEN - skip) as u16,
                ..TpacketAuxdata::default()
            };
            msg.control.push(Control::Other(SOL_PACKET, PACKET_AUXDATA, aux.as_bytes().into()));
        }
        if !msg.peek() {
            queue.used -= sighting.frame.len() + OVERHEAD;
            queue.sightings.pop_front();
        }
        Ok(n)
    }

    fn change_membership(&self, value: &[u8], join: bool) -> Result<(), Errno> {
        let (request, _) = PacketMreq::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
        let entry = (request.mr_ifindex, request.mr_type);
        let mut state = self.state.lock();
        if join {
            if request.mr_ifindex != LOOPBACK_INDEX {
                return Err(Errno::ENODEV);
            }
            if request.mr_type > PACKET_MR_UNICAST || request.mr_alen > 8 {
                return Err(Errno::EINVAL);
            }
            if state.memberships.len() >= 4096 {
                return Err(Errno::ENOBUFS);
            }
            state.memberships.push(entry);
        } else if let Some(at) = state.memberships.iter().position(|m| *m == entry) {
            state.memberships.swap_remove(at);
        }
        Ok(())
    }
}

impl SocketOps for PacketSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, _: Caller<'_>, bytes: &[u8]) -> Result<(), Errno> {
        let addr = parse(bytes)?;
        if addr.sll_ifindex != 0 && addr.sll_ifindex != LOOPBACK_INDEX {
            return Err(Errno::ENODEV);
        }
        let mut state = self.state.lock();
        state.interface = addr.sll_ifindex;
        if addr.sll_protocol != [0; 2] {
            state.protocol = u16::from_be_bytes(addr.sll_protocol);
        }
        drop(state);
        if addr.sll_ifindex != 0 && !self.common.ns.loopback.is_up() {
            self.common.set_error(Errno::ENETDOWN);
        }
        Ok(())
    }

    fn connect(&self, _: Caller<'_>, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn send(&self, _: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        self.do_send(msg)
    }

    fn recv(&self, _: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        const KNOWN: MsgFlags = MsgFlags::PEEK
            .union(MsgFlags::DONTWAIT)
            .union(MsgFlags::TRUNC)
            .union(MsgFlags::CMSG_CLOEXEC)
            .union(MsgFlags::ERRQUEUE);
        if !KNOWN.contains(msg.flags) {
            return Err(Errno::EINVAL);
        }
        if msg.flags.contains(MsgFlags::ERRQUEUE) {
            return Err(Errno::EAGAIN);
        }
        self.do_recv(msg)
    }

    fn shutdown(&self, _: Shutdown) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn ready(&self) -> Ready {
        let mut ready = Ready::OUT | Ready::WRNORM | Ready::WRBAND;
        if self.common.has_error() {
            ready |= Ready::ERR;
        }
        if !self.queue.lock().sightings.is_empty() {
            ready |= Ready::IN | Ready::RDNORM;
        }
        ready
    }

    fn local_name(&self) -> Result<Address, Errno> {
        let (protocol, interface, _) = self.describe();
        let bound = interface == LOOPBACK_INDEX;
        let name = SockaddrLl {
            sll_family: AF_PACKET,
            sll_protocol: protocol.to_be_bytes(),
            sll_ifindex: interface,
            sll_hatype: if bound { ARPHRD_LOOPBACK } else { 0 },
            sll_halen: if bound { 6 } else { 0 },
            ..SockaddrLl::default()
        };
        // As long as the hardware's address.
        let len = if bound { 18 } else { 12 };
        Ok(Address::from_slice(name.as_bytes().get(..len).unwrap_or_default()))
    }
    fn peer_name(&self) -> Result<Address, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn get_option(&self, _: Caller<'_>, level: i32, name: i32, _: usize) -> Result<OptionValue, Errno> {
        match (level, name) {
            (SOL_SOCKET, SO_ACCEPTCONN) => Ok(int_value(0)),
            (SOL_SOCKET, SO_PEERCRED) => Ok(value_of(&Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })),
            (SOL_SOCKET, _) => self.common.get_option(name),
            (SOL_PACKET, PACKET_STATISTICS) => Ok(value_of(&std::mem::take(&mut self.queue.lock().stats))),
            (SOL_PACKET, PACKET_AUXDATA) => Ok(int_value(self.state.lock().auxdata)),
            (SOL_PACKET, PACKET_IGNORE_OUTGOING) => Ok(int_value(self.state.lock().ignore_outgoing)),
            (SOL_PACKET, PACKET_VERSION | PACKET_RESERVE | PACKET_VNET_HDR | PACKET_FANOUT) => {
                Ok(int_value(0))
            }
            (SOL_PACKET, name) if KEPT.contains(&name) => {
                let state = self.state.lock();
                Ok(int_value(state.kept.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v)))
            }
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        if level == SOL_SOCKET {
            return self.common.set_option(&caller, name, value);
        }
        if level != SOL_PACKET {
            return Err(Errno::ENOPROTOOPT);
        }
        if matches!(name, PACKET_ADD_MEMBERSHIP | PACKET_DROP_MEMBERSHIP) {
            return self.change_membership(value, name == PACKET_ADD_MEMBERSHIP);
        }
        let number = || i32::read_from_prefix(value).map(|(n, _)| n).map_err(|_| Errno::EINVAL);
        match name {
            PACKET_AUXDATA => self.state.lock().auxdata = number()? != 0,
            PACKET_IGNORE_OUTGOING => {
                let n = number()?;
                if !(0..=1).contains(&n) {
                    return Err(Errno::EINVAL);
                }
                self.state.lock().ignore_outgoing = n != 0;
            }
            name if KEPT.contains(&name) => {
                let n = number()?;
                let mut state = self.state.lock();
                state.kept.retain(|(kept, _)| *kept != name);
                state.kept.push((name, n));
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    fn readable_bytes(&self) -> Result<usize, Errno> {
        Ok(self.queue.lock().sightings.front().map_or(0, |(_, kept)| *kept))
    }
    fn unsent_bytes(&self) -> Result<usize, Errno> {
        Ok(0)
    }

    fn release(&self) {
        self.common.ns.taps.remove_packet(self);
        *self.queue.lock() = Queue::default();
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
