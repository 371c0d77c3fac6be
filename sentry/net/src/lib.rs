//! Sockets.
//!
//! [`socket::Socket`] is a socket as an open file around [`socket::SocketOps`], which each family implements:
//! [`unix`], [`inet`] (TCP, UDP and raw sockets over the loopback of a [`NetNamespace`]), [`packet`], [`netlink`], and [`hostnet`] (`--network=host`: inet
//! sockets of the host). [`create`] makes them, [`procfs`] renders `/proc/net`, [`ioctl`] answers requests about interfaces.
//!
//! **Nothing here sleeps** (see [`socket`]). **Lock order:** [`ksync::rank`]: tables of names and ports, files in flight,
//! sockets' states, queues of what is to be received, leaves. User memory is copied under a queue's lock; nothing is
//! announced, and no file dropped, under any.

#![forbid(unsafe_code)]

mod bytes;
pub mod caller;
pub mod common;
pub mod control;
pub mod create;
pub mod filter;
pub mod hostnet;
pub mod inet;
pub mod ioctl;
pub mod message;
pub mod namespace;
pub mod netlink;
pub mod packet;
pub mod procfs;
pub mod socket;
pub mod taps;
#[cfg(test)]
mod tests;
pub mod unix;

pub use caller::{Caller, Identity};
pub use message::{Address, Control, RecvMsg, SendControl, SendMsg, Sender};
pub use namespace::NetNamespace;
pub use socket::{Socket, SocketOps};
