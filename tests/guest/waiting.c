// Calls that wait for several descriptors, or move bytes between them, while something comes between.
#include "guest.h"
static int p[2], q[2];
static void pipes(void) { OK(pipe(p)); OK(pipe(q)); }
// Runs `act` in a thread a little later.
static void *later_main(void *act) { msleep(30); ((void (*)(void))act)(); return 0; }
static pthread_t later(void (*act)(void)) { pthread_t t; pthread_create(&t, 0, later_main, act); return t; }
static void feed(void) { OK(write(p[1], "abc", 3)); }
static void drain(void) { char b[4096]; OK(read(q[0], b, sizeof b)); }
static void hang_up(void) { close(p[1]); }
static void alarm_in(int ms) { struct itimerval it = {{0, 0}, {0, ms * 1000}}; setitimer(ITIMER_REAL, &it, 0); }
TEST(several) {
  pipes();
  struct pollfd f[] = {{p[0], POLLIN}, {q[0], POLLIN}, {-1, POLLIN}, {q[1], 0}};
  pthread_t t = later(feed);
  EQ(poll(f, 4, -1), 1);
  EQ(f[0].revents, POLLIN);
  EQ(f[1].revents | f[2].revents | f[3].revents, 0);
  pthread_join(t, 0);
  f[2].fd = 99;
  EQ(poll(f, 4, -1), 2);
  EQ(f[2].revents, POLLNVAL);
  int o = OK(open(".", O_PATH));
  f[2].fd = o;
  EQ(poll(f, 4, 0), 2);
  EQ(f[2].revents, POLLNVAL);
  ERR(EFAULT, poll((void *)8, 1, 0));
  struct rlimit r;
  getrlimit(RLIMIT_NOFILE, &r);
  ERR(EINVAL, poll(f, r.rlim_cur + 1, 0));
  EQ(poll(0, 0, 1), 0);
}
TEST(poll_across_a_page) {
  pipes();
  feed();
  long ps = sysconf(_SC_PAGESIZE);
  char *m = mmap(0, 3 * ps, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  OK(munmap(m + 2 * ps, ps));
  for (int shift = 1; shift < 16; shift++) {
    struct pollfd *f = (void *)(m + ps - shift);
    for (int i = 0; i < 3; i++)
      f[i] = (struct pollfd){i == 1 ? -1 : p[0], POLLIN | POLLRDNORM, 0x7777};
    EQ(poll(f, 3, 0), 2);
    EQ(f[0].revents, POLLIN | POLLRDNORM);
    EQ(f[1].revents, 0);
    EQ(f[2].revents, POLLIN | POLLRDNORM);
  }
  ERR(EFAULT, poll((void *)(m + 2 * ps - 8), 2, 0));
}
TEST(select_sets) {
  pipes();
  fd_set r, w, x;
  FD_ZERO(&r); FD_ZERO(&w); FD_ZERO(&x);
  FD_SET(p[0], &r); FD_SET(q[1], &w); FD_SET(p[0], &x);
  EQ(select(q[1] + 1, &r, &w, &x, 0), 1);
  CHECK(!FD_ISSET(p[0], &r) && FD_ISSET(q[1], &w) && !FD_ISSET(p[0], &x));
  pthread_t t = later(hang_up);
  FD_SET(p[0], &r);
  EQ(select(p[0] + 1, &r, 0, 0, 0), 1);
  pthread_join(t, 0);
  ERR(EINVAL, select(-1, 0, 0, 0, 0));
  struct timeval tv = {0, -1};
  ERR(EINVAL, select(0, 0, 0, 0, &tv));
  tv = (struct timeval){0, 1500000};
  EQ(select(p[0] + 1, &r, 0, 0, &tv), 1);
  CHECK(tv.tv_sec == 1);
  FD_SET(60, &r);
  ERR(EBADF, select(61, &r, 0, 0, &tv));
  ERR(EFAULT, select(5, (void *)8, 0, 0, &tv));
  catch_signal(SIGALRM, SA_RESTART);
  alarm_in(30);
  FD_ZERO(&r);
  FD_SET(q[0], &r);
  ERR(EINTR, select(q[0] + 1, &r, 0, 0, 0));
  CHECK(FD_ISSET(q[0], &r));
}
TEST(masks) {
  pipes();
  catch_signal(SIGUSR1, SA_RESTART);
  sigset_t usr1, none, now;
  sigemptyset(&none);
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, 0);
  struct pollfd f = {p[0], POLLIN};
  struct timespec zero = {0};
  raise(SIGUSR1);
  ERR(EINTR, ppoll(&f, 1, &zero, &none));
  EQ(caught[SIGUSR1], 1);
  raise(SIGUSR1);
  feed();
  EQ(ppoll(&f, 1, 0, &none), 1);
  EQ(caught[SIGUSR1], 1);
  char b[8];
  OK(read(p[0], b, 8));
  fd_set r;
  FD_ZERO(&r);
  ERR(EINTR, pselect(0, &r, 0, 0, 0, &none));
  EQ(caught[SIGUSR1], 2);
  sigprocmask(SIG_SETMASK, 0, &now);
  CHECK(sigismember(&now, SIGUSR1));
  ERR(EINVAL, syscall(SYS_ppoll, &f, 1, 0, &none, 4));
  int ep = OK(epoll_create1(0));
  struct epoll_event ev;
  struct timespec ms = {0, 1000000}, bad = {0, 1000000000};
  EQ(syscall(SYS_epoll_pwait2, ep, &ev, 1, &ms, 0, 0), 0);
  ERR(EINVAL, syscall(SYS_epoll_pwait2, ep, &ev, 1, &bad, 0, 0));
  ERR(EINVAL, epoll_pwait(ep, &ev, 0, 0, 0));
  ERR(EINVAL, epoll_wait(p[0], &ev, 1, 0));
  raise(SIGUSR1);
  EQ(epoll_pwait(ep, &ev, 1, 0, &none), 0);
  EQ(caught[SIGUSR1], 2);
}
TEST(splices_that_wait) {
  pipes();
  pthread_t t = later(feed);
  EQ(splice(p[0], 0, q[1], 0, 100, 0), 3);
  pthread_join(t, 0);
  char b[4096];
  EQ(read(q[0], b, 100), 3);
  // no room in the output
  fcntl(q[1], F_SETFL, O_NONBLOCK);
  while (write(q[1], b, sizeof b) > 0) {}
  feed();
  ERR(EAGAIN, splice(p[0], 0, q[1], 0, 3, 0));
  fcntl(q[1], F_SETFL, 0);
  ERR(EAGAIN, splice(p[0], 0, q[1], 0, 3, SPLICE_F_NONBLOCK));
  t = later(drain);
  EQ(splice(p[0], 0, q[1], 0, 3, 0), 3);
  pthread_join(t, 0);
  t = later(feed);
  drain();
  drain();
  EQ(tee(p[0], q[1], 100, 0), 3);
  pthread_join(t, 0);
  struct iovec v = {b, sizeof b};
  EQ(vmsplice(p[0], &v, 1, 0), 3);
  t = later(feed);
  EQ(vmsplice(p[0], &v, 1, 0), 3);
  pthread_join(t, 0);
  ERR(EAGAIN, vmsplice(p[0], &v, 1, SPLICE_F_NONBLOCK));
  catch_signal(SIGALRM, 0);
  alarm_in(30);
  ERR(EINTR, splice(p[0], 0, q[1], 0, 3, 0));
  t = later(hang_up);
  EQ(splice(p[0], 0, q[1], 0, 3, 0), 0);
  pthread_join(t, 0);
}
TEST(nobody_reads) {
  pipes();
  put("f", "contents");
  int f = OK(open("f", O_RDWR));
  catch_signal(SIGPIPE, 0);
  close(q[0]);
  ERR(EPIPE, splice(f, 0, q[1], 0, 3, 0));
  EQ(caught[SIGPIPE], 1);
  ERR(EPIPE, sendfile(q[1], f, 0, 3));
  feed();
  ERR(EPIPE, tee(p[0], q[1], 3, 0));
  struct iovec v = {"x", 1};
  ERR(EPIPE, vmsplice(q[1], &v, 1, 0));
  EQ(caught[SIGPIPE], 4);
  EQ(lseek(f, 0, SEEK_CUR), 0);
}
static void *swallow(void *n) {
  char b[65536];
  long got = 0, r;
  while ((r = read(p[0], b, sizeof b)) > 0) got += r;
  *(long *)n = got;
  return 0;
}
TEST(much) {
  pipes();
  int f = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(ftruncate(f, 3 << 20));
  pthread_t t;
  long got = 0, sent = 0, r;
  pthread_create(&t, 0, swallow, &got);
  off_t o = 0;
  while ((r = sendfile(p[1], f, &o, 1 << 30)) > 0) sent += r;
  EQ(r, 0);
  close(p[1]);
  pthread_join(t, 0);
  EQ(sent, 3 << 20);
  EQ(got, 3 << 20);
  EQ(o, 3 << 20);
  int g = OK(open("g", O_CREAT | O_RDWR, 0600));
  o = 1 << 20;
  EQ(sendfile(g, f, &o, 1 << 30), 2 << 20);
  EQ(lseek(g, 0, SEEK_CUR), 2 << 20);
  off_t a = 0, b = 5;
  EQ(copy_file_range(f, &a, g, &b, 1 << 30, 0), 3 << 20);
  EQ(b, (3 << 20) + 5);
  struct rlimit small = {1 << 20, 1 << 20};
  OK(setrlimit(RLIMIT_FSIZE, &small));
  catch_signal(SIGXFSZ, 0);
  int h = OK(open("h", O_CREAT | O_RDWR, 0600));
  o = 0;
  EQ(sendfile(h, f, &o, 2 << 20), 1 << 20);
  ERR(EFBIG, sendfile(h, f, &o, 1));
  CHECK(caught[SIGXFSZ]);
}
TEST(stopped_while_waiting) {
  pipes();
  pid_t c = xfork();
  if (!c) {
    struct pollfd f = {p[0], POLLIN};
    long long t = now_ms();
    EQ(poll(&f, 1, 150), 0);
    CHECK(now_ms() - t >= 149);
    EQ(poll(&f, 1, -1), 1);
    CHILD_END();
  }
  for (int i = 0; i < 3; i++) {
    msleep(30);
    OK(kill(c, SIGSTOP));
    int st;
    OK(waitpid(c, &st, WUNTRACED));
    OK(kill(c, SIGCONT));
  }
  msleep(150);
  OK(kill(c, SIGSTOP));
  int st;
  OK(waitpid(c, &st, WUNTRACED));
  OK(kill(c, SIGCONT));
  msleep(10);
  feed();
  REAP(c);
}
