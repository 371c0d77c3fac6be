//! The typed calls.

use crate::client::{Client, Node};
use abi::Errno;
use gofer_proto::*;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A descriptor of a host file, donated by the gofer.
#[derive(Debug)]
pub struct Donated {
    /// The descriptor, close-on-exec, non-blocking where that matters.
    pub fd: OwnedFd,
    /// What it can do.
    pub access: Access,
}

/// A file and its attributes.
#[derive(Clone, Debug)]
pub struct Found {
    /// The file.
    pub node: Node,
    /// Its attributes when it was looked at.
    pub attr: Attr,
}

/// What a walk found.
#[derive(Debug)]
pub struct WalkResult {
    /// One a name found; with no names, the starting node under a new identity.
    pub steps: Vec<Found>,
    /// Why there are no more.
    pub end: WalkEnd,
    /// Every directory looked into is being watched.
    pub watched: bool,
    /// The last step, open, if it was wanted, is a regular file and could be opened.
    pub file: Option<Donated>,
}

/// A file that was made.
#[derive(Debug)]
pub struct Made {
    /// The new file.
    pub node: Node,
    /// Its attributes.
    pub attr: Attr,
    /// Its directory's attributes afterwards.
    pub dir: Attr,
    /// Open, where the call opens it. `None` all the same if our descriptor table was full.
    pub file: Option<Donated>,
}

/// One entry of a listing. Never `.` or `..`.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name.
    pub name: Vec<u8>,
    /// Inode number as the directory has it.
    pub ino: u64,
    /// `DT_*`.
    pub kind: u8,
    /// Where the listing continues behind this entry.
    pub next: u64,
    /// Attributes, if asked for.
    pub attr: Option<Attr>,
    /// A node, if asked for.
    pub node: Option<Node>,
}

/// Part of a listing.
#[derive(Clone, Debug)]
pub struct DirPart {
    /// The entries.
    pub entries: Vec<Listed>,
    /// Nothing comes behind them.
    pub end: bool,
    /// The directory is being watched.
    pub watched: bool,
}

fn name(bytes: &[u8]) -> Result<Name, Errno> {
    Name::new(bytes).map_err(|e| Errno::from_host(e.errno()))
}

macro_rules! expect {
    ($client:expr, $answered:expr, $pattern:pat => $value:expr) => {
        match $answered? {
            $pattern => Ok($value),
            _ => Err($client.break_off(&"an answer to another question")),
        }
    };
}

// Every call: `EIO` if the gofer is gone, `EINVAL`/`ENAMETOOLONG` for names that are not single components, and what
// the operation of the same name in `gofer_proto::Op` says.
#[allow(clippy::missing_errors_doc)]
impl Client {
    fn found(self: &Arc<Self>, entry: Entry) -> Found {
        Found { node: self.node(entry.node), attr: entry.attr }
    }

    /// The root of tree `index`.
    pub fn attach(self: &Arc<Self>, index: u32) -> Result<Found, Errno> {
        expect!(self, self.one(Op::Attach { index }), (Answer::Node(entry), _) => self.found(entry))
    }

    /// Looks up `names` one below the other. Stops at the first that is absent, or a link; never follows one.
    ///
    /// Errors of a name behind the first are in [`WalkResult::end`], with what was found before.
    pub fn walk(
        self: &Arc<Self>,
        from: &Node,
        names: &[&[u8]],
        flags: WalkFlags,
        want: Want,
    ) -> Result<WalkResult, Errno> {
        let names = names.iter().map(|n| name(n)).collect::<Result<Vec<_>, _>>()?;
        let mut parts: Vec<&[Name]> = names.chunks(MAX_WALK).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let mut all = WalkResult {
            steps: Vec::new(),
            end: WalkEnd::Complete,
            watched: flags.contains(WalkFlags::WATCH),
            file: None,
        };
        let last = parts.len().saturating_sub(1);
        for (i, part) in parts.into_iter().enumerate() {
            let start = all.steps.last().map_or(from, |f| &f.node).id();
            // A long walk that reaches a file too early ends there, as a short one does.
            if all.steps.last().is_some_and(|f| !f.attr.is_dir()) {
                all.end = WalkEnd::NotDirectory;
                break;
            }
            let want = if i == last { want } else { Want::Nothing };
            let names = List::try_from(part.to_vec()).map_err(|_| Errno::E2BIG)?;
            let asked = names.len().max(1);
            let op = Op::Walk { node: start, names, flags, want };
            let (w, fd) = expect!(self, self.one(op), (Answer::Walked(w), fd) => (w, fd))?;
            let whole = w.end == WalkEnd::Complete;
            let steps = w.steps.len();
            if steps > asked || (whole && steps != asked) {
                return Err(self.break_off(&"a walk with too many or too few steps"));
            }
            all.steps.extend(w.steps.into_iter().map(|e| self.found(e)));
            all.watched = all.watched && w.watched;
            all.end = w.end;
            all.file = fd.zip(w.fd).map(|(fd, access)| Donated { fd, access });
            if !whole {
                break;
            }
        }
        Ok(all)
    }

    /// Looks up each of `names` in `from` by itself, all in one message; at most 32.
    pub fn walk_each(
        self: &Arc<Self>,
        from: &Node,
        names: &[&[u8]],
        flags: WalkFlags,
    ) -> Result<Vec<Result<WalkResult, Errno>>, Errno> {
        let walk = |n: &&[u8]| {
            let names = List::try_from(vec![name(n)?]).map_err(|_| Errno::E2BIG)?;
            Ok(Op::Walk { node: from.id(), names, flags, want: Want::Nothing })
        };
        let ops = names.iter().map(walk).collect::<Result<Vec<_>, Errno>>()?;
        let one = |answered| {
            let (w, _) = expect!(self, answered, (Answer::Walked(w), fd) => (w, fd))?;
            if w.steps.len() > 1 || (w.end == WalkEnd::Complete && w.steps.is_empty()) {
                return Err(self.break_off(&"a walk with too many or too few steps"));
            }
            let steps = w.steps.into_iter().map(|e| self.found(e)).collect();
            Ok(WalkResult { steps, end: w.end, watched: w.watched, file: None })
        };
        Ok(self.batch(ops)?.into_iter().map(one).collect())
    }

    /// Attributes of one node.
    pub fn get_attr(&self, node: &Node) -> Result<Attr, Errno> {
        self.get_attrs(&[node])?.pop().ok_or(Errno::EIO)?
    }

    /// Attributes of many nodes, 256 a message.
    pub fn get_attrs(&self, nodes: &[&Node]) -> Result<Vec<Result<Attr, Errno>>, Errno> {
        let mut out = Vec::with_capacity(nodes.len());
        for part in nodes.chunks(MAX_ASKED) {
            let ids: Vec<_> = part.iter().map(|n| n.id()).collect();
            let op = Op::GetAttr { nodes: List::try_from(ids).map_err(|_| Errno::E2BIG)? };
            out.extend(self.attrs(op, part.len())?);
        }
        Ok(out)
    }

    /// Attributes of many names, 200 a message, without making nodes. The same file as before has the same `dev` and `ino`.
    pub fn stat(&self, names: &[(&Node, &[u8])]) -> Result<Vec<Result<Attr, Errno>>, Errno> {
        let mut out = Vec::with_capacity(names.len());
        // So many fit whatever their length.
        for part in names.chunks(200) {
            let asked =
                part.iter().map(|(dir, n)| Ok((dir.id(), name(n)?))).collect::<Result<Vec<_>, Errno>>()?;
            let op = Op::Stat { names: List::try_from(asked).map_err(|_| Errno::E2BIG)? };
            out.extend(self.attrs(op, part.len())?);
        }
        Ok(out)
    }

    fn attrs(&self, op: Op, asked: usize) -> Result<Vec<Result<Attr, Errno>>, Errno> {
        let attrs = expect!(self, self.one(op), (Answer::Attrs(list), _) => list)?;
        if attrs.len() != asked {
            return Err(self.break_off(&"attributes of something else"));
        }
        Ok(attrs.into_iter().map(|r| r.map_err(Errno::from_host)).collect())
    }

    /// A descriptor of a regular file, and its attributes. `flags`: `O_ACCMODE`, `O_TRUNC`, `O_APPEND`, `O_DIRECT`,
    /// `O_NOATIME`, `O_SYNC`, `O_DSYNC`.
    pub fn open(&self, node: &Node, flags: u32) -> Result<(Donated, Attr), Errno> {
        let op = Op::Open { node: node.id(), flags };
        expect!(self, self.one(op), (Answer::Opened { access, attr }, Some(fd)) => (Donated { fd, access }, attr))
    }

    fn made(self: &Arc<Self>, op: Op) -> Result<Made, Errno> {
        expect!(self, self.one(op), (Answer::Made { entry, dir, fd: access }, fd) => Made {
            node: self.node(entry.node),
            attr: entry.attr,
            dir,
            file: fd.zip(access).map(|(fd, access)| Donated { fd, access }),
        })
    }

    /// Makes a regular file (`EEXIST` if the name is there) and opens it.
    pub fn create(self: &Arc<Self>, dir: &Node, new: &[u8], flags: u32, make: Make) -> Result<Made, Errno> {
        self.made(Op::Create { dir: dir.id(), name: name(new)?, flags, make })
    }

    /// Makes a file without a name on the file system of `dir` and opens it; [`link`](Self::link) can name it.
    pub fn tmpfile(self: &Arc<Self>, dir: &Node, flags: u32, make: Make) -> Result<Made, Errno> {
        self.made(Op::Tmpfile { dir: dir.id(), flags, make })
    }

    /// `mkdir(2)`.
    pub fn mkdir(self: &Arc<Self>, dir: &Node, new: &[u8], make: Make) -> Result<Made, Errno> {
        self.made(Op::Mkdir { dir: dir.id(), name: name(new)?, make })
    }

    /// `symlink(2)`; of `make` only the owner counts.
    pub fn symlink(
        self: &Arc<Self>,
        dir: &Node,
        new: &[u8],
        target: &[u8],
        make: Make,
    ) -> Result<Made, Errno> {
        let target = LinkTarget::new(target).map_err(|_| Errno::ENAMETOOLONG)?;
        self.made(Op::Symlink { dir: dir.id(), name: name(new)?, target, make })
    }

    /// `mknod(2)`: `kind` is `S_IFREG`, `S_IFIFO`, `S_IFSOCK`, or `S_IFCHR` with device 0 (a whiteout).
    pub fn mknod(
        self: &Arc<Self>,
        dir: &Node,
        new: &[u8],
        kind: u32,
        rdev: u64,
        make: Make,
    ) -> Result<Made, Errno> {
        self.made(Op::Mknod { dir: dir.id(), name: name(new)?, kind, rdev, make })
    }

    /// `link(2)`.
    pub fn link(self: &Arc<Self>, node: &Node, dir: &Node, new: &[u8]) -> Result<Made, Errno> {
        self.made(Op::Link { node: node.id(), dir: dir.id(), name: name(new)? })
    }

    /// `unlink(2)` or `rmdir(2)`; the directory's attributes afterwards and, if its node is given, the removed file's.
    pub fn unlink(
        &self,
        dir: &Node,
        old: &[u8],
        is_dir: bool,
        victim: Option<&Node>,
    ) -> Result<(Attr, Option<Attr>), Errno> {
        let mut ops = vec![Op::Unlink { dir: dir.id(), name: name(old)?, is_dir }];
        if let Some(victim) = victim {
            ops.push(Op::GetAttr { nodes: List::try_from(vec![victim.id()]).map_err(|_| Errno::E2BIG)? });
        }
        let mut answers = self.batch(ops)?.into_iter();
        let dir = expect!(self, answers.next().unwrap_or(Err(Errno::EIO)), (Answer::Attr(attr), _) => attr)?;
        let victim = match answers.next() {
            Some(Ok((Answer::Attrs(list), _))) => list.into_iter().next().and_then(Result::ok),
            _ => None,
        };
        Ok((dir, victim))
    }

    /// `renameat2(2)`; the attributes of the old and of the new directory afterwards.
    pub fn rename(
        &self,
        old: (&Node, &[u8]),
        new: (&Node, &[u8]),
        flags: u32,
    ) -> Result<(Attr, Attr), Errno> {
        let op = Op::Rename {
            old_dir: old.0.id(),
            old_name: name(old.1)?,
            new_dir: new.0.id(),
            new_name: name(new.1)?,
            flags,
        };
        expect!(self, self.one(op), (Answer::Renamed { old_dir, new_dir }, _) => (old_dir, new_dir))
    }

    /// `readlink(2)`.
    pub fn readlink(&self, node: &Node) -> Result<Vec<u8>, Errno> {
        expect!(self, self.one(Op::Readlink { node: node.id() }), (Answer::Link(target), _) => target.into_vec())
    }

    /// Changes attributes; all of them afterwards.
    pub fn set_attr(&self, node: &Node, set: SetAttr) -> Result<Attr, Errno> {
        expect!(self, self.one(Op::SetAttr { node: node.id(), set }), (Answer::Attr(attr), _) => attr)
    }

    /// Part of a directory, from `offset` (0, or [`Listed::next`]).
    pub fn read_dir(self: &Arc<Self>, dir: &Node, offset: u64, flags: ListFlags) -> Result<DirPart, Errno> {
        let op = Op::ReadDir { dir: dir.id(), offset, flags };
        expect!(self, self.one(op), (Answer::Entries { entries, end, watched }, _) => DirPart {
            entries: entries.into_iter().map(|e| Listed {
                name: e.name.0.into_vec(),
                ino: e.ino,
                kind: e.kind,
                next: e.next,
                attr: e.attr,
                node: e.node.map(|id| self.node(id)),
            }).collect(),
            end,
            watched,
        })
    }

    /// `fstatfs(2)`.
    pub fn statfs(&self, node: &Node) -> Result<Statfs, Errno> {
        expect!(self, self.one(Op::Statfs { node: node.id() }), (Answer::Statfs(s), _) => s)
    }

    /// `getxattr(2)`, the whole value.
    pub fn get_xattr(&self, node: &Node, key: &[u8]) -> Result<Vec<u8>, Errno> {
        let op = Op::GetXattr { node: node.id(), name: xattr_name(key)? };
        expect!(self, self.one(op), (Answer::Bytes(value), _) => value.into_vec())
    }

    /// `listxattr(2)`: NUL-terminated names.
    pub fn list_xattr(&self, node: &Node) -> Result<Vec<u8>, Errno> {
        expect!(self, self.one(Op::ListXattr { node: node.id() }), (Answer::Bytes(list), _) => list.into_vec())
    }

    /// `setxattr(2)`.
    pub fn set_xattr(&self, node: &Node, key: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        let value = XattrValue::new(value).map_err(|_| Errno::E2BIG)?;
        let op = Op::SetXattr { node: node.id(), name: xattr_name(key)?, value, flags };
        expect!(self, self.one(op), (Answer::Done, _) => ())
    }

    /// `removexattr(2)`.
    pub fn remove_xattr(&self, node: &Node, key: &[u8]) -> Result<(), Errno> {
        let op = Op::RemoveXattr { node: node.id(), name: xattr_name(key)? };
        expect!(self, self.one(op), (Answer::Done, _) => ())
    }

    /// `fsync(2)`/`fdatasync(2)` of a directory, or of a file of which there is no descriptor.
    pub fn fsync(&self, node: &Node, data_only: bool) -> Result<(), Errno> {
        expect!(self, self.one(Op::Fsync { node: node.id(), data_only }), (Answer::Done, _) => ())
    }

    /// A non-blocking socket connected to a host's Unix socket. `ECONNREFUSED` unless the policy allows it.
    pub fn connect(&self, node: &Node, kind: SocketKind) -> Result<OwnedFd, Errno> {
        let op = Op::Connect { node: node.id(), kind };
        expect!(self, self.one(op), (Answer::Opened { .. }, Some(fd)) => fd)
    }

    /// Watches a directory. What was cached of it before must be asked for again after this. `ENOSPC`: not possible.
    pub fn watch(&self, dir: &Node) -> Result<(), Errno> {
        expect!(self, self.one(Op::Watch { dir: dir.id() }), (Answer::Done, _) => ())
    }

    /// Ends a watch. Dropping the node does so too.
    pub fn unwatch(&self, dir: &Node) -> Result<(), Errno> {
        expect!(self, self.one(Op::Unwatch { dir: dir.id() }), (Answer::Done, _) => ())
    }
}

/// Names of extended attributes obey other rules than those of files: they may contain `/`.
fn xattr_name(bytes: &[u8]) -> Result<Name, Errno> {
    // `ERANGE` is what Linux says to an empty or overlong one.
    let blob = bounded::Blob::new(bytes).map_err(|_| Errno::ERANGE)?;
    if bytes.is_empty() || bytes.contains(&0) { Err(Errno::ERANGE) } else { Ok(Name(blob)) }
}
