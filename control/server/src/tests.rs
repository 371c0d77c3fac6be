//! The server over real sockets, with methods that only remember.

use crate::{ExecFiles, Methods, Server};
use control_proto::{
    Error, ErrorKind, ExecArgs, Process, Reply, RuntimeState, SignalArgs, WaitPidArgs, codec::Decoder,
};
use std::{
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
};

#[derive(Default)]
struct Fake {
    killed: Mutex<Vec<(i32, i32)>>,
    changed: Condvar,
}

impl Methods for Fake {
    fn execute_async(&self, args: ExecArgs, files: ExecFiles) -> Result<i32, Error> {
        assert_eq!(files.guest.len(), args.guest_fds.len());
        if let Some((_, file)) = files.guest.into_iter().next() {
            File::from(file).write_all(args.argv[0].as_bytes()).unwrap();
        }
        Ok(42)
    }
    fn wait_pid(&self, args: &WaitPidArgs) -> Result<u32, Error> {
        let mut killed = self.killed.lock().unwrap();
        while args.kill_on_hangup && killed.is_empty() {
            killed = self.changed.wait(killed).unwrap();
        }
        Ok(3 << 8)
    }
    fn processes(&self, container: &str) -> Result<Vec<Process>, Error> {
        if container == "nope" {
            return Err(Error::new(ErrorKind::NoSuchContainer, "no such container"));
        }
        let process = |pid| Process { pid, ..Process::default() };
        Ok(vec![process(7), process(1)])
    }
    fn start_root(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
    fn wait(&self, _: &str) -> Result<u32, Error> {
        Ok(9)
    }
    fn signal(&self, args: &SignalArgs) -> Result<(), Error> {
        self.killed.lock().unwrap().push((args.pid, args.signo));
        self.changed.notify_all();
        Ok(())
    }
    fn pause(&self) -> Result<(), Error> {
        Ok(())
    }
    fn resume(&self) -> Result<(), Error> {
        Ok(())
    }
    fn runtime_state(&self, _: &str) -> Result<RuntimeState, Error> {
        Ok(RuntimeState::Running)
    }
    fn destroy(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

fn server(name: &str) -> (PathBuf, Arc<Fake>) {
    let path = std::env::temp_dir().join(format!("control-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let fake = Arc::new(Fake::default());
    Server::new(listener.into(), fake.clone()).spawn().unwrap();
    (path, fake)
}

fn connect(name: &str) -> (UnixStream, Arc<Fake>) {
    let (path, fake) = server(name);
    let stream = UnixStream::connect(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    (stream, fake)
}

fn ask(stream: &UnixStream, text: &str, files: &[BorrowedFd<'_>]) -> Reply {
    host::scm::send_all(stream.as_fd(), text.as_bytes(), files).unwrap();
    Decoder::new(stream, 1 << 20).decode().unwrap()
}

#[test]
fn requests_are_answered_in_turn() {
    let (stream, _) = connect("turn");
    let list =
        ask(&stream, r#"{"method":"containerManager.Processes","arg":"c"}"#, &[]).into_result().unwrap();
    assert_eq!((list[0]["pid"].as_i64(), list[1]["pid"].as_i64()), (Some(1), Some(7)));
    let table = ask(&stream, r#"{"method":"Proc.Ps","arg":{"JSON":false}}"#, &[]).into_result().unwrap();
    assert!(table.as_str().unwrap().starts_with("UID       PID"));
    let error = ask(&stream, r#"{"method":"containerManager.Processes","arg":"nope"}"#, &[]).into_result();
    assert_eq!(error.unwrap_err().kind, ErrorKind::NoSuchContainer);
    let error = ask(&stream, r#"{"method":"containerManager.Nope","arg":null}"#, &[]).into_result();
    assert_eq!(error.unwrap_err().text, "unknown method");
    let error = ask(&stream, r#"{"method":"containerManager.Checkpoint","arg":{}}"#, &[]).into_result();
    assert_eq!(error.unwrap_err().kind, ErrorKind::Unsupported);
    let state = ask(&stream, r#"{"method":"containerManager.ContainerRuntimeState","arg":""}"#, &[]);
    assert_eq!(state.into_result().unwrap().as_i64(), Some(2));
}

#[test]
fn files_ride_along() {
    let (stream, _) = connect("files");
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let request = r#"{"method":"containerManager.ExecuteAsync","arg":{"argv":["hi"],"GuestFDs":[1]}}"#;
    let pid = ask(&stream, request, &[theirs.as_fd()]).into_result().unwrap();
    drop(theirs);
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    assert_eq!((pid.as_i64(), text.as_str()), (Some(42), "hi"));

    let null = File::open("/dev/null").unwrap();
    let many: Vec<_> = (0..200).map(|_| null.as_fd()).collect();
    assert_eq!(ask(&stream, request, &many).into_result().unwrap_err().text, "too many files");
    let error = ask(&stream, request, &[]).into_result().unwrap_err();
    assert_eq!(error.text, "length of payload files does not match length of file descriptor array");
}

#[test]
fn what_is_no_request_gets_one_error() {
    for (name, bytes) in [("text", b"hello there".to_vec()), ("large", large())] {
        let (stream, _) = connect(name);
        let writer = stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || host::scm::send_all(writer.as_fd(), &bytes, &[]).is_ok());
        let mut text = String::new();
        (&stream).read_to_string(&mut text).unwrap();
        sender.join().unwrap();
        let reply: Reply = serde_json::from_str(&text).unwrap();
        assert_eq!(reply.into_result().unwrap_err().kind, ErrorKind::Protocol);
    }
}

fn large() -> Vec<u8> {
    let mut bytes = br#"{"method":""#.to_vec();
    bytes.resize(10 << 20, b'x');
    bytes
}

#[test]
fn hanging_up_kills() {
    let (stream, fake) = connect("hangup");
    let request = br#"{"method":"containerManager.WaitPID","arg":{"PID":5,"CID":"","KillOnHangup":true}}"#;
    (&stream).write_all(request).unwrap();
    drop(stream);
    let mut killed = fake.killed.lock().unwrap();
    while killed.is_empty() {
        killed = fake.changed.wait(killed).unwrap();
    }
    assert_eq!(*killed, [(5, 9)]);
}
