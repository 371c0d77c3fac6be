//! `ioctl(2)` requests: terminals, files, namespaces, block devices. Those of sockets are in
//! [`crate::socket::ifreq`].
#![allow(missing_docs, reason = "the names are Linux's, documented in ioctl_list(2) and its relatives")]

use crate::pod::pod;

/// Which way the argument goes: the two highest bits of a request.
pub const IOC_NONE: u32 = 0;
pub const IOC_WRITE: u32 = 1;
pub const IOC_READ: u32 = 2;

/// Puts a request together (`_IOC`).
pub const fn ioc(dir: u32, kind: u8, nr: u8, size: u32) -> u32 {
    dir << 30 | (size & 0x3fff) << 16 | (kind as u32) << 8 | nr as u32
}

/// Bytes of the argument of a request that was put together by [`ioc`].
pub const fn ioc_size(request: u32) -> u32 {
    request >> 16 & 0x3fff
}

/// The kind (`_IOC_TYPE`) of such a request.
pub const fn ioc_type(request: u32) -> u8 {
    (request >> 8) as u8
}

// Terminals.
pub const TCGETS: u32 = 0x5401;
pub const TCSETS: u32 = 0x5402;
pub const TCSETSW: u32 = 0x5403;
pub const TCSETSF: u32 = 0x5404;
pub const TCGETA: u32 = 0x5405;
pub const TCSETA: u32 = 0x5406;
pub const TCSETAW: u32 = 0x5407;
pub const TCSETAF: u32 = 0x5408;
pub const TCSBRK: u32 = 0x5409;
pub const TCXONC: u32 = 0x540a;
pub const TCFLSH: u32 = 0x540b;
pub const TIOCEXCL: u32 = 0x540c;
pub const TIOCNXCL: u32 = 0x540d;
pub const TIOCSCTTY: u32 = 0x540e;
pub const TIOCGPGRP: u32 = 0x540f;
pub const TIOCSPGRP: u32 = 0x5410;
pub const TIOCOUTQ: u32 = 0x5411;
pub const TIOCSTI: u32 = 0x5412;
pub const TIOCGWINSZ: u32 = 0x5413;
pub const TIOCSWINSZ: u32 = 0x5414;
pub const TIOCMGET: u32 = 0x5415;
pub const TIOCMBIS: u32 = 0x5416;
pub const TIOCMBIC: u32 = 0x5417;
pub const TIOCMSET: u32 = 0x5418;
pub const TIOCGSOFTCAR: u32 = 0x5419;
pub const TIOCSSOFTCAR: u32 = 0x541a;
pub const TIOCLINUX: u32 = 0x541c;
pub const TIOCCONS: u32 = 0x541d;
pub const TIOCGSERIAL: u32 = 0x541e;
pub const TIOCSSERIAL: u32 = 0x541f;
pub const TIOCPKT: u32 = 0x5420;
pub const TIOCNOTTY: u32 = 0x5422;
pub const TIOCSETD: u32 = 0x5423;
pub const TIOCGETD: u32 = 0x5424;
pub const TCSBRKP: u32 = 0x5425;
pub const TIOCSBRK: u32 = 0x5427;
pub const TIOCCBRK: u32 = 0x5428;
pub const TIOCGSID: u32 = 0x5429;
pub const TCGETS2: u32 = 0x802c542a;
pub const TCSETS2: u32 = 0x402c542b;
pub const TCSETSW2: u32 = 0x402c542c;
pub const TCSETSF2: u32 = 0x402c542d;
pub const TIOCGPTN: u32 = 0x80045430;
pub const TIOCSPTLCK: u32 = 0x40045431;
pub const TIOCGDEV: u32 = 0x80045432;
pub const TIOCSIG: u32 = 0x40045436;
pub const TIOCVHANGUP: u32 = 0x5437;
pub const TIOCGPKT: u32 = 0x80045438;
pub const TIOCGPTLCK: u32 = 0x80045439;
pub const TIOCGEXCL: u32 = 0x80045440;
pub const TIOCGLCKTRMIOS: u32 = 0x5456;
pub const TIOCSLCKTRMIOS: u32 = 0x5457;
pub const TIOCGPTPEER: u32 = 0x5441;
// Any descriptor.
pub const FIONREAD: u32 = 0x541b;
pub const FIONBIO: u32 = 0x5421;
pub const FIONCLEX: u32 = 0x5450;
pub const FIOCLEX: u32 = 0x5451;
pub const FIOASYNC: u32 = 0x5452;
pub const FIOQSIZE: u32 = 0x5460;
pub const FIBMAP: u32 = 0x1;
pub const FIGETBSZ: u32 = 0x2;
/// `TIOCINQ`, another name of `FIONREAD`.
pub const TIOCINQ: u32 = FIONREAD;

// Files and file systems.
pub const FICLONE: u32 = 0x40049409;
pub const FICLONERANGE: u32 = 0x4020940d;
pub const FIDEDUPERANGE: u32 = 0xc0189436;
pub const FIFREEZE: u32 = 0xc0045877;
pub const FITHAW: u32 = 0xc0045878;
pub const FITRIM: u32 = 0xc0185879;
pub const FS_IOC_GETFLAGS: u32 = 0x80086601;
pub const FS_IOC_SETFLAGS: u32 = 0x40086602;
pub const FS_IOC_GETVERSION: u32 = 0x80087601;
pub const FS_IOC_SETVERSION: u32 = 0x40087602;
pub const FS_IOC_FIEMAP: u32 = 0xc020660b;
pub const FS_IOC_FSGETXATTR: u32 = 0x801c581f;
pub const FS_IOC_FSSETXATTR: u32 = 0x401c5820;
pub const FS_IOC_GETFSLABEL: u32 = 0x81009431;
pub const FS_IOC_SETFSLABEL: u32 = 0x41009432;
pub const FS_IOC_ENABLE_VERITY: u32 = 0x40806685;
pub const FS_IOC_MEASURE_VERITY: u32 = 0xc0046686;
pub const FS_IOC_GETFSUUID: u32 = 0x80111500;
pub const FS_IOC_GETFSSYSFSPATH: u32 = 0x80811501;

// Inode flags of `FS_IOC_GETFLAGS`.
pub const FS_SECRM_FL: u32 = 0x1;
pub const FS_UNRM_FL: u32 = 0x2;
pub const FS_COMPR_FL: u32 = 0x4;
pub const FS_SYNC_FL: u32 = 0x8;
pub const FS_IMMUTABLE_FL: u32 = 0x10;
pub const FS_APPEND_FL: u32 = 0x20;
pub const FS_NODUMP_FL: u32 = 0x40;
pub const FS_NOATIME_FL: u32 = 0x80;
pub const FS_ENCRYPT_FL: u32 = 0x800;
pub const FS_INDEX_FL: u32 = 0x1000;
pub const FS_DIRSYNC_FL: u32 = 0x10000;
pub const FS_TOPDIR_FL: u32 = 0x20000;
pub const FS_EXTENT_FL: u32 = 0x80000;
pub const FS_VERITY_FL: u32 = 0x100000;
pub const FS_NOCOW_FL: u32 = 0x800000;
pub const FS_DAX_FL: u32 = 0x2000000;
pub const FS_INLINE_DATA_FL: u32 = 0x10000000;
pub const FS_PROJINHERIT_FL: u32 = 0x20000000;
pub const FS_CASEFOLD_FL: u32 = 0x40000000;

// Namespaces.
pub const NS_GET_USERNS: u32 = 0xb701;
pub const NS_GET_PARENT: u32 = 0xb702;
pub const NS_GET_NSTYPE: u32 = 0xb703;
pub const NS_GET_OWNER_UID: u32 = 0xb704;
pub const NS_GET_MNTNS_ID: u32 = 0x8008b705;
pub const NS_GET_PID_FROM_PIDNS: u32 = 0x8004b706;
pub const NS_GET_TGID_FROM_PIDNS: u32 = 0x8004b707;
pub const NS_GET_PID_IN_PIDNS: u32 = 0x8004b708;
pub const NS_GET_TGID_IN_PIDNS: u32 = 0x8004b709;

// Block devices and loop devices.
pub const BLKROSET: u32 = 0x125d;
pub const BLKROGET: u32 = 0x125e;
pub const BLKRRPART: u32 = 0x125f;
pub const BLKGETSIZE: u32 = 0x1260;
pub const BLKFLSBUF: u32 = 0x1261;
pub const BLKRASET: u32 = 0x1262;
pub const BLKRAGET: u32 = 0x1263;
pub const BLKSSZGET: u32 = 0x1268;
pub const BLKBSZGET: u32 = 0x80081270;
pub const BLKBSZSET: u32 = 0x40081271;
pub const BLKGETSIZE64: u32 = 0x80081272;
pub const BLKIOMIN: u32 = 0x1278;
pub const BLKIOOPT: u32 = 0x1279;
pub const BLKALIGNOFF: u32 = 0x127a;
pub const BLKPBSZGET: u32 = 0x127b;
pub const BLKDISCARD: u32 = 0x1277;
pub const BLKDISCARDZEROES: u32 = 0x127c;
pub const BLKROTATIONAL: u32 = 0x127e;
pub const BLKZEROOUT: u32 = 0x127f;
pub const LOOP_SET_FD: u32 = 0x4c00;
pub const LOOP_CLR_FD: u32 = 0x4c01;
pub const LOOP_SET_STATUS: u32 = 0x4c02;
pub const LOOP_GET_STATUS: u32 = 0x4c03;
pub const LOOP_SET_STATUS64: u32 = 0x4c04;
pub const LOOP_GET_STATUS64: u32 = 0x4c05;
pub const LOOP_CHANGE_FD: u32 = 0x4c06;
pub const LOOP_SET_CAPACITY: u32 = 0x4c07;
pub const LOOP_SET_DIRECT_IO: u32 = 0x4c08;
pub const LOOP_SET_BLOCK_SIZE: u32 = 0x4c09;
pub const LOOP_CTL_ADD: u32 = 0x4c80;
pub const LOOP_CTL_REMOVE: u32 = 0x4c81;
pub const LOOP_CTL_GET_FREE: u32 = 0x4c82;
pub const LO_FLAGS_READ_ONLY: u32 = 1;
pub const LO_FLAGS_AUTOCLEAR: u32 = 4;
pub const LO_FLAGS_PARTSCAN: u32 = 8;
pub const LO_FLAGS_DIRECT_IO: u32 = 16;
pub const LO_NAME_SIZE: usize = 64;
pub const LO_KEY_SIZE: usize = 32;
pub const LOOP_CONFIGURE: u32 = 0x4c0a;
pub const HDIO_GETGEO: u32 = 0x301;

pod! {
    /// `struct loop_info`, 168 bytes.
    pub struct LoopInfo {
        pub lo_number: i32,
        pub _pad0: u32,
        pub lo_device: u64,
        pub lo_inode: u64,
        pub lo_rdevice: u64,
        pub lo_offset: i32,
        pub lo_encrypt_type: i32,
        pub lo_encrypt_key_size: i32,
        pub lo_flags: u32,
        pub lo_name: [u8; LO_NAME_SIZE],
        pub lo_encrypt_key: [u8; LO_KEY_SIZE],
        pub lo_init: [u64; 2],
        pub reserved: [u8; 4],
        pub _pad1: u32,
    }

    /// `struct loop_info64`, 232 bytes.
    pub struct LoopInfo64 {
        pub lo_device: u64,
        pub lo_inode: u64,
        pub lo_rdevice: u64,
        pub lo_offset: u64,
        /// Bytes; 0 is up to the end of the file.
        pub lo_sizelimit: u64,
        pub lo_number: u32,
        pub lo_encrypt_type: u32,
        pub lo_encrypt_key_size: u32,
        pub lo_flags: u32,
        pub lo_file_name: [u8; LO_NAME_SIZE],
        pub lo_crypt_name: [u8; LO_NAME_SIZE],
        pub lo_encrypt_key: [u8; LO_KEY_SIZE],
        pub lo_init: [u64; 2],
    }

    /// `struct loop_config`, 304 bytes.
    pub struct LoopConfig {
        pub fd: u32,
        pub block_size: u32,
        pub info: LoopInfo64,
        pub reserved: [u64; 8],
    }
}

// Devices that programs try although there is nothing behind them.
pub const RNDGETENTCNT: u32 = 0x80045200;
pub const RNDADDTOENTCNT: u32 = 0x40045201;
pub const RNDGETPOOL: u32 = 0x80085202;
pub const RNDADDENTROPY: u32 = 0x40085203;
pub const RNDZAPENTCNT: u32 = 0x5204;
pub const RNDCLEARPOOL: u32 = 0x5206;
pub const RNDRESEEDCRNG: u32 = 0x5207;
pub const KDGKBTYPE: u32 = 0x4b33;
pub const KDGETMODE: u32 = 0x4b3b;
pub const KDSETMODE: u32 = 0x4b3a;
pub const KDGKBMODE: u32 = 0x4b44;
pub const KDSKBMODE: u32 = 0x4b45;
pub const VT_OPENQRY: u32 = 0x5600;
pub const VT_GETMODE: u32 = 0x5601;
pub const VT_SETMODE: u32 = 0x5602;
pub const VT_GETSTATE: u32 = 0x5603;
pub const VT_ACTIVATE: u32 = 0x5606;
pub const TUNSETNOCSUM: u32 = 0x400454c8;
pub const TUNSETIFF: u32 = 0x400454ca;
pub const TUNSETPERSIST: u32 = 0x400454cb;
pub const TUNSETOWNER: u32 = 0x400454cc;
pub const TUNSETGROUP: u32 = 0x400454ce;
pub const TUNGETFEATURES: u32 = 0x800454cf;
pub const TUNGETIFF: u32 = 0x800454d2;

pod! {
    /// `struct file_clone_range`.
    pub struct FileCloneRange {
        pub src_fd: i64,
        pub src_offset: u64,
        pub src_length: u64,
        pub dest_offset: u64,
    }

    /// `struct fsxattr`, 28 bytes.
    pub struct Fsxattr {
        pub fsx_xflags: u32,
        pub fsx_extsize: u32,
        pub fsx_nextents: u32,
        pub fsx_projid: u32,
        pub fsx_cowextsize: u32,
        pub _pad: [u8; 8],
    }

    /// `struct fiemap`, before its extents.
    pub struct Fiemap {
        pub fm_start: u64,
        pub fm_length: u64,
        pub fm_flags: u32,
        pub fm_mapped_extents: u32,
        pub fm_extent_count: u32,
        pub _reserved: u32,
    }

    /// `struct fiemap_extent`, 56 bytes.
    pub struct FiemapExtent {
        pub fe_logical: u64,
        pub fe_physical: u64,
        pub fe_length: u64,
        pub _reserved64: [u64; 2],
        pub fe_flags: u32,
        pub _reserved: [u32; 3],
    }
}
