//! From a request to a typed call and back.

use crate::{ExecFiles, Methods};
use control_proto::{
    Error, ErrorKind, ExecArgs, FileUse, MAX_FILES, PsArgs, Request, SignalArgs, TOO_MANY_FILES,
    UNKNOWN_METHOD, WaitPidArgs, method, ps,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::os::fd::OwnedFd;

/// Answers one request.
pub fn dispatch(methods: &dyn Methods, request: Request, files: Vec<OwnedFd>) -> Result<Value, Error> {
    if files.len() > MAX_FILES {
        return Err(Error::new(ErrorKind::TooManyFiles, TOO_MANY_FILES));
    }
    let arg = request.arg;
    match request.method.as_str() {
        method::PROC_EXEC => {
            let (args, files) = exec_args(arg, files)?;
            value(methods.exec(args, files)?)
        }
        method::EXECUTE_ASYNC => {
            let (args, files) = exec_args(arg, files)?;
            value(methods.execute_async(args, files)?)
        }
        method::PROC_PS => {
            let args: PsArgs = if arg.is_null() { PsArgs::default() } else { parse(arg)? };
            let mut list = methods.processes("")?;
            ps::sort(&mut list);
            value(if args.json { ps::json(&list) } else { ps::table(&list) })
        }
        method::PROCESSES => {
            let mut list = methods.processes(&container(arg)?)?;
            ps::sort(&mut list);
            value(list)
        }
        method::START_ROOT => value(methods.start_root(&container(arg)?)?),
        method::WAIT => value(methods.wait(&container(arg)?)?),
        method::WAIT_PID => value(methods.wait_pid(&parse::<WaitPidArgs>(arg)?)?),
        method::SIGNAL => {
            let args: SignalArgs = parse(arg)?;
            if !(0..=64).contains(&args.signo) {
                let text = format!("signal {} is not between 0 and 64", args.signo);
                return Err(Error::new(ErrorKind::InvalidArgument, text).with_errno(22));
            }
            value(methods.signal(&args)?)
        }
        method::PAUSE => value(methods.pause()?),
        method::RESUME => value(methods.resume()?),
        method::EVENT => value(methods.event(&container(arg)?)?),
        method::RUNTIME_STATE => value(methods.runtime_state(&container(arg)?)?),
        method::DESTROY_SUBCONTAINER => value(methods.destroy(&container(arg)?)?),
        name @ (method::CREATE_SUBCONTAINER
        | method::START_SUBCONTAINER
        | method::CHECKPOINT
        | method::RESTORE
        | method::PORT_FORWARD) => value(methods.other(name)?),
        _ => Err(Error::new(ErrorKind::UnknownMethod, UNKNOWN_METHOD)),
    }
}

/// The process whose life hangs on this connection, where the request asks for that.
pub fn hangup_victim(request: &Request) -> Option<SignalArgs> {
    if request.method != method::WAIT_PID {
        return None;
    }
    let args: WaitPidArgs = serde_json::from_value(request.arg.clone()).ok()?;
    args.kill_on_hangup.then_some(SignalArgs {
        cid: args.cid,
        signo: 9,
        pid: args.pid,
        ..SignalArgs::default()
    })
}

fn parse<T: DeserializeOwned>(arg: Value) -> Result<T, Error> {
    serde_json::from_value(arg).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("malformed argument: {error}")).with_errno(22)
    })
}

fn value<T: Serialize>(result: T) -> Result<Value, Error> {
    serde_json::to_value(result)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot encode the result: {error}")))
}

/// A container id: a string, or null for the root container.
fn container(arg: Value) -> Result<String, Error> {
    Ok(parse::<Option<String>>(arg)?.unwrap_or_default())
}

fn exec_args(arg: Value, files: Vec<OwnedFd>) -> Result<(ExecArgs, ExecFiles), Error> {
    let args: ExecArgs = parse(arg)?;
    let mut sorted = ExecFiles::default();
    for (purpose, file) in args.plan_files(files.len())?.into_iter().zip(files) {
        match purpose {
            FileUse::Executable => sorted.executable = Some(file),
            FileUse::Guest(fd) => sorted.guest.push((fd, file)),
        }
    }
    Ok((args, sorted))
}
