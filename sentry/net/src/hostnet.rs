//! `--network=host`: inet sockets that are the host's.
//!
//! A [`HostSocket`] owns a non-blocking descriptor; the reactor tells of changes of its readiness. Bytes go through a
//! buffer of the sentry, addresses as they are. Options and control messages pass only if they are listed here, netlink
//! messages only if they ask for something.
//!
//! **Absent on purpose:** raw and packet sockets, changes of the host's interfaces, `/proc/net` of the host.

use crate::{
    caller::Caller,
    common::Common,
    control::ControlBuffer,
    message::{Address, Control, OptionValue, RecvMsg, SendMsg},
    namespace::NetNamespace,
    socket::SocketOps,
};
use abi::{Errno, SockType, socket::*};
use host::{HostErrno, inet};
use ksync::{Ready, exec::HostWatch};
use mem::{UserMemory, UserMemoryExt, UserPtr};
use std::{
    any::Any,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// The most bytes that one call moves.
const CHUNK: usize = 256 << 10;
/// Room for control messages from the host.
const CONTROL: usize = 1024;

fn errno(e: HostErrno) -> Errno {
    Errno::from_host(e as i32)
}

/// A socket of the host.
pub struct HostSocket {
    common: Common,
    fd: Arc<OwnedFd>,
    _watch: Option<HostWatch>,
}

impl HostSocket {
    /// A socket of `AF_INET`, `AF_INET6`, or `AF_NETLINK` for route requests.
    pub fn new(
        ns: &Arc<NetNamespace>,
        family: u16,
        kind: SockType,
        protocol: i32,
        uid: vfs::Uid,
    ) -> Result<Arc<Self>, Errno> {
        match (family, kind, protocol) {
            (AF_INET | AF_INET6, SockType::Stream, 0 | IPPROTO_TCP) => {}
            (AF_INET | AF_INET6, SockType::Dgram, 0 | IPPROTO_UDP | IPPROTO_ICMP | IPPROTO_ICMPV6) => {}
            (AF_NETLINK, SockType::Raw | SockType::Dgram, NETLINK_ROUTE) => {}
            (AF_INET | AF_INET6, SockType::Raw, _) => return Err(Errno::EPERM),
            _ => return Err(Errno::EPROTONOSUPPORT),
        }
        let fd = inet::socket(i32::from(family), kind.to_raw(), protocol).map_err(errno)?;
        Self::around(ns, fd, family, kind, protocol, uid)
    }

    fn around(
        ns: &Arc<NetNamespace>,
        fd: OwnedFd,
        family: u16,
        kind: SockType,
        protocol: i32,
        uid: vfs::Uid,
    ) -> Result<Arc<Self>, Errno> {
        let protocol = match (kind, protocol) {
            (SockType::Stream, 0) => IPPROTO_TCP,
            (SockType::Dgram, 0) if family != AF_NETLINK => IPPROTO_UDP,
            (_, protocol) => protocol,
        };
        let common = Common::new(ns.clone(), family, kind, protocol, uid);
        let fd = Arc::new(fd);
        let reactor = ns.host.as_ref().ok_or(Errno::ENETDOWN)?;
        let watch = reactor.watch(fd.clone(), common.queue.clone())?;
        Ok(Arc::new(Self { common, fd, _watch: watch }))
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Options that pass in both directions: level and names.
const OPTIONS: &[(i32, &[i32])] = &[
    (
        SOL_SOCKET,
        &[
            SO_REUSEADDR,
            SO_REUSEPORT,
            SO_KEEPALIVE,
            SO_BROADCAST,
            SO_OOBINLINE,
            SO_SNDBUF,
            SO_RCVBUF,
            SO_LINGER,
            SO_RCVLOWAT,
            SO_DONTROUTE,
            SO_NO_CHECK,
            SO_TIMESTAMP_OLD,
            SO_TIMESTAMPNS_OLD,
            SO_RXQ_OVFL,
            SO_INCOMING_CPU,
        ],
    ),
    (
        SOL_IP,
        &[
            IP_TOS,
            IP_TTL,
            IP_PKTINFO,
            IP_MTU_DISCOVER,
            IP_RECVERR,
            IP_RECVTTL,
            IP_RECVTOS,
            IP_FREEBIND,
            IP_MINTTL,
            IP_BIND_ADDRESS_NO_PORT,
            IP_RECVORIGDSTADDR,
            IP_MULTICAST_IF,
            IP_MULTICAST_TTL,
            IP_MULTICAST_LOOP,
            IP_MULTICAST_ALL,
            IP_ADD_MEMBERSHIP,
            IP_DROP_MEMBERSHIP,
            IP_LOCAL_PORT_RANGE,
        ],
    ),
    (
        SOL_IPV6,
        &[
            IPV6_V6ONLY,
            IPV6_UNICAST_HOPS,
            IPV6_MULTICAST_IF,
            IPV6_MULTICAST_HOPS,
            IPV6_MULTICAST_LOOP,
            IPV6_ADD_MEMBERSHIP,
            IPV6_DROP_MEMBERSHIP,
            IPV6_MTU_DISCOVER,
            IPV6_RECVERR,
            IPV6_RECVPKTINFO,
            IPV6_RECVHOPLIMIT,
            IPV6_RECVTCLASS,
            IPV6_TCLASS,
            IPV6_DONTFRAG,
            IPV6_AUTOFLOWLABEL,
        ],
    ),
    (
        SOL_TCP,
        &[
            TCP_NODELAY,
            TCP_MAXSEG,
            TCP_CORK,
            TCP_KEEPIDLE,
            TCP_KEEPINTVL,
            TCP_KEEPCNT,
            TCP_SYNCNT,
            TCP_LINGER2,
            TCP_DEFER_ACCEPT,
            TCP_WINDOW_CLAMP,
            TCP_QUICKACK,
            TCP_CONGESTION,
            TCP_USER_TIMEOUT,
            TCP_FASTOPEN,
            TCP_FASTOPEN_CONNECT,
            TCP_NOTSENT_LOWAT,
        ],
    ),
    (SOL_UDP, &[UDP_CORK, UDP_SEGMENT, UDP_GRO]),
    (
        SOL_NETLINK,
        &[NETLINK_PKTINFO, NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK, NETLINK_NO_ENOBUFS],
    ),
];

/// Options that can only be read.
const READ_ONLY: &[(i32, &[i32])] = &[
    (SOL_SOCKET, &[SO_ERROR, SO_ACCEPTCONN]),
    (SOL_IP, &[IP_MTU]),
    (SOL_IPV6, &[IPV6_MTU]),
    (SOL_TCP, &[TCP_INFO, TCP_CC_INFO]),
];

fn listed(list: &[(i32, &[i32])], level: i32, name: i32) -> bool {
    list.iter().any(|(l, names)| *l == level && names.contains(&name))
}

/// Control messages that pass in both directions.
fn control_passes(level: i32, kind: i32) -> bool {
    matches!(
        (level, kind),
        (SOL_IP, IP_PKTINFO | IP_TTL | IP_TOS | IP_RECVERR | IP_ORIGDSTADDR)
            | (SOL_IPV6, IPV6_PKTINFO | IPV6_HOPLIMIT | IPV6_TCLASS | IPV6_RECVERR)
            | (SOL_UDP, UDP_SEGMENT | UDP_GRO)
            | (SOL_SOCKET, SO_TIMESTAMP_OLD | SO_TIMESTAMPNS_OLD | SO_RXQ_OVFL)
    )
}

/// `MSG_*` that the host gets to see.
const FLAGS: MsgFlags = MsgFlags::OOB
    .union(MsgFlags::PEEK)
    .union(MsgFlags::TRUNC)
    .union(MsgFlags::DONTROUTE)
    .union(MsgFlags::EOR)
    .union(MsgFlags::CONFIRM)
    .union(MsgFlags::ERRQUEUE)
    .union(MsgFlags::MORE)
    .union(MsgFlags::FASTOPEN);

fn host_flags(flags: MsgFlags) -> i32 {
    ((flags & FLAGS) | MsgFlags::DONTWAIT).bits() as i32
}

/// Whether every message of a netlink datagram only asks for something.
fn only_asks(mut bytes: &[u8]) -> bool {
    while let Ok((header, _)) = Nlmsghdr::read_from_prefix(bytes) {
        let len = header.nlmsg_len as usize;
        if len < Nlmsghdr::SIZE || len > bytes.len() || header.nlmsg_type & 3 != 2 {
            return false;
        }
        bytes = bytes.get(nl_align(len)..).unwrap_or_default();
    }
    true
}

impl SocketOps for HostSocket {
    fn common(&self) -> &Common {
        &self.common
    }
    fn bind(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if self.common.family != AF_NETLINK {
            let given = crate::inet::addr::parse_for_bind(self.common.family, addr)?;
            crate::inet::addr::check_port(&self.common.ns, &caller, given.port())?;
            return inet::bind(self.fd(), addr).map_err(errno);
        }
        // Its number on the host is for the host to choose.
        let (mut nl, _) = SockaddrNl::read_from_prefix(addr).map_err(|_| Errno::EINVAL)?;
        nl.nl_pid = 0;
        inet::bind(self.fd(), nl.as_bytes()).map_err(errno)
    }
    fn listen(&self, _: Caller<'_>, backlog: i32) -> Result<(), Errno> {
        inet::listen(self.fd(), backlog).map_err(errno)
    }
    fn accept(&self, _: Caller<'_>) -> Result<Arc<dyn SocketOps>, Errno> {
        let fd = inet::accept(self.fd()).map_err(errno)?;
        let c = &self.common;
        Ok(Self::around(&c.ns, fd, c.family, c.kind, c.protocol, c.uid)? as Arc<dyn SocketOps>)
    }
    fn connect(&self, _: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        inet::connect(self.fd(), addr).map_err(errno)
    }
    fn connected(&self) -> Result<(), Errno> {
        let ready = self.ready();
        if !ready.intersects(Ready::OUT | Ready::ERR | Ready::HUP) {
            return Err(Errno::EAGAIN);
        }
        let error = inet::get_option(self.fd(), SOL_SOCKET, SO_ERROR, 4).map_err(errno)?;
        match i32::read_from_bytes(&error) {
            Ok(0) | Err(_) => Ok(()),
            Ok(code) => Err(Errno::from_host(code)),
        }
    }

    fn send(&self, _: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        let want = msg.src.remaining();
        let stream = self.common.kind == SockType::Stream;
        if !stream && want > CHUNK {
            return Err(Errno::EMSGSIZE);
        }
        let mut control = ControlBuffer::new(CONTROL);
        for (level, kind, data) in &msg.control.other {
            if !control_passes(*level, *kind) {
                return Err(Errno::EINVAL);
            }
            control.put(*level, *kind, data);
        }
        let data = if want == 0 { Vec::new() } else { msg.src.take_vec(want.min(CHUNK))? };
        if self.common.family == AF_NETLINK && !only_asks(&data) {
            return Err(Errno::EPERM);
        }
        match inet::send(self.fd(), &data, msg.name, &control.bytes, host_flags(msg.flags)) {
            Ok(n) => {
                msg.src.untake(data.len().saturating_sub(n));
                Ok(n)
            }
            Err(e) => {
                msg.src.untake(data.len());
                Err(errno(e))
            }
        }
    }

    fn recv(&self, _: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        let stream = self.common.kind == SockType::Stream;
        let mut data = vec![0; msg.dst.remaining().min(CHUNK)];
        let control = if stream { 0 } else { CONTROL };
        let got = inet::recv(self.fd(), &mut data, control, host_flags(msg.flags)).map_err(errno)?;
        let n = got.len.min(data.len());
        // Bytes of a stream that were thrown away (MSG_TRUNC) are not there to be copied.
        if n > 0 && !(stream && msg.flags.contains(MsgFlags::TRUNC)) {
            msg.dst.put(data.get(..n).unwrap_or_default())?;
        }
        let kept = MsgFlags::TRUNC | MsgFlags::OOB | MsgFlags::EOR | MsgFlags::ERRQUEUE | MsgFlags::CTRUNC;
        msg.out_flags |= MsgFlags::from_bits_retain(got.flags as u32) & kept;
        if msg.wants_name && !got.name.is_empty() {
            msg.name = Some(Address::from_slice(&got.name));
        }
        let mut rest = &got.control[..];
        while let Ok((header, _)) = Cmsghdr::read_from_prefix(rest) {
            let len = header.cmsg_len as usize;
            let Some(data) = rest.get(Cmsghdr::SIZE..len) else { break };
            if control_passes(header.cmsg_level, header.cmsg_type) {
                msg.control.push(Control::Other(header.cmsg_level, header.cmsg_type, data.into()));
            }
            rest = cmsg_align(len).and_then(|len| rest.get(len..)).unwrap_or_default();
        }
        Ok(got.len)
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let how = match how {
            Shutdown::Read => 0,
            Shutdown::Write => 1,
            Shutdown::Both => 2,
        };
        inet::shutdown(self.fd(), how).map_err(errno)
    }
    fn ready(&self) -> Ready {
        let mut ready = Ready::from_bits_truncate(inet::poll(self.fd()).unwrap_or(Ready::ERR.bits()));
        ready.set(Ready::RDNORM, ready.contains(Ready::IN));
        ready.set(Ready::WRNORM, ready.contains(Ready::OUT));
        ready
    }
    fn local_name(&self) -> Result<Address, Errno> {
        inet::local_name(self.fd()).map(Address::from_vec).map_err(errno)
    }
    fn peer_name(&self) -> Result<Address, Errno> {
        inet::peer_name(self.fd()).map(Address::from_vec).map_err(errno)
    }

    fn get_option(&self, _: Caller<'_>, level: i32, name: i32, room: usize) -> Result<OptionValue, Errno> {
        if listed(OPTIONS, level, name) || listed(READ_ONLY, level, name) {
            return inet::get_option(self.fd(), level, name, room).map(OptionValue::from_vec).map_err(errno);
        }
        match level {
            SOL_SOCKET => self.common.get_option(name),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }
    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        if listed(OPTIONS, level, name) {
            return inet::set_option(self.fd(), level, name, value).map_err(errno);
        }
        match level {
            // Timeouts and what else is the sentry's own business.
            SOL_SOCKET if !matches!(name, SO_BINDTODEVICE | SO_BINDTOIFINDEX) => {
                self.common.set_option(&caller, name, value)
            }
            SOL_SOCKET => Err(Errno::EPERM),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn readable_bytes(&self) -> Result<usize, Errno> {
        inet::ioctl_int(self.fd(), SIOCINQ).map(|n| usize::try_from(n).unwrap_or(0)).map_err(errno)
    }
    fn unsent_bytes(&self) -> Result<usize, Errno> {
        inet::ioctl_int(self.fd(), SIOCOUTQ).map(|n| usize::try_from(n).unwrap_or(0)).map_err(errno)
    }
    fn ioctl(&self, _: Caller<'_>, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        match cmd {
            SIOCATMARK => {
                let at_mark = inet::ioctl_int(self.fd(), cmd).map_err(errno)?;
                UserPtr::<i32>::from(arg).write(mem, &at_mark).map(|()| 0)
            }
            SIOCGIFCONF => {
                let all = inet::interfaces(self.fd()).map_err(errno)?;
                let at = UserPtr::<Ifconf>::from(arg);
                let mut conf = at.read(mem)?;
                let mut n = all.len();
                if conf.ifc_buf != 0 {
                    let room = usize::try_from(conf.ifc_len).map_err(|_| Errno::EINVAL)?;
                    n = n.min(room - room % Ifreq::SIZE);
                    mem.copy_out(mem::UserAddr(conf.ifc_buf), all.get(..n).unwrap_or_default())?;
                }
                conf.ifc_len = n as i32;
                at.write(mem, &conf).map(|()| 0)
            }
            cmd if crate::ioctl::is_interface_request(cmd) => {
                let at = UserPtr::<[u8; Ifreq::SIZE]>::from(arg);
                let mut request = <[u8; Ifreq::SIZE]>::new_zeroed();
                mem.copy_in(at.addr(), &mut request)?;
                // What would change an interface is not asked of the host.
                inet::ioctl_ifreq(self.fd(), cmd, &mut request)
                    .map_err(|e| if e == HostErrno::EINVAL { Errno::EPERM } else { errno(e) })?;
                mem.copy_out(at.addr(), &request).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    /// The descriptor is closed when the last reference is gone; a listener's peers must not wait for that.
    fn release(&self) {}
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{caller, namespace, recv, send};

    #[test]
    fn a_connection_on_the_host() {
        let executor = ksync::exec::Executor::new(1).unwrap();
        let ns = NetNamespace::of_host(namespace().user_ns.clone(), executor.reactor().clone());
        let make = || crate::create::socket(&ns, caller(), 2, SockType::Stream, 0).unwrap();
        let (listener, client) = (make(), make());
        let here = SockaddrIn { sin_family: AF_INET, sin_addr: [127, 0, 0, 1], ..SockaddrIn::default() };
        listener.bind(caller(), here.as_bytes()).unwrap();
        listener.listen(caller(), 1).unwrap();
        assert!(matches!(listener.accept(caller()), Err(Errno::EAGAIN)));
        let name = listener.local_name().unwrap();
        assert!(matches!(client.connect(caller(), &name), Ok(()) | Err(Errno::EINPROGRESS)));
        assert_eq!(client.connected(), Ok(()));
        let server = listener.accept(caller()).unwrap();
        assert_eq!(recv(&*server, 5), Err(Errno::EAGAIN));
        assert_eq!(send(&*client, b"hello"), Ok(5));
        assert_eq!(recv(&*server, 9).unwrap(), b"hello");
        client.set_option(caller(), SOL_TCP, TCP_NODELAY, &1i32.to_ne_bytes()).unwrap();
        assert_eq!(client.set_option(caller(), SOL_TCP, TCP_REPAIR, &[0; 4]), Err(Errno::ENOPROTOOPT));
        let get = |kind: u16| Nlmsghdr { nlmsg_len: 16, nlmsg_type: kind, ..Nlmsghdr::default() };
        assert!(only_asks(get(RTM_GETLINK).as_bytes()) && !only_asks(get(RTM_NEWLINK).as_bytes()));
        executor.stop();
    }
}
