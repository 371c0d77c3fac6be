//! `/sys/class/net`: the loopback interface, as the network namespace of whoever reads has it.

use crate::pseudo::{Child, StaticDir, file, link, text};
use abi::Errno;
use kernel::current;
use net::NetNamespace;
use std::sync::{Arc, atomic::Ordering};

/// A file whose text `show` makes of the reader's network.
fn of_net(show: fn(&NetNamespace) -> String) -> Child {
    file(move || {
        let task = current().ok_or(Errno::EIO)?;
        let ns: Arc<NetNamespace> = task.namespaces().net.get().ok_or(Errno::EIO)?;
        Ok(show(&ns))
    })
}

fn statistics() -> Child {
    let mut dir = StaticDir::new();
    for name in [
        "collisions",
        "multicast",
        "rx_compressed",
        "rx_crc_errors",
        "rx_dropped",
        "rx_errors",
        "rx_fifo_errors",
        "rx_frame_errors",
        "rx_length_errors",
        "rx_missed_errors",
        "rx_nohandler",
        "rx_over_errors",
        "tx_aborted_errors",
        "tx_carrier_errors",
        "tx_compressed",
        "tx_dropped",
        "tx_errors",
        "tx_fifo_errors",
        "tx_heartbeat_errors",
        "tx_window_errors",
    ] {
        dir.add(name, text("0\n"));
    }
    for direction in ["rx", "tx"] {
        let packets = of_net(|n| format!("{}\n", n.loopback.packets.load(Ordering::Relaxed)));
        let bytes = of_net(|n| format!("{}\n", n.loopback.bytes.load(Ordering::Relaxed)));
        dir.add(&format!("{direction}_packets"), packets);
        dir.add(&format!("{direction}_bytes"), bytes);
    }
    dir.child()
}

/// `/sys/devices/virtual/net`.
pub(super) fn directory() -> Child {
    let mut lo = StaticDir::new();
    for (name, value) in [
        ("addr_assign_type", "0"),
        ("addr_len", "6"),
        ("address", "00:00:00:00:00:00"),
        ("broadcast", "00:00:00:00:00:00"),
        ("dev_id", "0x0"),
        ("dev_port", "0"),
        ("dormant", "0"),
        ("gro_flush_timeout", "0"),
        ("group", "0"),
        ("ifalias", ""),
        ("ifindex", "1"),
        ("iflink", "1"),
        ("link_mode", "0"),
        ("name_assign_type", "2"),
        ("netdev_group", "0"),
        ("operstate", "unknown"),
        ("proto_down", "0"),
        ("type", "772"),
        ("uevent", "INTERFACE=lo\nIFINDEX=1"),
    ] {
        lo.add(name, text(format!("{value}\n")));
    }
    // As Linux answers for an interface that has neither.
    lo.add("speed", file(|| Err::<String, _>(Errno::EINVAL)));
    lo.add("duplex", file(|| Err::<String, _>(Errno::EINVAL)));
    lo.add("carrier", of_net(|n| format!("{}\n", u8::from(n.loopback.is_up()))));
    lo.add("flags", of_net(|n| format!("{:#x}\n", n.loopback.flags().bits() & 0xffff & !0x40)));
    lo.add("mtu", of_net(|n| format!("{}\n", n.loopback.mtu.load(Ordering::Relaxed))));
    lo.add("tx_queue_len", of_net(|n| format!("{}\n", n.loopback.tx_queue.load(Ordering::Relaxed))));
    lo.add("statistics", statistics());
    lo.add(
        "queues",
        StaticDir::new()
            .with("rx-0", StaticDir::new().child())
            .with("tx-0", StaticDir::new().child())
            .child(),
    );
    lo.add("power", StaticDir::new().child());
    lo.add("subsystem", link("../../../../class/net"));
    StaticDir::new().with("lo", lo.child()).child()
}

/// `/sys/class/net`.
pub(super) fn class() -> Child {
    StaticDir::new().with("lo", link("../../devices/virtual/net/lo")).child()
}
