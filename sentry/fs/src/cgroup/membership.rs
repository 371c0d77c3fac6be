//! Which cgroups the container is in, as `/proc/PID/cgroup` and `/proc/PID/cpuset` show it.
//!
//! Hierarchies are those of the host, with their numbers, so that programs find what they find there. Where the container has a
//! cgroup namespace of its own its cgroup is the root of everything (`cgroup_namespaces(7)`); else the paths are shown.

use kernel::current;
use ksync::{Mutex, rank};

/// A line of `/proc/PID/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Number of the hierarchy; 0 is version 2.
    pub hierarchy: u32,
    /// Controllers, or `name=...`; empty in version 2.
    pub controllers: String,
    /// Path of the cgroup from the hierarchy's root.
    pub path: String,
}

struct Place {
    lines: Vec<Membership>,
    /// The cgroup namespace in which paths are shown: the container's, where that is the host's.
    shown_in: Option<u64>,
}

static PLACE: Mutex<Place> = Mutex::new(rank::LEAF, Place { lines: Vec::new(), shown_in: None });

/// Sets where the container is. `shown_in` is the cgroup namespace that is not its own, if it has none.
pub fn set_membership(lines: Vec<Membership>, shown_in: Option<u64>) {
    *PLACE.lock() = Place { lines, shown_in };
}

/// The lines as whoever reads them sees them.
fn seen() -> Vec<Membership> {
    let reader = current().map(|task| task.namespaces().cgroup_id);
    let place = PLACE.lock();
    let mut lines = place.lines.clone();
    if reader.is_none() || reader != place.shown_in {
        for line in &mut lines {
            "/".clone_into(&mut line.path);
        }
    }
    if lines.is_empty() {
        lines.push(Membership { hierarchy: 0, controllers: String::new(), path: "/".into() });
    }
    lines
}

/// `/proc/PID/cgroup`: every process is where the container is.
pub(crate) fn of_process() -> String {
    seen().iter().map(|l| format!("{}:{}:{}\n", l.hierarchy, l.controllers, l.path)).collect()
}

/// `/proc/PID/cpuset`.
pub(crate) fn cpuset() -> String {
    let lines = seen();
    let of = |name: &str| lines.iter().find(|l| l.controllers.split(',').any(|c| c == name));
    format!("{}\n", of("cpuset").or_else(|| of("")).map_or("/", |l| &l.path))
}
