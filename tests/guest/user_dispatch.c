// Syscall user dispatch: calls from outside of a range of code are handed back as SIGSYS.
#include "guest.h"
#include <ucontext.h>
static volatile char selector;
static volatile sig_atomic_t handed_back, number, code;
static void back(int s, siginfo_t *i, void *u) {
  ucontext_t *c = u;
  selector = 0;
  handed_back++;
  number = i->si_syscall;
  code = i->si_code;
  CHECK(i->si_call_addr == (void *)c->uc_mcontext.gregs[REG_RIP]);
  EQ(c->uc_mcontext.gregs[REG_RAX], number);
  c->uc_mcontext.gregs[REG_RAX] = 4711;
}
static int dispatch(long mode, long start, long len, volatile char *byte) {
  return syscall(SYS_prctl, 59, mode, start, len, byte);
}
TEST(calls_are_handed_back) {
  struct sigaction a = {.sa_sigaction = back, .sa_flags = SA_SIGINFO};
  OK(sigaction(SIGSYS, &a, 0));
  OK(dispatch(1, 0, 0, &selector));
  CHECK(syscall(SYS_getpid) == getpid());
  selector = 1;
  long got = syscall(SYS_getppid, 1, 2, 3);
  EQ(selector, 0);
  EQ(got, 4711);
  EQ(handed_back, 1);
  EQ(number, SYS_getppid);
  EQ(code, 2);
  // A child starts without; so does a program.
  pid_t c = xfork();
  if (!c) {
    selector = 1;
    syscall(SYS_exit_group, getpid() > 0 ? 7 : 8);
  }
  int status;
  OK(waitpid(c, &status, 0));
  EQ(WEXITSTATUS(status), 7);
  OK(dispatch(0, 0, 0, 0));
  selector = 1;
  EQ(handed_back, 1);
}
TEST(code_that_may_call) {
  OK(dispatch(1, 1, 0x7ffffffff000, &selector));
  selector = 1;
  OK(syscall(SYS_getpid));
  OK(dispatch(0, 0, 0, 0));
}
TEST(bad_selector_ends_the_process) {
  pid_t c = xfork();
  if (!c) {
    dispatch(1, 0, 0, &selector);
    selector = 2;
    for (;;)
      syscall(SYS_getpid);
  }
  int status;
  OK(waitpid(c, &status, 0));
  EQ(WTERMSIG(status), SIGSYS);
  c = xfork();
  if (!c) {
    volatile char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    dispatch(1, 0, 0, page);
    munmap((void *)page, 4096);
    for (;;)
      syscall(SYS_getpid);
  }
  OK(waitpid(c, &status, 0));
  EQ(WTERMSIG(status), SIGSEGV);
}
TEST(arguments) {
  ERR(EINVAL, dispatch(2, 0, 0, 0));
  ERR(EINVAL, dispatch(0, 1, 0, 0));
  ERR(EINVAL, dispatch(0, 0, 0, &selector));
  ERR(EINVAL, dispatch(1, 5, 0, &selector));
  ERR(EINVAL, dispatch(1, 5, -1, &selector));
  ERR(EFAULT, dispatch(1, 0, 0, (void *)0x8000000000000000));
}
