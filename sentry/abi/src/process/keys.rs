//! `keyctl(2)`, `add_key(2)`, `request_key(2)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in keyctl(2)")]

// Special key numbers.
pub const KEY_SPEC_THREAD_KEYRING: i32 = -1;
pub const KEY_SPEC_PROCESS_KEYRING: i32 = -2;
pub const KEY_SPEC_SESSION_KEYRING: i32 = -3;
pub const KEY_SPEC_USER_KEYRING: i32 = -4;
pub const KEY_SPEC_USER_SESSION_KEYRING: i32 = -5;
pub const KEY_SPEC_GROUP_KEYRING: i32 = -6;
pub const KEY_SPEC_REQKEY_AUTH_KEY: i32 = -7;
pub const KEY_SPEC_REQUESTOR_KEYRING: i32 = -8;
// Operations.
pub const KEYCTL_GET_KEYRING_ID: i32 = 0;
pub const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
pub const KEYCTL_UPDATE: i32 = 2;
pub const KEYCTL_REVOKE: i32 = 3;
pub const KEYCTL_CHOWN: i32 = 4;
pub const KEYCTL_SETPERM: i32 = 5;
pub const KEYCTL_DESCRIBE: i32 = 6;
pub const KEYCTL_CLEAR: i32 = 7;
pub const KEYCTL_LINK: i32 = 8;
pub const KEYCTL_UNLINK: i32 = 9;
pub const KEYCTL_SEARCH: i32 = 10;
pub const KEYCTL_READ: i32 = 11;
pub const KEYCTL_INSTANTIATE: i32 = 12;
pub const KEYCTL_NEGATE: i32 = 13;
pub const KEYCTL_SET_REQKEY_KEYRING: i32 = 14;
pub const KEYCTL_SET_TIMEOUT: i32 = 15;
pub const KEYCTL_ASSUME_AUTHORITY: i32 = 16;
pub const KEYCTL_GET_SECURITY: i32 = 17;
pub const KEYCTL_SESSION_TO_PARENT: i32 = 18;
pub const KEYCTL_REJECT: i32 = 19;
pub const KEYCTL_INSTANTIATE_IOV: i32 = 20;
pub const KEYCTL_INVALIDATE: i32 = 21;
pub const KEYCTL_GET_PERSISTENT: i32 = 22;
pub const KEYCTL_RESTRICT_KEYRING: i32 = 29;
pub const KEYCTL_MOVE: i32 = 30;
pub const KEYCTL_CAPABILITIES: i32 = 31;

// Permissions: possessor, user, group, other, eight bits each.
pub const KEY_POS_ALL: u32 = 0x3f00_0000;
pub const KEY_USR_ALL: u32 = 0x003f_0000;
pub const KEY_GRP_ALL: u32 = 0x0000_3f00;
pub const KEY_OTH_ALL: u32 = 0x0000_003f;
pub const KEY_OTH_VIEW: u32 = 0x01;
pub const KEY_OTH_READ: u32 = 0x02;
pub const KEY_OTH_WRITE: u32 = 0x04;
pub const KEY_OTH_SEARCH: u32 = 0x08;
pub const KEY_OTH_LINK: u32 = 0x10;
pub const KEY_OTH_SETATTR: u32 = 0x20;
/// The longest description of a key, with its zero.
pub const KEY_MAX_DESC_SIZE: usize = 4096;
/// The longest payload that the calls take.
pub const KEY_MAX_PAYLOAD: usize = (1 << 20) - 1;
