//! What every socket has whatever its family: type, options of `SOL_SOCKET`, pending error, wait queue.
//!
//! **Lock order:** `rare` is a leaf; the rest is atomic.

use crate::{caller::Caller, filter::Filter, message::OptionValue, namespace::NetNamespace};
use abi::{Cap, Errno, SockType, socket::*, time::Timeval};
use ksync::{Mutex, Ready, WaitQueue, rank};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};
use zerocopy::{FromBytes, IntoBytes};

/// `net.core.wmem_default` and `rmem_default`.
pub const DEFAULT_BUFFER: usize = 212_992;
/// `net.core.wmem_max` and `rmem_max`.
pub const MAX_BUFFER: usize = 212_992;
const MIN_SEND_BUFFER: usize = 4608;
const MIN_RECEIVE_BUFFER: usize = 2304;

bitflags::bitflags! {
    /// Options that are on or off.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Flags: u32 {
        /// `SO_REUSEADDR`.
        const REUSEADDR = 1 << 0;
        /// `SO_REUSEPORT`.
        const REUSEPORT = 1 << 1;
        /// `SO_KEEPALIVE`.
        const KEEPALIVE = 1 << 2;
        /// `SO_BROADCAST`.
        const BROADCAST = 1 << 3;
        /// `SO_OOBINLINE`.
        const OOBINLINE = 1 << 4;
        /// `SO_PASSCRED`.
        const PASSCRED = 1 << 5;
        /// `SO_PASSPIDFD`.
        const PASSPIDFD = 1 << 6;
        /// `SO_PASSSEC`.
        const PASSSEC = 1 << 7;
        /// `SO_TIMESTAMP`.
        const TIMESTAMP = 1 << 8;
        /// `SO_TIMESTAMPNS`.
        const TIMESTAMPNS = 1 << 9;
        /// `SO_DONTROUTE`.
        const DONTROUTE = 1 << 10;
        /// `SO_DEBUG`.
        const DEBUG = 1 << 11;
        /// `SO_NO_CHECK`.
        const NO_CHECK = 1 << 12;
        /// `SO_RXQ_OVFL`.
        const RXQ_OVFL = 1 << 13;
        /// `SO_ZEROCOPY`.
        const ZEROCOPY = 1 << 14;
        /// `SO_SELECT_ERR_QUEUE`.
        const SELECT_ERR_QUEUE = 1 << 15;
        /// `SO_LOCK_FILTER`.
        const LOCK_FILTER = 1 << 16;
        /// `SO_RCVMARK`.
        const RCVMARK = 1 << 17;
        /// `SO_NOFCS`.
        const NOFCS = 1 << 18;
        /// `SO_WIFI_STATUS`.
        const WIFI_STATUS = 1 << 19;
    }
}

/// Options that are asked for rarely.
#[derive(Clone, Debug)]
struct Rare {
    linger: Linger,
    priority: i32,
    mark: u32,
    bound_device: i32,
    busy_poll: i32,
    incoming_cpu: i32,
    timestamping: u32,
    txrehash: i32,
    buf_lock: i32,
    max_pacing_rate: u64,
}

/// State that every socket has.
pub struct Common {
    /// `AF_*`.
    pub family: u16,
    /// Type.
    pub kind: SockType,
    /// `IPPROTO_*` or the family's own.
    pub protocol: i32,
    /// Announces every change of readiness.
    pub queue: Arc<WaitQueue>,
    /// Where it lives.
    pub ns: Arc<NetNamespace>,
    /// Unique in the sandbox (`SO_COOKIE`).
    pub cookie: u64,
    /// Inode number of its file; 0 before it has one.
    pub ino: AtomicU64,
    /// Who made it, for `/proc/net`.
    pub uid: vfs::Uid,
    /// Not asked for yet (`SO_ERROR`); 0 is none.
    error: AtomicI32,
    flags: AtomicU32,
    sndbuf: AtomicUsize,
    rcvbuf: AtomicUsize,
    /// Nanoseconds; 0 is for ever.
    rcvtimeo: AtomicU64,
    sndtimeo: AtomicU64,
    rcvlowat: AtomicI32,
    /// `SO_ATTACH_FILTER`.
    pub filter: Filter,
    rare: Mutex<Rare>,
    /// The landlock domain of who made it, where there is one.
    pub domain: OnceLock<Arc<vfs::landlock::Domain>>,
}

fn option_int(value: &[u8]) -> Result<i32, Errno> {
    i32::read_from_prefix(value).map(|(n, _)| n).map_err(|_| Errno::EINVAL)
}

/// An option's value that is an `int`.
pub fn int_value(value: impl Into<i64>) -> OptionValue {
    OptionValue::from_slice(&(value.into() as i32).to_ne_bytes())
}

/// An option's value that is a structure.
pub fn value_of<T: IntoBytes + zerocopy::Immutable>(value: &T) -> OptionValue {
    OptionValue::from_slice(value.as_bytes())
}

impl Common {
    /// Of a new socket with default options.
    pub fn new(ns: Arc<NetNamespace>, family: u16, kind: SockType, protocol: i32, uid: vfs::Uid) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            family,
            kind,
            protocol,
            queue: Arc::default(),
            ns,
            cookie: NEXT.fetch_add(1, Ordering::Relaxed),
            ino: AtomicU64::new(0),
            uid,
            error: AtomicI32::new(0),
            flags: AtomicU32::new(0),
            sndbuf: AtomicUsize::new(DEFAULT_BUFFER),
            rcvbuf: AtomicUsize::new(DEFAULT_BUFFER),
            rcvtimeo: AtomicU64::new(0),
            sndtimeo: AtomicU64::new(0),
            rcvlowat: AtomicI32::new(1),
            filter: Filter::default(),
            domain: OnceLock::new(),
            rare: Mutex::new(
                rank::LEAF,
                Rare {
                    linger: Linger::default(),
                    priority: 0,
                    mark: 0,
                    bound_device: 0,
                    busy_poll: 0,
                    incoming_cpu: 0,
                    timestamping: 0,
                    txrehash: 1,
                    buf_lock: 0,
                    max_pacing_rate: u64::MAX,
                },
            ),
        }
    }

    /// Takes over the options of a listener, as an accepted connection does.
    pub fn inherit(&self, listener: &Common) {
        self.flags.store(listener.flags.load(Ordering::Relaxed), Ordering::Relaxed);
        for (mine, theirs) in [(&self.sndbuf, &listener.sndbuf), (&self.rcvbuf, &listener.rcvbuf)] {
            mine.store(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (mine, theirs) in [(&self.rcvtimeo, &listener.rcvtimeo), (&self.sndtimeo, &listener.sndtimeo)] {
            mine.store(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.rcvlowat.store(listener.rcvlowat.load(Ordering::Relaxed), Ordering::Relaxed);
        let rare = listener.rare.lock().clone();
        *self.rare.lock() = rare;
    }

    /// Whether all of `flags` are on.
    pub fn has(&self, flags: Flags) -> bool {
        Flags::from_bits_retain(self.flags.load(Ordering::Relaxed)).contains(flags)
    }
    /// Turns options on or off.
    pub fn set(&self, flags: Flags, on: bool) {
        if on {
            self.flags.fetch_or(flags.bits(), Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flags.bits(), Ordering::Relaxed);
        }
    }
    /// `SO_SNDBUF`, doubled as Linux counts it.
    pub fn sndbuf(&self) -> usize {
        self.sndbuf.load(Ordering::Relaxed)
    }
    /// `SO_RCVBUF`, doubled as Linux counts it.
    pub fn rcvbuf(&self) -> usize {
        self.rcvbuf.load(Ordering::Relaxed)
    }
    /// Gives the buffers other default sizes.
    pub fn set_buffers(&self, send: usize, receive: usize) {
        self.sndbuf.store(send, Ordering::Relaxed);
        self.rcvbuf.store(receive, Ordering::Relaxed);
    }
    /// `SO_RCVTIMEO` in nanoseconds.
    pub fn receive_timeout(&self) -> Option<u64> {
        Some(self.rcvtimeo.load(Ordering::Relaxed)).filter(|ns| *ns != 0)
    }
    /// `SO_SNDTIMEO` in nanoseconds.
    pub fn send_timeout(&self) -> Option<u64> {
        Some(self.sndtimeo.load(Ordering::Relaxed)).filter(|ns| *ns != 0)
    }
    /// `SO_RCVLOWAT`.
    pub fn receive_low_water(&self) -> usize {
        usize::try_from(self.rcvlowat.load(Ordering::Relaxed)).unwrap_or(1).max(1)
    }
    /// `SO_LINGER`.
    pub fn linger(&self) -> Linger {
        self.rare.lock().linger
    }
    /// `SO_BINDTODEVICE` as an interface's index; 0 is any.
    pub fn bound_device(&self) -> i32 {
        self.rare.lock().bound_device
    }
    /// Leaves an error to be reported by the next call, and announces it.
    pub fn set_error(&self, e: Errno) {
        self.error.store(e.code(), Ordering::SeqCst);
        self.queue.notify(Ready::ERR | Ready::IN | Ready::OUT);
    }
    /// Takes the pending error.
    pub fn take_error(&self) -> Option<Errno> {
        if self.error.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Errno::from_code(self.error.swap(0, Ordering::SeqCst))
    }
    /// The pending error, if any, as an error.
    pub fn check_error(&self) -> Result<(), Errno> {
        self.take_error().map_or(Ok(()), Err)
    }
    /// Whether an error is pending.
    pub fn has_error(&self) -> bool {
        self.error.load(Ordering::SeqCst) != 0
    }
}

fn flag_of(name: i32) -> Option<Flags> {
    Some(match name {
        SO_REUSEADDR => Flags::REUSEADDR,
        SO_REUSEPORT => Flags::REUSEPORT,
        SO_KEEPALIVE => Flags::KEEPALIVE,
        SO_BROADCAST => Flags::BROADCAST,
        SO_OOBINLINE => Flags::OOBINLINE,
        SO_PASSCRED => Flags::PASSCRED,
        SO_PASSPIDFD => Flags::PASSPIDFD,
        SO_PASSSEC => Flags::PASSSEC,
        SO_TIMESTAMP_OLD | SO_TIMESTAMP_NEW => Flags::TIMESTAMP,
        SO_TIMESTAMPNS_OLD | SO_TIMESTAMPNS_NEW => Flags::TIMESTAMPNS,
        SO_DONTROUTE => Flags::DONTROUTE,
        SO_DEBUG => Flags::DEBUG,
        SO_NO_CHECK => Flags::NO_CHECK,
        SO_RXQ_OVFL => Flags::RXQ_OVFL,
        SO_ZEROCOPY => Flags::ZEROCOPY,
        SO_SELECT_ERR_QUEUE => Flags::SELECT_ERR_QUEUE,
        SO_LOCK_FILTER => Flags::LOCK_FILTER,
        SO_RCVMARK => Flags::RCVMARK,
        SO_NOFCS => Flags::NOFCS,
        SO_WIFI_STATUS => Flags::WIFI_STATUS,
        _ => return None,
    })
}

/// Longest time that a `struct timeval` of an option may say; more is for ever.
const MAX_TIMEOUT_NS: i128 = i64::MAX as i128;

fn timeout(value: &[u8]) -> Result<u64, Errno> {
    let (time, _) = Timeval::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
    if time.tv_usec < 0 || time.tv_usec >= 1_000_000 {
        return Err(Errno::EDOM);
    }
    if time.tv_sec < 0 {
        return Ok(1); // Linux takes it for no time at all
    }
    let ns = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_usec) * 1000;
    Ok(if ns > MAX_TIMEOUT_NS { 0 } else { ns as u64 })
}

impl Common {
    /// `setsockopt(SOL_SOCKET)`.
    pub fn set_option(&self, caller: &Caller<'_>, name: i32, value: &[u8]) -> Result<(), Errno> {
        let has = |cap: Cap| caller.cred().has_cap_in(&self.ns.user_ns, cap);
        if let Some(flag) = flag_of(name) {
            let on = option_int(value)? != 0;
            match name {
                // A filter cannot be unlocked again.
                SO_LOCK_FILTER if !on && self.has(Flags::LOCK_FILTER) => return Err(Errno::EPERM),
                SO_DEBUG if on && !has(Cap::NET_ADMIN) => return Err(Errno::EACCES),
                SO_PASSCRED | SO_PASSPIDFD | SO_PASSSEC
                    if self.family != AF_UNIX && self.family != AF_NETLINK && name != SO_PASSCRED =>
                {
                    return Err(Errno::EOPNOTSUPP);
                }
                SO_ZEROCOPY if !matches!(self.family, AF_INET | AF_INET6) => return Err(Errno::EOPNOTSUPP),
                SO_TIMESTAMP_OLD | SO_TIMESTAMP_NEW if on => self.set(Flags::TIMESTAMPNS, false),
                SO_TIMESTAMPNS_OLD | SO_TIMESTAMPNS_NEW if on => self.set(Flags::TIMESTAMP, false),
                _ => {}
            }
            self.set(flag, on);
            return Ok(());
        }
        let privileged = |cap: Cap| if has(cap) { Ok(()) } else { Err(Errno::EPERM) };
        match name {
            SO_TYPE | SO_PROTOCOL | SO_DOMAIN | SO_ERROR | SO_ACCEPTCONN | SO_PEERCRED | SO_PEERNAME
            | SO_PEERSEC | SO_PEERGROUPS | SO_PEERPIDFD | SO_COOKIE | SO_NETNS_COOKIE | SO_MEMINFO
            | SO_INCOMING_NAPI_ID | SO_BPF_EXTENSIONS | SO_SNDLOWAT => return Err(Errno::ENOPROTOOPT),
            SO_SNDBUF | SO_SNDBUFFORCE => {
                let asked = option_int(value)?;
                self.set_send_buffer(asked, name == SO_SNDBUFFORCE, &privileged)?;
            }
            SO_RCVBUF | SO_RCVBUFFORCE => {
                let asked = option_int(value)?;
                let max = if name == SO_RCVBUFFORCE { i32::MAX as usize / 2 } else { MAX_BUFFER };
                if name == SO_RCVBUFFORCE {
                    privileged(Cap::NET_ADMIN)?;
                }
                let size = usize::try_from(asked).unwrap_or(if name == SO_RCVBUFFORCE { 0 } else { max });
                self.rcvbuf.store((size.min(max) * 2).max(MIN_RECEIVE_BUFFER), Ordering::Relaxed);
            }
            SO_RCVTIMEO_OLD | SO_RCVTIMEO_NEW => self.rcvtimeo.store(timeout(value)?, Ordering::Relaxed),
            SO_SNDTIMEO_OLD | SO_SNDTIMEO_NEW => self.sndtimeo.store(timeout(value)?, Ordering::Relaxed),
            SO_RCVLOWAT => {
                let n = option_int(value)?;
                let n = if n < 0 { i32::MAX } else { n.max(1) };
                self.rcvlowat.store(n, Ordering::Relaxed);
            }
            SO_LINGER => {
                let (linger, _) = Linger::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
                self.rare.lock().linger = linger;
            }
            SO_PRIORITY => {
                let n = option_int(value)?;
                if !(0..=6).contains(&n) && !has(Cap::NET_RAW) {
                    privileged(Cap::NET_ADMIN)?;
                }
                self.rare.lock().priority = n;
            }
            SO_MARK => {
                let n = option_int(value)?;
                if !has(Cap::NET_RAW) {
                    privileged(Cap::NET_ADMIN)?;
                }
                self.rare.lock().mark = n as u32;
            }
            SO_BINDTODEVICE => {
                let name = value.split(|b| *b == 0).next().unwrap_or_default();
                if name.len() >= IFNAMSIZ {
                    return Err(Errno::EINVAL);
                }
                let index = match name {
                    b"" => 0,
                    name => self.ns.interface_index(name).ok_or(Errno::ENODEV)?,
                };
                self.rare.lock().bound_device = index;
            }
            SO_BINDTOIFINDEX => {
                let index = option_int(value)?;
                if index != 0 && self.ns.interface_name(index).is_none() {
                    return Err(Errno::ENODEV);
                }
                self.rare.lock().bound_device = index;
            }
            SO_BUSY_POLL => {
                let n = option_int(value)?;
                if n < 0 {
                    return Err(Errno::EINVAL);
                }
                self.rare.lock().busy_poll = n;
            }
            SO_INCOMING_CPU => self.rare.lock().incoming_cpu = option_int(value)?,
            SO_TIMESTAMPING_OLD | SO_TIMESTAMPING_NEW => {
                self.rare.lock().timestamping = option_int(value)? as u32;
            }
            SO_TXREHASH => self.rare.lock().txrehash = option_int(value)?,
            SO_BUF_LOCK => {
                let n = option_int(value)?;
                if n & !SOCK_BUF_LOCK_MASK != 0 {
                    return Err(Errno::EINVAL);
                }
                self.rare.lock().buf_lock = n;
            }
            SO_MAX_PACING_RATE => {
                let rate = match u64::read_from_prefix(value) {
                    Ok((rate, _)) => rate,
                    Err(_) => u64::from(option_int(value)? as u32),
                };
                self.rare.lock().max_pacing_rate = rate;
            }
            SO_PREFER_BUSY_POLL | SO_BUSY_POLL_BUDGET => privileged(Cap::NET_ADMIN)?,
            SO_ATTACH_FILTER | SO_DETACH_FILTER if self.has(Flags::LOCK_FILTER) => return Err(Errno::EPERM),
            SO_ATTACH_FILTER => self.filter.attach(caller, value)?,
            SO_DETACH_FILTER => self.filter.detach()?,
            SO_DETACH_REUSEPORT_BPF => return Err(Errno::ENOENT),
            SO_CNX_ADVICE => {}
            SO_PEEK_OFF => return Err(Errno::EOPNOTSUPP),
            // Filters of extended BPF, pacing by time and reserved memory are not there.
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    fn set_send_buffer(
        &self,
        asked: i32,
        force: bool,
        privileged: &dyn Fn(Cap) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if force {
            privileged(Cap::NET_ADMIN)?;
        }
        let max = if force { i32::MAX as usize / 2 } else { MAX_BUFFER };
        let size = usize::try_from(asked).unwrap_or(if force { 0 } else { max });
        self.sndbuf.store((size.min(max) * 2).max(MIN_SEND_BUFFER), Ordering::Relaxed);
        self.queue.notify(Ready::OUT | Ready::WRNORM); // there may be room now
        Ok(())
    }

    /// `getsockopt(SOL_SOCKET)` of what does not depend on the family.
    pub fn get_option(&self, name: i32) -> Result<OptionValue, Errno> {
        if let Some(flag) = flag_of(name) {
            return Ok(int_value(self.has(flag)));
        }
        let timeval = |ns: u64| value_of(&Timeval::from_ns(ns));
        Ok(match name {
            SO_TYPE => int_value(self.kind.to_raw()),
            SO_PROTOCOL => int_value(self.protocol),
            SO_DOMAIN => int_value(self.family),
            SO_ERROR => int_value(self.take_error().map_or(0, |e| e.code())),
            SO_SNDBUF | SO_SNDBUFFORCE => int_value(self.sndbuf() as i64),
            SO_RCVBUF | SO_RCVBUFFORCE => int_value(self.rcvbuf() as i64),
            SO_RCVTIMEO_OLD | SO_RCVTIMEO_NEW => timeval(self.rcvtimeo.load(Ordering::Relaxed)),
            SO_SNDTIMEO_OLD | SO_SNDTIMEO_NEW => timeval(self.sndtimeo.load(Ordering::Relaxed)),
            SO_RCVLOWAT => int_value(self.rcvlowat.load(Ordering::Relaxed)),
            SO_SNDLOWAT => int_value(1),
            SO_LINGER => value_of(&self.linger()),
            SO_PRIORITY => int_value(self.rare.lock().priority),
            SO_MARK => int_value(self.rare.lock().mark),
            SO_BINDTODEVICE => {
                let index = self.bound_device();
                let mut name: OptionValue = self.ns.interface_name(index).unwrap_or_default().into();
                if !name.is_empty() {
                    name.push(0);
                }
                name
            }
            SO_BINDTOIFINDEX => int_value(self.bound_device()),
            SO_BUSY_POLL => int_value(self.rare.lock().busy_poll),
            SO_INCOMING_CPU => int_value(self.rare.lock().incoming_cpu),
            SO_TIMESTAMPING_OLD | SO_TIMESTAMPING_NEW => {
                let flags = self.rare.lock().timestamping;
                OptionValue::from_slice(value_of(&[flags, 0u32]).as_slice())
            }
            SO_TXREHASH => int_value(self.rare.lock().txrehash),
            SO_BUF_LOCK => int_value(self.rare.lock().buf_lock),
            SO_MAX_PACING_RATE => value_of(&self.rare.lock().max_pacing_rate),
            SO_COOKIE => value_of(&self.cookie),
            SO_NETNS_COOKIE => value_of(&self.ns.cookie),
            SO_INCOMING_NAPI_ID | SO_PREFER_BUSY_POLL => int_value(0),
            SO_BPF_EXTENSIONS => int_value(64),
            SO_PEEK_OFF => int_value(-1),
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }
}
