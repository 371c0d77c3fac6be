//! Processes: `clone(2)`, `execve(2)`, `exit(2)`, `wait(2)`, `pidfd_open(2)`.

use crate::{
    arg::{DirFd, UserPath},
    row::Row,
    rows,
};
use abi::{
    CloneFlags, Errno, Rusage,
    fcntl::AtFlags,
    limits::{MAX_ARG_STRLEN, MAX_NS_LEVEL, PAGE_SIZE_USIZE},
    process::{
        CLONE_ARGS_SIZE_VER0, CLONE_ARGS_SIZE_VER2, CSIGNAL, Cap, CloneArgs, KCMP_EPOLL_TFD, KCMP_FILE,
        KCMP_FILES, KCMP_FS, KCMP_IO, KCMP_SIGHAND, KCMP_SYSVSEM, KCMP_VM, KcmpEpollSlot, PidfdFlags,
        Resource, WaitIdType, WaitOptions,
    },
    signal::Signal,
};
use kernel::{
    SysResult, Task,
    access::{AccessCreds, may_access},
    loader::Program,
    pidfd::PidFd,
    task::{clone::CloneRequest, wait::WaitFor},
};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::{Arc, atomic::Ordering};
use vfs::{Fd, File, Lookup, epoll::Epoll};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    later FORK = fork as ();
    later VFORK = vfork as ();
    later CLONE = clone as (u64, u64, u64, u64, u64);
    later CLONE3 = clone3 as (UserAddr, usize) partial "no cgroups: CLONE_INTO_CGROUP is EBADF; no CLONE_NEWTIME";
    later EXECVE = execve as (UserPath, u64, u64);
    later EXECVEAT = execveat as (DirFd, UserPath, u64, u64, u32);
    now EXIT = exit as (i32);
    now EXIT_GROUP = exit_group as (i32);
    again WAIT4 = wait4 as (i32, UserPtr<i32>, u32, UserPtr<Rusage>);
    again WAITID = waitid as (i32, i32, UserAddr, u32, UserPtr<Rusage>);
    now PIDFD_OPEN = pidfd_open as (i32, u32);
    now PIDFD_GETFD = pidfd_getfd as (Fd, Fd, u32);
    now SET_TID_ADDRESS = set_tid_address as (u64);
    now GETPID = getpid as ();
    now GETTID = gettid as ();
    now GETPPID = getppid as ();
    now PROCESS_MRELEASE = process_mrelease as (Fd, u32);
    now KCMP = kcmp as (i32, i32, i32, u64, u64);
};

async fn fork(task: &Arc<Task>) -> SysResult<u32> {
    let request = CloneRequest { exit_signal: Signal::SIGCHLD.number(), ..CloneRequest::default() };
    start(task, &request, None).await
}

async fn vfork(task: &Arc<Task>) -> SysResult<u32> {
    let flags = CloneFlags::VFORK | CloneFlags::VM;
    let request = CloneRequest { flags, exit_signal: Signal::SIGCHLD.number(), ..CloneRequest::default() };
    start(task, &request, None).await
}

/// `clone(2)` with x86-64's order of arguments.
async fn clone(
    task: &Arc<Task>,
    flags: u64,
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
) -> SysResult<u32> {
    let low = flags & u64::from(u32::MAX);
    let flags = CloneFlags::from_bits_truncate(low & !CSIGNAL);
    let request = CloneRequest {
        flags,
        exit_signal: (low & CSIGNAL) as i32,
        stack_pointer: stack,
        tls,
        parent_tid,
        child_tid,
        wanted_pids: Vec::new(),
    };
    // Both would be stored at the same address.
    if flags.contains(CloneFlags::PIDFD | CloneFlags::PARENT_SETTID) {
        return Err(Errno::EINVAL.into());
    }
    start(task, &request, flags.contains(CloneFlags::PIDFD).then_some(parent_tid)).await
}

async fn clone3(task: &Arc<Task>, args: UserAddr, size: usize) -> SysResult<u32> {
    let args = read_clone_args(task, args, size)?;
    let request = clone3_request(task, &args, size)?;
    let pidfd = request.flags.contains(CloneFlags::PIDFD).then_some(args.pidfd);
    start(task, &request, pidfd).await
}

fn read_clone_args(task: &Task, addr: UserAddr, size: usize) -> Result<CloneArgs, Errno> {
    if size < CLONE_ARGS_SIZE_VER0 {
        return Err(Errno::EINVAL);
    }
    if size > PAGE_SIZE_USIZE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size.max(CloneArgs::SIZE)];
    task.mm()?.copy_in(addr, bytes.get_mut(..size).unwrap_or_default())?;
    // What a newer structure holds beyond this one has to be unused.
    if bytes.iter().skip(CloneArgs::SIZE).any(|b| *b != 0) {
        return Err(Errno::E2BIG);
    }
    let known = bytes.get(..CloneArgs::SIZE).unwrap_or_default();
    <CloneArgs as zerocopy::FromBytes>::read_from_bytes(known).map_err(|_| Errno::EINVAL)
}

fn clone3_request(task: &Task, args: &CloneArgs, size: usize) -> Result<CloneRequest, Errno> {
    use CloneFlags as F;
    let flags = F::from_bits(args.flags).ok_or(Errno::EINVAL)?;
    let exit_signal = i32::try_from(args.exit_signal).ok().filter(|s| *s == 0 || Signal::new(*s).is_some());
    let exit_signal = exit_signal.ok_or(Errno::EINVAL)?;
    let senseless = flags.contains(F::DETACHED)
        || flags.contains(F::SIGHAND | F::CLEAR_SIGHAND)
        || flags.intersects(F::THREAD | F::PARENT) && exit_signal != 0
        || args.set_tid_size > u64::from(MAX_NS_LEVEL)
        || (args.set_tid == 0) != (args.set_tid_size == 0)
        || (args.stack == 0) != (args.stack_size == 0)
        || args.stack.checked_add(args.stack_size).is_none_or(|end| end > abi::arch::x86_64::TASK_SIZE);
    if senseless {
        return Err(Errno::EINVAL);
    }
    if flags.contains(F::INTO_CGROUP) {
        if args.cgroup > i32::MAX as u64 || size < CLONE_ARGS_SIZE_VER2 {
            return Err(Errno::EINVAL);
        }
        return Err(Errno::EBADF); // no descriptor is one of a cgroup
    }
    Ok(CloneRequest {
        flags,
        exit_signal,
        stack_pointer: args.stack + args.stack_size,
        tls: args.tls,
        parent_tid: args.parent_tid,
        child_tid: args.child_tid,
        wanted_pids: wanted_pids(task, args)?,
    })
}

/// `set_tid`: who asks for numbers must be allowed to in each namespace that is named.
fn wanted_pids(task: &Task, args: &CloneArgs) -> Result<Vec<u32>, Errno> {
    let count = usize::try_from(args.set_tid_size).map_err(|_| Errno::EINVAL)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let wanted = UserPtr::<i32>::from(args.set_tid).read_array(&*task.mm()?, count)?;
    let cred = task.cred();
    let mut at = Some(task.namespaces().pid_for_children.clone());
    let mut numbers = Vec::with_capacity(count);
    for number in wanted {
        let ns = at.ok_or(Errno::EINVAL)?;
        let number = u32::try_from(number).ok().filter(|n| *n > 0).ok_or(Errno::EINVAL)?;
        // The first process of a namespace has to be its init.
        if ns.init.load(Ordering::Acquire) == 0 && number != 1 && ns.parent.is_some() {
            return Err(Errno::EINVAL);
        }
        if !cred.has_cap_in(&ns.user_ns, Cap::SYS_ADMIN)
            && !cred.has_cap_in(&ns.user_ns, Cap::CHECKPOINT_RESTORE)
        {
            return Err(Errno::EPERM);
        }
        numbers.push(number);
        at = ns.parent.clone();
    }
    Ok(numbers)
}

/// Makes the child and starts it. The pidfd, if one is wanted, is there before the child is, so that it cannot fail behind it.
async fn start(task: &Arc<Task>, request: &CloneRequest, pidfd: Option<u64>) -> SysResult<u32> {
    let Some(addr) = pidfd else {
        let child = task.clone_task(request)?;
        return task.start_child(child, request).await;
    };
    let child = {
        let file = PidFd::default().open(task, false);
        let fds = task.fds()?;
        let fd = fds.add(file.clone(), 0, nofile(task), true)?;
        let made =
            UserPtr::<i32>::from(addr).write(&*task.mm()?, &fd.0).and_then(|()| task.clone_task(request));
        let child = made.inspect_err(|_| {
            let _ = fds.remove(fd);
        })?;
        let thread = request.flags.contains(CloneFlags::THREAD).then_some(&child);
        PidFd::from_file(&file)?.stand_for(child.pid(), &child.group, thread);
        if !request.flags.contains(CloneFlags::FILES) {
            // The copy was made with it in: the child has no descriptor of itself.
            let _ = child.fds()?.remove(fd);
        }
        child
    };
    task.start_child(child, request).await
}

fn nofile(task: &Task) -> u64 {
    task.group.limits.lock().soft(Resource::Nofile)
}

/// Arguments or environment: pointers up to a null one, and what they point to. `E2BIG` beyond `room`, which shrinks.
fn read_strings(task: &Task, addr: u64, room: &mut usize) -> Result<Vec<Vec<u8>>, Errno> {
    let mut strings = Vec::new();
    if addr == 0 {
        return Ok(strings);
    }
    let mm = task.mm()?;
    let pointers = UserPtr::<u64>::from(addr);
    loop {
        if task.is_killed() {
            return Err(Errno::EINTR);
        }
        let pointer = pointers.at(strings.len())?.read(&*mm)?;
        if pointer == 0 {
            return Ok(strings);
        }
        let string = mm.read_cstr(UserAddr(pointer), MAX_ARG_STRLEN).map_err(|e| match e {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        let takes = string.len() + 1 + size_of::<u64>();
        *room = room.checked_sub(takes).ok_or(Errno::E2BIG)?;
        strings.push(string);
    }
}

async fn execve(task: &Arc<Task>, path: UserPath, argv: u64, envp: u64) -> SysResult<()> {
    let path = path.read(task)?;
    let file = task.open_executable(&path)?;
    exec(task, file, path, argv, envp).await
}

async fn execveat(
    task: &Arc<Task>,
    dir: DirFd,
    path: UserPath,
    argv: u64,
    envp: u64,
    flags: u32,
) -> SysResult<()> {
    let flags = AtFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if !(flags - (AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW)).is_empty() {
        return Err(Errno::EINVAL.into());
    }
    let name = path.read(task)?;
    if name.is_empty() && !flags.contains(AtFlags::EMPTY_PATH) {
        return Err(Errno::ENOENT.into());
    }
    let mut context = task.walk_context();
    let relative = name.first() != Some(&b'/');
    let mut shown = name.clone();
    let mut closes = false;
    if let (DirFd::Fd(fd), true) = (dir, relative) {
        let start = task.file(fd)?.path().clone();
        if !name.is_empty() && !start.is_dir() {
            return Err(Errno::ENOTDIR.into());
        }
        context = context.at(start);
        closes = task.fds()?.cloexec(fd)?;
        shown = format!("/dev/fd/{}", fd.0).into_bytes();
        if !name.is_empty() {
            shown.push(b'/');
            shown.extend_from_slice(&name);
        }
    }
    let mut lookup = Lookup::EMPTY_PATH;
    lookup.set(Lookup::FOLLOW, !flags.contains(AtFlags::SYMLINK_NOFOLLOW));
    let file = vfs::ops::open::open_exec(&context, &name, lookup)?;
    // An interpreter could not open its script by a name through a descriptor that is about to be closed.
    if closes && starts_as_script(&file) {
        return Err(Errno::ENOENT.into());
    }
    exec(task, file, shown, argv, envp).await
}

fn starts_as_script(file: &Arc<File>) -> bool {
    let mut head = [0; 2];
    let read = file.ops().read_at(file, 0, &mut mem::IoDst::bytes(&mut head));
    read == Ok(2) && head == *b"#!"
}

async fn exec(task: &Arc<Task>, file: Arc<File>, path: Vec<u8>, argv: u64, envp: u64) -> SysResult<()> {
    let mut room = task.argument_limit();
    let mut argv = read_strings(task, argv, &mut room)?;
    let envp = read_strings(task, envp, &mut room)?;
    if argv.is_empty() {
        argv.push(Vec::new()); // as Linux since 5.18: programs trust in argv[0]
    }
    task.execve(Program { file, path, argv, envp }).await
}

fn exit(task: &Arc<Task>, code: i32) -> SysResult<()> {
    task.exit(code);
    Ok(())
}

fn exit_group(task: &Arc<Task>, code: i32) -> SysResult<()> {
    task.exit_group(code);
    Ok(())
}

/// Whom `pid` of `waitpid(2)` means; `ECHILD` for numbers that nobody has.
fn wait_for(task: &Task, pid: i32) -> Result<WaitFor, Errno> {
    let root = |number: i32| task.root_number(number).map_err(|_| Errno::ECHILD);
    if pid == i32::MIN {
        return Err(Errno::ESRCH);
    }
    Ok(match pid {
        -1 => WaitFor::Any,
        0 => WaitFor::Group(task.group_and_session().0),
        ..=-2 => WaitFor::Group(root(-pid)?),
        _ => WaitFor::Process(root(pid)?),
    })
}

async fn wait4(
    task: &Arc<Task>,
    pid: i32,
    status: UserPtr<i32>,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SysResult<u32> {
    let options = WaitOptions::from_bits(options).ok_or(Errno::EINVAL)?;
    if !WaitOptions::WAIT4.contains(options) {
        return Err(Errno::EINVAL.into());
    }
    let whom = wait_for(task, pid)?;
    let Some(found) = task.wait_child(whom, options | WaitOptions::EXITED).await? else { return Ok(0) };
    let mm = task.mm()?;
    status.write_opt(&*mm, &found.event.wait_status())?;
    usage.write_opt(&*mm, &found.usage)?;
    Ok(found.pid)
}

async fn waitid(
    task: &Arc<Task>,
    which: i32,
    id: i32,
    info: UserAddr,
    options: u32,
    usage: UserPtr<Rusage>,
) -> SysResult<()> {
    use WaitOptions as W;
    let mut options = W::from_bits(options).ok_or(Errno::EINVAL)?;
    if !options.intersects(W::EXITED | W::STOPPED | W::CONTINUED) {
        return Err(Errno::EINVAL.into());
    }
    let none = |e: Errno| if e == Errno::ESRCH { Errno::ECHILD } else { e };
    let mut nonblock = false;
    let whom = match WaitIdType::from_raw(which).ok_or(Errno::EINVAL)? {
        WaitIdType::All => WaitFor::Any,
        WaitIdType::Pid if id <= 0 => return Err(Errno::EINVAL.into()),
        WaitIdType::Pid => WaitFor::Process(task.root_number(id).map_err(none)?),
        WaitIdType::Pgid if id < 0 => return Err(Errno::EINVAL.into()),
        WaitIdType::Pgid if id == 0 => WaitFor::Group(task.group_and_session().0),
        WaitIdType::Pgid => WaitFor::Group(task.root_number(id).map_err(none)?),
        WaitIdType::Pidfd if id < 0 => return Err(Errno::EINVAL.into()),
        WaitIdType::Pidfd => {
            let file = task.file(Fd(id))?;
            nonblock = file.nonblocking();
            WaitFor::Process(PidFd::from_file(&file)?.pid().map_err(none)?.root())
        }
    };
    if nonblock {
        options |= W::NOHANG;
    }
    let found = task.wait_child(whom, options).await?;
    if found.is_none() && nonblock {
        return Err(Errno::EAGAIN.into());
    }
    let mm = task.mm()?;
    if let Some(found) = &found {
        usage.write_opt(&*mm, &found.usage)?;
    }
    if info.is_null() {
        return Ok(());
    }
    // Linux stores the members that mean something and leaves the rest of the structure alone.
    let (head, body) = match found {
        Some(found) => {
            let (code, status) = found.event.code_and_status();
            ([Signal::SIGCHLD.number(), 0, code], [found.pid as i32, found.uid as i32, status])
        }
        None => ([0; 3], [0; 3]),
    };
    UserPtr::<[i32; 3]>::from(info.0).write(&*mm, &head)?;
    Ok(UserPtr::<[i32; 3]>::from(info.add(16)?.0).write(&*mm, &body)?)
}

fn pidfd_open(task: &Arc<Task>, pid: i32, flags: u32) -> SysResult<Fd> {
    let flags = PidfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if pid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let pidfd = if flags.contains(PidfdFlags::THREAD) {
        PidFd::of_thread(&task.find_thread(pid)?)
    } else {
        let root = task.root_number(pid)?;
        let (group, is_thread) = {
            let tree = task.kernel.tree.lock();
            (tree.group(root).cloned(), tree.task(root).is_some())
        };
        // The number of a thread that leads no process is no process.
        PidFd::of_process(&group.ok_or(if is_thread { Errno::EINVAL } else { Errno::ESRCH })?)
    };
    let file = pidfd.open(task, flags.contains(PidfdFlags::NONBLOCK));
    Ok(task.fds()?.add(file, 0, nofile(task), true)?)
}

fn pidfd_getfd(task: &Arc<Task>, pidfd: Fd, fd: Fd, flags: u32) -> SysResult<Fd> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = task.file(pidfd)?;
    let target = PidFd::from_file(&file)?.thread()?;
    may_access(task, &target, AccessCreds::Real)?;
    let found = target.fds()?.get(fd)?;
    Ok(task.fds()?.add(found, 0, nofile(task), true)?)
}

fn set_tid_address(task: &Arc<Task>, addr: u64) -> SysResult<u32> {
    task.state.lock().clear_child_tid = addr;
    Ok(task.own_number())
}

fn getpid(task: &Arc<Task>) -> SysResult<u32> {
    Ok(task.own_process_number())
}

fn gettid(task: &Arc<Task>) -> SysResult<u32> {
    Ok(task.own_number())
}

fn getppid(task: &Arc<Task>) -> SysResult<u32> {
    let ns = task.pid_namespace();
    Ok(task.group.parent().and_then(|parent| parent.pid.number_in(&ns)).unwrap_or(0))
}

/// Memory of a process that is ending goes by itself; here it is only checked that it is.
fn process_mrelease(task: &Arc<Task>, pidfd: Fd, flags: u32) -> SysResult<()> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = task.file(pidfd)?;
    let ending = PidFd::from_file(&file)?.process()?.exiting.lock().is_some();
    if ending { Ok(()) } else { Err(Errno::EINVAL.into()) }
}

/// 0 for the same object, 1 and 2 for an order that means nothing but stays the same.
fn compare<T: ?Sized>(a: &Arc<T>, b: &Arc<T>) -> u32 {
    match Arc::as_ptr(a).cast::<()>().cmp(&Arc::as_ptr(b).cast::<()>()) {
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Less => 1,
        std::cmp::Ordering::Greater => 2,
    }
}

fn kcmp(task: &Arc<Task>, pid1: i32, pid2: i32, kind: i32, index1: u64, index2: u64) -> SysResult<u32> {
    let (a, b) = (task.find_thread(pid1)?, task.find_thread(pid2)?);
    may_access(task, &a, AccessCreds::Real)?;
    may_access(task, &b, AccessCreds::Real)?;
    let fd = |index: u64| i32::try_from(index).map(Fd).map_err(|_| Errno::EBADF);
    Ok(match kind {
        KCMP_FILE => compare(&a.file(fd(index1)?)?, &b.file(fd(index2)?)?),
        KCMP_VM => compare(&a.mm()?, &b.mm()?),
        KCMP_FILES => compare(&a.fds()?, &b.fds()?),
        KCMP_FS => compare(&a.fs(), &b.fs()),
        KCMP_SIGHAND => {
            // One after the other: both may be the caller's own.
            let a = a.group.signals.lock().hand.clone();
            let b = b.group.signals.lock().hand.clone();
            compare(&a, &b)
        }
        // There are no I/O contexts.
        KCMP_IO => 0,
        // Undo lists are a process', which has none before it asks for one.
        KCMP_SYSVSEM => {
            let any = a.group.has_sem_undos() || b.group.has_sem_undos();
            if any { compare(&a.group, &b.group) } else { 0 }
        }
        KCMP_EPOLL_TFD => {
            let slot = UserPtr::<KcmpEpollSlot>::from(index2).read(&*task.mm()?)?;
            let file = a.file(fd(index1)?)?;
            let epoll = b.file(fd(slot.efd.into())?)?;
            let epoll = epoll.downcast::<Epoll>().ok_or(Errno::EINVAL)?;
            let target = epoll.target(fd(slot.tfd.into())?, slot.toff).ok_or(Errno::ENOENT)?;
            compare(&file, &target)
        }
        _ => return Err(Errno::EINVAL.into()),
    })
}
