use super::*;
use crate::tests::{caller, identity, namespace, recv};

fn request(kind: u16, flags: NlmFlags, body: &[u8]) -> Vec<u8> {
    let header = Nlmsghdr {
        nlmsg_len: (Nlmsghdr::SIZE + body.len()) as u32,
        nlmsg_type: kind,
        nlmsg_flags: (flags | NlmFlags::REQUEST).bits(),
        nlmsg_seq: 7,
        nlmsg_pid: 0,
    };
    [header.as_bytes(), body].concat()
}

fn ask_as(who: Caller<'_>, ns: &Arc<NetNamespace>, bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let socket = NetlinkSocket::new(ns.clone(), SockType::Raw, NETLINK_ROUTE, vfs::Uid::ROOT).unwrap();
    let mut bytes = bytes.to_vec();
    let mut src = mem::IoSrc::bytes(&mut bytes);
    let mut control = crate::SendControl::default();
    let flags = MsgFlags::empty();
    socket.send(who, &mut SendMsg { src: &mut src, name: None, control: &mut control, flags }).unwrap();
    let mut messages = Vec::new();
    while let Ok(datagram) = recv(&*socket, 65536) {
        let mut rest = &datagram[..];
        while let Ok((header, _)) = Nlmsghdr::read_from_prefix(rest) {
            assert_eq!(header.nlmsg_seq, 7);
            let len = header.nlmsg_len as usize;
            messages.push((header.nlmsg_type, rest[Nlmsghdr::SIZE..len].to_vec()));
            rest = rest.get(nl_align(len)..).unwrap_or_default();
        }
    }
    socket.release();
    messages
}
fn ask(ns: &Arc<NetNamespace>, bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    ask_as(caller(), ns, bytes)
}
fn kinds(messages: &[(u16, Vec<u8>)]) -> Vec<u16> {
    messages.iter().map(|(kind, _)| *kind).collect()
}

#[test]
fn dumps_end() {
    let ns = namespace();
    let dump = |kind, family: u8| kinds(&ask(&ns, &request(kind, NlmFlags::DUMP, &[family, 0, 0, 0])));
    assert_eq!(dump(RTM_GETLINK, 0), [RTM_NEWLINK, NLMSG_DONE]);
    assert_eq!(dump(RTM_GETADDR, 0), [RTM_NEWADDR, RTM_NEWADDR, NLMSG_DONE]);
    assert_eq!(dump(RTM_GETADDR, AF_INET as u8), [RTM_NEWADDR, NLMSG_DONE]);
    assert_eq!(dump(RTM_GETROUTE, AF_INET as u8).len(), 4);
    assert_eq!(dump(RTM_GETNEIGH, 0), [NLMSG_DONE]);
    ns.loopback.set_up(false);
    assert_eq!(dump(RTM_GETADDR, 0), [NLMSG_DONE]);
}

#[test]
fn the_loopback_goes_up_by_request_of_who_may() {
    let ns = NetNamespace::new(namespace().user_ns.clone());
    let up = Ifinfomsg {
        ifi_index: 1,
        ifi_flags: IffFlags::UP.bits(),
        ifi_change: IffFlags::UP.bits(),
        ..Ifinfomsg::default()
    };
    let bytes = request(RTM_NEWLINK, NlmFlags::ACK, up.as_bytes());
    let nobody = identity(5);
    let error = &ask_as(Caller::As(&nobody), &ns, &bytes)[0];
    assert_eq!((error.0, &error.1[..4]), (NLMSG_ERROR, &(-1i32).to_ne_bytes()[..]));
    assert!(!ns.loopback.is_up());
    let ack = &ask(&ns, &bytes)[0];
    assert_eq!((ack.0, &ack.1[..4], ack.1.len()), (NLMSG_ERROR, &[0u8; 4][..], Nlmsgerr::SIZE));
    assert!(ns.loopback.is_up());
}

#[test]
fn lengths_that_lie_are_ignored() {
    let ns = namespace();
    let mut bytes = request(RTM_GETLINK, NlmFlags::DUMP, &[0; 4]);
    for len in [0u32, 15, 21, u32::MAX] {
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        assert!(ask(&ns, &bytes).is_empty());
    }
    let missing = request(RTM_GETLINK, NlmFlags::empty(), &[0; 3]);
    assert_eq!(kinds(&ask(&ns, &missing)), [NLMSG_ERROR]);
    let cut = request(RTM_GETLINK, NlmFlags::empty(), &[&[0; 16][..], &[255, 255, 3, 0]].concat());
    assert_eq!(kinds(&ask(&ns, &cut)), [NLMSG_ERROR]);
}
