//! Framing: JSON objects back to back on a stream, bounded in size.
//!
//! There is no length prefix, so the end of an object is where its last brace is. [`Decoder`] reads no byte
//! beyond that: what follows belongs to the next message, and with it the descriptors that ride on its first
//! byte.

use crate::{Error, ErrorKind};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read};

/// Why no message came.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The peer hung up between messages: the normal end.
    #[error("connection closed")]
    Closed,
    /// What came is no message; the stream has no known position any more.
    #[error("{0}")]
    Malformed(Error),
    /// The stream failed.
    #[error("connection failed: {0}")]
    Io(io::Error),
}

/// Reads messages of at most `limit` bytes from a stream.
pub struct Decoder<R> {
    inner: Counted<R>,
    limit: usize,
}

/// Hands out bytes one at a time and counts them.
struct Counted<R> {
    stream: R,
    buffer: Vec<u8>,
    position: usize,
    count: usize,
    limit: usize,
}

impl<R: Read> Decoder<R> {
    /// A decoder over `stream`.
    pub fn new(stream: R, limit: usize) -> Self {
        let inner = Counted { stream, buffer: Vec::new(), position: 0, count: 0, limit };
        Self { inner, limit }
    }

    /// The stream.
    pub fn get_ref(&self) -> &R {
        &self.inner.stream
    }

    /// The stream, to take what came along with a message.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner.stream
    }

    /// The next message. After an error the stream is of no more use.
    pub fn decode<T: DeserializeOwned>(&mut self) -> Result<T, DecodeError> {
        self.inner.count = 0;
        self.skip_blanks()?;
        let limit = self.limit;
        let mut values = serde_json::Deserializer::from_reader(&mut self.inner).into_iter::<T>();
        let result = values.next();
        drop(values);
        match result {
            None => Err(DecodeError::Closed),
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) if self.inner.count >= limit => {
                let _ = error;
                let text = format!("message too large: more than {limit} bytes");
                Err(DecodeError::Malformed(Error::new(ErrorKind::Protocol, text)))
            }
            Some(Err(error)) if error.is_io() => Err(DecodeError::Io(error.into())),
            Some(Err(error)) => {
                let text = format!("malformed message: {error}; one JSON object is expected");
                Err(DecodeError::Malformed(Error::new(ErrorKind::Protocol, text)))
            }
        }
    }

    /// Passes over blanks between messages and makes sure that an object follows: a number or a bare word would
    /// have no end of its own.
    fn skip_blanks(&mut self) -> Result<(), DecodeError> {
        loop {
            match self.inner.peek().map_err(DecodeError::Io)? {
                None => return Err(DecodeError::Closed),
                Some(b' ' | b'\t' | b'\r' | b'\n') if self.inner.count < self.limit => self.inner.advance(),
                Some(b'{') => return Ok(()),
                Some(_) => {
                    let text = "malformed message: one JSON object is expected";
                    return Err(DecodeError::Malformed(Error::new(ErrorKind::Protocol, text)));
                }
            }
        }
    }
}

impl<R: Read> Counted<R> {
    fn peek(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.buffer.get(self.position) {
            return Ok(Some(*byte));
        }
        let mut chunk = [0; 8192];
        let len = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(chunk.get(..len).unwrap_or_default());
        self.position = 0;
        Ok(self.buffer.first().copied())
    }

    fn advance(&mut self) {
        self.position = self.position.saturating_add(1);
        self.count = self.count.saturating_add(1);
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.count >= self.limit {
            return Err(io::Error::other("message too large"));
        }
        let Some(first) = out.first_mut() else { return Ok(0) };
        let Some(byte) = self.peek()? else { return Ok(0) };
        *first = byte;
        self.advance();
        Ok(1)
    }
}

/// The bytes of a message.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(message)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot encode a message: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    fn decode(bytes: &[u8]) -> Vec<Result<Request, DecodeError>> {
        let mut decoder = Decoder::new(bytes, 100);
        let mut out = Vec::new();
        loop {
            let item = decoder.decode();
            let end = item.is_err();
            out.push(item);
            if end {
                return out;
            }
        }
    }

    #[test]
    fn objects_back_to_back() {
        let all = decode(br#"{"method":"a.b","arg":{"x":"}"}} {"method":"c"}"#);
        assert_eq!(all.len(), 3);
        assert_eq!(all[1].as_ref().unwrap().method, "c");
        assert!(matches!(all[2], Err(DecodeError::Closed)));
    }

    #[test]
    fn a_message_ends_at_its_brace() {
        /// Gives one message and then fails: nothing may be read past the message.
        struct Strict(&'static [u8]);
        impl Read for Strict {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() {
                    return Err(io::Error::other("read too far"));
                }
                out[0] = self.0[0];
                self.0 = &self.0[1..];
                Ok(1)
            }
        }
        let mut decoder = Decoder::new(Strict(br#"{"method":"a"}"#), 100);
        assert_eq!(decoder.decode::<Request>().unwrap().method, "a");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bad in [&b"hello"[..], b"12345", b"[1]", b"\"x\"", b"{\"method\":3}", b"{\"a\"", b"{}", b"\xff{"]
        {
            let all = decode(bad);
            assert!(matches!(all[..], [Err(DecodeError::Malformed(_))]), "{bad:?}: {all:?}");
        }
        let long = format!(r#"{{"method":"{}"}}"#, "x".repeat(200));
        let all = decode(long.as_bytes());
        assert!(
            matches!(&all[..], [Err(DecodeError::Malformed(e))] if e.text.contains("too large")),
            "{all:?}"
        );
        let deep = format!(r#"{{"method":"a","arg":{}"#, "[".repeat(1000));
        assert!(matches!(
            Decoder::new(deep.as_bytes(), 10_000).decode::<Request>(),
            Err(DecodeError::Malformed(_))
        ));
    }
}
