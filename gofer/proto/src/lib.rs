//! The gofer protocol: what the sentry and the gofer say to one another.
//!
//! Plain data and its encoding; no I/O, so that a fuzzer can drive it. The pieces:
//!
//! - [`bounded`]: lists and byte strings whose length is checked *before* anything is allocated;
//! - [`types`]: identities, attributes, names, flags;
//! - [`op`]: one operation ([`Op`]) and its answer ([`Answer`]);
//! - [`codec`]: the only place that knows how a message becomes bytes.
//!
//! **Shape.** Every message is one packet of a `SOCK_SEQPACKET` pair. A [`Request`] carries identities to be
//! forgotten and up to [`MAX_OPS`] operations, which the gofer carries out in order; a [`Reply`] carries one
//! result an operation. A request without operations is not answered. Descriptors ride with the reply as
//! `SCM_RIGHTS`, in the order of the answers that announce one. A second socket carries [`Event`]s, in the
//! other direction only.
//!
//! **Invariants.** A message is at most [`MAX_MESSAGE`] bytes, a reply carries at most [`MAX_OPS`] descriptors,
//! a donated descriptor is never a directory (a directory would be authority to open more).
//!
//! **Absent on purpose:** paths. A name is one component; a walk is a list of names; nothing follows a link.
#![forbid(unsafe_code)]

pub mod bounded;
pub mod codec;
pub mod op;
pub mod types;

pub use bounded::{Blob, List};
pub use op::{Answer, Event, Op, Reply, Request, WalkEnd, Walked};
pub use types::*;

/// Longest message in bytes, both ways. The largest extended attribute (64 KiB) and its header fit.
pub const MAX_MESSAGE: usize = 68 * 1024;
/// Longest name of a directory entry in bytes, as `NAME_MAX`.
pub const MAX_NAME: usize = 255;
/// Longest target of a symbolic link in bytes: `PATH_MAX` without its NUL.
pub const MAX_LINK: usize = 4095;
/// Most names in one walk.
pub const MAX_WALK: usize = 64;
/// Most operations in one request, and most descriptors in one reply.
pub const MAX_OPS: usize = 32;
/// Most identities forgotten by one request.
pub const MAX_CLOSES: usize = 1024;
/// Most nodes or names asked about by one operation.
pub const MAX_ASKED: usize = 256;
/// Most directory entries in one answer.
pub const MAX_ENTRIES: usize = 2048;
/// Longest value of an extended attribute, and longest list of their names, as `XATTR_SIZE_MAX`.
pub const MAX_XATTR: usize = 64 * 1024;
/// Most events in one message.
pub const MAX_EVENTS: usize = 128;
/// An upper bound of what one encoded [`Attr`] takes, in bytes.
pub const ATTR_BYTES: usize = 224;
