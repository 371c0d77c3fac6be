//! Random operations on a family of processes, against a model that knows one byte a page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use abi::{MapFlags, Prot, mman::*};
use common::*;
use mem::{PAGE_SIZE, UserAddr, UserMemoryExt};
use platform::Access;
use proptest::prelude::*;
use std::{cell::Cell, collections::BTreeMap, rc::Rc};

const BASE: u64 = 0x10_0000;
const PAGES: u64 = 48;

/// Whose byte a page holds.
#[derive(Clone)]
enum Byte {
    Own(u8),
    Shared(Rc<Cell<u8>>),
}

#[derive(Clone)]
struct Page {
    prot: Prot,
    byte: Byte,
    /// What `MADV_DONTNEED` brings back.
    original: u8,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Private,
    Shared,
    PrivateFile,
    SharedFile,
}

#[derive(Clone, Debug)]
enum Op {
    Map(u64, u64, u8, Kind),
    Unmap(u64, u64),
    Protect(u64, u64, u8),
    Store(u64, u8),
    Load(u64),
    CopyOut(u64, u64, u8),
    CopyIn(u64, u64),
    DontNeed(u64, u64),
    Move(u64, u64, u64),
    Fork,
    Exit,
    Switch(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let page = || 0..PAGES;
    let len = || 1..20u64;
    let kind = prop_oneof![
        Just(Kind::Private),
        Just(Kind::Private),
        Just(Kind::Shared),
        Just(Kind::PrivateFile),
        Just(Kind::SharedFile)
    ];
    prop_oneof![
        3 => (page(), len(), 0..8u8, kind).prop_map(|(p, n, prot, k)| Op::Map(p, n, prot | 1, k)),
        1 => (page(), len()).prop_map(|(p, n)| Op::Unmap(p, n)),
        2 => (page(), len(), 0..4u8).prop_map(|(p, n, prot)| Op::Protect(p, n, prot)),
        8 => (page(), any::<u8>()).prop_map(|(p, b)| Op::Store(p, b)),
        4 => page().prop_map(Op::Load),
        3 => (page(), len(), any::<u8>()).prop_map(|(p, n, b)| Op::CopyOut(p, n, b)),
        2 => (page(), len()).prop_map(|(p, n)| Op::CopyIn(p, n)),
        1 => (page(), len()).prop_map(|(p, n)| Op::DontNeed(p, n)),
        1 => (page(), 1..8u64, page()).prop_map(|(p, n, to)| Op::Move(p, n, to)),
        2 => Just(Op::Fork),
        1 => Just(Op::Exit),
        3 => any::<usize>().prop_map(Op::Switch),
    ]
}

struct Model {
    proc_: Proc,
    pages: BTreeMap<u64, Page>,
}

fn addr(page: u64) -> u64 {
    BASE + page * PAGE_SIZE
}

impl Model {
    fn get(&self, page: u64) -> Option<u8> {
        let page = self.pages.get(&page).filter(|p| !p.prot.is_empty())?;
        Some(match &page.byte {
            Byte::Own(b) => *b,
            Byte::Shared(b) => b.get(),
        })
    }

    fn set(&mut self, page: u64, to: u8) -> bool {
        match self.pages.get_mut(&page).filter(|p| p.prot.contains(Prot::WRITE)) {
            Some(page) => {
                match &mut page.byte {
                    Byte::Own(b) => *b = to,
                    Byte::Shared(b) => b.set(to),
                }
                true
            }
            None => false,
        }
    }

    fn check(&mut self, page: u64) {
        let expected = self.get(page);
        assert_eq!(self.proc_.load(addr(page)).ok(), expected, "page {page}");
        assert_eq!(self.proc_.load(addr(page) + 4095).ok(), expected, "end of page {page}");
    }

    /// The platform never allows what the application may not have.
    fn check_platform(&self) {
        for (at, (_, _, access)) in self.proc_.space.table.lock().unwrap().iter() {
            let page =
                self.pages.get(&((at - BASE) / PAGE_SIZE)).unwrap_or_else(|| panic!("{at:#x} is mapped"));
            assert!(access.is_empty() || !page.prot.is_empty());
            assert!(!access.contains(Access::WRITE) || page.prot.contains(Prot::WRITE));
        }
    }
}

fn run(ops: Vec<Op>) {
    let memory = memory();
    let constant = HostFile::new(PAGES, 100);
    let shared_file = HostFile::new(PAGES, 0);
    let shared_bytes: Vec<_> = (0..PAGES).map(|p| Rc::new(Cell::new(p as u8))).collect();
    let mut first = Proc::new(&memory);
    first.hosts = vec![constant.clone(), shared_file.clone()];
    let mut family = vec![Model { proc_: first, pages: BTreeMap::new() }];
    let mut now = 0;
    for op in ops {
        let count = family.len();
        let model = &mut family[now];
        match op {
            Op::Map(page, n, prot, kind) => {
                let n = n.min(PAGES - page);
                let prot = Prot::from_bits_retain(prot.into());
                let fixed = MapFlags::FIXED;
                let p = &mut model.proc_;
                match kind {
                    Kind::Private => p.map(addr(page), n, prot, fixed | MapFlags::PRIVATE),
                    Kind::Shared => p.map(addr(page), n, prot, fixed | MapFlags::SHARED),
                    Kind::PrivateFile => {
                        p.map_object(constant.clone(), addr(page), n, prot, fixed | MapFlags::PRIVATE)
                    }
                    Kind::SharedFile => {
                        p.map_object(shared_file.clone(), addr(page), n, prot, fixed | MapFlags::SHARED)
                    }
                }
                .unwrap();
                for i in 0..n {
                    let byte = match kind {
                        Kind::Private => Byte::Own(0),
                        Kind::Shared => Byte::Shared(Rc::default()),
                        Kind::PrivateFile => Byte::Own(100 + i as u8),
                        Kind::SharedFile => Byte::Shared(shared_bytes[i as usize].clone()),
                    };
                    let original = if let Byte::Own(b) = byte { b } else { 0 };
                    model.pages.insert(page + i, Page { prot, byte, original });
                }
            }
            Op::Unmap(page, n) => {
                model.proc_.mm.munmap(addr(page), n * PAGE_SIZE).unwrap();
                (page..page + n).for_each(|p| drop(model.pages.remove(&p)));
            }
            Op::Protect(page, n, prot) => {
                let prot = Prot::from_bits_retain(prot.into());
                let hole = (page..page + n).find(|p| !model.pages.contains_key(p));
                let done = model.proc_.mm.mprotect(addr(page), n * PAGE_SIZE, prot);
                assert_eq!(done.is_err(), hole.is_some());
                for p in page..hole.unwrap_or(page + n) {
                    model.pages.get_mut(&p).unwrap().prot = prot;
                }
            }
            Op::Store(page, byte) => {
                // The whole page, so that its end says the same.
                let done = model.proc_.store(addr(page), byte).is_ok();
                assert_eq!(done, model.set(page, byte));
                if done {
                    model.proc_.store(addr(page) + 4095, byte).unwrap();
                }
            }
            Op::Load(page) => model.check(page),
            Op::CopyOut(page, n, byte) => {
                let bytes = vec![byte; (n * PAGE_SIZE) as usize];
                let done = model.proc_.mm.copy_out_some(UserAddr(addr(page)), &bytes).unwrap_or(0);
                let mut expected = 0;
                while expected < n && model.set(page + expected, byte) {
                    expected += 1;
                }
                assert_eq!(done as u64, expected * PAGE_SIZE);
            }
            Op::CopyIn(page, n) => {
                let mut bytes = vec![0; (n * PAGE_SIZE) as usize];
                let done = model.proc_.mm.copy_in_some(UserAddr(addr(page)), &mut bytes).unwrap_or(0);
                let expected: Vec<u8> = (0..n).map_while(|i| model.get(page + i)).collect();
                let got: Vec<u8> = bytes[..done].chunks(PAGE_SIZE as usize).map(|c| c[0]).collect();
                assert_eq!(got, expected);
            }
            Op::DontNeed(page, n) => {
                let _ = model.proc_.mm.madvise(addr(page), n * PAGE_SIZE, MADV_DONTNEED);
                for p in page..page + n {
                    if let Some(Page { byte: Byte::Own(b), original, .. }) = model.pages.get_mut(&p) {
                        *b = *original;
                    }
                }
            }
            Op::Move(page, n, to) => {
                let n = n.min(PAGES - page).min(PAGES - to);
                let flags = MremapFlags::MAYMOVE | MremapFlags::FIXED;
                let len = n * PAGE_SIZE;
                if model.proc_.mm.mremap(addr(page), len, len, flags, addr(to)).is_ok() {
                    for i in 0..n {
                        let moved = model.pages.remove(&(page + i)).unwrap();
                        model.pages.insert(to + i, moved);
                    }
                }
            }
            Op::Fork if count < 5 => {
                let child = Model { proc_: model.proc_.fork(), pages: model.pages.clone() };
                family.push(child);
            }
            Op::Exit if count > 1 => {
                family.swap_remove(now);
                now = 0;
            }
            Op::Fork | Op::Exit => {}
            Op::Switch(to) => now = to % count,
        }
        family[now].check_platform();
    }
    for model in &mut family {
        for page in 0..PAGES {
            model.check(page);
        }
        model.check_platform();
    }
    drop(family);
    memory.trim();
    assert_eq!((memory.used_bytes(), memory.resident_bytes()), (0, 0));
    assert!(constant.mappings.is_empty() && shared_file.mappings.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_history_reads_what_the_model_reads(ops in proptest::collection::vec(op(), 1..120)) {
        run(ops);
    }
}
