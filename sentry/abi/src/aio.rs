//! Asynchronous I/O of the kernel: `io_setup(2)` and its family.
#![allow(missing_docs, reason = "the names are Linux's, documented in io_submit(2)")]

use crate::pod::pod;

pod! {
    /// `struct io_event`.
    pub struct IoEvent {
        pub data: u64,
        /// Address of the [`Iocb`].
        pub obj: u64,
        pub res: i64,
        pub res2: i64,
    }

    /// `struct iocb`, 64 bytes.
    pub struct Iocb {
        pub aio_data: u64,
        pub aio_key: u32,
        /// `RWF_*`.
        pub aio_rw_flags: u32,
        /// `IOCB_CMD_*`.
        pub aio_lio_opcode: u16,
        pub aio_reqprio: i16,
        pub aio_fildes: u32,
        pub aio_buf: u64,
        pub aio_nbytes: u64,
        pub aio_offset: i64,
        pub aio_reserved2: u64,
        /// `IOCB_FLAG_*`.
        pub aio_flags: u32,
        /// Descriptor of an eventfd.
        pub aio_resfd: u32,
    }
}

pub const IOCB_CMD_PREAD: u16 = 0;
pub const IOCB_CMD_PWRITE: u16 = 1;
pub const IOCB_CMD_FSYNC: u16 = 2;
pub const IOCB_CMD_FDSYNC: u16 = 3;
pub const IOCB_CMD_POLL: u16 = 5;
pub const IOCB_CMD_NOOP: u16 = 6;
pub const IOCB_CMD_PREADV: u16 = 7;
pub const IOCB_CMD_PWRITEV: u16 = 8;
pub const IOCB_FLAG_RESFD: u32 = 1;
pub const IOCB_FLAG_IOPRIO: u32 = 2;
