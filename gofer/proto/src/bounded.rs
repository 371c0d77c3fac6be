//! Sequences with a hard bound on their length.
//!
//! [`List`] and [`Blob`] refuse, while decoding, a length above their bound before they allocate for it. The
//! memory that a message can make its receiver take is therefore known from its type.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// At most `MAX` values of `T`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List<T, const MAX: usize>(Vec<T>);

/// The sequence was longer than its type allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more elements than the protocol allows")]
pub struct TooLong;

impl<T, const MAX: usize> List<T, MAX> {
    /// No elements.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }
    /// Appends `value`.
    ///
    /// # Errors
    /// [`TooLong`] if `MAX` elements are there already.
    pub fn push(&mut self, value: T) -> Result<(), TooLong> {
        if self.0.len() >= MAX {
            return Err(TooLong);
        }
        self.0.push(value);
        Ok(())
    }
    /// The elements.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
    /// Whether another element would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for List<T, MAX> {
    type Error = TooLong;
    fn try_from(v: Vec<T>) -> Result<Self, TooLong> {
        if v.len() > MAX { Err(TooLong) } else { Ok(Self(v)) }
    }
}

impl<T, const MAX: usize> std::ops::Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> IntoIterator for List<T, MAX> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for V<T, MAX> {
            type Value = List<T, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX} elements")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                if seq.size_hint().is_some_and(|n| n > MAX) {
                    return Err(A::Error::custom(TooLong));
                }
                // The hint is the sender's word: grow as elements really come.
                let mut out = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(16));
                while let Some(v) = seq.next_element()? {
                    if out.len() >= MAX {
                        return Err(A::Error::custom(TooLong));
                    }
                    out.push(v);
                }
                Ok(List(out))
            }
        }
        d.deserialize_seq(V::<T, MAX>(PhantomData))
    }
}

/// At most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Blob<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Blob<MAX> {
    /// Copies `bytes`.
    ///
    /// # Errors
    /// [`TooLong`] if there are more than `MAX`.
    pub fn new(bytes: &[u8]) -> Result<Self, TooLong> {
        if bytes.len() > MAX { Err(TooLong) } else { Ok(Self(bytes.to_vec())) }
    }
    /// The bytes.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> TryFrom<Vec<u8>> for Blob<MAX> {
    type Error = TooLong;
    fn try_from(v: Vec<u8>) -> Result<Self, TooLong> {
        if v.len() > MAX { Err(TooLong) } else { Ok(Self(v)) }
    }
}

impl<const MAX: usize> std::ops::Deref for Blob<MAX> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl<const MAX: usize> Serialize for Blob<MAX> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Blob<MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V<const MAX: usize>;
        impl<const MAX: usize> Visitor<'_> for V<MAX> {
            type Value = Blob<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX} bytes")
            }
            // The codec decodes from a slice, so bytes come borrowed and nothing was allocated for them yet.
            fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Self::Value, E> {
                Blob::new(v).map_err(E::custom)
            }
        }
        d.deserialize_bytes(V::<MAX>)
    }
}
