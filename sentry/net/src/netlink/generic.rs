//! Generic netlink: the controller, which says what families there are, and `TASKSTATS`.
//!
//! **Absent on purpose:** policies (`CTRL_CMD_GETPOLICY`), statistics of control groups, and those of tasks as they end
//! (`TASKSTATS_CMD_ATTR_REGISTER_CPUMASK`): `EOPNOTSUPP`.

use super::{
    build::{Message, Reply, attribute, attributes},
    taskstats,
};
use crate::caller::Caller;
use abi::{Cap, Errno, socket::*};
use zerocopy::{FromBytes, IntoBytes};

/// A family: number, name, version, highest attribute of a request, operations with their flags, groups.
struct Family {
    id: u16,
    name: &'static [u8],
    version: u32,
    max_attribute: u32,
    operations: &'static [(u8, u32)],
    groups: &'static [(&'static [u8], u32)],
}

const FAMILIES: &[Family] = &[
    Family {
        id: GENL_ID_CTRL,
        name: b"nlctrl",
        version: 2,
        max_attribute: 10,
        operations: &[(CTRL_CMD_GETFAMILY, GENL_CMD_CAP_DO | GENL_CMD_CAP_DUMP | GENL_CMD_CAP_HASPOL)],
        groups: &[(b"notify", 16)],
    },
    Family {
        id: 0x13,
        name: b"TASKSTATS",
        version: 1,
        max_attribute: 4,
        operations: &[(TASKSTATS_CMD_GET, GENL_ADMIN_PERM | GENL_CMD_CAP_DO | GENL_CMD_CAP_HASPOL)],
        groups: &[],
    },
];

/// Answers one request.
pub fn answer(caller: &Caller<'_>, header: &Nlmsghdr, body: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    let family = FAMILIES.iter().find(|f| f.id == header.nlmsg_type).ok_or(Errno::ENOENT)?;
    let (genl, rest) = Genlmsghdr::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    let operation = family.operations.iter().find(|(cmd, _)| *cmd == genl.cmd);
    let (_, flags) = *operation.ok_or(Errno::EOPNOTSUPP)?;
    let asked = if reply.is_dump() { GENL_CMD_CAP_DUMP } else { GENL_CMD_CAP_DO };
    if flags & asked == 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if flags & GENL_ADMIN_PERM != 0 && !caller.cred().has_cap(Cap::NET_ADMIN) {
        return Err(Errno::EPERM);
    }
    let attrs = attributes(rest);
    if family.id != GENL_ID_CTRL {
        return taskstats::get(caller, &attrs, &|cmd| message(family.id, cmd, 1), reply);
    }
    if reply.is_dump() {
        FAMILIES.iter().for_each(|f| reply.push(describe(f)));
        return Ok(());
    }
    let mut wanted = None;
    for (kind, data) in attrs {
        let found = match kind {
            CTRL_ATTR_FAMILY_ID => {
                let (id, _) = u16::read_from_prefix(data).map_err(|_| Errno::EINVAL)?;
                FAMILIES.iter().find(|f| f.id == id)
            }
            CTRL_ATTR_FAMILY_NAME if data.len() > GENL_NAMSIZ => return Err(Errno::EINVAL),
            CTRL_ATTR_FAMILY_NAME => {
                let name = data.split(|b| *b == 0).next().unwrap_or_default();
                FAMILIES.iter().find(|f| f.name == name)
            }
            _ => continue,
        };
        wanted = Some(found.ok_or(Errno::ENOENT)?);
    }
    reply.push(describe(wanted.ok_or(Errno::EINVAL)?));
    Ok(())
}

fn message(family: u16, cmd: u8, version: u8) -> Message {
    Message::new(family, &Genlmsghdr { cmd, version, _reserved: 0 })
}

/// What the controller says of a family.
fn describe(family: &Family) -> Message {
    let listed = |entries: Vec<Vec<u8>>| -> Vec<u8> {
        (1u16..).zip(entries).flat_map(|(at, entry)| attribute(at | NLA_F_NESTED, &entry)).collect()
    };
    let with_zero = |name: &[u8]| [name, &[0]].concat();
    let operations = family.operations.iter().map(|(cmd, flags)| {
        let id = attribute(CTRL_ATTR_OP_ID, u32::from(*cmd).as_bytes());
        [id, attribute(CTRL_ATTR_OP_FLAGS, flags.as_bytes())].concat()
    });
    let mut message = message(GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, 2)
        .attr(CTRL_ATTR_FAMILY_NAME, &with_zero(family.name))
        .attr(CTRL_ATTR_FAMILY_ID, family.id.as_bytes())
        .u32(CTRL_ATTR_VERSION, family.version)
        .u32(CTRL_ATTR_HDRSIZE, 0)
        .u32(CTRL_ATTR_MAXATTR, family.max_attribute)
        .attr(CTRL_ATTR_OPS | NLA_F_NESTED, &listed(operations.collect()));
    if !family.groups.is_empty() {
        let groups = family.groups.iter().map(|(name, id)| {
            let id = attribute(CTRL_ATTR_MCAST_GRP_ID, id.as_bytes());
            [id, attribute(CTRL_ATTR_MCAST_GRP_NAME, &with_zero(name))].concat()
        });
        message = message.attr(CTRL_ATTR_MCAST_GROUPS | NLA_F_NESTED, &listed(groups.collect()));
    }
    message
}
