// Clocks, sleeping, POSIX timers.
#include "guest.h"
#include <sys/times.h>
static long long ns(struct timespec t) {
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}
TEST(clocks) {
  int c[] = {CLOCK_REALTIME,          CLOCK_MONOTONIC,     CLOCK_PROCESS_CPUTIME_ID,
             CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
             CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,      CLOCK_TAI};
  struct timespec t, u;
  for (unsigned i = 0; i < LEN(c); i++) {
    OK(clock_gettime(c[i], &t));
    OK(syscall(SYS_clock_gettime, c[i], &u));
    CHECK(ns(u) >= ns(t));
    OK(clock_getres(c[i], &t));
    CHECK(ns(t) > 0);
  }
  ERR(EINVAL, syscall(SYS_clock_gettime, 99, &t));
  ERR(EINVAL, clock_getres(99, &t));
  ERR(EFAULT, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
  ERR(EINVAL, clock_settime(CLOCK_MONOTONIC, &t));
  OK(clock_getres(CLOCK_MONOTONIC, &t));
  EQ(ns(t), 1);
  struct timeval v;
  OK(gettimeofday(&v, 0));
  time_t x = time(0);
  CHECK(x - v.tv_sec <= 1);
  CHECK(v.tv_sec > 1700000000);
  EQ(syscall(SYS_time, &x) == x, 1);
}
TEST(monotonic) {
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  for (int i = 0; i < 100000; i++) {
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (ns(b) < ns(a)) {
      CHECK(0);
      break;
    }
    a = b;
  }
}
TEST(sleeping) {
  struct timespec t = {0, 30000000}, a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  OK(nanosleep(&t, 0));
  clock_gettime(CLOCK_MONOTONIC, &b);
  CHECK(ns(b) - ns(a) >= 30000000);
  a = b;
  a.tv_nsec += 30000000;
  if (a.tv_nsec >= 1000000000)
    a.tv_sec++, a.tv_nsec -= 1000000000;
  EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, 0), 0);
  clock_gettime(CLOCK_MONOTONIC, &b);
  CHECK(ns(b) >= ns(a));
  EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, 0), 0);
  EQ(clock_nanosleep(99, 0, &t, 0), EINVAL);
  t.tv_nsec = 1000000000;
  ERR(EINVAL, nanosleep(&t, 0));
  t.tv_nsec = -1;
  ERR(EINVAL, nanosleep(&t, 0));
  t = (struct timespec){-1, 0};
  ERR(EINVAL, nanosleep(&t, 0));
  ERR(EFAULT, nanosleep((void *)8, 0));
  t = (struct timespec){0, 0};
  OK(nanosleep(&t, 0));
  EQ(usleep(1000), 0);
  EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, 0), EINVAL);
}
TEST(processor_time) {
  struct timespec a, b;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  msleep(50);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  CHECK(ns(b) - ns(a) < 40000000);
  do
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  while (ns(b) - ns(a) < 30000000);
  struct rusage u;
  OK(getrusage(RUSAGE_SELF, &u));
  CHECK(u.ru_utime.tv_usec + u.ru_stime.tv_usec + u.ru_utime.tv_sec * 1000000 >= 10000);
  CHECK(clock() > 0);
  CHECK(times(0) != -1);
  clockid_t c;
  EQ(clock_getcpuclockid(getpid(), &c), 0);
  OK(clock_gettime(c, &b));
}
static volatile int n, value;
static void on(int s, siginfo_t *i, void *c) {
  (void)s;
  (void)c;
  n++;
  value = i->si_code == SI_TIMER ? i->si_value.sival_int : -1;
}
TEST(posix_timers) {
  struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
  sigaction(SIGRTMIN, &a, 0);
  timer_t t;
  struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
  OK(timer_create(CLOCK_MONOTONIC, &e, &t));
  struct itimerspec s = {{0, 5000000}, {0, 5000000}}, o;
  OK(timer_settime(t, 0, &s, 0));
  while (n < 5)
    pause();
  EQ(value, 77);
  OK(timer_gettime(t, &o));
  EQ(o.it_interval.tv_nsec, 5000000);
  s = (struct itimerspec){{0, 0}, {0, 0}};
  OK(timer_settime(t, 0, &s, &o));
  OK(timer_gettime(t, &o));
  EQ(o.it_value.tv_nsec, 0);
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &m, 0);
  s = (struct itimerspec){{0, 1000000}, {0, 1000000}};
  OK(timer_settime(t, 0, &s, 0));
  msleep(30);
  siginfo_t i;
  EQ(sigwaitinfo(&m, &i), SIGRTMIN);
  CHECK(timer_getoverrun(t) >= 10);
  CHECK(i.si_overrun >= 10);
  OK(timer_delete(t));
  EQ(syscall(SYS_timer_delete, 999), -1);
  EQ(errno, EINVAL);
  e.sigev_signo = 99;
  ERR(EINVAL, timer_create(CLOCK_MONOTONIC, &e, &t));
  ERR(EINVAL, timer_create(99, 0, &t));
  e = (struct sigevent){.sigev_notify = SIGEV_NONE};
  OK(timer_create(CLOCK_REALTIME, &e, &t));
  s = (struct itimerspec){{0, 0}, {100, 0}};
  OK(timer_settime(t, 0, &s, 0));
  OK(timer_gettime(t, &o));
  CHECK(o.it_value.tv_sec >= 98);
}
static volatile int ran;
static void call(union sigval v) {
  ran = v.sival_int;
}
TEST(timer_threads) {
  timer_t t;
  struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = call, .sigev_value.sival_int = 5};
  EQ(timer_create(CLOCK_MONOTONIC, &e, &t), 0);
  struct itimerspec s = {{0, 0}, {0, 10000000}};
  OK(timer_settime(t, 0, &s, 0));
  while (!ran)
    msleep(1);
  EQ(ran, 5);
  OK(timer_delete(t));
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, SIGUSR1);
  sigprocmask(SIG_BLOCK, &m, 0);
  e = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
  e._sigev_un._tid = gettid();
  OK(timer_create(CLOCK_MONOTONIC, &e, &t));
  OK(timer_settime(t, 0, &s, 0));
  siginfo_t i;
  EQ(sigwaitinfo(&m, &i), SIGUSR1);
  EQ(i.si_code, SI_TIMER);
  IN_CHILD {
    ERR(EINVAL, timer_settime(t, 0, &s, 0));
  }
}
TEST(processor_time_timer) {
  catch_signal(SIGUSR1, 0);
  timer_t t;
  struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  OK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &t));
  struct itimerspec s = {{0, 0}, {0, 20000000}};
  OK(timer_settime(t, 0, &s, 0));
  while (!caught[SIGUSR1])
    ;
  OK(timer_delete(t));
}
TEST(timer_for_a_thread_of_libc) {
  // The kernel takes SIGEV_THREAD as SIGEV_SIGNAL.
  sigset_t m;
  sigemptyset(&m);
  sigaddset(&m, SIGUSR1);
  sigprocmask(SIG_BLOCK, &m, 0);
  struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 6};
  int t;
  OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &t));
  struct itimerspec s = {{0, 0}, {0, 10000000}};
  OK(syscall(SYS_timer_settime, t, 0, &s, 0));
  siginfo_t i;
  EQ(sigwaitinfo(&m, &i), SIGUSR1);
  EQ(i.si_value.sival_int, 6);
  OK(syscall(SYS_timer_delete, t));
}
