// Locks of ranges, leases, and signals about files: F_SETLEASE, F_NOTIFY, O_ASYNC, F_SETOWN.
#include "guest.h"
#include <netinet/in.h>
static int lk(int fd, int cmd, int type, int whence, off_t s, off_t l) {
  struct flock f = {.l_type = type, .l_whence = whence, .l_start = s, .l_len = l};
  return fcntl(fd, cmd, &f);
}
TEST(lock_whence) {
  put("f", "0123456789");
  int fd = OK(open("f", O_RDWR));
  lseek(fd, 5, SEEK_SET);
  OK(lk(fd, F_SETLK, F_WRLCK, SEEK_CUR, 0, 2));
  OK(lk(fd, F_SETLK, F_WRLCK, SEEK_END, -1, 0));
  SHOW(lk(fd, F_SETLK, F_WRLCK, SEEK_CUR, -6, 2));
  SHOW(lk(fd, F_SETLK, F_WRLCK, SEEK_SET, 3, -3));
  SHOW(lk(fd, F_SETLK, F_WRLCK, SEEK_SET, 3, -4));
  SHOW(lk(fd, F_SETLK, F_WRLCK, 7, 3, 1));
  SHOW(lk(fd, F_SETLK, 9, SEEK_SET, 3, 1));
  SHOW(lk(fd, F_SETLK, F_WRLCK, SEEK_SET, LLONG_MAX, 2));
  SHOW(lk(fd, F_SETLK, F_WRLCK, SEEK_SET, 5, LLONG_MAX));
  IN_CHILD {
    for (int i = 0; i < 12; i++) {
      struct flock f = {.l_type = F_WRLCK, .l_start = i, .l_len = 1};
      fcntl(fd, F_GETLK, &f);
      printf("%d: %d %lld %lld %d\n", i, f.l_type, (long long)f.l_start, (long long)f.l_len, f.l_pid == getppid());
    }
    int r = open("f", O_RDONLY), w = open("f", O_WRONLY);
    SHOW(lk(r, F_SETLK, F_WRLCK, SEEK_SET, 30, 1));
    SHOW(lk(w, F_SETLK, F_RDLCK, SEEK_SET, 30, 1));
    SHOW(lk(fd, F_SETLK, F_RDLCK, SEEK_SET, 5, 1));
    SHOW(lk(r, F_GETLK, F_UNLCK, SEEK_SET, 5, 1));
    struct flock f = {.l_type = F_WRLCK, .l_len = 1, .l_pid = 7};
    SHOW(fcntl(fd, F_OFD_SETLK, &f));
  }
}
TEST(lock_deadlock) {
  put("f", "0123456789");
  int fd = OK(open("f", O_RDWR));
  OK(lk(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 1));
  pid_t p = xfork();
  if (!p) {
    OK(lk(fd, F_SETLK, F_WRLCK, SEEK_SET, 1, 1));
    OK(lk(fd, F_SETLKW, F_WRLCK, SEEK_SET, 0, 1));
    CHILD_END();
  }
  until_asleep(p);
  ERR(EDEADLK, lk(fd, F_SETLKW, F_WRLCK, SEEK_SET, 1, 1));
  OK(lk(fd, F_SETLK, F_UNLCK, SEEK_SET, 0, 1));
  REAP(p);
}
static volatile int ls, lfd;
static void on_lease(int s, siginfo_t *i, void *c) {
  ls = s;
  lfd = i->si_fd;
  (void)c;
}
TEST(lease_break) {
  put("f", "x");
  int fd = OK(open("f", O_RDONLY));
  EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
  int w = OK(open("f", O_RDWR));
  SHOW(fcntl(fd, F_SETLEASE, F_RDLCK));
  SHOW(fcntl(w, F_SETLEASE, F_WRLCK));
  close(w);
  OK(fcntl(fd, F_SETLEASE, F_RDLCK));
  SHOW(fcntl(fd, F_SETLEASE, 77));
  struct sigaction sa = {.sa_sigaction = on_lease, .sa_flags = SA_SIGINFO};
  sigaction(SIGRTMIN, &sa, 0);
  sigaction(SIGIO, &sa, 0);
  fcntl(fd, F_SETSIG, SIGRTMIN);
  EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
  SHOW(open("f", O_WRONLY | O_NONBLOCK));
  printf("%d %d\n", ls == SIGRTMIN, lfd == fd);
  SHOW(fcntl(fd, F_GETLEASE));
  pid_t p = xfork();
  if (!p) {
    OK(open("f", O_WRONLY));
    CHILD_END();
  }
  until_asleep(p);
  OK(fcntl(fd, F_SETLEASE, F_UNLCK));
  REAP(p);
  int d = open(".", O_RDONLY);
  SHOW(fcntl(d, F_SETLEASE, F_RDLCK));
  int pp[2];
  pipe(pp);
  SHOW(fcntl(pp[0], F_SETLEASE, F_RDLCK));
  IN_CHILD {
    int q = OK(open("f", O_RDONLY));
    become(65534, 65534);
    SHOW(fcntl(q, F_SETLEASE, F_RDLCK));
  }
}
TEST(lease_write) {
  put("f", "x");
  int fd = OK(open("f", O_WRONLY));
  catch_signal(SIGIO, 0);
  SHOW(fcntl(fd, F_SETLEASE, F_WRLCK));
  SHOW(fcntl(fd, F_GETLEASE));
  SHOW(open("f", O_RDONLY | O_NONBLOCK));
  SHOW(fcntl(fd, F_GETLEASE));
  EQ(caught[SIGIO], 1);
  SHOW(fcntl(fd, F_SETLEASE, F_RDLCK));
  SHOW(truncate("f", 0));
}
static volatile int dn;
static volatile int dband;
static void on_dn(int s, siginfo_t *i, void *c) {
  (void)s;
  (void)c;
  dn++;
  dband = (int)i->si_band;
  lfd = i->si_fd;
}
TEST(dnotify) {
  MUST(mkdir("d", 0755));
  int fd = OK(open("d", O_RDONLY));
  struct sigaction sa = {.sa_sigaction = on_dn, .sa_flags = SA_SIGINFO};
  sigaction(SIGRTMIN + 1, &sa, 0);
  sigaction(SIGIO, &sa, 0);
  fcntl(fd, F_SETSIG, SIGRTMIN + 1);
  SHOW(fcntl(fd, F_NOTIFY, DN_CREATE | DN_DELETE | DN_MULTISHOT));
  put("d/f", "x");
  printf("%d\n", dn);
  unlink("d/f");
  printf("%d %d\n", dn, lfd == fd);
  SHOW(fcntl(fd, F_NOTIFY, 0));
  put("d/g", "x");
  printf("%d\n", dn);
  SHOW(fcntl(fd, F_NOTIFY, DN_MODIFY));
  put("d/g", "y");
  put("d/g", "z");
  printf("%d\n", dn);
  int f = open("d/g", O_RDONLY);
  SHOW(fcntl(f, F_NOTIFY, DN_MODIFY));
  SHOW(fcntl(fd, F_NOTIFY, DN_ATTRIB | DN_MULTISHOT));
  chmod("d/g", 0600);
  printf("%d\n", dn);
  SHOW(fcntl(fd, F_NOTIFY, DN_RENAME | DN_MULTISHOT));
  rename("d/g", "d/h");
  printf("%d\n", dn);
}
static volatile int io_n, io_code, io_fd, io_band;
static void on_io(int s, siginfo_t *i, void *c) {
  (void)s;
  (void)c;
  io_n++;
  io_code = i->si_code;
  io_fd = i->si_fd;
  io_band = (int)i->si_band;
}
static void async(int fd, int sig) {
  struct sigaction sa = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO};
  sigaction(sig ? sig : SIGIO, &sa, 0);
  if (sig)
    OK(fcntl(fd, F_SETSIG, sig));
  OK(fcntl(fd, F_SETOWN, getpid()));
  OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
  io_n = io_code = io_fd = io_band = 0;
}
TEST(sigio_pipe) {
  int p[2];
  MUST(pipe(p));
  async(p[0], 0);
  write(p[1], "x", 1);
  printf("%d %d\n", io_n, io_code);
  async(p[0], SIGRTMIN);
  write(p[1], "x", 1);
  printf("%d %d %d %#x\n", io_n, io_code, io_fd == p[0], io_band);
  char b[4];
  read(p[0], b, 4);
  close(p[1]);
  printf("%d %d %#x\n", io_n, io_code, io_band);
}
TEST(sigio_sockets) {
  int s[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  async(s[0], SIGRTMIN);
  write(s[1], "x", 1);
  printf("%d %d %d %#x\n", io_n, io_code, io_fd == s[0], io_band);
  char b[4];
  read(s[0], b, 4);
  io_n = 0;
  close(s[1]);
  printf("%d %d %#x\n", io_n > 0, io_code, io_band);
  int u = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bind(u, (void *)&a, 16);
  socklen_t l = 16;
  getsockname(u, (void *)&a, &l);
  async(u, SIGRTMIN);
  sendto(u, "x", 1, 0, (void *)&a, 16);
  printf("%d %d %#x\n", io_n > 0, io_code, io_band);
  int pid = 0;
  ioctl(u, 0x8903, &pid);
  printf("%d\n", pid == getpid());
  pid = 0;
  SHOW(ioctl(u, 0x8902, &pid));
  SHOW(fcntl(u, F_GETOWN));
}
TEST(owners) {
  int p[2];
  MUST(pipe(p));
  struct f_owner_ex o = {F_OWNER_PGRP, getpgrp()};
  OK(fcntl(p[0], F_SETOWN_EX, &o));
  SHOW(fcntl(p[0], F_GETOWN) == -getpgrp());
  o.type = 9;
  ERR(EINVAL, fcntl(p[0], F_SETOWN_EX, &o));
  o = (struct f_owner_ex){F_OWNER_PID, 0x3ffffff};
  ERR(ESRCH, fcntl(p[0], F_SETOWN_EX, &o));
  OK(fcntl(p[0], F_SETOWN, 0));
  EQ(fcntl(p[0], F_GETOWN), 0);
  ERR(EINVAL, fcntl(p[0], F_SETSIG, 65));
  ERR(EINVAL, fcntl(p[0], F_SETSIG, -1));
  ERR(EINVAL, fcntl(p[0], F_SETOWN, INT_MIN));
}
