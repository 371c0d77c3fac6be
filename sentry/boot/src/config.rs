//! How the runtime hands a sandbox over: [`BootConfig`] in, one [`ReadyReport`] and an exit code out.
//!
//! The runtime writes a `BootConfig` as JSON into a sealed memory file and starts the sandbox process with that
//! and with every descriptor that the configuration names. When [`run`](crate::run) is entered the process is
//! confined already: own user, pid, mount, net, ipc and uts namespaces, an empty read-only root, no capability,
//! `no_new_privs`, a session of its own, `/dev/null` (or the debug log) as standard descriptors. It is pid 1 of its
//! pid namespace, so its death takes every stub along; as pid 1 it cannot die of a signal of its own, so a container
//! whose init was killed is told by exit code 128 + signal. Where the container's terminal is a pseudoterminal, its slave
//! is this process's controlling terminal too: `SIGWINCH` here means that the window's size has changed. What is left
//! to the sentry are its seccomp filters.
//!
//! **Invariant:** a descriptor here is a number in the sandbox process; each is named once and is taken with
//! `host::inherit::take` before anything else is opened. **Absent on purpose:** host paths. Paths here are paths
//! in the container, or text for messages.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::report::{ReadyReport, StartError, StartErrorKind};

/// A descriptor number in the sandbox process.
pub type FdNumber = i32;

/// Everything that a sandbox is made from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BootConfig {
    /// Container id.
    pub id: String,
    /// Listening control socket.
    pub control_fd: FdNumber,
    /// The runtime's user as this user namespace shows it: who may use the control socket. 65534 where the user
    /// has no id here, which mode 0600 of the socket makes safe.
    pub control_user: u32,
    /// Write end of the pipe for the one [`ReadyReport`]. Close it after the report.
    pub ready_fd: FdNumber,
    /// Where log records go; none means nowhere.
    pub log: Option<LogConfig>,
    /// Connection with the gofer for requests (`SOCK_SEQPACKET`).
    pub gofer_fd: FdNumber,
    /// Connection with the gofer for events: what changed on the host (`SOCK_SEQPACKET`).
    pub gofer_events_fd: FdNumber,
    /// The root file system.
    pub root: RootConfig,
    /// Further mounts, in the order in which they are to be made.
    pub mounts: Vec<MountConfig>,
    /// The container's init.
    pub process: ProcessConfig,
    /// Its descriptors: number in the new process, and descriptor here. Host terminals may be among them; then
    /// `process.terminal` is set and they get a line discipline of the sentry's.
    pub files: Vec<(i32, FdNumber)>,
    /// When the init starts.
    pub start: StartMode,
    /// Die (with everything) when the process that started this one dies.
    pub die_with_parent: bool,
    /// Name of the machine.
    pub hostname: Option<String>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// `net.ipv4.x` = value, as written to `/proc/sys`.
    pub sysctl: BTreeMap<String, String>,
    /// Paths covered with an empty file or directory.
    pub masked_paths: Vec<String>,
    /// Paths below `/proc` and elsewhere made read-only.
    pub readonly_paths: Vec<String>,
    /// Device nodes to be made in `/dev` beside the standard ones, as far as the sandbox has such devices.
    #[serde(default)]
    pub devices: Vec<DeviceConfig>,
    /// Namespaces that the configuration asks for and the ids in its user namespace.
    pub namespaces: Namespaces,
    /// Where inet sockets lead.
    pub network: Network,
    /// How application code runs.
    pub platform: PlatformConfig,
    /// System call tracing into the log.
    pub strace: Option<StraceConfig>,
    /// Set-user-ID bits, set-group-ID bits and capabilities of programs have effect.
    #[serde(default)]
    pub allow_suid: bool,
    /// The configuration's seccomp profile for applications.
    pub seccomp: Option<SeccompProfile>,
    /// Where the container is in each of the host's cgroup hierarchies, as `/proc/self/cgroup` is to show it.
    pub cgroups: Vec<CgroupPlace>,
    /// Limits that applications are to see (`/proc/meminfo`, CPU count, cgroup files).
    pub limits: Limits,
    /// `/proc/cpuinfo` of the host, which the sandbox cannot read itself; none where the host has none.
    pub cpuinfo_fd: Option<FdNumber>,
    /// Annotations of the configuration.
    pub annotations: BTreeMap<String, String>,
}

/// A place in a cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPlace {
    /// Number of the hierarchy; 0 is version 2.
    pub hierarchy: u32,
    /// Its controllers or its name; empty in version 2.
    pub controllers: String,
    /// Path from its root; `/` where the container has no cgroup of its own there.
    pub path: String,
}

/// Log output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogConfig {
    /// Open for appending.
    pub fd: FdNumber,
    /// Records below this severity are dropped.
    pub debug: bool,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// The root file system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RootConfig {
    /// Attach point of the gofer.
    pub attach: u32,
    /// Mounted read-only as far as applications can see. With an overlay the gofer's part always is.
    pub readonly: bool,
    /// Writes go to an upper layer.
    pub overlay: Overlay,
    /// How the tree is shared with the host.
    pub access: FileAccess,
}

/// Where writes to a gofer-backed mount go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlay {
    /// Through to the host.
    #[default]
    None,
    /// Into memory.
    Memory {
        /// At most so many bytes; half of the memory unless given.
        size: Option<u64>,
    },
    /// The data of files into one (unlinked) host file that the sandbox was given.
    File {
        /// The file, empty.
        fd: FdNumber,
        /// At most so many bytes.
        size: Option<u64>,
    },
}

/// Who else changes a gofer-backed tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAccess {
    /// Nobody but this sandbox (and rare changes that the gofer reports): cache freely.
    #[default]
    Exclusive,
    /// Others: ask again.
    Shared,
}

/// One mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MountConfig {
    /// Absolute path in the container.
    pub destination: String,
    /// What is mounted.
    pub kind: MountKind,
    /// `ro`.
    pub readonly: bool,
    /// `noexec`.
    pub noexec: bool,
    /// `nosuid`.
    pub nosuid: bool,
    /// `nodev`.
    pub nodev: bool,
    /// `noatime`, `nodiratime`, `strictatime` or `relatime`.
    pub atime: Atime,
    /// Propagation option (`rprivate` and so on) where one is given.
    pub propagation: Option<Propagation>,
    /// Options that belong to the file system (`size=64k`, `mode=755`, ...), without those above.
    pub data: Vec<String>,
    /// What the configuration calls the source, for `/proc/mounts`.
    pub source: String,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MountKind {
    /// A host directory or file behind the gofer.
    Gofer {
        /// Attach point of the gofer.
        attach: u32,
        /// How the tree is shared with the host.
        access: FileAccess,
        /// Writes go to an upper layer.
        overlay: Overlay,
        /// The source is a file, not a directory.
        file: bool,
    },
    /// `tmpfs`; with `tmpcopyup` among the data, filled with what was at the destination.
    Tmpfs,
    /// `proc`.
    Proc,
    /// `sysfs`.
    Sysfs,
    /// `devtmpfs`: the standard device nodes. Also used for `tmpfs` at `/dev`, which a runtime fills with them.
    Devtmpfs,
    /// `devpts`.
    Devpts,
    /// `mqueue`.
    Mqueue,
    /// `cgroup` (version 1 hierarchy) as far as the container's own cgroup goes.
    Cgroup,
    /// `cgroup2`.
    Cgroup2,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceConfig {
    /// Absolute path in the container.
    pub path: String,
    /// File type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Access time policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Atime {
    /// Linux's default.
    #[default]
    Relative,
    /// Always.
    Strict,
    /// Not for directories.
    NoDirectories,
    /// Never.
    None,
}

/// Mount propagation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Propagation {
    /// To whom.
    pub mode: PropagationMode,
    /// With the mounts below.
    pub recursive: bool,
}

/// Propagation types of mount_namespaces(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropagationMode {
    /// `shared`.
    Shared,
    /// `slave`.
    Slave,
    /// `private`.
    Private,
    /// `unbindable`.
    Unbindable,
}

/// A process to start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessConfig {
    /// Argument vector; not empty. `args[0]` without a slash is looked up along `PATH` in `env`.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<String>,
    /// Working directory, absolute; made where it does not exist.
    pub cwd: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Capability sets, bit masks by number.
    pub capabilities: control_proto::Capabilities,
    /// Resource limits by `RLIMIT_*` name: (soft, hard); `u64::MAX` is none.
    pub rlimits: BTreeMap<String, (u64, u64)>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// Descriptors 0 to 2 are a terminal, which becomes the controlling terminal of the new session. For `do` each may
    /// be one of the host's or something else (`do ls | cat`): ask each whether it is.
    pub terminal: bool,
    /// Initial window size (rows, columns), where the configuration gives one.
    pub console_size: Option<(u16, u16)>,
    /// File mode creation mask; none means 0o022.
    pub umask: Option<u32>,
    /// Initial `oom_score_adj`.
    pub oom_score_adj: Option<i32>,
}

/// When the container's init starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// At once, after the report.
    Now,
    /// When `containerManager.StartRoot` is called. Its executable is looked up before the report all the
    /// same, so that `create` can say that it does not exist.
    OnRequest,
}

/// Namespaces of the container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Namespaces that are not new: those that are joined by path, and those that the configuration does not list, which are the
    /// host's. Type and number. The sandbox is a machine of its own, so what is in them is new all the same; applications see
    /// the number that they would see without a sandbox.
    pub shared: BTreeMap<String, u64>,
    /// User namespace: (inside, outside, count). The gofer runs in a host user namespace with these maps, so ids of
    /// files arrive translated already.
    pub uid_map: Vec<(u32, u32, u32)>,
    /// Likewise for groups.
    pub gid_map: Vec<(u32, u32, u32)>,
}

/// Where inet sockets lead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The sandbox's own stack with nothing but a loopback.
    #[default]
    None,
    /// The sandbox's own stack. No interface of the host is attached in this version, so as `None`.
    Sandbox,
    /// Through to the sockets of the host network namespace that this process is in.
    Host,
}

/// How application code runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlatformConfig {
    /// `ptrace`; chosen by the runtime, never `auto`.
    pub name: String,
    /// The platform's device, opened by the runtime.
    pub device_fd: Option<FdNumber>,
}

/// System call tracing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StraceConfig {
    /// Only these calls; empty means all.
    pub calls: Vec<String>,
    /// Bytes of a buffer that are shown.
    pub buffer_size: usize,
}

/// Limits as applications see them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap.
    pub memory_swap: Option<u64>,
    /// Tasks.
    pub pids: Option<u64>,
    /// CPU time a period, in microseconds: (quota, period).
    pub cpu_quota: Option<(u64, u64)>,
    /// CPU shares.
    pub cpu_shares: Option<u64>,
    /// CPUs, as a list like `0-3,5`.
    pub cpuset: Option<String>,
}

/// A seccomp profile: OCI's, with names and numbers resolved as far as this architecture goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeccompProfile {
    /// For calls that no rule matches.
    pub default_action: SeccompAction,
    /// In order; the first whose conditions all hold decides.
    pub rules: Vec<SeccompRule>,
    /// `SECCOMP_FILTER_FLAG_*` names.
    pub flags: Vec<String>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeccompRule {
    /// System calls by name; names that do not exist are ignored, as libseccomp does.
    pub names: Vec<String>,
    /// What happens.
    pub action: SeccompAction,
    /// All must hold.
    pub args: Vec<SeccompArg>,
}

/// What a filter answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeccompAction {
    /// Let the call through.
    #[default]
    Allow,
    /// Let it through and log it.
    Log,
    /// Fail with this error number.
    Errno(u32),
    /// `SIGSYS`.
    Trap,
    /// Notify a tracer (there is none: `ENOSYS`).
    Trace(u32),
    /// Kill the thread.
    KillThread,
    /// Kill the process.
    KillProcess,
}

/// A condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompArg {
    /// Which, 0 to 5.
    pub index: u32,
    /// How it is compared.
    pub op: SeccompOp,
    /// With what; for [`SeccompOp::MaskedEqual`] the mask.
    pub value: u64,
    /// For [`SeccompOp::MaskedEqual`] what the masked argument must be.
    pub value_two: u64,
}

/// Comparison of a 64-bit argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeccompOp {
    /// `!=`
    NotEqual,
    /// `<`
    LessThan,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    GreaterThan,
    /// `argument & value == value_two`
    MaskedEqual,
}
