//! Machine code: what runs in a stub, what makes the first one, and the wait that a kick can always end.
//!
//! The stub's code uses registers only: no stack and no memory but the order page, which the application cannot
//! write. So nothing that another thread of the application does can divert a call that the sentry injects.

use crate::layout;
use std::arch::global_asm;

global_asm!(
    ".pushsection .text.runsc_ptrace, \"ax\", @progbits",
    ".global runsc_ptrace_stub_begin",
    "runsc_ptrace_stub_begin:",
    // One call with everything in registers; its result is in rax at the int3.
    "    syscall",
    "    int3",
    // A table of calls from rbx up to rbp, 64 bytes each, until one fails. At the int3, rbx tells which.
    ".global runsc_ptrace_stub_orders",
    "runsc_ptrace_stub_orders:",
    "2:  cmp rbx, rbp",
    "    je 3f",
    "    mov rax, [rbx]",
    "    mov rdi, [rbx + 8]",
    "    mov rsi, [rbx + 16]",
    "    mov rdx, [rbx + 24]",
    "    mov r10, [rbx + 32]",
    "    mov r8, [rbx + 40]",
    "    mov r9, [rbx + 48]",
    "    syscall",
    "    cmp rax, -4095",
    "    jae 3f",
    "    add rbx, 64",
    "    jmp 2b",
    "3:  int3",
    // A clone; the child sleeps until somebody traces it and gives it other registers.
    ".global runsc_ptrace_stub_clone",
    "runsc_ptrace_stub_clone:",
    "    syscall",
    "    test rax, rax",
    "    jz 4f",
    "    int3",
    "4:  mov eax, 34",
    "    syscall",
    "    jmp 4b",
    ".global runsc_ptrace_stub_end",
    "runsc_ptrace_stub_end:",
    "    ud2",
    // fn(flags) -> pid: the first stub is a copy of the sentry that sleeps here until it is traced and emptied.
    ".global runsc_ptrace_spawn",
    "runsc_ptrace_spawn:",
    "    mov eax, 56",
    "    xor esi, esi",
    "    xor edx, edx",
    "    xor r10d, r10d",
    "    xor r8d, r8d",
    "    syscall",
    "    test rax, rax",
    "    jz 5f",
    "    ret",
    "5:  mov eax, 34",
    "    syscall",
    "    jmp 5b",
    // fn(pid, status, options, word, value) -> pid or -errno: wait4 while *word == value. The kick handler sends a
    // thread that it finds before the call (or on it) to `runsc_ptrace_wait_cut`, so no kick falls in between.
    ".global runsc_ptrace_wait",
    "runsc_ptrace_wait:",
    "    xor r10d, r10d",
    ".global runsc_ptrace_wait_begin",
    "runsc_ptrace_wait_begin:",
    "    cmp dword ptr [rcx], r8d",
    "    jne runsc_ptrace_wait_cut",
    "    mov eax, 61",
    "    syscall",
    ".global runsc_ptrace_wait_end",
    "runsc_ptrace_wait_end:",
    "    ret",
    ".global runsc_ptrace_wait_cut",
    "runsc_ptrace_wait_cut:",
    "    mov rax, -4",
    "    ret",
    ".popsection",
);

unsafe extern "C" {
    static runsc_ptrace_stub_begin: u8;
    static runsc_ptrace_stub_orders: u8;
    static runsc_ptrace_stub_clone: u8;
    static runsc_ptrace_stub_end: u8;
    static runsc_ptrace_wait_begin: u8;
    static runsc_ptrace_wait_end: u8;
    static runsc_ptrace_wait_cut: u8;
    fn runsc_ptrace_spawn(flags: u64) -> i64;
    fn runsc_ptrace_wait(pid: i64, status: *mut i32, options: i64, word: *const u32, value: u32) -> i64;
}

fn at(label: &'static u8) -> u64 {
    std::ptr::from_ref(label) as u64
}

fn begin() -> u64 {
    // SAFETY: a label in our text; only its address is used.
    at(unsafe { &runsc_ptrace_stub_begin })
}

/// The stub's code.
pub fn stub() -> &'static [u8] {
    // SAFETY: a label in our text; only its address is used.
    let end = at(unsafe { &runsc_ptrace_stub_end });
    let len = usize::try_from(end.wrapping_sub(begin())).unwrap_or(0);
    // SAFETY: the bytes between two labels of our own text, which never change.
    unsafe { std::slice::from_raw_parts(begin() as *const u8, len) }
}

/// The same `syscall; int3` as [`CALL`], in the sentry's own text: for the first stub before it has a stub page.
pub fn call_in_sentry() -> u64 {
    begin()
}

/// One call, in the stub page.
pub const CALL: u64 = layout::STUB;

/// A table of calls, in the stub page.
pub fn orders() -> u64 {
    // SAFETY: a label in our text; only its address is used.
    layout::STUB + at(unsafe { &runsc_ptrace_stub_orders }).wrapping_sub(begin())
}

/// A clone, in the stub page.
pub fn clone() -> u64 {
    // SAFETY: a label in our text; only its address is used.
    layout::STUB + at(unsafe { &runsc_ptrace_stub_clone }).wrapping_sub(begin())
}

/// Makes a child that sleeps in a copy of this address space until it is traced. `Err` is an errno.
pub fn spawn(flags: u64) -> Result<i32, i32> {
    // SAFETY: without CLONE_VM the child has memory of its own, and it never leaves the loop in `runsc_ptrace_spawn`,
    // so it touches nothing of ours; for the parent this is an ordinary call.
    let ret = unsafe { runsc_ptrace_spawn(flags) };
    match i32::try_from(ret) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(i32::try_from(-ret).unwrap_or(libc::EIO)),
    }
}

/// `wait4` for as long as `word` holds `value` at its start and no kick comes: `EINTR` otherwise.
pub fn wait_unless_kicked(
    pid: i32,
    options: i32,
    word: &std::sync::atomic::AtomicU32,
    value: u32,
) -> Result<(i32, i32), i32> {
    let mut status = 0;
    // SAFETY: `status` and `word` live across the call; the function keeps to the C convention.
    let ret =
        unsafe { runsc_ptrace_wait(i64::from(pid), &mut status, i64::from(options), word.as_ptr(), value) };
    match i32::try_from(ret) {
        Ok(pid) if pid >= 0 => Ok((pid, status)),
        _ => Err(i32::try_from(-ret).unwrap_or(libc::EIO)),
    }
}

/// The handler of [`host::signal::KICK`].
pub extern "C" fn on_kick(_signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(rip) = usize::try_from(libc::REG_RIP).ok() else { return };
    // SAFETY: the host passes a valid `ucontext_t`, ours alone until the handler returns.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // SAFETY: a label in our text; only its address is used.
    let from = at(unsafe { &runsc_ptrace_wait_begin });
    // SAFETY: as above.
    let to = at(unsafe { &runsc_ptrace_wait_end });
    // SAFETY: as above.
    let cut = at(unsafe { &runsc_ptrace_wait_cut });
    if let Some(rip) = context.uc_mcontext.gregs.get_mut(rip) {
        // Before the `syscall` instruction or on it. Behind it, the call itself answered EINTR.
        if (from..to).contains(&(*rip as u64)) {
            *rip = cut as i64;
        }
    }
}
