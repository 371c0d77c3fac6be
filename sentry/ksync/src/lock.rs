//! Locks that know their place.
//!
//! Thin wrappers of `parking_lot`; a debug build keeps, for each thread, the ranks that it holds, and panics on
//! an inversion with both names. A release build pays nothing.

use crate::rank::Rank;
use std::ops::{Deref, DerefMut};

#[cfg(debug_assertions)]
mod held {
    use super::Rank;
    use std::cell::RefCell;
    thread_local!(static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) });

    /// Notes that `rank` is taken; `nested` allows an equal rank.
    pub fn push(rank: Rank, nested: bool) {
        HELD.with_borrow_mut(|held| {
            if let Some(worst) = held.iter().max_by_key(|h| h.order) {
                let fine = rank.order > worst.order || (nested && rank.order == worst.order);
                assert!(
                    fine,
                    "lock order: {} ({}) taken while holding {} ({})",
                    rank.name, rank.order, worst.name, worst.order
                );
            }
            held.push(rank);
        });
    }
    /// Notes a try-lock, which cannot deadlock and is not checked.
    pub fn push_unchecked(rank: Rank) {
        HELD.with_borrow_mut(|held| held.push(rank));
    }
    pub fn pop(rank: Rank) {
        HELD.with_borrow_mut(|held| {
            if let Some(at) = held.iter().rposition(|h| *h == rank) {
                held.remove(at);
            }
        });
    }
    /// Whether this thread holds no ranked lock.
    pub fn none() -> bool {
        HELD.with_borrow(|held| held.is_empty())
    }
}

#[cfg(not(debug_assertions))]
mod held {
    use super::Rank;
    #[inline(always)]
    pub fn push(_: Rank, _: bool) {}
    #[inline(always)]
    pub fn push_unchecked(_: Rank) {}
    #[inline(always)]
    pub fn pop(_: Rank) {}
}

/// Panics in debug builds if this thread holds a ranked lock; called where a thread is about to sleep.
pub fn assert_none_held() {
    #[cfg(debug_assertions)]
    assert!(held::none(), "a ranked lock is held where the thread may sleep");
}

/// Notes the release of a rank when dropped.
struct Held(Rank);
impl Drop for Held {
    fn drop(&mut self) {
        held::pop(self.0);
    }
}

/// Mutual exclusion with a rank.
pub struct Mutex<T: ?Sized> {
    rank: Rank,
    inner: parking_lot::Mutex<T>,
}

/// Access to what a [`Mutex`] protects.
pub struct MutexGuard<'a, T: ?Sized> {
    inner: parking_lot::MutexGuard<'a, T>,
    _held: Held,
}

impl<T> Mutex<T> {
    /// A lock of class `rank` around `value`.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: parking_lot::Mutex::new(value) }
    }
    /// Gives the value back.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        held::push(self.rank, false);
        MutexGuard { inner: self.inner.lock(), _held: Held(self.rank) }
    }
    /// Takes the lock while one of the same class may be held; the class says in which order.
    pub fn lock_nested(&self) -> MutexGuard<'_, T> {
        held::push(self.rank, true);
        MutexGuard { inner: self.inner.lock(), _held: Held(self.rank) }
    }
    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        held::push_unchecked(self.rank);
        Some(MutexGuard { inner, _held: Held(self.rank) })
    }
    /// The value, where nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}
impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
impl<T: std::fmt::Debug + ?Sized> std::fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: std::fmt::Debug + ?Sized> std::fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

/// Many readers or one writer, with a rank.
pub struct RwLock<T: ?Sized> {
    rank: Rank,
    inner: parking_lot::RwLock<T>,
}

/// Shared access to what a [`RwLock`] protects.
pub struct RwLockReadGuard<'a, T: ?Sized> {
    inner: parking_lot::RwLockReadGuard<'a, T>,
    _held: Held,
}

/// Exclusive access to what a [`RwLock`] protects.
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    inner: parking_lot::RwLockWriteGuard<'a, T>,
    _held: Held,
}

impl<T> RwLock<T> {
    /// A lock of class `rank` around `value`.
    pub const fn new(rank: Rank, value: T) -> Self {
        Self { rank, inner: parking_lot::RwLock::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        held::push(self.rank, false);
        RwLockReadGuard { inner: self.inner.read(), _held: Held(self.rank) }
    }
    /// Takes the lock for reading while one of the same class may be held.
    pub fn read_nested(&self) -> RwLockReadGuard<'_, T> {
        held::push(self.rank, true);
        RwLockReadGuard { inner: self.inner.read_recursive(), _held: Held(self.rank) }
    }
    /// Takes the lock for writing.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        held::push(self.rank, false);
        RwLockWriteGuard { inner: self.inner.write(), _held: Held(self.rank) }
    }
    /// Takes the lock for writing while one of the same class may be held; the class says in which order.
    pub fn write_nested(&self) -> RwLockWriteGuard<'_, T> {
        held::push(self.rank, true);
        RwLockWriteGuard { inner: self.inner.write(), _held: Held(self.rank) }
    }
    /// The value, where nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}
impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}
impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank;

    #[test]
    #[cfg(debug_assertions)]
    fn an_inversion_panics_with_both_names() {
        let outer = Mutex::new(rank::MOUNTS, ());
        let inner = Mutex::new(rank::MM, ());
        drop((outer.lock(), inner.lock()));
        let report = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _inner = inner.lock();
            let _outer = outer.lock();
        }))
        .unwrap_err();
        let text = report.downcast_ref::<String>().unwrap();
        assert!(text.contains("MOUNTS") && text.contains("MM"), "{text}");
    }

    #[test]
    fn nested_locks_of_one_class_are_allowed_on_request() {
        let (a, b) = (Mutex::new(rank::PIPE, 1), Mutex::new(rank::PIPE, 2));
        let first = a.lock();
        assert_eq!(*first + *b.lock_nested(), 3);
    }
}
