//! Which driver opens which device node.

use crate::{FileOps, OpenRequest};
use abi::Errno;
use ksync::{Mutex, rank};
use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

/// Character or block device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "as named")]
pub enum DeviceKind {
    Char,
    Block,
}

/// A driver.
pub trait DeviceOpen: Send + Sync {
    /// Opens the device `major:minor`; `ENXIO`.
    fn open(&self, request: &OpenRequest<'_>, major: u32, minor: u32) -> Result<Box<dyn FileOps>, Errno>;
}

impl<F> DeviceOpen for F
where
    F: Fn(&OpenRequest<'_>, u32, u32) -> Result<Box<dyn FileOps>, Errno> + Send + Sync,
{
    fn open(&self, request: &OpenRequest<'_>, major: u32, minor: u32) -> Result<Box<dyn FileOps>, Errno> {
        self(request, major, minor)
    }
}

struct Driver {
    last_minor: u32,
    name: &'static str,
    open: Arc<dyn DeviceOpen>,
}

/// The drivers by kind, major number and first minor number.
pub struct Devices(Mutex<BTreeMap<(DeviceKind, u32, u32), Driver>>);

impl Default for Devices {
    fn default() -> Self {
        Self(Mutex::new(rank::LEAF, BTreeMap::new()))
    }
}

impl Devices {
    /// Makes `open` the driver of these minor numbers; `name` is for `/proc/devices`. `EBUSY` if some have one.
    pub fn register(
        &self,
        kind: DeviceKind,
        major: u32,
        minors: RangeInclusive<u32>,
        name: &'static str,
        open: Arc<dyn DeviceOpen>,
    ) -> Result<(), Errno> {
        let (first, last) = (*minors.start(), *minors.end());
        let mut drivers = self.0.lock();
        let before = drivers.range((kind, major, 0)..=(kind, major, last)).next_back();
        if before.is_some_and(|(_, d)| d.last_minor >= first) {
            return Err(Errno::EBUSY);
        }
        drivers.insert((kind, major, first), Driver { last_minor: last, name, open });
        Ok(())
    }

    /// The driver of a device; `ENXIO`.
    pub fn find(&self, kind: DeviceKind, major: u32, minor: u32) -> Result<Arc<dyn DeviceOpen>, Errno> {
        let drivers = self.0.lock();
        let before = drivers.range((kind, major, 0)..=(kind, major, minor)).next_back();
        before.filter(|(_, d)| d.last_minor >= minor).map(|(_, d)| d.open.clone()).ok_or(Errno::ENXIO)
    }

    /// Kind, major number and name of each driver, without repetitions (`/proc/devices`).
    pub fn list(&self) -> Vec<(DeviceKind, u32, &'static str)> {
        let drivers = self.0.lock();
        let mut all: Vec<_> = drivers.iter().map(|((kind, major, _), d)| (*kind, *major, d.name)).collect();
        all.dedup();
        all
    }
}
