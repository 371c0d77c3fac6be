//! Threads that write to pipes, and one that reads what epoll says is ready, sleeping in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use abi::{
    Errno,
    fcntl::OpenFlags,
    poll::{EpollEvent, PollEvents},
};
use ksync::{Listener, Ready};
use std::{sync::Arc, thread};
use vfs::{
    Fd, File,
    epoll::{self, Ctl, Epoll},
    testing,
};

/// Wakes a thread.
struct Unpark(thread::Thread);
impl Listener for Unpark {
    fn notify(&self, _: Ready) {
        self.0.unpark();
    }
}

/// Tries until it is not `EAGAIN`, sleeping on `file`.
fn block<T>(file: &File, interest: Ready, mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let queue = file.ops().wait_queue().unwrap();
    let _heard = queue.register(interest, Arc::new(Unpark(thread::current())));
    loop {
        match attempt() {
            Err(Errno::EAGAIN) => thread::park(),
            result => return result,
        }
    }
}

fn run(mode: PollEvents) {
    const PIPES: usize = 3;
    const BYTES: usize = 300_000;
    let e = testing::file(epoll::new_epoll(), OpenFlags::RDWR);
    let pipes: Vec<_> = (0..PIPES).map(|_| fs::pipe::new_pipe()).collect();
    let (mut readers, mut writers) = (vec![], vec![]);
    for (at, (r, w)) in pipes.into_iter().enumerate() {
        let reader = testing::file(r, OpenFlags::RDONLY);
        let event = EpollEvent { events: (PollEvents::IN | mode).bits(), data: at as u64 };
        epoll::control(&e, Fd(at as i32), &reader, Ctl::Add(event)).unwrap();
        readers.push(reader);
        let w = testing::file(w, OpenFlags::WRONLY);
        writers.push(thread::spawn(move || {
            let mut left = BYTES;
            while left > 0 {
                let chunk = vec![7; left.min(1 + left % 9000)];
                left -= block(&w, Ready::OUT, || testing::write(&w, &chunk)).unwrap();
            }
        }));
    }
    let (mut total, mut ended) = (0, 0);
    while ended < PIPES {
        let mut ready = vec![];
        let instance = e.downcast::<Epoll>().unwrap();
        block(&e, Ready::IN | Ready::OTHER, || {
            let found = instance.collect(2, &mut |event| {
                ready.push(event);
                Ok(())
            })?;
            if found == 0 { Err(Errno::EAGAIN) } else { Ok(()) }
        })
        .unwrap();
        for event in ready {
            let at = event.data as usize;
            loop {
                match testing::read(&readers[at], 5000) {
                    Ok(bytes) if bytes.is_empty() => {
                        ended += 1;
                        epoll::control(&e, Fd(at as i32), &readers[at], Ctl::Delete).unwrap();
                        break;
                    }
                    Ok(bytes) => total += bytes.len(),
                    Err(e) => {
                        assert_eq!(e, Errno::EAGAIN);
                        break;
                    }
                }
            }
        }
    }
    writers.into_iter().for_each(|w| w.join().unwrap());
    assert_eq!(total, PIPES * BYTES);
}

#[test]
fn level_triggered() {
    run(PollEvents::empty());
}

#[test]
fn edge_triggered() {
    run(PollEvents::ET);
}
