//! Names of Unix sockets, and the table of abstract ones.

use super::UnixSocket;
use crate::message::Address;
use abi::{
    Errno,
    socket::{AF_UNIX, SUN_PATH_OFFSET, UNIX_PATH_MAX},
};
use ksync::{Mutex, rank};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// A socket's name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum UnixName {
    /// A path, as it was given to bind, without a zero at its end.
    Path(Vec<u8>),
    /// A name beginning with a zero, which is left out here.
    Abstract(Vec<u8>),
}

/// What an address that an application gave says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
    /// Nothing but the family: autobind for `bind`.
    Nothing,
    /// A name.
    Name(UnixName),
}

impl Given {
    /// Takes an address apart; `EINVAL`.
    pub fn parse(addr: &[u8]) -> Result<Self, Errno> {
        let (family, rest) = addr.split_at_checked(SUN_PATH_OFFSET).ok_or(Errno::EINVAL)?;
        if family != AF_UNIX.to_ne_bytes() || rest.len() > UNIX_PATH_MAX {
            return Err(Errno::EINVAL);
        }
        Ok(match rest {
            [] => Given::Nothing,
            [0, name @ ..] => Given::Name(UnixName::Abstract(name.to_vec())),
            path => Given::Name(UnixName::Path(path.split(|b| *b == 0).next().unwrap_or_default().to_vec())),
        })
    }

    /// The name; `EINVAL` if there is none.
    pub fn name(addr: &[u8]) -> Result<UnixName, Errno> {
        match Self::parse(addr)? {
            Given::Nothing => Err(Errno::EINVAL),
            Given::Name(name) => Ok(name),
        }
    }
}

impl UnixName {
    /// As a `struct sockaddr_un`.
    pub fn to_address(&self) -> Address {
        let mut bytes = unnamed();
        match self {
            UnixName::Path(path) => {
                bytes.extend_from_slice(path);
                bytes.push(0);
            }
            UnixName::Abstract(name) => {
                bytes.push(0);
                bytes.extend_from_slice(name);
            }
        }
        bytes
    }
}

/// The address of a socket without a name.
pub fn unnamed() -> Address {
    Address::from_slice(&AF_UNIX.to_ne_bytes())
}

/// Abstract names of a network namespace.
pub struct AbstractNames(Mutex<Names>);

#[derive(Default)]
struct Names {
    bound: HashMap<Vec<u8>, Weak<UnixSocket>>,
    next: u32,
}

impl Default for AbstractNames {
    fn default() -> Self {
        Self(Mutex::new(rank::SOCKET_TABLE, Names::default()))
    }
}

impl AbstractNames {
    /// The socket called `name`.
    pub fn find(&self, name: &[u8]) -> Option<Arc<UnixSocket>> {
        self.0.lock().bound.get(name).and_then(Weak::upgrade)
    }

    /// Calls `socket` `name`; `EADDRINUSE`.
    pub fn bind(&self, name: &[u8], socket: &Arc<UnixSocket>) -> Result<(), Errno> {
        let mut names = self.0.lock();
        if names.bound.contains_key(name) {
            return Err(Errno::EADDRINUSE);
        }
        names.bound.insert(name.to_vec(), Arc::downgrade(socket));
        Ok(())
    }

    /// Calls `socket` by five hexadecimal digits; `ENOSPC` if all are taken.
    pub fn autobind(&self, socket: &Arc<UnixSocket>) -> Result<Vec<u8>, Errno> {
        let mut names = self.0.lock();
        for _ in 0..1 << 20 {
            names.next = (names.next + 1) & 0xf_ffff;
            let name = format!("{:05x}", names.next).into_bytes();
            if !names.bound.contains_key(&name) {
                names.bound.insert(name.clone(), Arc::downgrade(socket));
                return Ok(name);
            }
        }
        Err(Errno::ENOSPC)
    }

    /// The name is free.
    pub fn unbind(&self, name: &[u8]) {
        self.0.lock().bound.remove(name);
    }
}
