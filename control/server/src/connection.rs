//! One connection: requests in, replies out, until the peer hangs up or sends what is no request.

use crate::{Methods, Pending, dispatch};
use control_proto::{
    Error, ErrorKind, MAX_FILES, MAX_REQUEST, Reply, Request,
    codec::{DecodeError, Decoder, encode},
};
use std::{
    io::{self, Read},
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// A stream that keeps the descriptors that came with its bytes.
struct Incoming<'a> {
    stream: &'a UnixStream,
    files: Vec<OwnedFd>,
    /// More came than were kept, or than the host could install.
    excess: bool,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let received = host::scm::recv(self.stream.as_fd(), buf)?;
        self.excess |= received.fds_lost;
        for file in received.fds {
            if self.files.len() < MAX_FILES {
                self.files.push(file);
            } else {
                self.excess = true;
            }
        }
        Ok(received.len)
    }
}

/// Serves a connection to its end.
pub fn serve(stream: UnixStream, methods: &dyn Methods, pending: &Pending) {
    let mut decoder =
        Decoder::new(Incoming { stream: &stream, files: Vec::new(), excess: false }, MAX_REQUEST);
    loop {
        let request: Request = match decoder.decode() {
            Ok(request) => request,
            Err(DecodeError::Closed) => return,
            Err(DecodeError::Io(error)) => return log::debug!("control: {error}"),
            Err(DecodeError::Malformed(error)) => {
                log::warn!("control: {error}");
                answer(&stream, &Reply::error(&error));
                return linger(&stream);
            }
        };
        let _pending = pending.one();
        let files = std::mem::take(&mut decoder.get_mut().files);
        let reply = if std::mem::take(&mut decoder.get_mut().excess) {
            Reply::error(&Error::new(ErrorKind::TooManyFiles, control_proto::TOO_MANY_FILES))
        } else {
            log::debug!("control: {} ({} files)", request.method, files.len());
            call(&stream, methods, request, files)
        };
        if !answer(&stream, &reply) {
            return;
        }
    }
}

/// Tells a peer why it is not served.
pub fn refuse(stream: &UnixStream, reason: &str) {
    // A peer that does not read must not hold up the accepting thread.
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    answer(stream, &Reply::error(&Error::new(ErrorKind::PermissionDenied, reason)));
}

fn call(stream: &UnixStream, methods: &dyn Methods, request: Request, files: Vec<OwnedFd>) -> Reply {
    let victim = dispatch::hangup_victim(&request);
    let run = || match dispatch::dispatch(methods, request, files) {
        Ok(result) => Reply::ok(result),
        Err(error) => Reply::error(&error),
    };
    let Some(victim) = victim else { return run() };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            // One byte or end of file; nobody pipelines, so a byte cannot be there. `done` tells the end of the
            // wait (which shuts the reading side down) from a peer that hung up.
            let hung_up = matches!(host::scm::peek(stream.as_fd()), Ok(0) | Err(_));
            if hung_up && !done.load(Ordering::Acquire) {
                let _ = methods.signal(&victim);
            }
        });
        let reply = run();
        done.store(true, Ordering::Release);
        // Wakes the watcher. The connection serves no further request: a waiter has nothing more to ask.
        let _ = stream.shutdown(Shutdown::Read);
        let _ = watcher.join();
        reply
    })
}

/// Sends a reply; whether that worked.
fn answer(stream: &UnixStream, reply: &Reply) -> bool {
    let bytes = encode(reply).or_else(|error| encode(&Reply::error(&error)));
    let Ok(bytes) = bytes else { return false };
    host::scm::send_all(stream.as_fd(), &bytes, &[]).is_ok()
}

/// Closes without losing the reply: a socket closed with unread data resets, and the peer that is still sending
/// its ten megabytes would see that instead of the error.
fn linger(stream: &UnixStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut sink = [0; 16 << 10];
    for _ in 0..(64 << 20) / sink.len() {
        match host::scm::recv(stream.as_fd(), &mut sink) {
            Ok(received) if received.len > 0 => {}
            _ => return,
        }
    }
}
