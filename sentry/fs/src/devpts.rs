//! devpts (`pts(4)`): pseudoterminals as files.
//!
//! Each mount is an instance of its own, with its `ptmx` and its numbers, as since Linux 4.7. Opening `ptmx` makes a pair
//! and the node of its other end, which goes when the master closes; its number is handed out again when the other end is
//! closed too. A terminal of the host that a container was given gets a node as well ([`DevPts::add_terminal`]), so that
//! `ttyname(3)` finds it.
//!
//! **Lock order:** the table of terminals and the attributes of a node are leaves.

mod inode;
mod ptmx;

pub(crate) use inode::PtsInode;
pub use ptmx::console_file;
pub(crate) use ptmx::open_ptmx;

use abi::{
    Errno,
    stat::{
        DEVPTS_SUPER_MAGIC, Statfs,
        dev::{TTYAUX_MAJOR, UNIX98_PTY_SLAVE_MAJOR},
    },
};
use kernel::{
    Kernel,
    tty::{Tty, pty},
};
use ksync::{Mutex, rank};
use std::{
    any::Any,
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};
use vfs::{FileOps, FileSystem, FileSystemType, Gid, Inode, OpenRequest, Uid, Vfs, devices::DeviceKind};

/// The most terminals of one instance (`kernel.pty.max`).
const TERMINALS_MAX: u32 = 4096;

static PAIRS: AtomicUsize = AtomicUsize::new(0);

/// How many pairs are open (`kernel.pty.nr`).
pub(crate) fn open_pairs() -> usize {
    PAIRS.load(Ordering::Relaxed)
}

/// Mount options.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    uid: Option<Uid>,
    gid: Option<Gid>,
    mode: u32,
    ptmx_mode: u32,
    max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { uid: None, gid: None, mode: 0o600, ptmx_mode: 0, max: TERMINALS_MAX }
    }
}

impl Options {
    fn parse(data: &str, ns: &vfs::UserNamespace) -> Result<Self, Errno> {
        let mut options = Self::default();
        for option in data.split(',').filter(|o| !o.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let number = || value.parse::<u32>().map_err(|_| Errno::EINVAL);
            let octal = || u32::from_str_radix(value, 8).map(|m| m & 0o777).map_err(|_| Errno::EINVAL);
            match name {
                "uid" => options.uid = Some(ns.uid(number()?).ok_or(Errno::EINVAL)?),
                "gid" => options.gid = Some(ns.gid(number()?).ok_or(Errno::EINVAL)?),
                "mode" => options.mode = octal()?,
                "ptmxmode" => options.ptmx_mode = octal()?,
                "max" => options.max = number()?.min(TERMINALS_MAX),
                "newinstance" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }

    fn show(&self) -> String {
        let uid = self.uid.map(|u| format!(",uid={}", u.0)).unwrap_or_default();
        let gid = self.gid.map(|g| format!(",gid={}", g.0)).unwrap_or_default();
        format!("{uid}{gid},mode={:03o},ptmxmode={:03o}", self.mode, self.ptmx_mode)
    }
}

/// A number: its terminal as long as anything has it open, and its node as long as the master is.
struct Slot {
    tty: Weak<Tty>,
    node: Option<Arc<PtsInode>>,
}

/// An instance.
pub struct DevPts {
    dev: u64,
    me: Weak<DevPts>,
    options: Options,
    slots: Mutex<BTreeMap<u32, Slot>>,
}

impl DevPts {
    fn new(vfs: &Vfs, options: Options) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            dev: vfs.new_dev(),
            me: me.clone(),
            options,
            slots: Mutex::new(rank::LEAF, BTreeMap::new()),
        })
    }

    /// Takes the lowest free number for what `make` makes; `ENOSPC`.
    fn take<T>(
        &self,
        owner: (Uid, Gid),
        make: impl FnOnce(u32) -> (Arc<Tty>, T),
    ) -> Result<(u32, Arc<Tty>, T), Errno> {
        let (uid, gid) = (self.options.uid.unwrap_or(owner.0), self.options.gid.unwrap_or(owner.1));
        let me = self.me.upgrade().ok_or(Errno::ENXIO)?;
        let mut slots = self.slots.lock();
        slots.retain(|_, slot| slot.tty.strong_count() > 0);
        let number = (0..self.options.max).find(|n| !slots.contains_key(n)).ok_or(Errno::ENOSPC)?;
        let (tty, other) = make(number);
        let node = PtsInode::terminal(&me, number, Arc::downgrade(&tty), self.options.mode, uid, gid);
        slots.insert(number, Slot { tty: Arc::downgrade(&tty), node: Some(node) });
        Ok((number, tty, other))
    }

    /// A new pair: its number, and its open master.
    fn open_pair(&self, owner: (Uid, Gid)) -> Result<(u32, Arc<Tty>, Box<dyn FileOps>), Errno> {
        let me = self.me.clone();
        PAIRS.fetch_add(1, Ordering::Relaxed);
        let made = self.take(owner, |number| {
            let closed = move || {
                PAIRS.fetch_sub(1, Ordering::Relaxed);
                if let Some(me) = me.upgrade() {
                    me.master_closed(number);
                }
            };
            pty::open_pair(number, Box::new(closed))
        });
        if made.is_err() {
            PAIRS.fetch_sub(1, Ordering::Relaxed);
        }
        made
    }

    /// The node goes; the number stays taken until nothing has the terminal any more.
    fn master_closed(&self, number: u32) {
        let gone = self.slots.lock().get_mut(&number).and_then(|slot| slot.node.take());
        drop(gone);
    }

    /// Gives a terminal of the host a node, owned by `uid`; its number. It goes with the terminal.
    pub fn add_terminal(&self, tty: &Arc<Tty>, uid: Uid, gid: Gid) -> Result<u32, Errno> {
        let (number, ..) = self.take((uid, gid), |_| (tty.clone(), ()))?;
        tty.set_index(number);
        Ok(number)
    }

    /// The terminals that there are nodes of.
    fn numbers(&self) -> Vec<u32> {
        let slots = self.slots.lock();
        let shown = slots.iter().filter(|(_, s)| s.tty.strong_count() > 0 && s.node.is_some());
        shown.map(|(number, _)| *number).collect()
    }

    fn node(&self, number: u32) -> Option<Arc<PtsInode>> {
        self.slots.lock().get(&number).filter(|s| s.tty.strong_count() > 0).and_then(|s| s.node.clone())
    }
}

impl FileSystem for DevPts {
    fn name(&self) -> &'static str {
        "devpts"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs {
            f_type: DEVPTS_SUPER_MAGIC,
            f_bsize: 4096,
            f_frsize: 4096,
            f_namelen: 255,
            ..Statfs::default()
        })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn options(&self) -> String {
        self.options.show()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Makes the type and the drivers of terminals known.
pub fn register(kernel: &Arc<Kernel>) -> Result<(), Errno> {
    let latest: Arc<Mutex<Weak<DevPts>>> = Arc::new(Mutex::new(rank::LEAF, Weak::new()));
    let made = latest.clone();
    kernel.vfs.register_type(FileSystemType {
        name: "devpts",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(move |args| {
            let options = Options::parse(args.data, &args.ctx.cred.user_ns)?;
            let fs = DevPts::new(&args.ctx.vfs, options);
            *made.lock() = Arc::downgrade(&fs);
            let root = PtsInode::root(&fs);
            Ok((fs as Arc<dyn FileSystem>, root as Arc<dyn Inode>))
        }),
    });
    let devices = &kernel.vfs.devices;
    let vfs = Arc::downgrade(&kernel.vfs);
    let ptmx = move |request: &OpenRequest<'_>, _: u32, _: u32| {
        open_ptmx(&vfs.upgrade().ok_or(Errno::ENODEV)?, &latest, request)
    };
    devices.register(DeviceKind::Char, TTYAUX_MAJOR, 2..=2, "ptmx", Arc::new(ptmx))?;
    devices.register(DeviceKind::Char, TTYAUX_MAJOR, 0..=0, "/dev/tty", Arc::new(open_controlling))?;
    devices.register(DeviceKind::Char, TTYAUX_MAJOR, 1..=1, "/dev/console", Arc::new(open_console))?;
    let slave = |request: &OpenRequest<'_>, _: u32, _: u32| {
        let inode = request.path.inode();
        inode.as_any().downcast_ref::<PtsInode>().ok_or(Errno::ENXIO)?.open_terminal()
    };
    devices.register(DeviceKind::Char, UNIX98_PTY_SLAVE_MAJOR, 0..=(1 << 20) - 1, "pts", Arc::new(slave))
}

/// `/dev/tty`: the caller's controlling terminal; `ENXIO`.
fn open_controlling(_: &OpenRequest<'_>, _: u32, _: u32) -> Result<Box<dyn FileOps>, Errno> {
    let tty = kernel::current().and_then(|task| task.group.terminal()).ok_or(Errno::ENXIO)?;
    pty::open_slave(&tty)
}

/// The terminal that `/dev/console` stands for: the one that was given to a container last.
static CONSOLE: Mutex<Weak<Tty>> = Mutex::new(rank::LEAF, Weak::new());

/// Makes `tty` what `/dev/console` stands for.
pub(crate) fn set_console(tty: &Arc<Tty>) {
    *CONSOLE.lock() = Arc::downgrade(tty);
}

/// `/dev/console`: `ENXIO` where there is none.
fn open_console(_: &OpenRequest<'_>, _: u32, _: u32) -> Result<Box<dyn FileOps>, Errno> {
    let tty = CONSOLE.lock().upgrade().ok_or(Errno::ENXIO)?;
    pty::open_slave(&tty)
}
