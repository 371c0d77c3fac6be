// pipe(2): capacity, atomic writes, blocking, readiness, ends that close.
#include "guest.h"
static int p[2];
TEST(round_trip) {
  MUST(pipe(p));
  EQ(p[1], p[0] + 1);
  OK(write(p[1], "hello", 5));
  OK(write(p[1], "world", 5));
  char b[20] = "";
  EQ(read(p[0], b, 7), 7);
  STREQ(b, "hellowo");
  int n;
  OK(ioctl(p[0], FIONREAD, &n));
  EQ(n, 3);
  EQ(read(p[0], b, 20), 3);
  ERR(EBADF, write(p[0], "x", 1));
  ERR(EBADF, read(p[1], b, 1));
  close(p[1]);
  EQ(read(p[0], b, 1), 0);
}
TEST(flags) {
  ERR(EINVAL, pipe2(p, 1));
  ERR(EFAULT, pipe((int *)8));
  OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
  EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
  char b;
  ERR(EAGAIN, read(p[0], &b, 1));
  EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
  EQ(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
  OK(pipe2(p, O_DIRECT));
  OK(write(p[1], "ab", 2));
  OK(write(p[1], "cd", 2));
  char c[10] = "";
  EQ(read(p[0], c, 10), 2);
  STREQ(c, "ab");
  EQ(read(p[0], c, 1), 1);
}
TEST(capacity) {
  MUST(pipe2(p, O_NONBLOCK));
  EQ(fcntl(p[0], F_GETPIPE_SZ), 65536);
  static char b[70000];
  EQ(write(p[1], b, 70000), 65536);
  ERR(EAGAIN, write(p[1], b, 1));
  EQ(read(p[0], b, 4096), 4096);
  EQ(write(p[1], b, 70000), 4096);
  ERR(EBUSY, fcntl(p[1], F_SETPIPE_SZ, 4096));
  EQ(fcntl(p[1], F_SETPIPE_SZ, 100000), 131072);
  EQ(write(p[1], b, 70000), 65536);
  EQ(fcntl(p[0], F_GETPIPE_SZ), 131072);
  MUST(pipe(p));
  EQ(fcntl(p[0], F_SETPIPE_SZ, 1), 4096);
  ERR(EINVAL, fcntl(p[0], F_SETPIPE_SZ, -1));
  ERR(EBADF, fcntl(0 + 99, F_SETPIPE_SZ, 4096));
  IN_CHILD {
    become(1000, 1000);
    ERR(EPERM, fcntl(p[0], F_SETPIPE_SZ, 1 << 24));
  }
}
TEST(atomic_when_small) {
  MUST(pipe2(p, O_NONBLOCK));
  static char b[70000];
  EQ(write(p[1], b, 65536 - 100), 65436);
  EQ(fcntl(p[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  ssize_t n = write(p[1], b, 4096);
  CHECK(n == -1 && errno == EAGAIN);
  n = write(p[1], b, 5000);
  CHECK(n == -1 || n <= 100);
  struct pollfd f = {p[1], POLLOUT, 0};
  EQ(poll(&f, 1, 0), 0);
  EQ(read(p[0], b, 8192), 8192);
  EQ(poll(&f, 1, 0), 1);
  EQ(write(p[1], b, 4096), 4096);
}
TEST(broken) {
  MUST(pipe(p));
  close(p[0]);
  catch_signal(SIGPIPE, 0);
  ERR(EPIPE, write(p[1], "x", 1));
  EQ(caught[SIGPIPE], 1);
  signal(SIGPIPE, SIG_IGN);
  ERR(EPIPE, write(p[1], "x", 1));
  EQ(write(p[1], "", 0), 0);
  pid_t c = xfork();
  if (!c) {
    signal(SIGPIPE, SIG_DFL);
    write(p[1], "x", 1);
    _exit(3);
  }
  STREQ(reap(c), "killed by SIGPIPE");
}
TEST(reader_waits) {
  MUST(pipe(p));
  pid_t c = xfork();
  if (!c) {
    close(p[1]);
    char b[10];
    EQ(read(p[0], b, 10), 3);
    EQ(read(p[0], b, 10), 0);
    CHILD_END();
  }
  until_asleep(c);
  OK(write(p[1], "abc", 3));
  msleep(20);
  close(p[1]);
  REAP(c);
}
TEST(writer_waits) {
  MUST(pipe(p));
  pid_t c = xfork();
  if (!c) {
    static char b[200000];
    memset(b, 'w', sizeof b);
    EQ(write(p[1], b, sizeof b), sizeof b);
    CHILD_END();
  }
  close(p[1]);
  until_asleep(c);
  static char b[10000];
  long total = 0, n;
  while ((n = read(p[0], b, sizeof b)) > 0) {
    total += n;
    CHECK(b[0] == 'w' && b[n - 1] == 'w');
  }
  EQ(total, 200000);
  REAP(c);
}
TEST(writer_interrupted) {
  MUST(pipe(p));
  catch_signal(SIGALRM, 0);
  static char b[100000];
  struct itimerval t = {{0, 0}, {0, 50000}};
  setitimer(ITIMER_REAL, &t, 0);
  EQ(write(p[1], b, sizeof b), 65536);
  setitimer(ITIMER_REAL, &t, 0);
  ERR(EINTR, write(p[1], b, 1));
}
TEST(readiness) {
  MUST(pipe(p));
  struct pollfd f[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
  EQ(poll(f, 2, 0), 1);
  EQ(f[0].revents, 0);
  EQ(f[1].revents, POLLOUT);
  OK(write(p[1], "x", 1));
  EQ(poll(f, 2, 0), 2);
  EQ(f[0].revents, POLLIN);
  close(p[1]);
  f[1].fd = -1;
  EQ(poll(f, 2, 0), 1);
  EQ(f[0].revents, POLLIN | POLLHUP);
  char b;
  OK(read(p[0], &b, 1));
  EQ(poll(f, 2, 0), 1);
  EQ(f[0].revents, POLLHUP);
  MUST(pipe(p));
  close(p[0]);
  f[0] = (struct pollfd){p[1], POLLOUT, 0};
  EQ(poll(f, 1, 0), 1);
  EQ(f[0].revents, POLLOUT | POLLERR);
}
TEST(records_do_not_mix) {
  MUST(pipe(p));
  pid_t c[4];
  for (int k = 0; k < 4; k++)
    if (!(c[k] = xfork())) {
      char b[512];
      memset(b, 'a' + k, 512);
      for (int i = 0; i < 100; i++)
        EQ(write(p[1], b, 512), 512);
      CHILD_END();
    }
  close(p[1]);
  int count[4] = {0};
  char b[512];
  for (;;) {
    size_t n = 0;
    ssize_t r;
    while (n < 512 && (r = read(p[0], b + n, 512 - n)) > 0)
      n += r;
    if (n < 512) {
      EQ(n, 0);
      break;
    }
    for (int i = 1; i < 512; i++)
      if (b[i] != b[0]) {
        CHECK(0);
        break;
      }
    count[b[0] - 'a']++;
  }
  for (int k = 0; k < 4; k++) {
    EQ(count[k], 100);
    REAP(c[k]);
  }
}
TEST(chain_of_processes) {
  int in[2];
  MUST(pipe(in));
  int first = in[1], r = in[0];
  for (int i = 0; i < 20; i++) {
    int q[2];
    MUST(pipe(q));
    if (!xfork()) {
      close(first);
      close(q[0]);
      char b;
      while (read(r, &b, 1) == 1) {
        b++;
        write(q[1], &b, 1);
      }
      _exit(0);
    }
    close(q[1]);
    close(r);
    r = q[0];
  }
  OK(write(first, "AB", 2));
  close(first);
  char b[10] = "";
  int n = 0;
  while (read(r, b + n, 1) == 1)
    n++;
  STREQ(b, "UV");
  for (int i = 0; i < 20; i++)
    OK(wait(0));
}
TEST(bulk) {
  MUST(pipe(p));
  pid_t c = xfork();
  if (!c) {
    close(p[0]);
    uint32_t b[4096], v = 0;
    for (int i = 0; i < 256; i++) {
      for (int k = 0; k < 4096; k++)
        b[k] = v++;
      size_t n = 0;
      while (n < sizeof b)
        n += MUST(write(p[1], (char *)b + n, sizeof b - n));
    }
    CHILD_END();
  }
  close(p[1]);
  FILE *f = fdopen(p[0], "r");
  uint32_t v, want = 0;
  while (fread(&v, 4, 1, f) == 1) {
    if (v != want) {
      EQ(v, want);
      break;
    }
    want++;
  }
  EQ(want, 256 * 4096);
  REAP(c);
}
