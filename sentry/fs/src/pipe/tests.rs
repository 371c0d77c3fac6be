use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use vfs::testing::{self, read, write};

fn pipe() -> (Arc<File>, Arc<File>) {
    let (r, w) = new_pipe();
    (testing::file(r, OpenFlags::RDONLY), testing::file(w, OpenFlags::WRONLY))
}

#[test]
fn bytes_come_out_in_order_and_ends_are_seen() {
    let (r, w) = pipe();
    assert_eq!(read(&r, 10), Err(Errno::EAGAIN));
    assert_eq!(w.ready(), WRITABLE);
    assert_eq!(write(&w, b"hello "), Ok(6));
    assert_eq!(write(&w, b"world"), Ok(5));
    assert_eq!(r.ready(), READABLE);
    assert_eq!(of(&r).unwrap().len(), 11);
    assert_eq!(read(&r, 3), Ok(b"hel".to_vec()));
    assert_eq!(read(&r, 100), Ok(b"lo world".to_vec()));
    assert_eq!(write(&w, b"end"), Ok(3));
    drop(w);
    assert_eq!(r.ready(), READABLE | Ready::HUP);
    assert_eq!(read(&r, 100), Ok(b"end".to_vec()));
    assert_eq!(read(&r, 100), Ok(vec![]));
    assert_eq!(r.ready(), Ready::HUP);
}

#[test]
fn writing_without_a_reader() {
    let (r, w) = pipe();
    drop(r);
    assert_eq!(w.ready(), WRITABLE | Ready::ERR);
    assert_eq!(write(&w, b""), Ok(0));
    assert_eq!(write(&w, b"x"), Err(Errno::EPIPE));
}

#[test]
fn capacity_and_atomic_writes() {
    let (r, w) = pipe();
    assert_eq!(write(&w, &[1; 100_000]), Ok(DEFAULT_SIZE));
    assert_eq!(write(&w, &[1; 100_000]), Err(Errno::EAGAIN));
    assert_eq!(w.ready(), Ready::empty());
    assert_eq!(read(&r, 4095).unwrap().len(), 4095);
    assert_eq!(w.ready(), Ready::empty(), "a page is free or it is not");
    assert_eq!(read(&r, 1).unwrap().len(), 1);
    assert_eq!(w.ready(), WRITABLE);
    assert_eq!(write(&w, &[2; PIPE_BUF - 1]), Ok(PIPE_BUF - 1));
    assert_eq!(write(&w, &[2; 2]), Err(Errno::EAGAIN), "not in parts");
    assert_eq!(write(&w, &[2; 1]), Ok(1));
    assert_eq!(of(&w).unwrap().len(), DEFAULT_SIZE);
    let all = read(&r, 1 << 20).unwrap();
    assert_eq!((all.len(), all.iter().filter(|b| **b == 2).count()), (DEFAULT_SIZE, PIPE_BUF));
    for _ in 0..DEFAULT_SIZE {
        assert_eq!(write(&w, b"x"), Ok(1));
    }
    assert_eq!(write(&w, b"x"), Err(Errno::EAGAIN));
}

#[test]
fn resizing() {
    let (r, w) = pipe();
    let p = of(&r).unwrap();
    assert_eq!((p.size(), p.set_size(1, false), p.size()), (DEFAULT_SIZE, Ok(4096), 4096));
    assert_eq!(p.set_size(5 * 4096, false), Ok(8 * 4096));
    assert_eq!(p.set_size(MAX_SIZE, false), Ok(MAX_SIZE));
    assert_eq!(p.set_size(MAX_SIZE + 1, false), Err(Errno::EPERM));
    assert_eq!(p.set_size(MAX_SIZE + 1, true), Ok(2 * MAX_SIZE));
    assert_eq!(p.set_size(usize::MAX, true), Err(Errno::EINVAL));
    assert_eq!(write(&w, &[0; 8192]), Ok(8192));
    assert_eq!(p.set_size(4096, false), Err(Errno::EBUSY));
    assert_eq!(p.set_size(8192, false), Ok(8192));
    assert_eq!(w.ready(), Ready::empty());
}

#[test]
fn packets() {
    let (r, w) = new_pipe();
    let r = testing::file(r, OpenFlags::RDONLY | OpenFlags::DIRECT);
    let w = testing::file(w, OpenFlags::WRONLY | OpenFlags::DIRECT);
    assert_eq!(write(&w, b"one"), Ok(3));
    assert_eq!(write(&w, b"two"), Ok(3));
    assert_eq!(write(&w, &[3; PIPE_BUF + 1]), Ok(PIPE_BUF + 1));
    assert_eq!(read(&r, 2), Ok(b"on".to_vec()));
    assert_eq!(read(&r, 100), Ok(b"two".to_vec()));
    assert_eq!(read(&r, 1 << 16).unwrap().len(), PIPE_BUF);
    assert_eq!(read(&r, 1 << 16).unwrap().len(), 1);
    for _ in 0..16 {
        assert_eq!(write(&w, b"x"), Ok(1));
    }
    assert_eq!(write(&w, b"x"), Err(Errno::EAGAIN), "each takes a slot");
}

#[test]
fn each_write_is_announced_but_room_only_once() {
    struct Count(AtomicUsize);
    impl ksync::Listener for Count {
        fn notify(&self, _: Ready) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (r, w) = pipe();
    let (ins, outs) = (Arc::new(Count(0.into())), Arc::new(Count(0.into())));
    let _in = r.ops().wait_queue().unwrap().register(Ready::IN, ins.clone());
    let _out = w.ops().wait_queue().unwrap().register(Ready::OUT, outs.clone());
    for _ in 0..3 {
        write(&w, b"x").unwrap();
    }
    read(&r, 10).unwrap();
    assert_eq!((ins.0.load(Ordering::SeqCst), outs.0.load(Ordering::SeqCst)), (3, 0));
    write(&w, &[0; DEFAULT_SIZE]).unwrap();
    read(&r, 4096).unwrap();
    read(&r, 4096).unwrap();
    assert_eq!(outs.0.load(Ordering::SeqCst), 1);
}

#[test]
fn segments_move_and_are_shared() {
    let (r, w) = pipe();
    write(&w, b"0123456789").unwrap();
    let pipe = of(&r).unwrap();
    let seen = pipe.peek(4).unwrap();
    assert_eq!(seen.iter().flat_map(|s| s.bytes().to_vec()).collect::<Vec<_>>(), b"0123");
    write(&w, b"ab").unwrap();
    let mut taken = pipe.take(5).unwrap();
    assert_eq!(read(&r, 3), Ok(b"567".to_vec()));
    taken[0].consume(3);
    pipe.untake(taken);
    assert_eq!(read(&r, 100), Ok(b"3489ab".to_vec()));

    let mut big = vec![Segment::new(vec![7; 20 * PIPE_BUF])];
    assert_eq!(pipe.push(&mut big), Ok(16 * PIPE_BUF));
    assert_eq!(big.iter().map(Segment::len).sum::<usize>(), 4 * PIPE_BUF);
    assert_eq!(pipe.push(&mut big), Err(Errno::EAGAIN));
    assert_eq!(read(&r, 1 << 20).unwrap().len(), 16 * PIPE_BUF);
    drop((r, seen));
    assert_eq!(of(&w).unwrap().push(&mut vec![Segment::new(vec![1])]), Err(Errno::EPIPE));
}
