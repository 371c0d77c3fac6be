// Corners of many calls: what a read-only file system refuses, ids and capabilities, seals, urgent bytes, old requests.
#include "guest.h"
#include <sys/fsuid.h>
#include <sys/xattr.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/msg.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/nsfs.h>
#include <asm/termbits.h>
#include <utime.h>
TEST(readonly_errnos) {
  if (unshare(CLONE_NEWNS)) {
    printf("unshare: %s\n", ename(errno));
    return;
  }
  MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
  MUST(mkdir("m", 0755));
  MUST(mount("none", "m", "tmpfs", 0, 0));
  put("m/f", "x");
  symlink("f", "m/l");
  mkfifo("m/p", 0600);
  mkdir("m/d", 0755);
  int w = open("m/d", O_RDONLY);
  MUST(mount(0, "m", 0, MS_REMOUNT | MS_RDONLY, 0));
  SHOW(chmod("m/f", 0600));
  SHOW(chown("m/f", 0, 0));
  SHOW(lchown("m/l", 0, 0));
  SHOW(utimes("m/f", 0));
  SHOW(truncate("m/f", 0));
  SHOW(open("m/f", O_RDWR));
  SHOW(open("m/f", O_RDONLY | O_TRUNC));
  SHOW(open("m/n", O_CREAT | O_RDWR, 0600));
  SHOW(open("m/f", O_CREAT | O_RDONLY, 0600) > 0);
  SHOW(open("m/f", O_CREAT | O_EXCL | O_RDONLY, 0600));
  SHOW(open("m/p", O_RDWR) > 0);
  SHOW(mkdir("m/x", 0755));
  SHOW(mkdir("m/f", 0755));
  SHOW(rmdir("m/d"));
  SHOW(rmdir("m/n"));
  SHOW(unlink("m/f"));
  SHOW(unlink("m/n"));
  SHOW(rename("m/f", "m/g"));
  SHOW(rename("m/n", "m/g"));
  SHOW(link("m/f", "m/g"));
  SHOW(link("m/n", "m/g"));
  SHOW(symlink("a", "m/s"));
  SHOW(symlink("a", "m/f"));
  SHOW(mknod("m/s", S_IFIFO | 0600, 0));
  SHOW(access("m/f", W_OK));
  SHOW(access("m/f", R_OK));
  SHOW(access("m/p", W_OK));
  SHOW(setxattr("m/f", "user.a", "b", 1, 0));
  SHOW(removexattr("m/f", "user.a"));
  SHOW(fchmod(w, 0700));
  SHOW(fchown(w, 0, 0));
  SHOW(futimens(w, 0));
  IN_CHILD {
    become(65534, 65534);
    SHOW(chmod("m/f", 0600));
    SHOW(chown("m/f", 1, 1));
    SHOW(open("m/f", O_RDWR));
    SHOW(unlink("m/f"));
    SHOW(mkdir("m/x", 0755));
    SHOW(access("m/f", W_OK));
  }
}
static void ids(const char *w) {
  uid_t r, e, s;
  getresuid(&r, &e, &s);
  printf("%s: %d %d %d fs %d\n", w, r, e, s, setfsuid(-1));
  fflush(stdout);
}
static void gids(const char *w) {
  gid_t r, e, s;
  getresgid(&r, &e, &s);
  printf("%s: %d %d %d fs %d\n", w, r, e, s, setfsgid(-1));
  fflush(stdout);
}
TEST(reuid) {
  IN_CHILD {
    SHOW(syscall(SYS_setreuid, 1, 2));
    ids("1,2");
    SHOW(syscall(SYS_setreuid, -1, 1));
    ids("-1,1");
    SHOW(syscall(SYS_setreuid, 2, -1));
    ids("2,-1");
    SHOW(syscall(SYS_setreuid, 3, -1));
    SHOW(syscall(SYS_setreuid, -1, 3));
    SHOW(syscall(SYS_setreuid, 2, 1));
    ids("2,1");
    SHOW(syscall(SYS_setuid, 2));
    ids("setuid 2");
    SHOW(syscall(SYS_setuid, 9));
  }
  IN_CHILD {
    SHOW(syscall(SYS_setreuid, -1, 5));
    ids("-1,5");
    SHOW(syscall(SYS_setreuid, 5, 0));
    ids("5,0");
    SHOW(syscall(SYS_setreuid, 0, 0));
    ids("0,0");
  }
  IN_CHILD {
    SHOW(syscall(SYS_setreuid, 5, -1));
    ids("5,-1");
    SHOW(syscall(SYS_setreuid, -1, -1));
    ids("-1,-1");
  }
  IN_CHILD {
    SHOW(syscall(SYS_setregid, 1, 2));
    gids("1,2");
    syscall(SYS_setresuid, 7, 7, 7);
    SHOW(syscall(SYS_setregid, -1, 1));
    gids("-1,1");
    SHOW(syscall(SYS_setregid, 3, -1));
    SHOW(syscall(SYS_setregid, 2, -1));
    gids("2,-1");
    SHOW(syscall(SYS_setregid, 1, 1));
    gids("1,1");
    SHOW(syscall(SYS_setregid, 2, 2));
    SHOW(syscall(SYS_setgid, 2));
    gids("setgid 2");
  }
  IN_CHILD {
    SHOW(syscall(SYS_setresuid, 1, -1, -1));
    ids("res 1");
    SHOW(syscall(SYS_setfsuid, 1));
    ids("fs 1");
    SHOW(syscall(SYS_setresuid, 1, 1, 1));
    SHOW(syscall(SYS_setfsuid, 8));
    ids("fs 8");
    SHOW(syscall(SYS_setresuid, 2, -1, -1));
  }
}
struct caps {
  uint32_t e, p, i;
};
TEST(capset_corners) {
  struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct caps c[2], o[2];
  IN_CHILD {
    OK(syscall(SYS_capget, &h, o));
    h.version = 7;
    SHOW(syscall(SYS_capget, &h, o));
    printf("%#x\n", h.version);
    h.version = 7;
    SHOW(syscall(SYS_capget, &h, NULL));
    h.version = _LINUX_CAPABILITY_VERSION_3;
    h.pid = 0x3fffffff;
    SHOW(syscall(SYS_capget, &h, c));
    h.pid = -1;
    SHOW(syscall(SYS_capget, &h, c));
    SHOW(syscall(SYS_capset, &h, o));
    h.pid = 1;
    SHOW(syscall(SYS_capset, &h, o));
    h.pid = 0;
    SHOW(syscall(SYS_capset, &h, NULL));
    SHOW(syscall(SYS_capget, NULL, c));
    SHOW(syscall(SYS_capget, &h, (void *)1));
    SHOW(syscall(SYS_capset, &h, (void *)1));
    memcpy(c, o, sizeof c);
    c[0].p &= ~(1u << CAP_SYS_TIME);
    SHOW(syscall(SYS_capset, &h, c));
    c[0].e &= ~(1u << CAP_SYS_TIME);
    SHOW(syscall(SYS_capset, &h, c));
    c[0].p |= 1u << CAP_SYS_TIME;
    SHOW(syscall(SYS_capset, &h, c));
    c[0].p &= ~(1u << CAP_SYS_TIME);
    c[0].i = 1u << CAP_SYS_TIME;
    SHOW(syscall(SYS_capset, &h, c));
    c[0].p &= ~(1u << CAP_SETPCAP);
    c[0].e &= ~(1u << CAP_SETPCAP);
    c[0].i = 0;
    SHOW(syscall(SYS_capset, &h, c));
    c[0].i = 1u << CAP_SETPCAP;
    SHOW(syscall(SYS_capset, &h, c));
    c[0].i = 1u << CAP_KILL;
    SHOW(syscall(SYS_capset, &h, c));
    SHOW(prctl(PR_CAPBSET_DROP, CAP_KILL));
    SHOW(prctl(PR_CAPBSET_READ, CAP_KILL));
    SHOW(prctl(PR_CAPBSET_READ, 99));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    SHOW(prctl(PR_CAP_AMBIENT, 9, 0, 0, 0));
  }
}
TEST(strict_seccomp) {
  pid_t p = xfork();
  if (!p) {
    prctl(PR_SET_SECCOMP, 1);
    write(1, "in\n", 3);
    syscall(SYS_exit, 4);
  }
  printf("%s\n", reap(p));
  p = xfork();
  if (!p) {
    prctl(PR_SET_SECCOMP, 1);
    getpid();
    syscall(SYS_exit, 4);
  }
  printf("%s\n", reap(p));
  p = xfork();
  if (!p) {
    syscall(SYS_seccomp, 0, 0, 0);
    exit(0);
  }
  printf("%s\n", reap(p));
  p = xfork();
  if (!p) {
    prctl(PR_SET_SECCOMP, 1);
    prctl(PR_GET_SECCOMP);
    syscall(SYS_exit, 4);
  }
  printf("%s\n", reap(p));
  SHOW(prctl(PR_SET_SECCOMP, 7));
  SHOW(syscall(SYS_seccomp, 0, 1, 0));
  SHOW(syscall(SYS_seccomp, 0, 0, 1));
  SHOW(prctl(PR_GET_SECCOMP));
}
static int core_bit(rlim_t lim, int sig, int dumpable) {
  pid_t p = xfork();
  if (!p) {
    struct rlimit r = {lim, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &r);
    if (!dumpable)
      prctl(PR_SET_DUMPABLE, 0);
    raise(sig);
    _exit(1);
  }
  int st;
  waitpid(p, &st, 0);
  siginfo_t i;
  (void)i;
  return (WCOREDUMP(st) ? 1 : 0) * 100 + (WIFSIGNALED(st) ? WTERMSIG(st) : 0);
}
TEST(core_bits) {
  printf("%d %d %d\n", core_bit(0, SIGSEGV, 1), core_bit(0, SIGQUIT, 1), core_bit(0, SIGTERM, 1));
  pid_t p = xfork();
  if (!p) {
    struct rlimit r = {0, 0};
    setrlimit(RLIMIT_CORE, &r);
    abort();
  }
  siginfo_t i;
  waitid(P_PID, p, &i, WEXITED);
  printf("%d %d\n", i.si_code, i.si_status);
}
TEST(seals) {
  int fd = OK(memfd_create("a", MFD_ALLOW_SEALING));
  ftruncate(fd, 8192);
  char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  SHOW(fcntl(fd, F_ADD_SEALS, 0x8));
  munmap(m, 4096);
  m = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  SHOW(mprotect(m, 4096, PROT_READ | PROT_WRITE));
  SHOW(write(fd, "x", 1));
  SHOW(pwrite(fd, "x", 1, 9000));
  SHOW(ftruncate(fd, 4096));
  SHOW(ftruncate(fd, 100000));
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
  SHOW(ftruncate(fd, 1));
  SHOW(ftruncate(fd, 200000));
  SHOW(fallocate(fd, 0, 0, 300000));
  SHOW(fallocate(fd, 3, 0, 4096));
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
  SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
  SHOW(fcntl(fd, F_GET_SEALS));
  SHOW(fcntl(fd, F_ADD_SEALS, 0x100));
  int n = memfd_create("b", 0);
  SHOW(fcntl(n, F_GET_SEALS));
  SHOW(fcntl(n, F_ADD_SEALS, 1));
  SHOW(fcntl(0, F_GET_SEALS));
  char p[40];
  snprintf(p, 40, "/proc/self/fd/%d", fd);
  int r = open(p, O_RDONLY);
  SHOW(fcntl(r, F_ADD_SEALS, 1));
  int f = memfd_create("c", MFD_ALLOW_SEALING);
  ftruncate(f, 4096);
  char *g = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
  SHOW(fcntl(f, F_ADD_SEALS, 0x10));
  g[0] = 1;
  SHOW(write(f, "x", 1));
  SHOW(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0) == MAP_FAILED);
  SHOW(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0) != MAP_FAILED);
  int x = memfd_create("d", 0x8);
  struct stat st;
  fstat(x, &st);
  printf("%o %d\n", st.st_mode & 0777, fcntl(x, F_GET_SEALS));
  SHOW(fchmod(x, 0777));
  x = memfd_create("e", 0x10);
  fstat(x, &st);
  printf("%o %d\n", st.st_mode & 0777, fcntl(x, F_GET_SEALS));
  SHOW(memfd_create("f", 0x18));
  SHOW(memfd_create("g", 0x20));
}
TEST(mlock_two) {
  char *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  SHOW(mlock2(p, 8192, 2));
  SHOW(mlock2(p, 8192, MLOCK_ONFAULT));
  SHOW(mlock(p, 4096));
  SHOW(munmap(p + 4096, 4096));
  SHOW(mlock(p, 8192));
  SHOW(mlockall(0));
  SHOW(mlockall(MCL_ONFAULT));
  SHOW(mlockall(MCL_CURRENT | 8));
  SHOW(madvise(p, 4096, MADV_DONTNEED));
  SHOW(munlock(p, 4096));
  SHOW(madvise(p, 4096, MADV_DONTNEED));
  IN_CHILD {
    struct rlimit r = {4096, 4096};
    setrlimit(RLIMIT_MEMLOCK, &r);
    become(65534, 65534);
    SHOW(mlock(p, 4096));
    char *q = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(mlock(q, 8192));
    SHOW(mlock(p, 4096));
    SHOW(mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) == MAP_FAILED ? errno : 0);
    r.rlim_cur = 0;
    setrlimit(RLIMIT_MEMLOCK, &r);
    SHOW(mlock(q, 4096));
    SHOW(mlockall(MCL_FUTURE));
  }
}
TEST(oob) {
  int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof a;
  bind(l, (void *)&a, n);
  listen(l, 1);
  getsockname(l, (void *)&a, &n);
  connect(c, (void *)&a, n);
  int s = accept(l, 0, 0);
  catch_signal(SIGURG, 0);
  fcntl(s, F_SETOWN, getpid());
  char b[10];
  SHOW(recv(s, b, 1, MSG_OOB));
  SHOW(send(c, "ab", 2, MSG_OOB));
  msleep(20);
  printf("urg %d\n", caught[SIGURG]);
  struct pollfd p = {s, POLLIN | POLLPRI};
  poll(&p, 1, 1000);
  printf("%#x\n", p.revents);
  int m;
  SHOW(ioctl(s, 0x8905, &m));
  printf("mark %d\n", m);
  SHOW(recv(s, b, 1, MSG_OOB | MSG_PEEK));
  printf("%c\n", b[0]);
  SHOW(recv(s, b, 1, MSG_OOB));
  SHOW(recv(s, b, 1, MSG_OOB));
  SHOW(recv(s, b, 10, 0));
  ioctl(s, 0x8905, &m);
  printf("mark %d\n", m);
  SHOW(send(c, "cde", 3, 0));
  SHOW(send(c, "f", 1, MSG_OOB));
  SHOW(send(c, "gh", 2, 0));
  msleep(20);
  SHOW(recv(s, b, 10, 0));
  ioctl(s, 0x8905, &m);
  printf("mark %d\n", m);
  SHOW(recv(s, b, 10, 0));
  int one = 1;
  setsockopt(s, SOL_SOCKET, SO_OOBINLINE, &one, 4);
  send(c, "i", 1, 0);
  send(c, "j", 1, MSG_OOB);
  send(c, "k", 1, 0);
  msleep(20);
  SHOW(recv(s, b, 10, MSG_OOB));
  SHOW(recv(s, b, 10, 0));
  SHOW(recv(s, b, 10, 0));
  int u[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, u);
  SHOW(send(u[0], "a", 1, 0));
  SHOW(send(u[0], "xy", 2, MSG_OOB));
  SHOW(ioctl(u[1], 0x8905, &m));
  SHOW(recv(u[1], b, 10, 0));
  SHOW(recv(u[1], b, 1, MSG_OOB));
  printf("%c\n", b[0]);
  SHOW(recv(u[1], b, 1, MSG_OOB));
  SHOW(recv(u[1], b, 1, MSG_DONTWAIT));
  int d = socket(AF_INET, SOCK_DGRAM, 0);
  SHOW(sendto(d, "x", 1, MSG_OOB, (void *)&a, n));
  socketpair(AF_UNIX, SOCK_DGRAM, 0, u);
  SHOW(send(u[0], "x", 1, MSG_OOB));
  SHOW(recv(u[0], b, 1, MSG_OOB));
}
TEST(old_tty) {
  int m = posix_openpt(O_RDWR | O_NOCTTY);
  grantpt(m);
  unlockpt(m);
  int t = open(ptsname(m), O_RDWR | O_NOCTTY);
  struct termio {
    unsigned short i, o, c, l;
    unsigned char line, cc[8];
  } a;
  SHOW(ioctl(t, TCGETA, &a));
  printf("%x %x %x %x %d", a.i, a.o, a.c, a.l, a.line);
  for (int i = 0; i < 8; i++)
    printf(" %d", a.cc[i]);
  printf("\n");
  a.l &= ~8;
  SHOW(ioctl(t, TCSETA, &a));
  SHOW(ioctl(t, TCSETAW, &a));
  SHOW(ioctl(t, TCSETAF, &a));
  int n;
  SHOW(ioctl(t, TIOCGETD, &n));
  n = 0;
  SHOW(ioctl(t, TIOCSETD, &n));
  n = 99;
  SHOW(ioctl(t, TIOCSETD, &n));
  SHOW(ioctl(t, TIOCMGET, &n));
  SHOW(ioctl(t, TIOCGSOFTCAR, &n));
  printf("%d\n", n);
  n = 1;
  SHOW(ioctl(t, TIOCSSOFTCAR, &n));
  SHOW(ioctl(t, TIOCEXCL));
  SHOW(ioctl(t, TIOCGEXCL, &n));
  printf("%d\n", n);
  SHOW(ioctl(t, TIOCNXCL));
  SHOW(ioctl(t, TCXONC, 0));
  SHOW(ioctl(t, TCXONC, 1));
  SHOW(ioctl(t, TCXONC, 9));
  SHOW(ioctl(t, TCFLSH, 0));
  SHOW(ioctl(t, TCFLSH, 9));
  SHOW(ioctl(t, TCSBRK, 1));
  SHOW(ioctl(t, TCSBRKP, 1));
  SHOW(ioctl(t, TIOCSBRK));
  SHOW(ioctl(t, TIOCCBRK));
  struct termios2 t2;
  SHOW(ioctl(t, TCGETS2, &t2));
  printf("%u %u\n", t2.c_ispeed, t2.c_ospeed);
  SHOW(ioctl(t, TCSETS2, &t2));
  SHOW(ioctl(t, TIOCVHANGUP));
  SHOW(ioctl(t, TIOCGWINSZ, &a));
  SHOW(ioctl(m, TIOCGPTLCK, &n));
  SHOW(ioctl(m, TIOCGPKT, &n));
  SHOW(ioctl(t, TIOCOUTQ, &n));
  SHOW(ioctl(t, TIOCLINUX, &n));
  SHOW(ioctl(t, TIOCCONS));
  SHOW(ioctl(t, TIOCGDEV, &n));
  SHOW(ioctl(t, TIOCGICOUNT, &a));
  SHOW(ioctl(t, TIOCGSERIAL, &a));
  SHOW(ioctl(t, 0x5499, &n));
}
TEST(epoll_nesting) {
  int e[8];
  for (int i = 0; i < 8; i++)
    e[i] = epoll_create1(0);
  struct epoll_event ev = {EPOLLIN};
  int p[2];
  pipe(p);
  for (int i = 0; i < 7; i++)
    SHOW(epoll_ctl(e[i], EPOLL_CTL_ADD, e[i + 1], &ev));
  SHOW(epoll_ctl(e[7], EPOLL_CTL_ADD, e[0], &ev));
  SHOW(epoll_ctl(e[1], EPOLL_CTL_ADD, e[1], &ev));
  SHOW(epoll_ctl(e[2], EPOLL_CTL_ADD, e[1], &ev));
  SHOW(epoll_ctl(e[5], EPOLL_CTL_ADD, p[0], &ev));
  SHOW(epoll_ctl(e[4], EPOLL_CTL_ADD, p[0], &ev));
  write(p[1], "x", 1);
  SHOW(epoll_wait(e[3], &ev, 1, 0));
  SHOW(epoll_wait(e[0], &ev, 1, 0));
  ev.events = EPOLLIN | EPOLLEXCLUSIVE;
  SHOW(epoll_ctl(e[0], EPOLL_CTL_ADD, e[2], &ev));
  SHOW(epoll_ctl(e[0], EPOLL_CTL_ADD, p[0], &ev));
  SHOW(epoll_ctl(e[0], EPOLL_CTL_MOD, p[0], &ev));
  ev.events |= EPOLLONESHOT;
  SHOW(epoll_ctl(e[2], EPOLL_CTL_ADD, p[0], &ev));
  SHOW(epoll_ctl(e[0], 9, p[0], &ev));
  SHOW(epoll_ctl(e[0], EPOLL_CTL_DEL, p[1], 0));
  put("f", "");
  int f = open("f", O_RDONLY);
  SHOW(epoll_ctl(e[0], EPOLL_CTL_ADD, f, &ev));
  SHOW(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &ev));
  SHOW(epoll_ctl(e[0], EPOLL_CTL_ADD, p[1], 0));
  SHOW(epoll_wait(e[0], &ev, 0, 0));
  SHOW(epoll_wait(e[0], &ev, INT_MAX, 0));
  SHOW(epoll_wait(p[0], &ev, 1, 0));
  SHOW(epoll_create(0));
  SHOW(epoll_create1(1));
}
static int ct(const char *p) {
  static struct timespec last;
  struct stat s;
  if (lstat(p, &s))
    return -1;
  int n = memcmp(&last, &s.st_ctim, sizeof last) != 0;
  last = s.st_ctim;
  return n;
}
TEST(nlink_ctime) {
  put("a", "x");
  int fd = open("a", O_RDONLY);
  struct stat s;
  ct("a");
  msleep(15);
  link("a", "b");
  stat("a", &s);
  printf("%d %d\n", (int)s.st_nlink, ct("a"));
  msleep(15);
  unlink("b");
  stat("a", &s);
  printf("%d %d\n", (int)s.st_nlink, ct("a"));
  msleep(15);
  rename("a", "c");
  printf("%d\n", ct("c"));
  msleep(15);
  chmod("c", 0600);
  printf("%d\n", ct("c"));
  msleep(15);
  struct timespec t0 = s.st_ctim;
  unlink("c");
  fstat(fd, &s);
  printf("%d %d\n", (int)s.st_nlink, s.st_ctim.tv_nsec != t0.tv_nsec);
  mkdir("d", 0755);
  stat("d", &s);
  printf("%d\n", (int)s.st_nlink >= 1);
  mkdir("d/e", 0755);
  int dd = open("d/e", O_RDONLY);
  rmdir("d/e");
  fstat(dd, &s);
  printf("%d\n", (int)s.st_nlink);
  put("p", "");
  put("q", "");
  int q = open("q", O_RDONLY);
  rename("p", "q");
  fstat(q, &s);
  printf("%d\n", (int)s.st_nlink);
}
TEST(xattrs) {
  put("f", "");
  char b[200];
  SHOW(setxattr("f", "user.one", "1", 1, 0));
  SHOW(setxattr("f", "user.two", "22", 2, 0));
  SHOW(setxattr("f", "trusted.t", "3", 1, 0));
  ssize_t n = listxattr("f", b, 200);
  printf("%zd", n);
  int seen = 0;
  for (char *p = b; p < b + n; p += strlen(p) + 1)
    seen += !strncmp(p, "user.", 5) + 10 * !strncmp(p, "trusted.", 8);
  printf(" %d\n", seen);
  SHOW(listxattr("f", b, 5));
  SHOW(listxattr("f", 0, 0));
  IN_CHILD {
    chmod("f", 0644);
    become(65534, 65534);
    n = listxattr("f", b, 200);
    seen = 0;
    for (char *p = b; p < b + n; p += strlen(p) + 1)
      seen += !strncmp(p, "user.", 5) + 10 * !strncmp(p, "trusted.", 8);
    printf("%zd %d\n", n, seen);
    SHOW(getxattr("f", "trusted.t", b, 10));
    SHOW(setxattr("f", "trusted.t", "3", 1, 0));
    SHOW(setxattr("f", "user.x", "3", 1, 0));
    SHOW(setxattr("f", "security.x", "3", 1, 0));
  }
  SHOW(getxattr("f", "user.two", b, 1));
  SHOW(getxattr("f", "user.two", b, 0));
  SHOW(getxattr("f", "user.none", b, 9));
  SHOW(getxattr("f", "user.", b, 9));
  SHOW(getxattr("f", "foo.x", b, 9));
  SHOW(getxattr("f", "", b, 9));
  SHOW(setxattr("f", "user.one", "x", 1, XATTR_CREATE));
  SHOW(setxattr("f", "user.new", "x", 1, XATTR_REPLACE));
  SHOW(setxattr("f", "user.new", "x", 1, 4));
  SHOW(setxattr("f", "user.big", b, 70000, 0));
  symlink("f", "l");
  SHOW(lsetxattr("l", "user.x", "1", 1, 0));
  SHOW(lsetxattr("l", "trusted.x", "1", 1, 0));
  mkfifo("p", 0600);
  SHOW(setxattr("p", "user.x", "1", 1, 0));
  SHOW(getxattr("p", "user.x", b, 9));
  SHOW(removexattr("f", "user.none"));
  SHOW(removexattr("f", "user.one"));
  SHOW(listxattr("l", b, 200) > 0);
  SHOW(llistxattr("l", b, 200));
}
TEST(nsfs) {
  int f = OK(open("/proc/self/ns/user", O_RDONLY)), m = OK(open("/proc/self/ns/mnt", O_RDONLY)),
      p = OK(open("/proc/self/ns/pid", O_RDONLY)), u = OK(open("/proc/self/ns/uts", O_RDONLY));
  SHOW(ioctl(f, NS_GET_NSTYPE) == CLONE_NEWUSER);
  SHOW(ioctl(m, NS_GET_NSTYPE) == CLONE_NEWNS);
  SHOW(ioctl(p, NS_GET_NSTYPE) == CLONE_NEWPID);
  uid_t o = 9;
  SHOW(ioctl(f, NS_GET_OWNER_UID, &o));
  printf("%d\n", o);
  SHOW(ioctl(u, NS_GET_OWNER_UID, &o));
  int r = ioctl(u, NS_GET_USERNS);
  struct stat a, b;
  fstat(r, &a);
  fstat(f, &b);
  printf("%d\n", a.st_ino == b.st_ino);
  SHOW(ioctl(u, NS_GET_PARENT));
  SHOW(ioctl(f, NS_GET_PARENT));
  SHOW(ioctl(f, NS_GET_USERNS));
  SHOW(ioctl(f, 0xb7ff));
  uint64_t id = 0;
  SHOW(ioctl(m, _IOR(0xb7, 5, uint64_t), &id));
  printf("%d\n", id != 0);
  SHOW(ioctl(u, _IOR(0xb7, 5, uint64_t), &id));
  SHOW(ioctl(p, _IOR(0xb7, 6, int), getpid()) > 0);
  SHOW(ioctl(p, _IOR(0xb7, 8, int), getpid()) == getpid());
  SHOW(ioctl(p, _IOR(0xb7, 7, int), 0x3ffffff));
  SHOW(ioctl(u, _IOR(0xb7, 6, int), 1));
  IN_CHILD {
    if (unshare(CLONE_NEWUSER)) {
      printf("%s\n", ename(errno));
      _exit(0);
    }
    int g = open("/proc/self/ns/user", O_RDONLY);
    SHOW(ioctl(f, NS_GET_PARENT));
    SHOW(ioctl(g, NS_GET_OWNER_UID, &o));
  }
}
TEST(sysvipc) {
  int s = shmget(0x7001, 5000, IPC_CREAT | 0640), q = msgget(0x7002, IPC_CREAT | 0600),
      e = semget(0x7003, 3, IPC_CREAT | 0666);
  char b[4000];
  const char *n[] = {"shm", "sem", "msg"};
  for (int i = 0; i < 3; i++) {
    char p[40];
    snprintf(p, 40, "/proc/sysvipc/%s", n[i]);
    char *t = strdup(get(p));
    char *nl = strchr(t, '\n');
    *nl = 0;
    printf("%s\n", t);
    char k[20];
    snprintf(k, 20, "%d ", 0x7001 + (i == 0 ? 0 : i == 1 ? 2 : 1));
    printf("%d\n", strstr(nl + 1, k) != 0);
  }
  shmctl(s, IPC_RMID, 0);
  msgctl(q, IPC_RMID, 0);
  semctl(e, 0, IPC_RMID);
  (void)b;
}
TEST(sched_calls) {
  SHOW(sched_get_priority_max(SCHED_FIFO));
  SHOW(sched_get_priority_min(SCHED_RR));
  SHOW(sched_get_priority_max(99));
  struct sched_param p = {5};
  SHOW(sched_setscheduler(0, SCHED_OTHER, &p));
  p.sched_priority = 0;
  SHOW(sched_setscheduler(0, SCHED_BATCH, &p));
  SHOW(sched_getscheduler(0));
  SHOW(sched_setscheduler(0, SCHED_IDLE, &p));
  SHOW(sched_setscheduler(0, SCHED_OTHER | 0x40000000, &p));
  SHOW(sched_getscheduler(0));
  SHOW(sched_setscheduler(-1, 0, &p));
  SHOW(sched_setscheduler(0x3ffffff, 0, &p));
  SHOW(sched_getparam(0, 0));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(setpriority(PRIO_PROCESS, 0, 5));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(setpriority(PRIO_PROCESS, 0, 100));
  SHOW(getpriority(PRIO_PROCESS, 0));
  SHOW(getpriority(7, 0));
  SHOW(getpriority(PRIO_PROCESS, 0x3ffffff));
  SHOW(setpriority(PRIO_PGRP, 0, 3));
  SHOW(getpriority(PRIO_PGRP, 0));
  IN_CHILD {
    become(65534, 65534);
    SHOW(setpriority(PRIO_PROCESS, 0, 1));
    SHOW(setpriority(PRIO_PROCESS, 0, 10));
    SHOW(setpriority(PRIO_PROCESS, getppid(), 10));
    SHOW(sched_setscheduler(getppid(), SCHED_BATCH, &p));
    p.sched_priority = 1;
    SHOW(sched_setscheduler(0, SCHED_FIFO, &p));
  }
}
