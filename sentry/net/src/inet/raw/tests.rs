use super::*;
use crate::{
    inet::wire,
    tests::{caller, namespace, recv, send_to},
};

fn make(ns: &Arc<NetNamespace>, family: u16, kind: SockType, protocol: i32) -> Arc<dyn SocketOps> {
    crate::create::socket(ns, caller(), i32::from(family), kind, protocol).unwrap()
}
fn at(text: &str) -> Address {
    let addr: SocketAddr = text.parse().unwrap();
    addr::encode(if addr.is_ipv4() { AF_INET } else { AF_INET6 }, addr)
}
fn lo() -> IpAddr {
    "127.0.0.1".parse().unwrap()
}

#[test]
fn echo_requests_are_answered() {
    let ns = namespace();
    let raw = make(&ns, AF_INET, SockType::Raw, IPPROTO_ICMP);
    let header = wire::header(lo(), lo(), wire::ICMP, 64, 0);
    let request = wire::icmp(&header, ICMP_ECHO, 0, [1, 2, 3, 4], b"data");
    send_to(&*raw, &request, Some(&at("127.0.0.1:0")), MsgFlags::empty()).unwrap();
    let (seen, reply) = (recv(&*raw, 100).unwrap(), recv(&*raw, 100).unwrap());
    assert_eq!((seen[20], reply[20]), (ICMP_ECHO, ICMP_ECHOREPLY));
    assert_eq!(&reply[24..], b"\x01\x02\x03\x04data");
    assert_eq!(recv(&*raw, 100), Err(Errno::EAGAIN));
    raw.release();
    assert!(!ns.is_watched());
}

#[test]
fn a_closed_port_is_reported_to_all_concerned() {
    let ns = namespace();
    let raw = make(&ns, AF_INET, SockType::Raw, IPPROTO_ICMP);
    let udp = make(&ns, AF_INET, SockType::Dgram, 0);
    udp.set_option(caller(), SOL_IP, IP_RECVERR, &1i32.to_ne_bytes()).unwrap();
    send_to(&*udp, b"x", Some(&at("127.0.0.1:9")), MsgFlags::empty()).unwrap();
    assert_eq!(&recv(&*raw, 100).unwrap()[20..22], &[ICMP_DEST_UNREACH, ICMP_PORT_UNREACH]);
    assert!(udp.ready().contains(Ready::ERR));
    assert_eq!(recv(&*udp, 1), Err(Errno::ECONNREFUSED));
    assert_eq!(crate::tests::recv_with(&*udp, 9, MsgFlags::ERRQUEUE).unwrap(), b"x");
    assert!(!udp.ready().contains(Ready::ERR));
}

#[test]
fn packets_that_lie_are_dropped() {
    let ns = namespace();
    let raw = make(&ns, AF_INET, SockType::Raw, IPPROTO_RAW);
    let six = make(&ns, AF_INET6, SockType::Raw, IPPROTO_RAW);
    let mut bytes = [0u8; 64];
    for first in 0..=255u8 {
        for len in [20, 28, 40, 48, 64] {
            bytes[0] = first;
            for protocol in [1, 6, 17, 58, 200] {
                (bytes[9], bytes[6]) = (protocol, protocol);
                bytes[16..20].copy_from_slice(&[127, 0, 0, 1]);
                let _ = send_to(&*raw, &bytes[..len], Some(&at("127.0.0.1:0")), MsgFlags::empty());
                let _ = send_to(&*six, &bytes[..len], Some(&at("[::1]:0")), MsgFlags::empty());
            }
        }
    }
}
