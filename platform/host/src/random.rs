//! Random bytes of the host.

use crate::{HostErrno, Result};

/// Fills `buf` with random bytes (`getrandom(2)`).
pub fn fill(mut buf: &mut [u8]) -> Result<()> {
    while !buf.is_empty() {
        // SAFETY: `buf` is ours to write for its whole length.
        let n =
            crate::retry(|| crate::cvt(unsafe { libc::getrandom(buf.as_mut_ptr().cast(), buf.len(), 0) }))?;
        let n = usize::try_from(n).map_err(|_| HostErrno::EIO)?;
        buf = buf.get_mut(n..).ok_or(HostErrno::EIO)?;
    }
    Ok(())
}

/// A random number.
pub fn u64() -> Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn differ() {
        assert_ne!(super::u64().unwrap(), super::u64().unwrap());
        super::fill(&mut []).unwrap();
    }
}
