//! How a message becomes bytes, and bytes a message.
//!
//! The one place that names the encoding (bincode 2, variable-length integers), so that it can be exchanged.
//! Decoding never allocates more than a small multiple of the message's own length and refuses bytes left over.

use crate::MAX_MESSAGE;
use serde::{Deserialize, Serialize};

/// What a decoder may produce, in bytes. It counts integers at their full size, and a byte on the wire can be one of eight.
const DECODED: usize = 8 * MAX_MESSAGE;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<DECODED>,
> = bincode::config::standard().with_limit::<DECODED>();

/// Why a message could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`MAX_MESSAGE`].
    #[error("a message of {0} bytes is longer than the protocol allows")]
    TooLong(usize),
    /// Bytes left over behind the message.
    #[error("{0} bytes left over behind a message")]
    Trailing(usize),
    /// Not a message.
    #[error("not a gofer message: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// Does not serialize.
    #[error("cannot encode a gofer message: {0}")]
    Encode(#[from] bincode::error::EncodeError),
}

/// Encodes `message` into `out`, replacing what was there.
///
/// # Errors
/// [`CodecError::TooLong`] above [`MAX_MESSAGE`].
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.clear();
    bincode::serde::encode_into_std_write(message, out, CONFIG)?;
    if out.len() > MAX_MESSAGE { Err(CodecError::TooLong(out.len())) } else { Ok(()) }
}

/// The encoded length of `value` in bytes.
///
/// # Errors
/// As [`encode`].
pub fn encoded_len<T: Serialize>(value: &T) -> Result<usize, CodecError> {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, b: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(b.len());
            Ok(b.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut n = Count(0);
    bincode::serde::encode_into_std_write(value, &mut n, CONFIG)?;
    Ok(n.0)
}

/// Decodes the one message that `bytes` is.
///
/// # Errors
/// [`CodecError`] for anything else than exactly one well-formed message within all bounds.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(CodecError::TooLong(bytes.len()));
    }
    let (message, used) = bincode::serde::borrow_decode_from_slice(bytes, CONFIG)?;
    match bytes.len().checked_sub(used) {
        Some(0) => Ok(message),
        left => Err(CodecError::Trailing(left.unwrap_or(0))),
    }
}
