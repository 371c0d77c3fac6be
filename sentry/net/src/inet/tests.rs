use super::addr::encode;
use crate::{
    Address, Control, NetNamespace, RecvMsg, SocketOps,
    tests::{caller, namespace, recv, recv_with, send, send_to},
};
use abi::{Errno, SockType, socket::*};
use ksync::Ready;
use std::{net::SocketAddr, sync::Arc};

fn at(text: &str) -> Address {
    let addr: SocketAddr = text.parse().unwrap();
    encode(if addr.is_ipv4() { AF_INET } else { AF_INET6 }, addr)
}
fn make(ns: &Arc<NetNamespace>, family: u16, kind: SockType) -> Arc<dyn SocketOps> {
    super::create(ns, caller(), family, kind, 0).unwrap()
}
fn listener(ns: &Arc<NetNamespace>, name: &str) -> Arc<dyn SocketOps> {
    let addr: SocketAddr = name.parse().unwrap();
    let l = make(ns, if addr.is_ipv4() { AF_INET } else { AF_INET6 }, SockType::Stream);
    l.bind(caller(), &at(name)).unwrap();
    l.listen(caller(), 5).unwrap();
    l
}
fn connect(client: &Arc<dyn SocketOps>, name: &str) -> Result<(), Errno> {
    assert_eq!(client.connect(caller(), &at(name)), Err(Errno::EINPROGRESS));
    client.connected()
}
fn pair(ns: &Arc<NetNamespace>) -> (Arc<dyn SocketOps>, Arc<dyn SocketOps>) {
    let l = listener(ns, "127.0.0.1:0");
    let c = make(ns, AF_INET, SockType::Stream);
    assert_eq!(c.connect(caller(), &l.local_name().unwrap()), Err(Errno::EINPROGRESS));
    c.connected().unwrap();
    let s = l.accept(caller()).unwrap();
    l.release();
    (c, s)
}

#[test]
fn a_connection_and_its_names() {
    let ns = namespace();
    let l = listener(&ns, "0.0.0.0:80");
    let c = make(&ns, AF_INET, SockType::Stream);
    assert_eq!(c.ready(), Ready::OUT | Ready::WRNORM | Ready::HUP);
    connect(&c, "127.0.0.1:80").unwrap();
    assert_eq!(c.connect(caller(), &at("127.0.0.1:80")), Err(Errno::EISCONN));
    assert!(l.ready().contains(Ready::IN));
    let s = l.accept(caller()).unwrap();
    assert!(matches!(l.accept(caller()), Err(Errno::EAGAIN)));
    assert_eq!(c.peer_name().unwrap(), at("127.0.0.1:80"));
    assert_eq!(s.local_name().unwrap(), at("127.0.0.1:80"));
    assert_eq!(s.peer_name().unwrap(), c.local_name().unwrap());
    send(&*c, b"ping").unwrap();
    assert_eq!(recv(&*s, 10).unwrap(), b"ping");
    c.shutdown(Shutdown::Write).unwrap();
    assert_eq!(recv(&*s, 10).unwrap(), b"");
    assert!(s.ready().contains(Ready::RDHUP | Ready::IN) && !s.ready().contains(Ready::HUP));
    send(&*s, b"pong").unwrap();
    s.release();
    assert_eq!(recv(&*c, 10).unwrap(), b"pong");
    assert_eq!(recv(&*c, 10).unwrap(), b"");
    assert!(c.ready().contains(Ready::HUP));
}

#[test]
fn nobody_there_and_nowhere_to_go() {
    let ns = namespace();
    let c = make(&ns, AF_INET, SockType::Stream);
    assert_eq!(connect(&c, "127.0.0.1:81"), Err(Errno::ECONNREFUSED));
    assert_eq!(c.connect(caller(), &at("8.8.8.8:81")), Err(Errno::ENETUNREACH));
    assert_eq!(c.connect(caller(), &at("127.0.0.1:81")), Err(Errno::EINPROGRESS));
    assert!(c.ready().contains(Ready::ERR | Ready::HUP | Ready::OUT));
    let error = c.get_option(caller(), SOL_SOCKET, SO_ERROR, 4).unwrap();
    assert_eq!(error.as_slice(), 111i32.to_ne_bytes());
    assert_eq!(
        make(&ns, AF_INET, SockType::Stream).bind(caller(), &at("10.0.0.1:0")),
        Err(Errno::EADDRNOTAVAIL)
    );
    assert_eq!(send(&*make(&ns, AF_INET, SockType::Stream), b"x"), Err(Errno::EPIPE));
    assert_eq!(recv(&*make(&ns, AF_INET, SockType::Stream), 1), Err(Errno::ENOTCONN));
    let down = NetNamespace::new(ns.user_ns.clone());
    let c = make(&down, AF_INET, SockType::Stream);
    assert_eq!(c.connect(caller(), &at("127.0.0.1:81")), Err(Errno::ENETUNREACH));
}

#[test]
fn closing_with_unread_data_resets() {
    let ns = namespace();
    let (c, s) = pair(&ns);
    send(&*c, b"unread").unwrap();
    s.release();
    assert!(c.ready().contains(Ready::ERR | Ready::HUP));
    assert_eq!(recv(&*c, 1), Err(Errno::ECONNRESET));
    assert_eq!(recv(&*c, 1).unwrap(), b"");
    assert_eq!(send(&*c, b"x"), Err(Errno::EPIPE));
    let (c, s) = pair(&ns);
    s.release();
    assert_eq!(recv(&*c, 1).unwrap(), b"");
    assert_eq!(send(&*c, b"x"), Ok(1)); // answered by a reset
    assert_eq!(send(&*c, b"x"), Err(Errno::EPIPE));
}

#[test]
fn a_full_backlog_lets_clients_wait() {
    let ns = namespace();
    let l = listener(&ns, "127.0.0.1:82");
    l.listen(caller(), 0).unwrap();
    let (a, b) = (make(&ns, AF_INET, SockType::Stream), make(&ns, AF_INET, SockType::Stream));
    connect(&a, "127.0.0.1:82").unwrap();
    assert_eq!(connect(&b, "127.0.0.1:82"), Err(Errno::EAGAIN));
    assert_eq!(b.connect(caller(), &at("127.0.0.1:82")), Err(Errno::EALREADY));
    assert!(!b.ready().contains(Ready::OUT));
    l.accept(caller()).unwrap();
    assert!(b.ready().contains(Ready::OUT));
    assert_eq!(b.connected(), Ok(()));
    l.release();
    assert_eq!(recv(&*b, 1), Err(Errno::ECONNRESET));
}

#[test]
fn one_stack_or_two() {
    let ns = namespace();
    let both = listener(&ns, "[::]:90");
    let c = make(&ns, AF_INET, SockType::Stream);
    connect(&c, "127.0.0.1:90").unwrap();
    let s = both.accept(caller()).unwrap();
    assert_eq!(s.local_name().unwrap(), at("[::ffff:127.0.0.1]:90"));
    let c = make(&ns, AF_INET6, SockType::Stream);
    connect(&c, "[::1]:90").unwrap();
    let c = make(&ns, AF_INET6, SockType::Stream);
    connect(&c, "[::ffff:127.0.0.1]:90").unwrap();
    let four = make(&ns, AF_INET, SockType::Stream);
    assert_eq!(four.bind(caller(), &at("0.0.0.0:90")), Err(Errno::EADDRINUSE));
    let six = make(&ns, AF_INET6, SockType::Stream);
    six.set_option(caller(), SOL_IPV6, IPV6_V6ONLY, &1i32.to_ne_bytes()).unwrap();
    six.bind(caller(), &at("[::]:91")).unwrap();
    four.bind(caller(), &at("0.0.0.0:91")).unwrap();
}

#[test]
fn the_urgent_byte() {
    let ns = namespace();
    let (c, s) = pair(&ns);
    assert_eq!(recv_with(&*s, 1, MsgFlags::OOB), Err(Errno::EINVAL));
    send(&*c, b"ab").unwrap();
    send_to(&*c, b"cX", None, MsgFlags::OOB).unwrap();
    send(&*c, b"de").unwrap();
    assert!(s.ready().contains(Ready::PRI));
    assert_eq!(recv_with(&*s, 1, MsgFlags::OOB).unwrap(), b"X");
    assert!(!s.ready().contains(Ready::PRI));
    assert_eq!(recv_with(&*s, 1, MsgFlags::OOB), Err(Errno::EINVAL));
    assert_eq!(recv(&*s, 10).unwrap(), b"abc");
    assert_eq!(recv(&*s, 10).unwrap(), b"de");
}

#[test]
fn a_full_window() {
    let ns = namespace();
    let (c, s) = pair(&ns);
    let mut sent = 0;
    while let Ok(n) = send(&*c, &[1; 50_000]) {
        sent += n;
    }
    assert!(sent >= 131_072 && !c.ready().contains(Ready::OUT));
    let mut got = 0;
    while let Ok(bytes) = recv(&*s, 70_000) {
        got += bytes.len();
    }
    assert_eq!(sent, got);
    assert!(c.ready().contains(Ready::OUT));
}

#[test]
fn datagrams() {
    let ns = namespace();
    let (a, b) = (make(&ns, AF_INET, SockType::Dgram), make(&ns, AF_INET, SockType::Dgram));
    b.bind(caller(), &at("127.0.0.1:53")).unwrap();
    b.set_option(caller(), SOL_IP, IP_PKTINFO, &1i32.to_ne_bytes()).unwrap();
    assert_eq!(send(&*a, b"x"), Err(Errno::EDESTADDRREQ));
    assert_eq!(send_to(&*a, b"hello", Some(&at("127.0.0.1:53")), MsgFlags::empty()), Ok(5));
    let mut buf = [0; 3];
    let mut dst = mem::IoDst::bytes(&mut buf);
    let mut msg = RecvMsg { wants_name: true, ..RecvMsg::new(&mut dst, MsgFlags::empty()) };
    assert_eq!(b.recv(caller(), &mut msg), Ok(3));
    assert!(msg.out_flags.contains(MsgFlags::TRUNC));
    let Some(Control::Other(SOL_IP, IP_PKTINFO, info)) = msg.control.first() else { panic!() };
    assert_eq!(&info[8..], [127, 0, 0, 1]);
    let from = msg.name.unwrap();
    assert_eq!(send_to(&*b, b"back", Some(&from), MsgFlags::empty()), Ok(4));
    assert_eq!(recv(&*a, 9).unwrap(), b"back");
    a.connect(caller(), &at("127.0.0.1:54")).unwrap();
    assert_eq!(send(&*a, b"x"), Ok(1));
    assert!(a.ready().contains(Ready::ERR));
    assert_eq!(recv(&*a, 9), Err(Errno::ECONNREFUSED));
    assert_eq!(recv(&*a, 9), Err(Errno::EAGAIN));
    assert_eq!(send(&*a, &vec![0; 65508]), Err(Errno::EMSGSIZE));
    a.connect(caller(), &AF_UNSPEC.to_ne_bytes()).unwrap();
    assert!(a.peer_name().is_err());
    let broadcast = at("127.255.255.255:53");
    assert_eq!(send_to(&*a, b"x", Some(&broadcast), MsgFlags::empty()), Err(Errno::EACCES));
}
