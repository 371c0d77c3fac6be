//! [`ErrorQueue`]: what became of datagrams that were sent (`IP_RECVERR`, `MSG_ERRQUEUE`).
//!
//! **Lock order:** the queue is a leaf.

use super::{addr, options::InetOptions};
use crate::{
    common::Common,
    message::{Control, RecvMsg},
};
use abi::{Errno, socket::*};
use ksync::{Mutex, Ready, rank};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};
use zerocopy::IntoBytes;

/// The most errors that wait; Linux bounds them by the receive buffer.
const MAX_WAITING: usize = 256;

/// An ICMP error about a datagram that was sent.
#[derive(Clone)]
pub struct Report {
    /// What it means.
    pub error: Errno,
    /// Type and code.
    pub message: (u8, u8),
    /// More about it: the MTU.
    pub info: u32,
    /// Who says so.
    pub offender: IpAddr,
    /// Where the datagram was sent to.
    pub to: SocketAddr,
    /// Its data.
    pub data: Vec<u8>,
    /// It is a pending error too where nobody asked for reports.
    pub hard: bool,
}

/// The meaning of an ICMP error: errno, and whether it is one to stop for (`icmp_err_convert`, `icmpv6_err_convert`).
pub fn meaning(v6: bool, kind: u8, code: u8) -> (Errno, bool) {
    match (v6, kind, code) {
        (false, ICMP_DEST_UNREACH, 0 | 6 | 9 | 11) => (Errno::ENETUNREACH, matches!(code, 6 | 9)),
        (false, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH) => (Errno::ENOPROTOOPT, true),
        (false, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH) => (Errno::ECONNREFUSED, true),
        (false, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED) => (Errno::EMSGSIZE, false),
        (false, ICMP_DEST_UNREACH, 5) => (Errno::EOPNOTSUPP, false),
        (false, ICMP_DEST_UNREACH, 7) => (Errno::EHOSTDOWN, true),
        (false, ICMP_DEST_UNREACH, 8) => (Errno::ENONET, true),
        (false, ICMP_DEST_UNREACH, 10 | 13..=15) => (Errno::EHOSTUNREACH, true),
        (false, ICMP_PARAMETERPROB, _) => (Errno::EPROTO, true),
        (true, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH) => (Errno::ECONNREFUSED, true),
        (true, ICMPV6_DEST_UNREACH, 0) => (Errno::ENETUNREACH, false),
        (true, ICMPV6_DEST_UNREACH, 1 | 5 | 6) => (Errno::EACCES, true),
        (true, ICMPV6_PKT_TOOBIG, _) => (Errno::EMSGSIZE, false),
        (true, ICMPV6_PARAMPROB, _) => (Errno::EPROTO, true),
        _ => (Errno::EHOSTUNREACH, false),
    }
}

/// Errors that wait to be asked for.
pub struct ErrorQueue(Mutex<VecDeque<Report>>);

impl Default for ErrorQueue {
    fn default() -> Self {
        Self(Mutex::new(rank::LEAF, VecDeque::new()))
    }
}

impl ErrorQueue {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Notes an error for a socket that is `connected` or not. Those that did not ask for reports hear of hard errors alone, and
    /// only if they are connected.
    pub fn report(&self, common: &Common, options: &InetOptions, connected: bool, report: Report) {
        let asked = match report.to.ip() {
            IpAddr::V4(_) => options.on(SOL_IP, IP_RECVERR),
            IpAddr::V6(_) => options.on(SOL_IPV6, IPV6_RECVERR),
        };
        let error = report.error;
        if asked {
            let mut queue = self.0.lock();
            if queue.len() < MAX_WAITING {
                queue.push_back(report);
            }
        } else if !(report.hard && connected) {
            return;
        }
        common.set_error(error);
    }

    /// `recvmsg(MSG_ERRQUEUE)`; never waits.
    pub fn recv(&self, common: &Common, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        let (report, next) = {
            let mut queue = self.0.lock();
            let report = queue.pop_front().ok_or(Errno::EAGAIN)?;
            (report, queue.front().map(|r| r.error))
        };
        // The pending error is that of the first report.
        common.take_error();
        if let Some(error) = next {
            common.set_error(error);
        }
        msg.put_datagram(&report.data)?;
        let n = report.data.len().min(msg.dst.done());
        if msg.wants_name {
            msg.name = Some(addr::encode(common.family, report.to));
        }
        let v6 = report.to.is_ipv6();
        let error = SockExtendedErr {
            ee_errno: report.error.code() as u32,
            ee_origin: if v6 { SO_EE_ORIGIN_ICMP6 } else { SO_EE_ORIGIN_ICMP },
            ee_type: report.message.0,
            ee_code: report.message.1,
            ee_info: report.info,
            ..SockExtendedErr::default()
        };
        let offender = addr::encode(common.family, SocketAddr::new(report.offender, 0));
        let data = error.as_bytes().iter().chain(offender.iter()).copied().collect();
        let (level, kind) =
            if common.family == AF_INET6 { (SOL_IPV6, IPV6_RECVERR) } else { (SOL_IP, IP_RECVERR) };
        msg.control.push(Control::Other(level, kind, data));
        msg.out_flags |= MsgFlags::ERRQUEUE;
        Ok(n)
    }

    /// `POLLERR`, if any waits.
    pub fn ready(&self) -> Ready {
        if self.is_empty() { Ready::empty() } else { Ready::ERR }
    }
}
