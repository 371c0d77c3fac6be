// The first process of a namespace, control messages that do not fit, statx, files of /proc/sys.
#include "guest.h"
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/xattr.h>
TEST(init_is_shielded) {
  if (unshare(CLONE_NEWPID)) {
    printf("unshare: %s\n", ename(errno));
    return;
  }
  int up[2];
  pipe(up);
  pid_t init = xfork();
  if (!init) {
    catch_signal(SIGUSR1, 0);
    pid_t c = xfork();
    if (!c) {
      SHOW(kill(1, SIGTERM));
      SHOW(kill(1, SIGKILL));
      SHOW(kill(1, SIGSTOP));
      SHOW(kill(1, SIGUSR1));
      SHOW(kill(-1, SIGKILL));
      _exit(5);
    }
    int st;
    while (waitpid(c, &st, 0) < 0) {
    }
    printf("%s %d\n", status_text(st), caught[SIGUSR1]);
    SHOW(kill(1, SIGKILL));
    SHOW(raise(SIGTERM));
    SHOW(kill(getpid(), SIGSEGV));
    write(up[1], "x", 1);
    for (;;)
      pause();
  }
  char b;
  read(up[0], &b, 1);
  kill(init, SIGTERM);
  msleep(30);
  SHOW(kill(init, 0));
  kill(init, SIGSTOP);
  int st;
  waitpid(init, &st, WUNTRACED);
  printf("%s\n", status_text(st));
  kill(init, SIGCONT);
  kill(init, SIGKILL);
  printf("%s\n", reap(init));
}
TEST(init_faults) {
  if (unshare(CLONE_NEWPID))
    return;
  pid_t init = xfork();
  if (!init) {
    *(volatile int *)0 = 1;
  }
  printf("%s\n", reap(init));
  if (fork() == -1)
    printf("%s\n", ename(errno));
}
static void rc(int s, size_t space) {
  char b[64], c[256];
  struct iovec v = {b, 64};
  struct sockaddr_in6 f;
  memset(c, 0, sizeof c);
  struct msghdr m = {.msg_name = &f,
                     .msg_namelen = sizeof f,
                     .msg_iov = &v,
                     .msg_iovlen = 1,
                     .msg_control = space ? c : 0,
                     .msg_controllen = space};
  ssize_t n = recvmsg(s, &m, 0);
  printf("space %zu: %zd flags %#x len %zu:", space, n, m.msg_flags, (size_t)m.msg_controllen);
  for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
    printf(" (%d %d %zu)", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len);
  printf("\n");
}
TEST(ancillary_truncation) {
  int s = socket(AF_INET6, SOCK_DGRAM, 0);
  if (s < 0) {
    printf("%s\n", ename(errno));
    return;
  }
  struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  OK(bind(s, (void *)&a, sizeof a));
  socklen_t l = sizeof a;
  getsockname(s, (void *)&a, &l);
  int one = 1;
  OK(setsockopt(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, 4));
  OK(setsockopt(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, 4));
  OK(setsockopt(s, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, 4));
  size_t sp[] = {256, 120, 100, 88, 80, 64, 60, 40, 36, 32, 24, 17, 16, 15, 8, 1, 0};
  for (size_t i = 0; i < LEN(sp); i++) {
    sendto(s, "hello", 5, 0, (void *)&a, l);
    rc(s, sp[i]);
  }
  int u[2];
  socketpair(AF_UNIX, SOCK_DGRAM, 0, u);
  OK(setsockopt(u[1], SOL_SOCKET, SO_PASSCRED, &one, 4));
  for (size_t i = 0; i < LEN(sp); i++) {
    send(u[0], "hi", 2, 0);
    rc(u[1], sp[i]);
  }
  int four = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in b = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  bind(four, (void *)&b, sizeof b);
  l = sizeof b;
  getsockname(four, (void *)&b, &l);
  setsockopt(four, IPPROTO_IP, IP_PKTINFO, &one, 4);
  setsockopt(four, IPPROTO_IP, IP_RECVTTL, &one, 4);
  setsockopt(four, SOL_SOCKET, SO_TIMESTAMP, &one, 4);
  for (size_t i = 0; i < LEN(sp); i++) {
    sendto(four, "hello", 5, 0, (void *)&b, l);
    rc(four, sp[i]);
  }
}
TEST(statx_more) {
  put("f", "x");
  struct statx s;
  OK(statx(AT_FDCWD, "f", 0, STATX_ALL, &s));
  printf("%#x %llu\n", s.stx_mask & 0x7ff, (unsigned long long)s.stx_size);
  ERR(EINVAL, statx(AT_FDCWD, "f", 0, 0x80000000, &s));
  ERR(EINVAL, statx(AT_FDCWD, "f", 0x6000, STATX_ALL, &s));
  ERR(EINVAL, statx(AT_FDCWD, "f", 0x10, STATX_ALL, &s));
  ERR(ENOENT, statx(AT_FDCWD, "", 0, STATX_ALL, &s));
  OK(statx(AT_FDCWD, "", AT_EMPTY_PATH, STATX_ALL, &s));
  printf("%o\n", s.stx_mode & S_IFMT);
  OK(statx(AT_FDCWD, "/", 0, STATX_ALL, &s));
  printf("%d\n", !!(s.stx_attributes & STATX_ATTR_MOUNT_ROOT));
  int p[2];
  pipe(p);
  OK(statx(p[0], "", AT_EMPTY_PATH, STATX_ALL, &s));
  printf("%o\n", s.stx_mode & S_IFMT);
  OK(statx(-1, "/", 0, STATX_ALL, &s));
  ERR(EBADF, statx(-1, "f", 0, STATX_ALL, &s));
  ERR(EFAULT, statx(AT_FDCWD, "f", 0, STATX_ALL, (void *)1));
  ERR(EFAULT, statx(AT_FDCWD, (void *)1, 0, STATX_ALL, &s));
}
TEST(sysfs_files) {
  static const char *const all[] = {"fs/file-max",
                                    "fs/nr_open",
                                    "fs/pipe-max-size",
                                    "fs/lease-break-time",
                                    "fs/leases-enable",
                                    "fs/dir-notify-enable",
                                    "fs/overflowuid",
                                    "fs/inotify/max_queued_events",
                                    "fs/epoll/max_user_watches",
                                    "fs/aio-max-nr",
                                    "fs/protected_symlinks",
                                    "fs/mqueue/msg_max",
                                    "fs/suid_dumpable",
                                    "fs/mount-max",
                                    "fs/pipe-user-pages-soft",
                                    "kernel/cap_last_cap",
                                    "kernel/ngroups_max",
                                    "kernel/osrelease",
                                    "kernel/pid_max",
                                    "kernel/msgmax",
                                    "kernel/sem",
                                    "kernel/shmmni",
                                    "kernel/random/uuid",
                                    "vm/overcommit_memory",
                                    "vm/max_map_count",
                                    "net/core/somaxconn",
                                    "net/ipv4/ip_local_port_range",
                                    "net/ipv4/tcp_rmem",
                                    "net/unix/max_dgram_qlen"};
  for (size_t i = 0; i < LEN(all); i++) {
    char p[80];
    snprintf(p, 80, "/proc/sys/%s", all[i]);
    struct stat s;
    if (stat(p, &s))
      printf("%s %s\n", all[i], ename(errno));
    else
      printf("%s %o %d\n", all[i], s.st_mode, access(p, R_OK));
  }
}
