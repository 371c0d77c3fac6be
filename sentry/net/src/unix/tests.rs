use super::*;
use crate::{
    Control, SendControl,
    tests::{caller, identity, namespace, recv, send},
};

fn pair(kind: SockType) -> (Arc<UnixSocket>, Arc<UnixSocket>) {
    UnixSocket::pair(&namespace(), kind, caller()).unwrap()
}
fn addr(name: &[u8]) -> Vec<u8> {
    let mut a = AF_UNIX.to_ne_bytes().to_vec();
    a.push(0);
    a.extend_from_slice(name);
    a
}
fn made(ns: &Arc<NetNamespace>, kind: SockType) -> Arc<UnixSocket> {
    UnixSocket::new(ns.clone(), kind, vfs::Uid::ROOT).unwrap()
}

#[test]
fn bytes_flow_and_end_with_the_peer() {
    let (a, b) = pair(SockType::Stream);
    assert_eq!(recv(&*b, 10), Err(Errno::EAGAIN));
    assert_eq!(send(&*a, b"hello"), Ok(5));
    assert_eq!(send(&*a, b" you"), Ok(4));
    assert!(b.ready().contains(Ready::IN | Ready::OUT));
    assert_eq!((b.readable_bytes(), a.unsent_bytes()), (Ok(9), Ok(9)));
    assert_eq!(recv(&*b, 7).unwrap(), b"hello y");
    a.release();
    assert_eq!(recv(&*b, 7).unwrap(), b"ou");
    assert_eq!(recv(&*b, 7).unwrap(), b"");
    assert_eq!(send(&*b, b"x"), Err(Errno::EPIPE));
    assert!(b.ready().contains(Ready::IN | Ready::HUP | Ready::RDHUP));
}

#[test]
fn closing_with_unread_data_resets_the_peer() {
    let (a, b) = pair(SockType::Stream);
    send(&*a, b"x").unwrap();
    b.release();
    assert!(a.ready().contains(Ready::ERR));
    assert_eq!(recv(&*a, 1), Err(Errno::ECONNRESET));
    assert_eq!(recv(&*a, 1).unwrap(), b"");
}

#[test]
fn a_full_buffer_says_so_and_room_is_announced() {
    let (a, b) = pair(SockType::Stream);
    let big = vec![7; 1 << 20];
    let n = send(&*a, &big).unwrap();
    assert_eq!(n, a.common.sndbuf());
    assert_eq!(send(&*a, &big), Err(Errno::EAGAIN));
    assert!(!a.ready().contains(Ready::OUT));
    assert_eq!(recv(&*b, n).unwrap().len(), n);
    assert!(a.ready().contains(Ready::OUT));
}

#[test]
fn half_close() {
    let (a, b) = pair(SockType::Stream);
    send(&*a, b"x").unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(send(&*a, b"y"), Err(Errno::EPIPE));
    assert_eq!((recv(&*b, 9).unwrap(), recv(&*b, 9).unwrap()), (b"x".to_vec(), vec![]));
    assert!(b.ready().contains(Ready::RDHUP) && !b.ready().contains(Ready::HUP));
    assert_eq!(send(&*b, b"z"), Ok(1));
    assert_eq!(recv(&*a, 9).unwrap(), b"z");
}

#[test]
fn connecting() {
    let ns = namespace();
    let (listener, client) = (made(&ns, SockType::Stream), made(&ns, SockType::Stream));
    assert_eq!(listener.listen(caller(), 1), Err(Errno::EINVAL));
    assert_eq!(client.connect(caller(), &addr(b"srv")), Err(Errno::ECONNREFUSED));
    listener.bind(caller(), &addr(b"srv")).unwrap();
    assert_eq!(client.connect(caller(), &addr(b"srv")), Err(Errno::ECONNREFUSED));
    assert_eq!(made(&ns, SockType::Stream).bind(caller(), &addr(b"srv")), Err(Errno::EADDRINUSE));
    listener.listen(caller(), 0).unwrap();
    assert!(matches!(listener.accept(caller()), Err(Errno::EAGAIN)));
    assert!(client.ready().contains(Ready::HUP | Ready::OUT));
    client.connect(caller(), &addr(b"srv")).unwrap();
    assert_eq!(client.connect(caller(), &addr(b"srv")), Err(Errno::EISCONN));
    assert_eq!(send(&*client, b"early"), Ok(5));
    assert!(listener.ready().contains(Ready::IN));
    let wrong = made(&ns, SockType::Seqpacket);
    assert_eq!(wrong.connect(caller(), &addr(b"srv")), Err(Errno::EPROTOTYPE));
    let second = made(&ns, SockType::Stream);
    assert_eq!(second.connect(caller(), &addr(b"srv")), Err(Errno::EAGAIN));
    let server = listener.accept(caller()).unwrap();
    assert_eq!(recv(&*server, 10).unwrap(), b"early");
    assert_eq!(client.peer_name().unwrap().as_slice(), addr(b"srv"));
    assert_eq!(server.local_name().unwrap().as_slice(), addr(b"srv"));
    assert_eq!(server.peer_name().unwrap().as_slice(), AF_UNIX.to_ne_bytes());
    second.connect(caller(), &addr(b"srv")).unwrap();
    listener.release();
    assert_eq!(recv(&*second, 1), Err(Errno::ECONNRESET));
    made(&ns, SockType::Stream).bind(caller(), &addr(b"srv")).unwrap();
}

#[test]
fn datagrams_keep_their_bounds_and_wait_their_turn() {
    let ns = namespace();
    let (a, b) = (made(&ns, SockType::Dgram), made(&ns, SockType::Dgram));
    b.bind(caller(), &addr(b"b")).unwrap();
    a.bind(caller(), &AF_UNIX.to_ne_bytes()).unwrap();
    assert_eq!(send(&*a, b"x"), Err(Errno::ENOTCONN));
    a.connect(caller(), &addr(b"b")).unwrap();
    for _ in 0..11 {
        assert_eq!(send(&*a, b"abc"), Ok(3));
    }
    assert_eq!(send(&*a, b"abc"), Err(Errno::EAGAIN));
    assert!(!a.ready().contains(Ready::OUT));
    let mut buf = [0; 2];
    let mut dst = mem::IoDst::bytes(&mut buf);
    let mut msg = RecvMsg { wants_name: true, ..RecvMsg::new(&mut dst, MsgFlags::TRUNC) };
    assert_eq!(b.recv(caller(), &mut msg), Ok(3));
    assert!(msg.out_flags.contains(MsgFlags::TRUNC));
    assert_eq!(msg.name.unwrap(), a.local_name().unwrap());
    assert!(a.ready().contains(Ready::OUT));
    let third = made(&ns, SockType::Dgram);
    third.bind(caller(), &addr(b"c")).unwrap();
    b.connect(caller(), &addr(b"c")).unwrap();
    assert_eq!(send(&*a, b"abc"), Err(Errno::EPERM));
    assert_eq!(recv(&*b, 9).unwrap(), b"abc"); // only another connect would have forgotten it
    b.release();
    assert_eq!(send(&*a, b"abc"), Err(Errno::ECONNREFUSED));
    assert_eq!(send(&*a, b"abc"), Err(Errno::ENOTCONN));
}

#[test]
fn packets_in_order_with_empty_ones() {
    let (a, b) = pair(SockType::Seqpacket);
    send(&*a, b"one").unwrap();
    send(&*a, b"").unwrap();
    assert_eq!(recv(&*b, 2).unwrap(), b"on");
    assert_eq!(recv(&*b, 2).unwrap(), b"");
    assert_eq!(recv(&*b, 2), Err(Errno::EAGAIN));
    let mut sent = 0;
    while send(&*a, b"x").is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 278); // as many as Linux takes
    b.release();
    assert_eq!(send(&*a, b"x"), Err(Errno::EPIPE));
}

#[test]
fn senders_are_told_apart() {
    let (a, b) = pair(SockType::Stream);
    b.set_option(caller(), SOL_SOCKET, SO_PASSCRED, &1i32.to_ne_bytes()).unwrap();
    let (one, other) = (identity(0), identity(7));
    let from = |id, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let mut src = mem::IoSrc::bytes(&mut bytes);
        let mut control = SendControl::default();
        let flags = MsgFlags::empty();
        a.send(Caller::As(id), &mut SendMsg { src: &mut src, name: None, control: &mut control, flags })
            .unwrap();
    };
    from(&one, b"ab");
    from(&one, b"cd");
    from(&other, b"ef");
    let mut got = Vec::new();
    for _ in 0..2 {
        let mut buf = [0; 10];
        let mut dst = mem::IoDst::bytes(&mut buf);
        let mut msg = RecvMsg::new(&mut dst, MsgFlags::empty());
        let n = b.recv(caller(), &mut msg).unwrap();
        let [Control::Credentials(sender)] = &msg.control[..] else { panic!() };
        got.push((sender.uid.0, n));
    }
    assert_eq!(got, [(0, 4), (7, 2)]);
}
