//! Files in flight. One test: the table is the whole program's.

use super::{UnixSocket, rights};
use crate::{
    Control, RecvMsg, SendControl, SendMsg, Socket,
    tests::{caller, identity, namespace},
};
use abi::{SockType, fcntl::OpenFlags, socket::MsgFlags, stat::FileType};
use std::sync::Arc;
use vfs::{File, Vfs};

fn pair(vfs: &Arc<Vfs>) -> (Arc<File>, Arc<File>) {
    let (a, b) = UnixSocket::pair(&namespace(), SockType::Stream, caller()).unwrap();
    let file = |s: Arc<UnixSocket>| {
        let cred = identity(0).cred;
        vfs.anon_file("socket", FileType::Socket, OpenFlags::RDWR, &cred, Socket::new(s))
    };
    (file(a), file(b))
}

fn send(over: &File, files: Vec<Arc<File>>) {
    let mut bytes = [1];
    let mut src = mem::IoSrc::bytes(&mut bytes);
    let mut control = SendControl { rights: files, ..SendControl::default() };
    let mut msg = SendMsg { src: &mut src, name: None, control: &mut control, flags: MsgFlags::empty() };
    Socket::of(over).unwrap().send(caller(), &mut msg).unwrap();
}

fn receive(over: &File, flags: MsgFlags) -> Vec<Arc<File>> {
    let mut bytes = [0; 10];
    let mut dst = mem::IoDst::bytes(&mut bytes);
    let mut msg = RecvMsg::new(&mut dst, flags);
    assert_eq!(Socket::of(over).unwrap().recv(caller(), &mut msg), Ok(1));
    match msg.control.pop() {
        Some(Control::Rights(files)) => files,
        _ => Vec::new(),
    }
}

#[test]
fn files_arrive_and_cycles_are_collected() {
    let vfs = Vfs::new();
    let (a, b) = pair(&vfs);
    let (c, d) = pair(&vfs);
    send(&a, vec![c.clone()]);
    send(&a, vec![d.clone()]);
    assert_eq!(receive(&b, MsgFlags::PEEK).len(), 1);
    let got = receive(&b, MsgFlags::empty());
    assert!(Arc::ptr_eq(&got[0], &c));
    assert!(Arc::ptr_eq(&receive(&b, MsgFlags::empty())[0], &d));
    assert_eq!(rights::in_flight(), 0);
    drop(got);

    // Each end over the other, and itself; then nobody has either.
    let ends = (Arc::downgrade(&c), Arc::downgrade(&d));
    send(&c, vec![c.clone(), d.clone()]);
    send(&d, vec![c.clone()]);
    drop((c, d));
    rights::collect();
    assert!(ends.0.upgrade().is_none() && ends.1.upgrade().is_none());
    assert_eq!(rights::in_flight(), 0);

    // One that is still held keeps what waits in it.
    let (e, f) = pair(&vfs);
    let watch = Arc::downgrade(&e);
    send(&e, vec![e.clone()]);
    drop(e);
    rights::collect();
    assert!(watch.upgrade().is_some());
    drop(receive(&f, MsgFlags::empty()));
    assert!(watch.upgrade().is_none());

    // A chain that is deep would be a deep recursion.
    let (mut inner, first) = pair(&vfs);
    drop(first);
    for _ in 0..20_000 {
        let (next, other) = pair(&vfs);
        send(&other, vec![inner]);
        inner = next;
    }
    drop(inner);
    assert_eq!(rights::in_flight(), 0);
}
