//! The sentry's end of the gofer protocol: typed calls, nothing cached.
//!
//! A [`Client`] is one connection; it can be called from any thread, one request is on its way at a time. A call is a round
//! trip to another process (tens of microseconds where that has to wake up): call inside `blocking`, and ask
//! for much at once. What the calls are:
//!
//! | to | call | notes |
//! | --- | --- | --- |
//! | begin | [`attach`](Client::attach) | trees by index, in the order of the gofer's configuration |
//! | find | [`walk`](Client::walk) | many names a call; stops at links and tells their target; can bring a descriptor |
//! | ask again | [`get_attrs`](Client::get_attrs), [`stat`](Client::stat) | many nodes, or many names without making nodes |
//! | read and write | [`open`](Client::open) | a donated host descriptor, then no gofer at all |
//! | make | [`create`](Client::create), [`tmpfile`](Client::tmpfile), [`mkdir`](Client::mkdir), [`symlink`](Client::symlink), [`mknod`](Client::mknod), [`link`](Client::link) | the answer has the directory's new attributes |
//! | remove, rename | [`unlink`](Client::unlink), [`rename`](Client::rename) | likewise |
//! | change | [`set_attr`](Client::set_attr) | chmod, chown, truncate, utimens in one |
//! | list | [`read_dir`](Client::read_dir) | up to 64 KiB a call, with attributes and nodes if asked for |
//! | attributes | [`get_xattr`](Client::get_xattr) and family | |
//! | other | [`statfs`](Client::statfs), [`readlink`](Client::readlink), [`fsync`](Client::fsync), [`connect`](Client::connect) | |
//! | cache | [`WalkFlags::WATCH`], [`ListFlags::WATCH`], [`watch`](Client::watch), [`EventStream`] | |
//!
//! [`Client::batch`] sends any mixture of up to 32 operations as one message, carried out in order.
//!
//! **Handles.** A [`Node`] is a file that the gofer holds with a descriptor of its own. Dropping the last clone queues its
//! closing, which rides with the next request, or goes alone once 64 are queued. Every walk makes new nodes: two nodes are the
//! same file if `dev` and `ino` of their attributes are. `ENFILE` means that the gofer holds as many as it may: drop some.
//!
//! **Freshness.** Attributes in an answer are those after the operation. A directory that is watched may be cached, absent
//! names included, until an [`Event`] names it; [`Event::Overflow`] is for all of them. The client's own operations cause
//! no events, what is done through a donated descriptor does. `watched: false` means: nobody will tell.
//!
//! **Errors.** What the gofer answers is the host's `errno`. A gofer that is gone, or whose answers make no sense, is `EIO` for
//! ever after.
//!
//! **Lock order:** `GOFER` (a round trip), then `GOFER_CLOSES`. **Invariants:** answers are bounded by the protocol before anything is
//! allocated; an announced descriptor that is missing is an error, not another one's descriptor.
//! **Absent on purpose:** caching, retrying, following links, permission checks.
#![forbid(unsafe_code)]

mod calls;
mod client;
mod events;

pub use calls::{DirPart, Donated, Found, Listed, Made, WalkResult};
pub use client::{Client, Node};
pub use events::EventStream;
pub use gofer_proto::{
    Access, Answer, Attr, Change, Event, LinkTarget, ListFlags, Make, Name, NodeId, Op, SetAttr, SetTime,
    SocketKind, Statfs, Time, WalkEnd, WalkFlags, Want,
};
