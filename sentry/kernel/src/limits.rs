//! Resource limits (`getrlimit(2)`), one set a thread group.

use abi::process::{Resource, Rlimit};

/// The limits of a process.
#[derive(Clone, Debug)]
pub struct Limits([Rlimit; 16]);

impl Default for Limits {
    fn default() -> Self {
        Self(std::array::from_fn(|i| {
            Resource::from_raw(i as u32).map_or(Rlimit::INFINITY, Resource::default_limit)
        }))
    }
}

impl Limits {
    /// The limit of `resource`.
    pub fn get(&self, resource: Resource) -> Rlimit {
        self.0.get(resource.index()).copied().unwrap_or(Rlimit::INFINITY)
    }
    /// The soft limit of `resource`.
    pub fn soft(&self, resource: Resource) -> u64 {
        self.get(resource).rlim_cur
    }
    /// Replaces the limit of `resource`; the caller has checked who may.
    pub fn set(&mut self, resource: Resource, limit: Rlimit) {
        if let Some(slot) = self.0.get_mut(resource.index()) {
            *slot = limit;
        }
    }
}
