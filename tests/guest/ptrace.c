// ptrace(2): stops, events, registers, memory, waiting for tracees.
#include "guest.h"
#include <elf.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <sys/user.h>
#undef PTRACE_GET_SYSCALL_INFO

static long pt(long req, pid_t pid, long addr, long data) { return syscall(SYS_ptrace, req, (long)pid, addr, data); }
#define GET_SYSCALL_INFO 0x420e
#define W(pid, opts) ({ int s_ = -1; pid_t r_; do r_ = waitpid(pid, &s_, (opts) | __WALL); while (r_ == -1 && errno == EINTR); \
    if (r_ != (pid)) fail(__LINE__, "waitpid is %d, %s", r_, ename(errno)); s_; })
static const char *stop_text(int st) {
  static char buf[96];
  if (!WIFSTOPPED(st)) return status_text(st);
  int sig = WSTOPSIG(st), ev = st >> 16;
  snprintf(buf, sizeof buf, "%s%s event %d", signame(sig & 0x7f), sig & 0x80 ? "|0x80" : "", ev);
  return buf;
}
#define STOPPED(pid, text) STREQ(stop_text(W(pid, 0)), text)
#define CONT(pid, sig) OK(pt(PTRACE_CONT, pid, 0, sig))
static siginfo_t info_of(pid_t pid) { siginfo_t i; memset(&i, 0, sizeof i); OK(pt(PTRACE_GETSIGINFO, pid, 0, (long)&i)); return i; }
static long message_of(pid_t pid) { long m = -1; OK(pt(PTRACE_GETEVENTMSG, pid, 0, (long)&m)); return m; }

// A child that asks to be traced and stops.
#define TRACED_CHILD() ({ pid_t p_ = xfork(); if (!p_) { OK(pt(PTRACE_TRACEME, 0, 0, 0)); raise(SIGSTOP); } p_; })

TEST(traceme_stops_at_signals) {
  pid_t p = xfork();
  if (!p) {
    OK(pt(PTRACE_TRACEME, 0, 0, 0));
    ERR(EPERM, pt(PTRACE_TRACEME, 0, 0, 0));
    catch_signal(SIGUSR1, 0);
    raise(SIGUSR1);
    EQ(caught[SIGUSR1], 1);
    raise(SIGUSR1);
    EQ(caught[SIGUSR1], 1); // suppressed
    catch_signal(SIGUSR2, 0);
    raise(SIGUSR1);
    EQ(caught[SIGUSR2], 1); // replaced
    signal(SIGWINCH, SIG_IGN);
    raise(SIGWINCH); // ignored, but told
    CHILD_END();
  }
  STOPPED(p, "SIGUSR1 event 0");
  siginfo_t i = info_of(p);
  EQ(i.si_signo, SIGUSR1); EQ(i.si_code, SI_TKILL); EQ(i.si_pid, p);
  EQ(proc_state(p), 't');
  CONT(p, SIGUSR1);
  STOPPED(p, "SIGUSR1 event 0");
  CONT(p, 0);
  STOPPED(p, "SIGUSR1 event 0");
  CONT(p, SIGUSR2);
  STOPPED(p, "SIGWINCH event 0");
  CONT(p, SIGWINCH);
  REAP(p);
}

TEST(errors) {
  pid_t p = xfork();
  if (!p) { pause(); _exit(0); }
  ERR(ESRCH, pt(PTRACE_CONT, p, 0, 0));
  ERR(ESRCH, pt(PTRACE_PEEKDATA, p, 0, (long)&p));
  ERR(ESRCH, pt(PTRACE_ATTACH, 0x3fffff, 0, 0));
  ERR(EPERM, pt(PTRACE_ATTACH, getpid(), 0, 0));
  ERR(EIO, pt(PTRACE_SEIZE, p, 1, 0));
  ERR(EIO, pt(PTRACE_SEIZE, p, 0, 0x40000000));
  OK(pt(PTRACE_SEIZE, p, 0, 0));
  ERR(EPERM, pt(PTRACE_SEIZE, p, 0, 0));
  ERR(EPERM, pt(PTRACE_ATTACH, p, 0, 0));
  ERR(ESRCH, pt(PTRACE_CONT, p, 0, 0)); // not stopped
  ERR(ESRCH, pt(PTRACE_LISTEN, p, 0, 0));
  OK(pt(PTRACE_INTERRUPT, p, 0, 0));
  STOPPED(p, "SIGTRAP event 128");
  ERR(EIO, pt(PTRACE_CONT, p, 0, 65));
  ERR(EIO, pt(0x7777, p, 0, 0));
  ERR(EINVAL, pt(PTRACE_SETOPTIONS, p, 0, 0x40000000));
  long word;
  ERR(EIO, pt(PTRACE_PEEKDATA, p, 1, (long)&word));
  ERR(EIO, pt(PTRACE_POKEDATA, p, 8, 0));
  ERR(EIO, pt(PTRACE_PEEKUSR, p, 3, (long)&word));
  ERR(EIO, pt(PTRACE_PEEKUSR, p, sizeof(struct user) + 16, (long)&word));
  ERR(EIO, pt(PTRACE_POKEUSR, p, offsetof(struct user, u_tsize), 0));
  ERR(EINVAL, pt(PTRACE_GETSIGMASK, p, 4, (long)&word));
  struct iovec iov = {&word, 8};
  ERR(EINVAL, pt(PTRACE_GETREGSET, p, 0x7777, (long)&iov));
  ERR(EFAULT, pt(PTRACE_GETREGS, p, 0, 8));
  OK(pt(PTRACE_KILL, p, 0, 0));
  STREQ(stop_text(W(p, 0)), "killed by SIGKILL");
  ERR(ESRCH, pt(PTRACE_CONT, p, 0, 0));
}

TEST(attach_and_detach) {
  pid_t p = xfork();
  if (!p) { catch_signal(SIGUSR1, 0); pause(); EQ(caught[SIGUSR1], 1); CHILD_END(); }
  until_asleep(p);
  OK(pt(PTRACE_ATTACH, p, 0, 0));
  STOPPED(p, "SIGSTOP event 0");
  char path[64]; snprintf(path, sizeof path, "/proc/%d/status", p);
  const char *line = strstr(get(path), "TracerPid:");
  CHECK(line && atoi(line + 10) == getpid());
  CHECK(strstr(get(path), "State:\tt (tracing stop)"));
  OK(pt(PTRACE_DETACH, p, 0, 0));
  line = strstr(get(path), "TracerPid:");
  CHECK(line && atoi(line + 10) == 0);
  ERR(ESRCH, pt(PTRACE_CONT, p, 0, 0));
  until_asleep(p); // the interrupted pause goes on
  OK(pt(PTRACE_ATTACH, p, 0, 0));
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_DETACH, p, 0, SIGUSR1));
  REAP(p);
}

TEST(syscall_stops) {
  pid_t p = TRACED_CHILD();
  if (!p) { syscall(SYS_getppid); syscall(SYS_close, -1); _exit(7); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD));
  // The end of the call that the stop came in is not seen.
  struct user_regs_struct r;
  int want = 0, got_nr[4]; long long got_ret[4];
  for (int n = 0; n < 3;) {
    OK(pt(PTRACE_SYSCALL, p, 0, 0));
    int st = W(p, 0);
    if (!WIFSTOPPED(st)) { fail(__LINE__, "%s", stop_text(st)); return; }
    STREQ(stop_text(st), "SIGTRAP|0x80 event 0");
    OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
    if (!want) {
      EQ((long long)r.rax, -ENOSYS);
      got_nr[n] = (int)r.orig_rax;
      EQ(message_of(p), 1);
      EQ(info_of(p).si_code, SIGTRAP | 0x80);
      if (r.orig_rax == SYS_exit_group) break;
    } else {
      EQ(r.orig_rax, got_nr[n]);
      EQ(message_of(p), 2);
      got_ret[n++] = (long long)r.rax;
    }
    want = !want;
  }
  EQ(got_nr[0], SYS_getppid); EQ(got_ret[0], getpid());
  EQ(got_nr[1], SYS_close); EQ(got_ret[1], -EBADF);
  CONT(p, 0);
  STREQ(reap(p), "exit 7");
}

TEST(syscall_info) {
  pid_t p = TRACED_CHILD();
  if (!p) { syscall(SYS_lseek, 1001, 2, 3); _exit(0); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD));
  unsigned char buf[128];
  SHOW(pt(GET_SYSCALL_INFO, p, sizeof buf, (long)buf));
  EQ(buf[0], 0);
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  STOPPED(p, "SIGTRAP|0x80 event 0");
  SHOW(pt(GET_SYSCALL_INFO, p, sizeof buf, (long)buf));
  unsigned long *w = (void *)(buf + 24);
  EQ(buf[0], 1); EQ(*(unsigned *)(buf + 4), AUDIT_ARCH_X86_64);
  EQ(w[0], SYS_lseek); EQ(w[1], 1001); EQ(w[2], 2); EQ(w[3], 3);
  memset(buf, 0xee, sizeof buf);
  SHOW(pt(GET_SYSCALL_INFO, p, 3, (long)buf));
  EQ(buf[3], 0xee);
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  STOPPED(p, "SIGTRAP|0x80 event 0");
  SHOW(pt(GET_SYSCALL_INFO, p, sizeof buf, (long)buf));
  EQ(buf[0], 2); EQ(w[0], -EBADF); EQ(buf[32], 1);
  CONT(p, 0);
  REAP(p);
}

TEST(changing_a_call) {
  pid_t p = TRACED_CHILD();
  if (!p) {
    EQ(syscall(SYS_getuid), 4711);          // result replaced
    ERR(EINTR, syscall(SYS_getgid));        // skipped, result of the tracer's
    EQ(syscall(SYS_getppid), getpid());     // another call
    CHILD_END();
  }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD));
  int st, entry = 1, skipped = 0;
  for (;;) {
    OK(pt(PTRACE_SYSCALL, p, 0, 0));
    st = W(p, 0);
    if (!WIFSTOPPED(st)) break;
    struct user_regs_struct r;
    OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
    if (entry && r.orig_rax == SYS_getgid) { r.orig_rax = -1; r.rax = -EINTR; skipped = 1; OK(pt(PTRACE_SETREGS, p, 0, (long)&r)); }
    else if (entry && r.orig_rax == SYS_getppid) OK(pt(PTRACE_POKEUSR, p, offsetof(struct user_regs_struct, orig_rax), SYS_getpid));
    else if (!entry && r.orig_rax == SYS_getuid) { r.rax = 4711; OK(pt(PTRACE_SETREGS, p, 0, (long)&r)); }
    else if (!entry && skipped) { EQ((long long)r.rax, -EINTR); skipped = 0; }
    entry = !entry;
  }
  STREQ(status_text(st), "exit 0");
}

TEST(sysemu) {
  pid_t p = TRACED_CHILD();
  if (!p) { EQ(syscall(SYS_getppid), 42); CHILD_END(); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD));
  OK(pt(PTRACE_SYSEMU, p, 0, 0));
  STOPPED(p, "SIGTRAP|0x80 event 0");
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.orig_rax, SYS_getppid);
  r.rax = 42;
  OK(pt(PTRACE_SETREGS, p, 0, (long)&r));
  CONT(p, 0);
  REAP(p);
}

static volatile int data_word = 5;
__attribute__((noinline)) static int read_word(void) { return data_word; }
__attribute__((noinline, aligned(64))) static int answer(void) { __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop"); return 1; }

TEST(memory) {
  pid_t p = TRACED_CHILD();
  if (!p) { EQ(read_word(), 9); EQ(answer(), 1); CHILD_END(); }
  STOPPED(p, "SIGSTOP event 0");
  long word = 0;
  OK(pt(PTRACE_PEEKDATA, p, (long)&data_word, (long)&word));
  EQ((int)word, 5);
  OK(pt(PTRACE_POKEDATA, p, (long)&data_word, (word & ~0xffffffffL) | 9));
  EQ(data_word, 5); // ours is another page
  // A breakpoint in the text, which may not be written.
  long text = 0;
  OK(pt(PTRACE_PEEKTEXT, p, (long)answer, (long)&text));
  OK(pt(PTRACE_POKETEXT, p, (long)answer, (text & ~0xffL) | 0xcc));
  EQ(answer(), 1);
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 0");
  siginfo_t i = info_of(p);
  EQ(i.si_code, SI_KERNEL);
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.rip, (long)answer + 1);
  OK(pt(PTRACE_POKETEXT, p, (long)answer, text));
  r.rip--;
  OK(pt(PTRACE_SETREGS, p, 0, (long)&r));
  CONT(p, 0);
  REAP(p);
}

TEST(proc_mem) {
  pid_t p = TRACED_CHILD();
  if (!p) { EQ(read_word(), 11); answer(); CHILD_END(); }
  STOPPED(p, "SIGSTOP event 0");
  char path[64]; snprintf(path, sizeof path, "/proc/%d/mem", p);
  int fd = (int)OK(open(path, O_RDWR));
  int v = 0;
  EQ(pread(fd, &v, 4, (off_t)(long)&data_word), 4); EQ(v, 5);
  v = 11;
  EQ(pwrite(fd, &v, 4, (off_t)(long)&data_word), 4);
  unsigned char old, trap = 0xcc;
  EQ(pread(fd, &old, 1, (off_t)(long)answer), 1);
  EQ(pwrite(fd, &trap, 1, (off_t)(long)answer), 1);
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 0");
  EQ(pwrite(fd, &old, 1, (off_t)(long)answer), 1);
  long rip;
  OK(pt(PTRACE_PEEKUSR, p, offsetof(struct user_regs_struct, rip), (long)&rip));
  OK(pt(PTRACE_POKEUSR, p, offsetof(struct user_regs_struct, rip), rip - 1));
  CONT(p, 0);
  REAP(p);
}

TEST(single_step) {
  pid_t p = TRACED_CHILD();
  if (!p) { answer(); _exit(3); }
  STOPPED(p, "SIGSTOP event 0");
  long text = 0;
  OK(pt(PTRACE_PEEKTEXT, p, (long)answer, (long)&text));
  OK(pt(PTRACE_POKETEXT, p, (long)answer, (text & ~0xffL) | 0xcc));
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 0");
  OK(pt(PTRACE_POKETEXT, p, (long)answer, text));
  OK(pt(PTRACE_POKEUSR, p, offsetof(struct user_regs_struct, rip), (long)answer));
  for (int n = 1; n <= 8; n++) {
    OK(pt(PTRACE_SINGLESTEP, p, 0, 0));
    STOPPED(p, "SIGTRAP event 0");
    siginfo_t i = info_of(p);
    EQ(i.si_code, TRAP_TRACE);
    struct user_regs_struct r;
    OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
    EQ((long)i.si_addr, r.rip);
    EQ(r.eflags & 0x100, 0);
    EQ(r.rip > (unsigned long)answer && r.rip < (unsigned long)answer + 16, 1);
  }
  CONT(p, 0);
  STREQ(reap(p), "exit 3");
}

TEST(step_over_a_call) {
  pid_t p = TRACED_CHILD();
  if (!p) {
    __asm__ volatile("mov $110, %%eax; int3; syscall; nop; nop" ::: "rax", "rcx", "r11", "memory");
    _exit(0);
  }
  STOPPED(p, "SIGSTOP event 0");
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 0");
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  long at = r.rip;
  OK(pt(PTRACE_SINGLESTEP, p, 0, 0));
  STOPPED(p, "SIGTRAP event 0");
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.rip - at, 2);
  EQ(r.rax, getpid());
  SAY("code of a step over a call: %d\n", info_of(p).si_code);
  OK(pt(PTRACE_SINGLESTEP, p, 0, 0));
  STOPPED(p, "SIGTRAP event 0");
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.rip - at, 3);
  CONT(p, 0);
  REAP(p);
}

static void in_handler(int s) { (void)s; caught[SIGUSR1]++; }

TEST(step_into_a_handler) {
  pid_t p = TRACED_CHILD();
  if (!p) {
    struct sigaction a = {.sa_handler = in_handler}; sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    EQ(caught[SIGUSR1], 1);
    CHILD_END();
  }
  STOPPED(p, "SIGSTOP event 0");
  CONT(p, 0);
  STOPPED(p, "SIGUSR1 event 0");
  OK(pt(PTRACE_SINGLESTEP, p, 0, SIGUSR1));
  STOPPED(p, "SIGTRAP event 0");
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.rip, (long)in_handler);
  EQ(info_of(p).si_code, SIGTRAP);
  CONT(p, 0);
  REAP(p);
}

TEST(trap_flag_of_the_program) {
  catch_signal(SIGTRAP, 0);
  __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
  CHECK(caught[SIGTRAP] >= 2);
  SAY("traps: %d\n", caught[SIGTRAP]);
}

TEST(registers) {
  pid_t p = TRACED_CHILD();
  if (!p) {
    unsigned long a;
    double d = 1.5, e;
    __asm__ volatile("movsd %2, %%xmm5; mov $0x1234, %%rbx; int3; mov %%rbx, %0; movsd %%xmm5, %1" : "=r"(a), "=m"(e) : "m"(d) : "rbx", "xmm5");
    EQ(a, 0x4321);
    CHECK(e == 2.5);
    CHILD_END();
  }
  STOPPED(p, "SIGSTOP event 0");
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 0");
  struct user_regs_struct r;
  struct iovec iov = {&r, sizeof r + 100};
  iov.iov_len = sizeof r + 104;
  OK(pt(PTRACE_GETREGSET, p, NT_PRSTATUS, (long)&iov));
  EQ(iov.iov_len, sizeof r);
  EQ(r.rbx, 0x1234); EQ(r.cs, 0x33); EQ(r.ss, 0x2b); EQ((long long)r.orig_rax, -1);
  long bad = r.cs; r.cs = 0;
  ERR(EIO, pt(PTRACE_SETREGS, p, 0, (long)&r));
  r.cs = bad; r.rbx = 0x4321;
  iov.iov_len = 6 * 8;
  OK(pt(PTRACE_SETREGSET, p, NT_PRSTATUS, (long)&iov));
  ERR(EIO, pt(PTRACE_POKEUSR, p, offsetof(struct user_regs_struct, fs_base), 1L << 62));
  struct user_fpregs_struct f;
  OK(pt(PTRACE_GETFPREGS, p, 0, (long)&f));
  double x; memcpy(&x, (char *)f.xmm_space + 5 * 16, 8);
  CHECK(x == 1.5);
  x = 2.5; memcpy((char *)f.xmm_space + 5 * 16, &x, 8);
  unsigned mxcsr = f.mxcsr;
  f.mxcsr = 0xffffffff;
  ERR(EINVAL, pt(PTRACE_SETFPREGS, p, 0, (long)&f));
  f.mxcsr = mxcsr;
  OK(pt(PTRACE_SETFPREGS, p, 0, (long)&f));
  static char xs[16384]; struct iovec xv = {xs, sizeof xs};
  OK(pt(PTRACE_GETREGSET, p, NT_X86_XSTATE, (long)&xv));
  CHECK(xv.iov_len >= 576 && xv.iov_len < sizeof xs);
  memcpy(&x, xs + 160 + 5 * 16, 8);
  CHECK(x == 2.5);
  OK(pt(PTRACE_SETREGSET, p, NT_X86_XSTATE, (long)&xv));
  xv.iov_len -= 8;
  ERR(EFAULT, pt(PTRACE_SETREGSET, p, NT_X86_XSTATE, (long)&xv));
  CONT(p, 0);
  REAP(p);
}

TEST(fork_events) {
  pid_t p = TRACED_CHILD();
  if (!p) {
    pid_t c = fork(); if (!c) _exit(11);
    c = vfork(); if (!c) _exit(12);
    while (wait(NULL) > 0) {}
    _exit(0);
  }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE));
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 1");
  EQ(info_of(p).si_code, SIGTRAP | 1 << 8);
  pid_t c = (pid_t)message_of(p);
  STOPPED(c, "SIGSTOP event 0");
  CONT(c, 0);
  STREQ(stop_text(W(c, 0)), "exit 11");
  CONT(p, 0);
  int st = W(p, 0);
  if (WSTOPSIG(st) == SIGCHLD) { CONT(p, SIGCHLD); st = W(p, 0); }
  STREQ(stop_text(st), "SIGTRAP event 2");
  c = (pid_t)message_of(p);
  STOPPED(c, "SIGSTOP event 0");
  CONT(c, 0);
  CONT(p, 0);
  st = W(p, 0);
  if (WSTOPSIG(st) == SIGCHLD) { CONT(p, SIGCHLD); st = W(p, 0); }
  STREQ(stop_text(st), "SIGTRAP event 5");
  EQ(message_of(p), c);
  STREQ(stop_text(W(c, 0)), "exit 12");
  OK(pt(PTRACE_DETACH, p, 0, 0));
  REAP(p);
}

TEST(exec_and_exit_events) {
  pid_t p = TRACED_CHILD();
  if (!p) { execl("/proc/self/exe", "ptrace", "--list", NULL); _exit(1); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESYSGOOD));
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 4");
  EQ(message_of(p), p);
  // The end of the call is seen, too.
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  STOPPED(p, "SIGTRAP|0x80 event 0");
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.orig_rax, SYS_execve); EQ(r.rax, 0);
  OK(pt(PTRACE_KILL, p, 0, 0));
  int st = W(p, 0);
  if (WIFSTOPPED(st)) { STREQ(stop_text(st), "SIGTRAP event 6"); EQ(message_of(p), SIGKILL); CONT(p, 0); st = W(p, 0); }
  STREQ(stop_text(st), "killed by SIGKILL");
}

TEST(exit_event) {
  pid_t p = TRACED_CHILD();
  if (!p) _exit(23);
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEEXIT));
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 6");
  EQ(message_of(p), 23 << 8);
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.orig_rax, SYS_exit_group);
  CONT(p, 0);
  STREQ(reap(p), "exit 23");
}

TEST(exec_without_option) {
  pid_t p = TRACED_CHILD();
  if (!p) { execl("/bin/true", "true", NULL); execl("/proc/self/exe", "ptrace", "--list", NULL); _exit(1); }
  STOPPED(p, "SIGSTOP event 0");
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 0");
  EQ(info_of(p).si_code, SI_USER);
  OK(kill(p, SIGKILL));
  STREQ(reap(p), "killed by SIGKILL");
}

TEST(group_stop) {
  pid_t p = TRACED_CHILD();
  if (!p) { raise(SIGSTOP); _exit(4); }
  STOPPED(p, "SIGSTOP event 0");
  CONT(p, 0);
  STOPPED(p, "SIGSTOP event 0"); // about to be delivered
  CONT(p, SIGSTOP);
  STOPPED(p, "SIGSTOP event 0"); // stopped
  siginfo_t i;
  ERR(EINVAL, pt(PTRACE_GETSIGINFO, p, 0, (long)&i));
  CONT(p, 0);
  STREQ(reap(p), "exit 4");
}

TEST(seized_group_stop) {
  pid_t p = xfork();
  if (!p) { for (;;) pause(); }
  OK(pt(PTRACE_SEIZE, p, 0, 0));
  OK(kill(p, SIGSTOP));
  STOPPED(p, "SIGSTOP event 0");
  CONT(p, SIGSTOP);
  STOPPED(p, "SIGSTOP event 128");
  EQ(info_of(p).si_code, SIGSTOP | 128 << 8);
  OK(pt(PTRACE_LISTEN, p, 0, 0));
  EQ(waitpid(p, NULL, WNOHANG | __WALL), 0);
  ERR(ESRCH, pt(PTRACE_CONT, p, 0, 0));
  OK(kill(p, SIGCONT));
  STOPPED(p, "SIGTRAP event 128");
  CONT(p, 0);
  STOPPED(p, "SIGCONT event 0");
  CONT(p, SIGCONT);
  OK(pt(PTRACE_INTERRUPT, p, 0, 0));
  STOPPED(p, "SIGTRAP event 128");
  // Stopped a second time; the tracee is resumed while the process counts as stopped.
  CONT(p, 0);
  OK(kill(p, SIGTSTP));
  int st = W(p, 0);
  SAY("%s\n", stop_text(st));
  OK(pt(PTRACE_KILL, p, 0, 0));
  STREQ(reap(p), "killed by SIGKILL");
}

TEST(attach_to_what_is_stopped) {
  pid_t p = xfork();
  if (!p) { raise(SIGSTOP); _exit(5); }
  STREQ(status_text(W(p, WUNTRACED)), "stopped by SIGSTOP");
  OK(pt(PTRACE_SEIZE, p, 0, 0));
  STOPPED(p, "SIGSTOP event 128");
  OK(pt(PTRACE_DETACH, p, 0, 0));
  for (int i = 0; i < 1000 && proc_state(p) != 'T'; i++) msleep(1);
  EQ(proc_state(p), 'T'); // stays stopped
  OK(pt(PTRACE_ATTACH, p, 0, 0));
  STOPPED(p, "SIGSTOP event 0");
  siginfo_t i;
  SHOW(pt(PTRACE_GETSIGINFO, p, 0, (long)&i));
  CONT(p, 0);
  STOPPED(p, "SIGSTOP event 0");
  SHOW(pt(PTRACE_GETSIGINFO, p, 0, (long)&i));
  OK(pt(PTRACE_DETACH, p, 0, 0));
  OK(kill(p, SIGCONT));
  STREQ(reap(p), "exit 5");
}

TEST(kill_ends_every_stop) {
  pid_t p = TRACED_CHILD();
  if (!p) _exit(0);
  STOPPED(p, "SIGSTOP event 0");
  OK(kill(p, SIGKILL));
  STREQ(reap(p), "killed by SIGKILL");
  p = TRACED_CHILD();
  if (!p) { getppid(); _exit(0); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  STOPPED(p, "SIGTRAP event 0");
  OK(kill(p, SIGKILL));
  STREQ(reap(p), "killed by SIGKILL");
}

TEST(tracer_ends) {
  int pipe_[2]; MUST(pipe(pipe_));
  pid_t p = xfork();
  if (!p) { char c; read(pipe_[0], &c, 1); _exit(6); }
  IN_CHILD { OK(pt(PTRACE_ATTACH, p, 0, 0)); STOPPED(p, "SIGSTOP event 0"); }
  for (int i = 0; i < 1000 && proc_state(p) == 't'; i++) msleep(1);
  CHECK(proc_state(p) != 't');
  EQ(write(pipe_[1], "x", 1), 1);
  STREQ(reap(p), "exit 6");
  p = xfork();
  if (!p) { pause(); _exit(6); }
  IN_CHILD { OK(pt(PTRACE_SEIZE, p, 0, PTRACE_O_EXITKILL)); }
  STREQ(reap(p), "killed by SIGKILL");
}

// Somebody else's child: the tracer is told first, then the parent.
TEST(reparented_tracee) {
  int go[2]; MUST(pipe(go));
  pid_t p = xfork();
  if (!p) { char c; read(go[0], &c, 1); _exit(9); }
  pid_t t = xfork();
  if (!t) {
    OK(pt(PTRACE_SEIZE, p, 0, 0));
    EQ(write(go[1], "x", 1), 1);
    siginfo_t i; memset(&i, 0, sizeof i);
    OK(waitid(P_PID, p, &i, WEXITED | WNOWAIT));
    EQ(i.si_code, CLD_EXITED); EQ(i.si_status, 9);
    msleep(50);
    STREQ(stop_text(W(p, 0)), "exit 9");
    CHILD_END();
  }
  STREQ(reap(p), "exit 9");
  REAP(t);
}

TEST(parent_does_not_see_the_end_before_the_tracer) {
  int go[2], done[2]; MUST(pipe(go)); MUST(pipe(done));
  pid_t p = xfork();
  if (!p) { char c; read(go[0], &c, 1); _exit(9); }
  pid_t t = xfork();
  if (!t) {
    char c;
    OK(pt(PTRACE_SEIZE, p, 0, 0));
    EQ(write(go[1], "x", 1), 1);
    siginfo_t i; OK(waitid(P_PID, p, &i, WEXITED | WNOWAIT));
    EQ(write(done[1], "x", 1), 1);
    EQ(read(go[0], &c, 1), 1);
    CHILD_END();
  }
  char c; EQ(read(done[0], &c, 1), 1);
  EQ(waitpid(p, NULL, WNOHANG), 0);
  EQ(write(go[1], "x", 1), 1);
  REAP(t);
  STREQ(reap(p), "exit 9");
}

static void *thread_body(void *arg) { (void)arg; return NULL; }

TEST(threads_are_tracees) {
  pid_t p = TRACED_CHILD();
  if (!p) { pthread_t t; pthread_create(&t, NULL, thread_body, NULL); pthread_join(t, NULL); _exit(8); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACECLONE));
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 3");
  pid_t tid = (pid_t)message_of(p);
  STOPPED(tid, "SIGSTOP event 0");
  char path[64]; snprintf(path, sizeof path, "/proc/%d/task/%d/stat", p, tid);
  CHECK(access(path, F_OK) == 0);
  CONT(tid, 0);
  STREQ(stop_text(W(tid, 0)), "exit 0"); // once the process ends, its status would be told of the thread, too
  CONT(p, 0);
  STREQ(reap(p), "exit 8");
}

static int exec_pipe[2];
static void *exec_body(void *arg) { (void)arg; char c; read(exec_pipe[0], &c, 1); execl("/proc/self/exe", "ptrace", "--list", NULL); _exit(1); }

TEST(exec_by_another_thread) {
  MUST(pipe(exec_pipe));
  pid_t p = TRACED_CHILD();
  if (!p) { pthread_t t; pthread_create(&t, NULL, exec_body, NULL); for (;;) pause(); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC));
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 3");
  pid_t tid = (pid_t)message_of(p);
  STOPPED(tid, "SIGSTOP event 0");
  CONT(tid, 0);
  CONT(p, 0);
  EQ(write(exec_pipe[1], "x", 1), 1);
  STOPPED(p, "SIGTRAP event 4");
  EQ(message_of(p), tid);
  ERR(ESRCH, pt(PTRACE_CONT, tid, 0, 0));
  OK(kill(p, SIGKILL));
  STREQ(reap(p), "killed by SIGKILL");
}

// An interrupted call is made again, and the tracer sees what for.
TEST(restarted_call) {
  int pipe_[2]; MUST(pipe(pipe_));
  pid_t p = TRACED_CHILD();
  if (!p) { char c = 0; EQ(read(pipe_[0], &c, 1), 1); CHILD_END(); }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD));
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  STOPPED(p, "SIGTRAP|0x80 event 0");
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  until_asleep(p);
  OK(kill(p, SIGWINCH));
  STOPPED(p, "SIGTRAP|0x80 event 0");
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ((long long)r.rax, -512); EQ(r.orig_rax, SYS_read);
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  STOPPED(p, "SIGWINCH event 0");
  OK(pt(PTRACE_SYSCALL, p, 0, 0));
  STOPPED(p, "SIGTRAP|0x80 event 0");
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.orig_rax, SYS_read); EQ((long long)r.rax, -ENOSYS);
  EQ(write(pipe_[1], "x", 1), 1);
  CONT(p, 0);
  REAP(p);
}

TEST(signal_info_and_masks) {
  pid_t p = xfork();
  if (!p) {
    OK(pt(PTRACE_TRACEME, 0, 0, 0));
    sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR2); sigaddset(&s, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &s, NULL);
    union sigval v = {.sival_int = 77};
    sigqueue(getpid(), SIGRTMIN, v);
    raise(SIGUSR2);
    sigemptyset(&s);
    struct sigaction a = {.sa_handler = count_signal, .sa_flags = SA_SIGINFO}; sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    sigset_t now; sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGTERM) && !sigismember(&now, SIGKILL) && !sigismember(&now, SIGUSR2));
    CHILD_END();
  }
  STOPPED(p, "SIGUSR1 event 0");
  unsigned long mask;
  OK(pt(PTRACE_GETSIGMASK, p, 8, (long)&mask));
  EQ(mask, 1UL << (SIGUSR2 - 1) | 1UL << (SIGRTMIN - 1));
  struct { unsigned long off; unsigned flags; int nr; } args = {0, 0, 10};
  siginfo_t infos[10];
  EQ(pt(PTRACE_PEEKSIGINFO, p, (long)&args, (long)infos), 1);
  EQ(infos[0].si_signo, SIGUSR2);
  args.flags = 1;
  EQ(pt(PTRACE_PEEKSIGINFO, p, (long)&args, (long)infos), 1);
  EQ(infos[0].si_signo, SIGRTMIN); EQ(infos[0].si_value.sival_int, 77);
  args.off = 1;
  EQ(pt(PTRACE_PEEKSIGINFO, p, (long)&args, (long)infos), 0);
  args.nr = -1;
  ERR(EINVAL, pt(PTRACE_PEEKSIGINFO, p, (long)&args, (long)infos));
  siginfo_t i = info_of(p);
  i.si_code = SI_QUEUE;
  OK(pt(PTRACE_SETSIGINFO, p, 0, (long)&i));
  EQ(info_of(p).si_code, SI_QUEUE);
  mask = ~0UL & ~(1UL << (SIGUSR2 - 1)) & ~(1UL << (SIGUSR1 - 1));
  OK(pt(PTRACE_SETSIGMASK, p, 8, (long)&mask));
  CONT(p, SIGUSR1);
  STOPPED(p, "SIGUSR2 event 0");
  CONT(p, 0);
  REAP(p);
}

TEST(waiting_for_tracees) {
  pid_t p = TRACED_CHILD();
  if (!p) _exit(0);
  siginfo_t i; memset(&i, 0, sizeof i);
  // Without WSTOPPED as well: a tracee's stops are always told.
  OK(waitid(P_PID, p, &i, WSTOPPED | WNOWAIT));
  EQ(i.si_code, CLD_TRAPPED); EQ(i.si_status, SIGSTOP); EQ(i.si_pid, p);
  OK(waitid(P_PID, p, &i, WSTOPPED));
  i.si_pid = 1;
  OK(waitid(P_PID, p, &i, WSTOPPED | WNOHANG));
  EQ(i.si_pid, 0); // once
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACEEXIT));
  CONT(p, 0);
  OK(waitid(P_PID, p, &i, WSTOPPED | __WALL));
  EQ(i.si_status, SIGTRAP | 6 << 8);
  CONT(p, 0);
  REAP(p);
}

static volatile int got_code, got_status;
static void on_child(int s, siginfo_t *i, void *u) { (void)s; (void)u; got_code = i->si_code; got_status = i->si_status; }

TEST(tracer_gets_sigchld) {
  struct sigaction a = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART}; MUST(sigaction(SIGCHLD, &a, NULL));
  pid_t p = TRACED_CHILD();
  if (!p) _exit(1);
  STOPPED(p, "SIGSTOP event 0");
  EQ(got_code, CLD_TRAPPED); EQ(got_status, SIGSTOP);
  CONT(p, 0);
  STREQ(reap(p), "exit 1");
  EQ(got_code, CLD_EXITED); EQ(got_status, 1);
}

static int filter(unsigned nr, unsigned action) {
  struct sock_filter f[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, action),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog prog = {LEN(f), f};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

TEST(seccomp_asks_the_tracer) {
  pid_t p = TRACED_CHILD();
  if (!p) {
    OK(filter(SYS_getppid, SECCOMP_RET_TRACE | 0x1234));
    EQ(syscall(SYS_getppid), 99);
    CHILD_END();
  }
  STOPPED(p, "SIGSTOP event 0");
  OK(pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESECCOMP));
  CONT(p, 0);
  STOPPED(p, "SIGTRAP event 7");
  EQ(message_of(p), 0x1234);
  unsigned char buf[128];
  SHOW(pt(GET_SYSCALL_INFO, p, sizeof buf, (long)buf));
  EQ(buf[0], 3); EQ(*(unsigned *)(buf + 80), 0x1234);
  struct user_regs_struct r;
  OK(pt(PTRACE_GETREGS, p, 0, (long)&r));
  EQ(r.orig_rax, SYS_getppid);
  r.orig_rax = -1; r.rax = 99;
  OK(pt(PTRACE_SETREGS, p, 0, (long)&r));
  CONT(p, 0);
  REAP(p);
  IN_CHILD { // nobody traces
    OK(filter(SYS_getppid, SECCOMP_RET_TRACE));
    ERR(ENOSYS, syscall(SYS_getppid));
  }
}

TEST(access_is_checked) {
  if (!is_privileged()) return;
  pid_t victim = xfork();
  if (!victim) { pause(); _exit(0); }
  IN_CHILD { become(1000, 1000); ERR(EPERM, pt(PTRACE_SEIZE, victim, 0, 0)); }
  kill(victim, SIGKILL); reap(victim);
  int ready[2]; MUST(pipe(ready));
  victim = xfork();
  if (!victim) { become(1000, 1000); prctl(PR_SET_DUMPABLE, 1); EQ(write(ready[1], "x", 1), 1); pause(); _exit(0); }
  char c; EQ(read(ready[0], &c, 1), 1);
  IN_CHILD { become(1000, 1000); OK(pt(PTRACE_SEIZE, victim, 0, 0)); }
  IN_CHILD { become(1001, 1000); ERR(EPERM, pt(PTRACE_SEIZE, victim, 0, 0)); }
  OK(pt(PTRACE_SEIZE, victim, 0, 0));
  kill(victim, SIGKILL);
  STREQ(reap(victim), "killed by SIGKILL");
}

static void *other_thread(void *arg) {
  pid_t p = *(pid_t *)arg;
  ERR(ESRCH, pt(PTRACE_CONT, p, 0, 0));
  ERR(ECHILD, waitpid(p, NULL, __WNOTHREAD | __WALL | WNOHANG));
  EQ(waitpid(p, NULL, __WALL | WNOHANG), 0);
  return NULL;
}

TEST(only_the_tracing_thread) {
  pid_t p = TRACED_CHILD();
  if (!p) _exit(0);
  STOPPED(p, "SIGSTOP event 0");
  pthread_t t;
  pthread_create(&t, NULL, other_thread, &p);
  pthread_join(t, NULL);
  CONT(p, 0);
  REAP(p);
}

TEST(blocked_trap_ends_the_process) {
  pid_t p = xfork();
  if (!p) {
    sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, NULL);
    OK(pt(PTRACE_TRACEME, 0, 0, 0));
    __asm__ volatile("int3");
    _exit(0);
  }
  STOPPED(p, "SIGTRAP event 0");
  CONT(p, SIGTRAP);
  STREQ(reap(p), "killed by SIGTRAP");
}
