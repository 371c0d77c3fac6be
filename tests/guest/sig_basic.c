// Handlers, masks, siginfo, restarting, alternate stacks, groups of signals.
#include "guest.h"
#include <setjmp.h>
static siginfo_t info;
static volatile int n, depth, most;
static sigset_t inside;
static void on_info(int s, siginfo_t *i, void *c) {
  (void)s;
  (void)c;
  info = *i;
  n++;
  sigprocmask(SIG_BLOCK, 0, &inside);
}
static void handle(int s, int flags) {
  struct sigaction a = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | flags};
  MUST(sigaction(s, &a, 0));
}
static void block(int s) {
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, s);
  sigprocmask(SIG_BLOCK, &m, 0);
}
static void unblock(int s) {
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, s);
  sigprocmask(SIG_UNBLOCK, &m, 0);
}
static void timer(int ms) {
  struct itimerval t = {{0, 0}, {0, ms * 1000}};
  setitimer(ITIMER_REAL, &t, 0);
}
TEST(actions) {
  struct sigaction a, o;
  handle(SIGUSR1, SA_RESTART | SA_NODEFER);
  OK(sigaction(SIGUSR1, 0, &o));
  CHECK(o.sa_sigaction == on_info);
  EQ(o.sa_flags & ~0x04000000, SA_SIGINFO | SA_RESTART | SA_NODEFER);
  ERR(EINVAL, sigaction(SIGKILL, &o, 0));
  ERR(EINVAL, sigaction(SIGSTOP, &o, 0));
  ERR(EINVAL, sigaction(65, &o, 0));
  ERR(EINVAL, sigaction(0, &o, 0));
  OK(sigaction(SIGKILL, 0, &a));
  ERR(EFAULT, syscall(SYS_rt_sigaction, SIGUSR1, 8, 0, 8));
  ERR(EINVAL, syscall(SYS_rt_sigaction, SIGUSR1, 0, &a, 4));
}
TEST(information) {
  handle(SIGUSR1, 0);
  OK(kill(getpid(), SIGUSR1));
  EQ(n, 1);
  EQ(info.si_code, SI_USER);
  EQ(info.si_pid, getpid());
  EQ(info.si_uid, 0);
  OK(raise(SIGUSR1));
  EQ(info.si_code, SI_TKILL);
  OK(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void *)0x123456789}));
  EQ(info.si_code, SI_QUEUE);
  EQ((long)info.si_value.sival_ptr, 0x123456789);
  EQ(sigismember(&inside, SIGUSR1), 1);
  EQ(n, 3);
  handle(SIGALRM, 0);
  timer(5);
  while (n < 4)
    msleep(1);
  EQ(info.si_code, SI_KERNEL);
}
TEST(masks) {
  handle(SIGUSR1, 0);
  block(SIGUSR1);
  raise(SIGUSR1);
  raise(SIGUSR1);
  EQ(n, 0);
  sigset_t p;
  sigpending(&p);
  EQ(sigismember(&p, SIGUSR1), 1);
  EQ(sigismember(&p, SIGUSR2), 0);
  unblock(SIGUSR1);
  EQ(n, 1);
  sigset_t all, now;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, 0);
  sigprocmask(SIG_BLOCK, 0, &now);
  EQ(sigismember(&now, SIGKILL), 0);
  EQ(sigismember(&now, SIGSTOP), 0);
  EQ(sigismember(&now, SIGTERM), 1);
  ERR(EINVAL, sigprocmask(9, &all, 0));
  ERR(EINVAL, syscall(SYS_rt_sigprocmask, 0, &all, 0, 4));
  ERR(EFAULT, syscall(SYS_rt_sigprocmask, 0, 8, 0, 8));
  signal(SIGUSR1, SIG_IGN);
  sigpending(&p);
  raise(SIGUSR1);
  sigpending(&p);
  EQ(sigismember(&p, SIGUSR1), 1);
  IN_CHILD {
    sigpending(&p);
    EQ(sigisemptyset(&p), 1);
    sigprocmask(SIG_BLOCK, 0, &now);
    EQ(sigismember(&now, SIGTERM), 1);
  }
}
static void nest(int s) {
  depth++;
  if (depth > most)
    most = depth;
  if (n++ < 3)
    raise(s);
  depth--;
}
TEST(deferral) {
  struct sigaction a = {.sa_handler = nest};
  sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1);
  EQ(n, 4);
  EQ(most, 1);
  n = most = 0;
  a.sa_flags = SA_NODEFER;
  sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1);
  EQ(n, 4);
  EQ(most, 4);
  a.sa_flags = SA_RESETHAND;
  a.sa_handler = count_signal;
  sigaction(SIGUSR2, &a, 0);
  raise(SIGUSR2);
  EQ(caught[SIGUSR2], 1);
  struct sigaction o;
  sigaction(SIGUSR2, 0, &o);
  CHECK(o.sa_handler == SIG_DFL);
  sigemptyset(&a.sa_mask);
  sigaddset(&a.sa_mask, SIGTERM);
  a.sa_flags = SA_SIGINFO;
  a.sa_sigaction = on_info;
  sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1);
  EQ(sigismember(&inside, SIGTERM), 1);
  sigset_t now;
  sigprocmask(SIG_BLOCK, 0, &now);
  EQ(sigismember(&now, SIGTERM), 0);
}
static int order[20], count;
static void note(int s, siginfo_t *i, void *c) {
  (void)c;
  order[count++] = s * 100 + i->si_value.sival_int;
}
TEST(real_time_queues) {
  struct sigaction a = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
  sigfillset(&a.sa_mask);
  int s[] = {SIGRTMIN + 2, SIGRTMIN, SIGRTMIN + 1, SIGUSR1};
  for (int i = 0; i < 4; i++) {
    sigaction(s[i], &a, 0);
  }
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, 0);
  for (int k = 1; k <= 3; k++)
    for (int i = 0; i < 4; i++)
      sigqueue(getpid(), s[i], (union sigval){.sival_int = k});
  sigemptyset(&all);
  sigprocmask(SIG_SETMASK, &all, 0);
  for (int i = 0; i < count; i++)
    printf("%d.%d ", order[i] / 100 - (order[i] / 100 >= SIGRTMIN ? SIGRTMIN : 0), order[i] % 100);
  puts("");
}
TEST(queue_limit) {
  struct rlimit r = {20, 20};
  IN_CHILD {
    become(23456, 23456);
    setrlimit(RLIMIT_SIGPENDING, &r);
    block(SIGRTMIN);
    int i = 0;
    while (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0 && i < 100)
      i++;
    EQ(errno, EAGAIN);
    CHECK(i >= 15 && i <= 21);
  }
}
TEST(interrupted_and_restarted) {
  int p[2];
  MUST(pipe(p));
  char b;
  catch_signal(SIGALRM, 0);
  timer(20);
  ERR(EINTR, read(p[0], &b, 1));
  catch_signal(SIGALRM, SA_RESTART);
  pid_t c = xfork();
  if (!c) {
    msleep(80);
    write(p[1], "x", 1);
    _exit(0);
  }
  timer(20);
  EQ(read(p[0], &b, 1), 1);
  EQ(caught[SIGALRM], 2);
  timer(20);
  c = xfork();
  if (!c) {
    msleep(60);
    _exit(0);
  }
  catch_signal(SIGALRM, 0);
  int st;
  while (wait(&st) > 0) {
  }
  c = xfork();
  if (!c) {
    msleep(100);
    _exit(0);
  }
  timer(20);
  ERR(EINTR, waitpid(c, &st, 0));
  catch_signal(SIGALRM, SA_RESTART);
  timer(20);
  EQ(waitpid(c, &st, 0), c);
  struct timespec t = {5, 0}, left = {0};
  timer(20);
  ERR(EINTR, nanosleep(&t, &left));
  CHECK(left.tv_sec == 4 && left.tv_nsec > 0);
  timer(20);
  ERR(EINTR, pause());
}
TEST(restart_block) { // A stopped and continued sleep goes on and ends no earlier than asked.
  pid_t c = xfork();
  if (!c) {
    long long t = now_ms();
    struct timespec s = {0, 200000000};
    OK(nanosleep(&s, 0));
    CHECK(now_ms() - t >= 199);
    CHILD_END();
  }
  msleep(30);
  kill(c, SIGSTOP);
  int st;
  waitpid(c, &st, WUNTRACED);
  msleep(20);
  kill(c, SIGCONT);
  REAP(c);
}
TEST(waiting_for_signals) {
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, SIGUSR1);
  sigaddset(&m, SIGRTMIN + 1);
  sigprocmask(SIG_BLOCK, &m, 0);
  siginfo_t i;
  struct timespec z = {0, 0}, sh = {0, 20000000};
  ERR(EAGAIN, sigtimedwait(&m, &i, &z));
  ERR(EAGAIN, sigtimedwait(&m, &i, &sh));
  sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 5});
  raise(SIGUSR1);
  EQ(sigtimedwait(&m, &i, &z), SIGUSR1);
  EQ(sigwaitinfo(&m, &i), SIGRTMIN + 1);
  EQ(i.si_value.sival_int, 5);
  EQ(i.si_pid, getpid());
  pid_t c = xfork();
  if (!c) {
    EQ(sigwaitinfo(&m, &i), SIGUSR1);
    EQ(i.si_pid, getppid());
    CHILD_END();
  }
  until_asleep(c);
  kill(c, SIGUSR1);
  REAP(c);
  catch_signal(SIGALRM, SA_RESTART);
  timer(20);
  ERR(EINTR, sigwaitinfo(&m, &i));
  z.tv_nsec = -1;
  ERR(EINVAL, sigtimedwait(&m, &i, &z));
}
TEST(suspend) {
  handle(SIGUSR1, 0);
  block(SIGUSR1);
  raise(SIGUSR1);
  sigset_t none;
  sigemptyset(&none);
  ERR(EINTR, sigsuspend(&none));
  EQ(n, 1);
  sigset_t now;
  sigprocmask(SIG_BLOCK, 0, &now);
  EQ(sigismember(&now, SIGUSR1), 1);
}
static char alt[65536];
static volatile long where;
static void on_alt(int s) {
  (void)s;
  char x;
  where = &x >= alt && &x < alt + sizeof alt;
  stack_t o;
  sigaltstack(0, &o);
  where += o.ss_flags == SS_ONSTACK ? 10 : 0;
  where += sigaltstack(&o, 0) == -1 && errno == EPERM ? 100 : 0;
}
TEST(alternate_stack) {
  stack_t s = {.ss_sp = alt, .ss_size = sizeof alt}, o;
  OK(sigaltstack(&s, &o));
  EQ(o.ss_flags, SS_DISABLE);
  struct sigaction a = {.sa_handler = on_alt, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1);
  EQ(where, 111);
  a.sa_flags = 0;
  sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1);
  EQ(where, 0);
  s.ss_size = 100;
  ERR(ENOMEM, sigaltstack(&s, 0));
  s.ss_flags = 77;
  ERR(EINVAL, sigaltstack(&s, 0));
  ERR(EFAULT, sigaltstack((void *)8, 0));
  s.ss_flags = SS_DISABLE;
  OK(sigaltstack(&s, 0));
  OK(sigaltstack(0, &o));
  EQ(o.ss_flags, SS_DISABLE);
}
static sigjmp_buf out;
static volatile int code;
static void *volatile addr;
static volatile int sig;
static void fault(int s, siginfo_t *i, void *c) {
  (void)c;
  sig = s;
  code = i->si_code;
  addr = i->si_addr;
  siglongjmp(out, 1);
}
#define FAULT(x)                                                                                                       \
  ({                                                                                                                   \
    sig = 0;                                                                                                           \
    if (!sigsetjmp(out, 1)) {                                                                                          \
      x;                                                                                                               \
    }                                                                                                                  \
    sig;                                                                                                               \
  })
TEST(faults) {
  struct sigaction a = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
  int s[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
  for (int i = 0; i < 5; i++)
    sigaction(s[i], &a, 0);
  EQ(FAULT(*(volatile int *)0x10 = 1), SIGSEGV);
  EQ(code, SEGV_MAPERR);
  EQ((long)addr, 0x10);
  char *m = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EQ(FAULT(*(volatile char *)(m + 5) = 1), SIGSEGV);
  EQ(code, SEGV_ACCERR);
  CHECK(addr == m + 5);
  volatile int zero = 0, one = 1;
  EQ(FAULT(one = one / zero), SIGFPE);
  EQ(code, FPE_INTDIV);
  EQ(FAULT(asm volatile("ud2")), SIGILL);
  EQ(code, ILL_ILLOPN);
  EQ(FAULT(asm volatile("int3")), SIGTRAP);
  EQ(code, SI_KERNEL);
  EQ(FAULT(*(volatile int *)0x8000000000000000ul = 1), SIGSEGV);
  EQ(code, SI_KERNEL);
  EQ(FAULT(((void (*)(void))m)()), SIGSEGV);
  EQ(code, SEGV_ACCERR);
  EQ(FAULT(asm volatile("hlt")), SIGSEGV);
  EQ(FAULT(asm volatile("cli")), SIGSEGV);
}
TEST(fatal) {
  int s[] = {SIGSEGV, SIGABRT, SIGFPE,    SIGILL,  SIGBUS, SIGTRAP, SIGSYS,    SIGQUIT, SIGHUP,  SIGINT,  SIGALRM,
             SIGPIPE, SIGUSR1, SIGVTALRM, SIGPROF, SIGIO,  SIGPWR,  SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGRTMAX};
  for (unsigned i = 0; i < LEN(s); i++) {
    pid_t c = xfork();
    if (!c) {
      kill(getpid(), s[i]);
      _exit(0);
    }
    puts(reap(c));
  }
  int ign[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
  for (int i = 0; i < 4; i++) {
    pid_t c = xfork();
    if (!c) {
      kill(getpid(), ign[i]);
      _exit(0);
    }
    puts(reap(c));
  }
  pid_t c = xfork();
  if (!c) {
    block(SIGSEGV);
    *(volatile int *)0x10 = 1;
    _exit(0);
  }
  puts(reap(c));
  c = xfork();
  if (!c) {
    signal(SIGSEGV, SIG_IGN);
    *(volatile int *)0x10 = 1;
    _exit(0);
  }
  puts(reap(c));
}
static void use_fpu(int s) {
  (void)s;
  double x = 1.0;
  for (int i = 0; i < 100; i++)
    x = x * 1.1 + 3;
  asm volatile("pxor %%xmm0,%%xmm0; pxor %%xmm7,%%xmm7; fldz; fstp %%st(0)" ::: "xmm0", "xmm7");
  n += x > 0;
}
TEST(floating_point_state) {
  struct sigaction a = {.sa_handler = use_fpu, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &a, 0);
  struct itimerval t = {{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &t, 0);
  double s = 0, expect = 0;
  for (int r = 0; n < 20; r++) {
    s = 0;
    for (int i = 1; i < 100000; i++)
      s += 1.0 / i;
    if (!r)
      expect = s;
    if (s != expect) {
      CHECK(0);
      break;
    }
  }
  t = (struct itimerval){{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &t, 0);
}
static void change(int s, siginfo_t *i, void *c) {
  (void)s;
  (void)i;
  ucontext_t *u = c;
  u->uc_mcontext.gregs[REG_RAX] = 0x1234;
  u->uc_mcontext.gregs[REG_RIP] += 2;
  sigaddset(&u->uc_sigmask, SIGTERM);
}
TEST(context_may_be_changed) {
  struct sigaction a = {.sa_sigaction = change, .sa_flags = SA_SIGINFO};
  sigaction(SIGILL, &a, 0);
  long r;
  asm volatile("xor %%eax,%%eax; ud2" : "=a"(r));
  EQ(r, 0x1234);
  sigset_t now;
  sigprocmask(SIG_BLOCK, 0, &now);
  EQ(sigismember(&now, SIGTERM), 1);
}
TEST(sending_errors) {
  ERR(EINVAL, kill(getpid(), 65));
  ERR(EINVAL, kill(getpid(), -1));
  ERR(ESRCH, kill(99999, 0));
  ERR(EINVAL, syscall(SYS_tgkill, -1, getpid(), SIGUSR1));
  ERR(ESRCH, syscall(SYS_tgkill, getpid(), 99999, SIGUSR1));
  ERR(EINVAL, syscall(SYS_tkill, 0, SIGUSR1));
  siginfo_t i = {.si_code = SI_USER};
  ERR(EPERM, syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &i));
  i.si_code = 5;
  ERR(EPERM, syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &i));
  block(SIGUSR1);
  i.si_code = -7;
  OK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &i));
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, SIGUSR1);
  siginfo_t g;
  EQ(sigwaitinfo(&m, &g), SIGUSR1);
  EQ(g.si_code, -7);
}
TEST(alarms) {
  catch_signal(SIGALRM, 0);
  EQ(alarm(10), 0);
  int left = alarm(0);
  CHECK(left == 10 || left == 9);
  EQ(alarm(0), 0);
  struct itimerval t = {{0, 5000}, {0, 5000}}, o;
  OK(setitimer(ITIMER_REAL, &t, 0));
  while (caught[SIGALRM] < 5)
    pause();
  OK(getitimer(ITIMER_REAL, &o));
  EQ(o.it_interval.tv_usec, 5000);
  t = (struct itimerval){{0, 0}, {0, 0}};
  OK(setitimer(ITIMER_REAL, &t, &o));
  ERR(EINVAL, setitimer(9, &t, 0));
  t.it_value.tv_usec = 1000000;
  ERR(EINVAL, setitimer(ITIMER_REAL, &t, 0));
  catch_signal(SIGVTALRM, 0);
  t = (struct itimerval){{0, 0}, {0, 20000}};
  OK(setitimer(ITIMER_VIRTUAL, &t, 0));
  for (volatile long i = 0; !caught[SIGVTALRM]; i++)
    ;
  catch_signal(SIGPROF, 0);
  OK(setitimer(ITIMER_PROF, &t, 0));
  for (volatile long i = 0; !caught[SIGPROF]; i++)
    ;
  IN_CHILD {
    OK(getitimer(ITIMER_REAL, &o));
    EQ(o.it_value.tv_usec, 0);
  }
}
TEST(small_alternate_stack) {
  static char small[8192];
  stack_t s = {.ss_sp = small, .ss_size = sizeof small};
  OK(sigaltstack(&s, 0));
  struct sigaction a = {.sa_handler = on_alt, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1);
  EQ(where, 110); // on the stack, which is not `alt`
}
static volatile int thread_id;
static void *waits(void *ready) {
  thread_id = gettid();
  OK(write(*(int *)ready, "x", 1));
  while (!n) // the signal may be here already
    usleep(1000);
  return 0;
}
TEST(a_thread_stands_for_its_process) {
  int p[2];
  OK(pipe(p));
  pthread_t t;
  pthread_create(&t, 0, waits, &p[1]);
  char c;
  EQ(read(p[0], &c, 1), 1);
  block(SIGUSR1);
  OK(kill(thread_id, 0));
  siginfo_t i = {.si_code = SI_QUEUE, .si_value.sival_int = 7, .si_signo = SIGUSR1};
  handle(SIGUSR1, 0);
  OK(syscall(SYS_rt_sigqueueinfo, thread_id, SIGUSR1, &i));
  pthread_join(t, 0);
  EQ(n, 1);
}
