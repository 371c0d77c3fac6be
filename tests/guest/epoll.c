// epoll(7): level and edge triggered, one shot, nesting, removal, errors.
#include "guest.h"
static int ep, p[2];
static struct epoll_event ev[10];
static int add(int fd, uint32_t events) {
  struct epoll_event e = {events, {.fd = fd}};
  return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}
static int mod(int fd, uint32_t events) {
  struct epoll_event e = {events, {.fd = fd}};
  return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}
static int now(void) {
  memset(ev, 0, sizeof ev);
  return epoll_wait(ep, ev, 10, 0);
}
static void setup(void) {
  ep = MUST(epoll_create1(EPOLL_CLOEXEC));
  MUST(pipe2(p, O_NONBLOCK));
}
TEST(level) {
  setup();
  OK(add(p[0], EPOLLIN));
  EQ(now(), 0);
  OK(write(p[1], "ab", 2));
  EQ(now(), 1);
  EQ(ev[0].events, EPOLLIN);
  EQ(ev[0].data.fd, p[0]);
  EQ(now(), 1);
  char b;
  OK(read(p[0], &b, 1));
  EQ(now(), 1);
  OK(read(p[0], &b, 1));
  EQ(now(), 0);
  close(p[1]);
  EQ(now(), 1);
  EQ(ev[0].events, EPOLLHUP);
}
TEST(edge) {
  setup();
  OK(add(p[0], EPOLLIN | EPOLLET));
  OK(write(p[1], "a", 1));
  EQ(now(), 1);
  EQ(now(), 0);
  OK(write(p[1], "b", 1));
  EQ(now(), 1);
  EQ(now(), 0);
  char b;
  OK(read(p[0], &b, 1));
  EQ(now(), 0);
  OK(mod(p[0], EPOLLIN | EPOLLET));
  EQ(now(), 1);
}
TEST(edge_output) {
  setup();
  OK(add(p[1], EPOLLOUT | EPOLLET));
  EQ(now(), 1);
  EQ(now(), 0);
  static char b[70000];
  OK(write(p[1], b, 70000));
  EQ(now(), 0);
  OK(read(p[0], b, 70000));
  EQ(now(), 1);
  EQ(now(), 0);
}
TEST(one_shot) {
  setup();
  OK(add(p[0], EPOLLIN | EPOLLONESHOT));
  OK(write(p[1], "a", 1));
  EQ(now(), 1);
  EQ(now(), 0);
  OK(write(p[1], "a", 1));
  EQ(now(), 0);
  OK(mod(p[0], EPOLLIN | EPOLLONESHOT));
  EQ(now(), 1);
  EQ(now(), 0);
}
TEST(control_errors) {
  setup();
  put("f", "");
  int f = OK(open("f", O_RDONLY));
  ERR(EPERM, add(f, EPOLLIN));
  ERR(EBADF, add(99, EPOLLIN));
  OK(add(p[0], EPOLLIN));
  ERR(EEXIST, add(p[0], EPOLLIN));
  ERR(ENOENT, mod(p[1], EPOLLIN));
  ERR(ENOENT, epoll_ctl(ep, EPOLL_CTL_DEL, p[1], 0));
  ERR(EINVAL, add(ep, EPOLLIN));
  ERR(EINVAL, epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], ev));
  ERR(EINVAL, epoll_ctl(ep, 9, p[0], ev));
  ERR(EINVAL, epoll_wait(ep, ev, 0, 0));
  ERR(EINVAL, epoll_wait(ep, ev, -1, 0));
  ERR(EINVAL, epoll_wait(p[0], ev, 1, 0));
  ERR(EBADF, epoll_wait(99, ev, 1, 0));
  OK(write(p[1], "x", 1));
  ERR(EFAULT, epoll_wait(ep, (void *)8, 1, 0));
  ERR(EINVAL, epoll_create(0));
  ERR(EINVAL, epoll_create1(1));
  OK(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], 0));
  ERR(EFAULT, epoll_ctl(ep, EPOLL_CTL_ADD, p[0], 0));
  int d = OK(open(".", O_RDONLY));
  ERR(EPERM, add(d, EPOLLIN));
}
TEST(closing_removes) {
  setup();
  OK(add(p[0], EPOLLIN));
  OK(write(p[1], "x", 1));
  int d = OK(dup(p[0]));
  close(p[0]);
  EQ(now(), 1);
  close(d);
  EQ(now(), 0);
}
TEST(nested) {
  setup();
  int outer = OK(epoll_create1(0));
  struct epoll_event e = {EPOLLIN, {.u64 = 77}};
  OK(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e));
  OK(add(p[0], EPOLLIN));
  EQ(epoll_wait(outer, ev, 10, 0), 0);
  OK(write(p[1], "x", 1));
  EQ(epoll_wait(outer, ev, 10, 0), 1);
  EQ(ev[0].data.u64, 77);
  struct pollfd f = {outer, POLLIN, 0};
  EQ(poll(&f, 1, 0), 1);
  ERR(ELOOP, add(outer, EPOLLIN));
  char b;
  OK(read(p[0], &b, 1));
  EQ(epoll_wait(outer, ev, 10, 0), 0);
}
TEST(waits) {
  setup();
  OK(add(p[0], EPOLLIN));
  pid_t c = xfork();
  if (!c) {
    EQ(epoll_wait(ep, ev, 10, 10000), 1);
    CHILD_END();
  }
  until_asleep(c);
  OK(write(p[1], "x", 1));
  REAP(c);
  char b;
  OK(read(p[0], &b, 1));
  long long t = now_ms();
  EQ(epoll_wait(ep, ev, 10, 40), 0);
  CHECK(now_ms() - t >= 39);
  catch_signal(SIGALRM, SA_RESTART);
  struct itimerval it = {{0, 0}, {0, 30000}};
  setitimer(ITIMER_REAL, &it, 0);
  ERR(EINTR, epoll_wait(ep, ev, 10, -1));
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGALRM);
  sigprocmask(SIG_BLOCK, &s, 0);
  raise(SIGALRM);
  sigset_t none;
  sigemptyset(&none);
  ERR(EINTR, epoll_pwait(ep, ev, 10, 5000, &none));
  EQ(caught[SIGALRM], 2);
  struct timespec ts = {0, 20000000};
  EQ(syscall(441, ep, ev, 10, &ts, 0, 8), 0);
  ts.tv_nsec = -1;
  ERR(EINVAL, syscall(441, ep, ev, 10, &ts, 0, 8));
}
TEST(many) {
  setup();
  int fds[200][2];
  for (int i = 0; i < 200; i++) {
    MUST(pipe(fds[i]));
    struct epoll_event e = {EPOLLIN, {.u32 = i}};
    MUST(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i][0], &e));
  }
  for (int i = 0; i < 200; i += 7)
    OK(write(fds[i][1], "x", 1));
  int total = 0, n;
  char b;
  bool seen[200] = {0};
  while ((n = epoll_wait(ep, ev, 10, 0)) > 0)
    for (int k = 0; k < n; k++) {
      int i = ev[k].data.u32;
      EQ(i % 7, 0);
      CHECK(!seen[i]);
      seen[i] = 1;
      total++;
      OK(read(fds[i][0], &b, 1));
    }
  EQ(total, 29);
}
TEST(fairness) {
  setup();
  int q[3][2];
  for (int i = 0; i < 3; i++) {
    MUST(pipe(q[i]));
    OK(add(q[i][0], EPOLLIN));
    OK(write(q[i][1], "x", 1));
  }
  int got[3] = {0};
  for (int i = 0; i < 6; i++) {
    EQ(epoll_wait(ep, ev, 1, 0), 1);
    for (int k = 0; k < 3; k++)
      got[k] += ev[0].data.fd == q[k][0];
  }
  for (int k = 0; k < 3; k++)
    EQ(got[k], 2);
}
TEST(exclusive_and_hangups) {
  setup();
  OK(add(p[0], EPOLLIN | EPOLLEXCLUSIVE));
  ERR(EINVAL, mod(p[0], EPOLLIN));
  int s[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  OK(add(s[0], EPOLLIN | EPOLLRDHUP));
  OK(shutdown(s[1], SHUT_WR));
  EQ(now(), 1);
  EQ(ev[0].events, EPOLLIN | EPOLLRDHUP);
  close(s[1]);
  EQ(now(), 1);
  EQ(ev[0].events, EPOLLIN | EPOLLRDHUP | EPOLLHUP);
  OK(mod(s[0], 0));
  EQ(now(), 1);
  EQ(ev[0].events, EPOLLHUP);
}
