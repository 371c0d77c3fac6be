//! The decoder against garbage, and every message there and back.
#![allow(clippy::unwrap_used, missing_docs)]

use gofer_proto::codec::{CodecError, decode, encode, encoded_len};
use gofer_proto::op::Events;
use gofer_proto::*;
use proptest::prelude::*;

fn bytes<T: serde::Serialize>(m: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(m, &mut out).unwrap();
    assert_eq!(out.len(), encoded_len(m).unwrap());
    out
}

fn request(ops: Vec<Op>) -> Request {
    Request { id: 7, close: List::new(), ops: ops.try_into().unwrap() }
}

fn max_attr() -> Attr {
    let t = Time { sec: i64::MIN, nsec: u32::MAX };
    let big = u64::MAX;
    Attr {
        ino: big,
        dev: big,
        mode: u32::MAX,
        nlink: u32::MAX,
        uid: u32::MAX,
        gid: u32::MAX,
        rdev: big,
        size: big,
        blocks: big,
        blksize: u32::MAX,
        atime: t,
        mtime: t,
        ctime: t,
        btime: Some(t),
        attributes: big,
        attributes_mask: big,
        mnt_id: big,
    }
}

#[test]
fn attr_bound_holds() {
    assert!(bytes(&max_attr()).len() <= ATTR_BYTES);
}

#[test]
fn answer_bounds_hold() {
    let entry = Entry { node: NodeId(u64::MAX), attr: max_attr() };
    let walk = Op::Walk {
        node: NodeId(1),
        names: vec![Name::new(b"x").unwrap(); MAX_WALK].try_into().unwrap(),
        flags: WalkFlags::WATCH,
        want: Want::Write,
    };
    let walked = Answer::Walked(Walked {
        steps: vec![entry; MAX_WALK].try_into().unwrap(),
        end: WalkEnd::Symlink(Blob::new(&[b'x'; MAX_LINK]).unwrap()),
        watched: true,
        fd: Some(Access::all()),
    });
    let ok: Result<Answer, i32> = Ok(walked);
    assert!(bytes(&ok).len() <= walk.answer_bound());
    let ask = Op::GetAttr { nodes: vec![NodeId(1); MAX_ASKED].try_into().unwrap() };
    let ok: Result<Answer, i32> = Ok(Answer::Attrs(vec![Ok(max_attr()); MAX_ASKED].try_into().unwrap()));
    assert!(bytes(&ok).len() <= ask.answer_bound());
    assert!(ask.answer_bound() + 32 <= MAX_MESSAGE);
    let made: Result<Answer, i32> = Ok(Answer::Made { entry, dir: max_attr(), fd: Some(Access::all()) });
    let mkdir = Op::Unwatch { dir: NodeId(1) };
    assert!(bytes(&made).len() <= mkdir.answer_bound());
    let xattr: Result<Answer, i32> = Ok(Answer::Bytes(Blob::new(&[0; MAX_XATTR]).unwrap()));
    let get = Op::ListXattr { node: NodeId(1) };
    assert!(bytes(&xattr).len() <= get.answer_bound());
    assert!(get.answer_bound() + 32 <= MAX_MESSAGE);
}

#[test]
fn truncated_and_trailing_are_refused() {
    let whole = bytes(&request(vec![Op::Mkdir {
        dir: NodeId(900),
        name: Name::new(b"name").unwrap(),
        make: Make { mode: 0o755, uid: 1000, gid: 1000 },
    }]));
    for n in 0..whole.len() {
        assert!(decode::<Request>(&whole[..n]).is_err(), "{n} bytes were enough");
    }
    let mut more = whole.clone();
    more.push(0);
    assert!(matches!(decode::<Request>(&more), Err(CodecError::Trailing(1))));
    assert!(decode::<Request>(&whole).is_ok());
}

#[test]
fn oversized_is_refused() {
    assert!(matches!(decode::<Request>(&vec![0; MAX_MESSAGE + 1]), Err(CodecError::TooLong(_))));
    assert!(Name::new(&[b'x'; 256]).is_err());
    assert!(Blob::<4>::new(b"12345").is_err());
    assert!(List::<u8, 2>::try_from(vec![1, 2, 3]).is_err());
    // Longer than the type allows, encoded by a peer whose type allows more.
    let long: List<u64, 4096> = vec![1; 2000].try_into().unwrap();
    assert!(decode::<List<u64, 1024>>(&bytes(&long)).is_err());
    let blob: Blob<4096> = Blob::new(&[b'n'; 300]).unwrap();
    assert!(decode::<Name>(&bytes(&blob)).is_err());
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    // Request id 0, then a list that claims 2^60 elements.
    let mut lie = vec![0, 253];
    lie.extend((1_u64 << 60).to_le_bytes());
    assert!(decode::<Request>(&lie).is_err());
    let mut lie = vec![253];
    lie.extend((1_u64 << 60).to_le_bytes());
    assert!(decode::<XattrValue>(&lie).is_err());
}

#[test]
fn a_full_message_of_small_numbers_is_accepted() {
    let entry = DirEntry {
        name: Name::new(b"n").unwrap(),
        ino: 1,
        kind: 8,
        next: 1,
        attr: Some(Attr::default()),
        node: Some(NodeId(1)),
    };
    let mut entries = List::new();
    let each = encoded_len(&entry).unwrap();
    while (entries.len() + 1) * each + 32 < MAX_MESSAGE && entries.push(entry.clone()).is_ok() {}
    let answer = Answer::Entries { entries, end: true, watched: false };
    let reply = Reply { id: 1, results: vec![Ok(answer)].try_into().unwrap() };
    assert_eq!(decode::<Reply>(&bytes(&reply)).unwrap(), reply);
}

#[test]
fn names() {
    for bad in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", b"\0"] {
        assert_eq!(Name::new(bad).unwrap_err().errno(), 22);
    }
    assert_eq!(Name::new(&[b'x'; 256]).unwrap_err().errno(), 36);
    for good in [&b"..."[..], b"a", b"..a", b"\xff\n", b" "] {
        assert!(Name::new(good).is_ok());
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(b in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode::<Request>(&b);
        let _ = decode::<Reply>(&b);
        let _ = decode::<Events>(&b);
    }

    #[test]
    fn flipped_bits_never_panic(at in 0_usize..200, bit in 0_u8..8) {
        let mut b = bytes(&request(vec![
            Op::Walk { node: NodeId(3), names: vec![Name::new(b"usr").unwrap(), Name::new(b"bin").unwrap()].try_into().unwrap(),
                flags: WalkFlags::empty(), want: Want::Read },
            Op::SetXattr { node: NodeId(4), name: Name::new(b"user.x").unwrap(), value: Blob::new(b"value").unwrap(), flags: 0 },
            Op::SetAttr { node: NodeId(5), set: SetAttr { size: Some(1), atime: SetTime::Now, ..SetAttr::default() } },
        ]));
        let n = b.len();
        b[at % n] ^= 1 << bit;
        if let Ok(r) = decode::<Request>(&b) {
            // What decodes must encode again.
            prop_assert_eq!(decode::<Request>(&bytes(&r)).unwrap(), r);
        }
    }

    #[test]
    fn there_and_back(id in any::<u64>(), node in any::<u64>(), name in proptest::collection::vec(1_u8..=255, 1..255), flags in any::<u32>()) {
        let name = Name(Blob::new(&name).unwrap());
        let r = Request { id, close: vec![NodeId(node)].try_into().unwrap(), ops: vec![
            Op::Create { dir: NodeId(node), name: name.clone(), flags, make: Make { mode: flags, uid: 1, gid: 2 } },
            Op::Stat { names: vec![(NodeId(node), name)].try_into().unwrap() },
        ].try_into().unwrap() };
        prop_assert_eq!(decode::<Request>(&bytes(&r)).unwrap(), r);
    }
}
