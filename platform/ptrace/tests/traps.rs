//! Traps of contexts, and what mapping changes do to them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
use common::*;
use platform::{Access, Change, Exception, Platform, Regs, Trap};
use ptrace::PtracePlatform;

#[test]
fn calls_arrive_and_are_answered() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    // 1: mov eax, 39; syscall; mov rdi, rax; mov eax, 777; syscall; jmp 1b
    let code = b"\xb8\x27\0\0\0\x0f\x05\x48\x89\xc7\xb8\x09\x03\0\0\x0f\x05\xeb\xed";
    let space = space_with(&platform, &memory, code);
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let mut regs = regs_at(CODE);
    regs.rsi = 11;
    regs.r9 = 66;
    for i in 0..100 {
        assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Syscall);
        assert_eq!((regs.orig_rax, regs.rip, regs.rcx), (39, CODE + 7, CODE + 7));
        // Values that the host would take for a call to restart.
        regs.rax = if i % 2 == 0 { 1234 } else { -512i64 as u64 };
        let want = regs.rax;
        assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Syscall);
        assert_eq!((regs.orig_rax, regs.rip), (777, CODE + 17));
        assert_eq!(regs.syscall_args(), [want, 11, 0, 0, 0, 66]);
    }
}

#[test]
fn faults_are_retried_after_mapping() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    // mov rax, [rsi]; mov [rsi], rdi; mov eax, 1; syscall; jmp rdx
    let space = space_with(&platform, &memory, b"\x48\x8b\x06\x48\x89\x3e\xb8\x01\0\0\0\x0f\x05\xff\xe2");
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let mut regs = Regs { rsi: DATA + 8, rdi: 99, rdx: DATA, ..regs_at(CODE) };
    let fault = |addr, access| Trap::Fault { addr, access };
    assert_eq!(exec.run(&mut *context, &space, &mut regs), fault(DATA + 8, Access::READ));
    assert_eq!(regs.rip, CODE);
    space.apply(&[memory.map(DATA, PAGE, PAGE, Access::READ)]).unwrap();
    assert_eq!(exec.run(&mut *context, &space, &mut regs), fault(DATA + 8, Access::WRITE));
    assert_eq!(regs.rip, CODE + 3);
    space.apply(&[Change::Protect { addr: DATA, len: PAGE, access: RW }]).unwrap();
    assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Syscall);
    assert_eq!(memory.read(PAGE + 8), 99);
    assert_eq!(exec.run(&mut *context, &space, &mut regs), fault(DATA, Access::EXEC));
    assert_eq!(regs.rip, DATA);
    // No access at all.
    regs.rip = CODE;
    space.apply(&[memory.map(DATA, PAGE, PAGE, Access::empty())]).unwrap();
    assert_eq!(exec.run(&mut *context, &space, &mut regs), fault(DATA + 8, Access::READ));
    // The kernel's half.
    regs.rsi = 0xffff_ffff_8000_0000;
    assert_eq!(exec.run(&mut *context, &space, &mut regs), fault(regs.rsi, Access::READ));
    // A null pointer call.
    regs.rip = 0;
    assert_eq!(exec.run(&mut *context, &space, &mut regs), fault(0, Access::EXEC));
}

#[test]
fn changes_come_in_batches() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let space = space_with(&platform, &memory, b"\x48\x8b\x06\x0f\x05"); // mov rax, [rsi]; syscall
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    // Two hundred single pages, in reverse, so that none merges with the next.
    let maps: Vec<_> =
        (0..200).map(|i| memory.map(DATA + i * PAGE, PAGE, (199 - i) * PAGE, Access::READ)).collect();
    for i in 1..200 {
        memory.write(i * PAGE, &(i * 10).to_ne_bytes());
    }
    space.apply(&maps).unwrap();
    let mut read = |addr: u64| {
        let mut regs = Regs { rsi: addr, ..regs_at(CODE) };
        let trap = exec.run(&mut *context, &space, &mut regs);
        // A call's number is what was in rax, that is what was read.
        if trap == Trap::Syscall { Ok(regs.orig_rax) } else { Err(trap) }
    };
    for i in 0..199 {
        assert_eq!(read(DATA + i * PAGE), Ok((199 - i) * 10));
    }
    // A hole, and protection across it.
    let protect = Change::Protect { addr: DATA, len: 200 * PAGE, access: Access::empty() };
    space.apply(&[Change::Unmap { addr: DATA + 5 * PAGE, len: PAGE }, protect]).unwrap();
    for i in [4, 5, 6, 199] {
        assert_eq!(read(DATA + i * PAGE), Err(Trap::Fault { addr: DATA + i * PAGE, access: Access::READ }));
    }
    space.apply(&[Change::Protect { addr: DATA, len: 200 * PAGE, access: Access::READ }]).unwrap();
    assert_eq!(read(DATA + 4 * PAGE), Ok(1950));
    assert!(read(DATA + 5 * PAGE).is_err());
    assert_eq!(read(DATA + 6 * PAGE), Ok(1930));

    // Refused before anything happens.
    let (min, max) = platform.user_range();
    for bad in [
        Change::Unmap { addr: DATA + 1, len: PAGE },
        Change::Unmap { addr: DATA, len: 0 },
        Change::Unmap { addr: 0, len: PAGE },
        Change::Unmap { addr: min, len: max },
        Change::Unmap { addr: u64::MAX - 4095, len: PAGE },
    ] {
        let unmap = Change::Unmap { addr: DATA + 6 * PAGE, len: PAGE };
        assert_eq!(space.apply(&[unmap, bad]), Err(abi::Errno::EINVAL));
    }
    assert_eq!(read(DATA + 6 * PAGE), Ok(1930));

    // A change that fails leaves nothing in its range, and those before it are made.
    let bad = Change::Map { addr: DATA, len: PAGE, fd: -1, offset: 0, access: Access::READ, populate: false };
    let good = memory.map(DATA + 5 * PAGE, PAGE, 7 * PAGE, Access::READ);
    assert_eq!(space.apply(&[good, bad]), Err(abi::Errno::EBADF));
    assert_eq!(read(DATA + 5 * PAGE), Ok(70));
    assert!(read(DATA).is_err());

    space.clear().unwrap();
    assert_eq!(read(DATA + 7 * PAGE), Err(Trap::Fault { addr: CODE, access: Access::EXEC }));
    space.apply(&[memory.map(CODE, PAGE, 0, RX), memory.map(DATA, PAGE, PAGE, Access::READ)]).unwrap();
    assert_eq!(read(DATA), Ok(10));
}

#[test]
fn exceptions_are_what_linux_sends() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let mut case = |code: &[u8], signo, code_, addr, rip| {
        let space = space_with(&platform, &memory, code);
        let mut regs = Regs { rsi: 0x1234_5678_9abc_def0, ..regs_at(CODE) };
        let want = Exception { signo, code: code_, addr };
        assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Exception(want), "{code:x?}");
        assert_eq!(regs.rip, rip, "{code:x?}");
    };
    case(b"\x0f\x0b", libc::SIGILL, 2, CODE, CODE); // ud2: ILL_ILLOPN
    case(b"\xcc", libc::SIGTRAP, 0x80, 0, CODE + 1); // int3
    case(b"\x31\xc9\xf7\xf1", libc::SIGFPE, 1, CODE + 2, CODE + 2); // xor ecx, ecx; div ecx: FPE_INTDIV
    case(b"\xf4", libc::SIGSEGV, 0x80, 0, CODE); // hlt
    case(b"\x48\x8b\x06", libc::SIGSEGV, 0x80, 0, CODE); // mov rax, [rsi] not canonical
    case(b"\xb8\x14\0\0\0\xcd\x80", libc::SIGSEGV, 0x80, 0, CODE + 5); // int 0x80
    // pushfq; or [rsp], TF; popfq; nop: needs a stack
    let space = space_with(&platform, &memory, b"\x9c\x81\x0c\x24\0\x01\0\0\x9d\x90\x90");
    space.apply(&[memory.map(DATA, PAGE, PAGE, RW)]).unwrap();
    let mut regs = Regs { rsp: DATA + 0x800, ..regs_at(CODE) };
    let step = Exception { signo: libc::SIGTRAP, code: 2, addr: CODE + 10 };
    assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Exception(step));
    // A file cut short under its mapping.
    let space = space_with(&platform, &memory, b"\x48\x8b\x06");
    space.apply(&[memory.map(DATA, PAGE, 1 << 20, RW)]).unwrap();
    let mut regs = Regs { rsi: DATA, ..regs_at(CODE) };
    let bus = Exception { signo: libc::SIGBUS, code: 2, addr: DATA };
    assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Exception(bus));
}

#[test]
fn hostile_registers() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    // rdfsbase rax; syscall; wrgsbase rdi; syscall; syscall
    let code = b"\xf3\x48\x0f\xae\xc0\x0f\x05\xf3\x48\x0f\xae\xdf\x0f\x05\x0f\x05";
    let space = space_with(&platform, &memory, code);
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let all = u64::MAX;
    let mut regs = Regs {
        cs: all,
        ss: all,
        rflags: all & !0x100,
        ds: all,
        es: 7,
        fs: 1,
        gs: 0x10,
        orig_rax: 5,
        ..regs_at(CODE)
    };
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    assert_eq!((regs.cs, regs.ss, regs.orig_rax, regs.rflags & 0x7000), (0x33, 0x2b, 0, 0));
    for base in [0x7fff_ffff_f000, 1 << 63, 0xffff_ffff_8000_0000] {
        let mut regs = Regs { fs_base: base, gs_base: base, ..regs_at(CODE) };
        assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
        assert_eq!(regs.orig_rax, 0);
    }
    let mut regs = Regs { fs_base: 0x1234_5000, ..regs_at(CODE) };
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    assert_eq!(regs.orig_rax, 0x1234_5000);
    // A base that only the instruction can set survives switches.
    regs.rdi = 0xffff_ffff_8000_0000;
    for _ in 0..2 {
        assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
        assert_eq!((regs.gs_base, regs.fs_base), (0xffff_ffff_8000_0000, 0x1234_5000));
    }
    let mut regs = regs_at(1 << 63);
    assert!(
        matches!(exec.trap(&mut *context, &space, &mut regs), Trap::Exception(e) if e.signo == libc::SIGSEGV)
    );
    let mut regs = regs_at(0xffff_ffff_8000_0000);
    assert!(matches!(exec.trap(&mut *context, &space, &mut regs), Trap::Fault { access: Access::EXEC, .. }));
    let mut regs = regs_at(0x7fff_ffff_f000);
    assert!(!matches!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall | Trap::Lost));
    // A call made from the platform's own pages traps like any other.
    let mut regs = regs_at(0x7fff_ff80_0000);
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
}

#[test]
fn floating_point_state() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    // movq xmm0, rdi; fld1; syscall; movq rax, xmm0; syscall
    let code = b"\x66\x48\x0f\x6e\xc7\xd9\xe8\x0f\x05\x66\x48\x0f\x7e\xc0\x0f\x05";
    let space = space_with(&platform, &memory, code);
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let word = |fp: &platform::FpState, at: usize| {
        u16::from_ne_bytes(fp.0.get(at..at + 2).unwrap().try_into().unwrap())
    };
    let fresh = context.fp();
    assert_eq!((word(&fresh, 0), word(&fresh, 24)), (0x37f, 0x1f80));
    let mut regs = Regs { rdi: 0xfeed, ..regs_at(CODE) };
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    let mut fp = context.fp();
    assert_eq!(word(&fp, 160), 0xfeed);
    // Another context of the space starts with a clean state although it may use the same thread.
    let mut other = platform.new_context().unwrap();
    let mut other_regs = regs_at(CODE + 9);
    assert_eq!(exec.trap(&mut *other, &space, &mut other_regs), Trap::Syscall);
    assert_eq!(other_regs.orig_rax, 0);
    assert_eq!(word(&other.fp(), 2), 0);
    // Replacing it.
    *fp.0.get_mut(160).unwrap() = 0x11;
    context.set_fp(&fp).unwrap();
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    assert_eq!(regs.orig_rax, 0xfe11);
    // It goes along to another space.
    let second = space_with(&platform, &memory, code);
    regs.rip = CODE + 9;
    assert_eq!(exec.trap(&mut *context, &second, &mut regs), Trap::Syscall);
    assert_eq!(regs.orig_rax, 0xfe11);
    // Bad states.
    let mut bad = fp.clone();
    bad.0.pop();
    assert_eq!(context.set_fp(&bad), Err(abi::Errno::EINVAL));
    for at in [27, 519, 520, 575] {
        let mut bad = fp.clone();
        *bad.0.get_mut(at).unwrap() = 0xff;
        assert_eq!(context.set_fp(&bad), Err(abi::Errno::EINVAL), "{at}");
        assert_eq!(other.set_fp(&bad), Err(abi::Errno::EINVAL), "{at}");
    }
}

#[test]
fn host_vdso_runs_natively() {
    let platform = PtracePlatform::new().unwrap();
    let vdso = platform.vdso().unwrap();
    let memory = Memory::new();
    // call rbx; syscall
    let space = space_with(&platform, &memory, b"\xff\xd3\x0f\x05");
    space.apply(&[memory.map(DATA, 16 * PAGE, PAGE, RW)]).unwrap();
    let image = host::vdso::locate().unwrap().image();
    let gettime = vdso.base + symbol(&image, b"__vdso_clock_gettime\0").unwrap();
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    for _ in 0..2 {
        let before = host::time::monotonic_ns();
        let mut regs = Regs { rbx: gettime, rdi: 1, rsi: DATA, rsp: DATA + 8 * PAGE, ..regs_at(CODE) };
        assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
        // The call behind the return, not one of the vDSO's own.
        assert_eq!(regs.rip, CODE + 4);
        let time = memory.read(PAGE) * 1_000_000_000 + memory.read(PAGE + 8);
        assert!(before <= time && time <= host::time::monotonic_ns());
        // It stays when all else goes.
        space.clear().unwrap();
        space.apply(&[memory.map(CODE, PAGE, 0, RX), memory.map(DATA, 16 * PAGE, PAGE, RW)]).unwrap();
    }
}

/// Finds a dynamic symbol of a small ELF image whose tables are all mapped at their file offsets.
fn symbol(elf: &[u8], name: &[u8]) -> Option<u64> {
    let word = |at: usize| Some(u64::from_ne_bytes(elf.get(at..at + 8)?.try_into().ok()?));
    let short = |at: usize| Some(u16::from_ne_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let (sections, size, count) = (word(40)? as usize, short(58)? as usize, short(60)? as usize);
    for i in 0..count {
        let section = sections + i * size;
        if u32::from_ne_bytes(elf.get(section + 4..section + 8)?.try_into().ok()?) != 11 {
            continue;
        }
        let link = u32::from_ne_bytes(elf.get(section + 40..section + 44)?.try_into().ok()?) as usize;
        let strings = word(sections + link * size + 24)? as usize;
        let (start, len) = (word(section + 24)? as usize, word(section + 32)? as usize);
        for entry in (start..start + len).step_by(24) {
            let at = strings + u32::from_ne_bytes(elf.get(entry..entry + 4)?.try_into().ok()?) as usize;
            if elf.get(at..at + name.len()) == Some(name) {
                return word(entry + 8);
            }
        }
    }
    None
}
