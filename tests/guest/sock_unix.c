// Unix sockets: stream, datagram, seqpacket; names; descriptors and credentials in messages.
#include "guest.h"
static int sv[2];
static struct sockaddr_un un(const char *p) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  strcpy(a.sun_path, p);
  return a;
}
#define SA(a) (struct sockaddr *)&(a), sizeof(a)
static int bound(int type, const char *p) {
  int s = MUST(socket(AF_UNIX, type, 0));
  struct sockaddr_un a = un(p);
  MUST(bind(s, SA(a)));
  return s;
}
TEST(pairs) {
  int t[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  for (int i = 0; i < 3; i++) {
    OK(socketpair(AF_UNIX, t[i], 0, sv));
    OK(send(sv[0], "one", 3, 0));
    OK(send(sv[0], "three", 5, 0));
    char b[20] = "";
    EQ(recv(sv[1], b, 20, 0), i ? 3 : 8);
    printf("%s\n", b);
    if (i) {
      EQ(recv(sv[1], b, 2, 0), 2);
      ERR(EAGAIN, recv(sv[1], b, 2, MSG_DONTWAIT));
    }
    int ty;
    socklen_t n = sizeof ty;
    OK(getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &ty, &n));
    EQ(ty, t[i]);
  }
  ERR(EOPNOTSUPP, socketpair(AF_INET, SOCK_STREAM, 0, sv));
  ERR(EPROTONOSUPPORT, socketpair(AF_UNIX, SOCK_STREAM, 5, sv));
  ERR(EAFNOSUPPORT, socket(99, SOCK_STREAM, 0));
  ERR(EINVAL, socket(AF_UNIX, 99, 0));
  OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv));
  EQ(fcntl(sv[0], F_GETFD), FD_CLOEXEC);
  char b;
  ERR(EAGAIN, read(sv[0], &b, 1));
}
TEST(stream_server) {
  int l = bound(SOCK_STREAM, "s");
  struct sockaddr_un a = un("s");
  int c = socket(AF_UNIX, SOCK_STREAM, 0);
  ERR(ECONNREFUSED, connect(c, SA(a)));
  OK(listen(l, 5));
  OK(connect(c, SA(a)));
  int s = OK(accept4(l, 0, 0, SOCK_CLOEXEC));
  OK(write(c, "hi", 2));
  char b[10] = "";
  EQ(read(s, b, 10), 2);
  STREQ(b, "hi");
  struct sockaddr_un p;
  socklen_t n = sizeof p;
  OK(getpeername(c, (void *)&p, &n));
  STREQ(p.sun_path, "s");
  EQ(n, 4);
  n = sizeof p;
  OK(getsockname(c, (void *)&p, &n));
  EQ(n, 2);
  ERR(EISCONN, connect(c, SA(a)));
  ERR(EADDRINUSE, bind(socket(AF_UNIX, SOCK_STREAM, 0), SA(a)));
  a = un("none");
  ERR(ENOENT, connect(socket(AF_UNIX, SOCK_STREAM, 0), SA(a)));
  put("file", "");
  a = un("file");
  ERR(ECONNREFUSED, connect(socket(AF_UNIX, SOCK_STREAM, 0), SA(a)));
  a = un("s");
  ERR(EPROTOTYPE, connect(socket(AF_UNIX, SOCK_DGRAM, 0), SA(a)));
  close(l);
  ERR(ECONNREFUSED, connect(socket(AF_UNIX, SOCK_STREAM, 0), SA(a)));
  struct stat st;
  OK(stat("s", &st));
  CHECK(S_ISSOCK(st.st_mode));
  ERR(EINVAL, accept(c, 0, 0));
  ERR(ENOTSOCK, accept(0, 0, 0));
  ERR(EBADF, accept(99, 0, 0));
  struct ucred u;
  n = sizeof u;
  OK(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &u, &n));
  EQ(u.pid, getpid());
  EQ(u.uid, 0);
}
TEST(backlog_and_blocking_connect) {
  int l = bound(SOCK_STREAM, "s");
  struct sockaddr_un a = un("s");
  OK(listen(l, 1));
  int n = 0;
  for (;; n++) {
    int c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(c, SA(a)))
      break;
  }
  EQ(errno, EAGAIN);
  EQ(n, 2);
  pid_t p = xfork();
  if (!p) {
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    OK(connect(c, SA(a)));
    CHILD_END();
  }
  until_asleep(p);
  OK(accept(l, 0, 0));
  REAP(p);
}
TEST(abstract_names) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  snprintf(a.sun_path + 1, 60, "guest-test-%d", getpid());
  socklen_t n = 2 + 1 + strlen(a.sun_path + 1);
  int l = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(bind(l, (void *)&a, n));
  OK(listen(l, 1));
  int c = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(connect(c, (void *)&a, n));
  ERR(EADDRINUSE, bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, n));
  ERR(ECONNREFUSED, connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, n + 1));
  close(l);
  ERR(ECONNREFUSED, connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, n));
  int x = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
  sa_family_t f = AF_UNIX;
  OK(bind(x, (void *)&f, 2));
  struct sockaddr_un g;
  n = sizeof g;
  OK(getsockname(x, (void *)&g, &n));
  EQ(n, 8);
  EQ(g.sun_path[0], 0);
  ERR(EINVAL, bind(x, (void *)&f, 1));
  a.sun_family = 99;
  ERR(EINVAL, bind(socket(AF_UNIX, SOCK_DGRAM, 0), SA(a)));
}
TEST(datagrams) {
  int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b");
  struct sockaddr_un to = un("b"), from;
  OK(sendto(a, "hello", 5, 0, SA(to)));
  char x[20] = "";
  socklen_t n = sizeof from;
  EQ(recvfrom(b, x, 20, 0, (void *)&from, &n), 5);
  STREQ(from.sun_path, "a");
  OK(sendto(a, "", 0, 0, SA(to)));
  EQ(recv(b, x, 20, 0), 0);
  OK(connect(a, SA(to)));
  OK(send(a, "truncated", 9, 0));
  struct iovec v = {x, 4};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  EQ(recvmsg(b, &m, MSG_PEEK), 4);
  EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
  EQ(recv(b, x, 4, MSG_TRUNC), 9);
  ERR(ENOTCONN, send(b, "x", 1, 0));
  int c = bound(SOCK_DGRAM, "c");
  OK(connect(b, (void *)&from, n));
  struct sockaddr_un tb = un("b");
  ERR(EPERM, sendto(c, "x", 1, 0, SA(tb)));
  static char big[300000];
  ERR(EMSGSIZE, send(a, big, sizeof big, 0));
  close(b);
  ERR(ECONNREFUSED, send(a, "x", 1, 0));
  OK(unlink("b"));
  ERR(ENOENT, sendto(c, "x", 1, 0, SA(tb)));
}
TEST(sequenced_packets) {
  int l = bound(SOCK_SEQPACKET, "q");
  OK(listen(l, 1));
  struct sockaddr_un a = un("q");
  int c = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
  ERR(ENOTCONN, send(c, "x", 1, 0));
  OK(connect(c, SA(a)));
  int s = OK(accept(l, 0, 0));
  OK(send(c, "abc", 3, 0));
  OK(send(c, "de", 2, MSG_EOR));
  char b[10];
  EQ(read(s, b, 1), 1);
  EQ(read(s, b, 10), 2);
  close(c);
  EQ(read(s, b, 10), 0);
  ERR(EPIPE, send(s, "x", 1, MSG_NOSIGNAL));
}
static void send_fds(int s, int *f, int n, int extra) {
  char c[CMSG_SPACE(sizeof(int) * 300)] = "";
  struct iovec v = {"m", 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
  struct cmsghdr *h = CMSG_FIRSTHDR(&m);
  h->cmsg_level = SOL_SOCKET;
  h->cmsg_type = SCM_RIGHTS;
  h->cmsg_len = CMSG_LEN(sizeof(int) * n);
  memcpy(CMSG_DATA(h), f, sizeof(int) * n);
  errno = 0;
  ssize_t r = sendmsg(s, &m, MSG_NOSIGNAL);
  if (extra)
    printf("sendmsg: %s\n", r == 1 ? "ok" : ename(errno));
  else
    EQ(r, 1);
}
static int recv_fds(int s, int *f, int room, int flags, int *got_flags) {
  char c[CMSG_SPACE(sizeof(int) * 300)] = "", b;
  struct iovec v = {&b, 1};
  struct msghdr m = {
      .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = room ? CMSG_LEN(sizeof(int) * room) : 0};
  EQ(recvmsg(s, &m, flags), 1);
  *got_flags = m.msg_flags;
  struct cmsghdr *h = CMSG_FIRSTHDR(&m);
  if (!h || h->cmsg_type != SCM_RIGHTS)
    return 0;
  int n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  memcpy(f, CMSG_DATA(h), n * sizeof(int));
  return n;
}
TEST(passing_descriptors) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
  put("f", "passed");
  int fd = OK(open("f", O_RDONLY)), got[300], fl, two[2] = {fd, fd};
  send_fds(sv[0], &fd, 1, 0);
  close(fd);
  EQ(recv_fds(sv[1], got, 10, MSG_CMSG_CLOEXEC, &fl), 1);
  EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
  char b[10] = "";
  EQ(read(got[0], b, 10), 6);
  STREQ(b, "passed");
  two[0] = two[1] = got[0];
  send_fds(sv[0], two, 2, 0);
  EQ(recv_fds(sv[1], got + 1, 1, 0, &fl), 1);
  EQ(fl & MSG_CTRUNC, MSG_CTRUNC);
  send_fds(sv[0], two, 2, 0);
  char c;
  EQ(read(sv[1], &c, 1), 1);
  send_fds(sv[0], two, 2, 0);
  EQ(recv_fds(sv[1], got + 1, 0, 0, &fl), 0);
  EQ(fl & MSG_CTRUNC, MSG_CTRUNC);
  int bad = 999;
  send_fds(sv[0], &bad, 1, 1);
  int many[254];
  for (int i = 0; i < 254; i++)
    many[i] = two[0];
  send_fds(sv[0], many, 254, 1);
  send_fds(sv[0], many, 253, 1);
  EQ(recv_fds(sv[1], got, 300, 0, &fl), 253);
  IN_CHILD {
    close(sv[1]);
    send_fds(sv[0], two, 1, 0);
  }
  EQ(recv_fds(sv[1], got, 1, 0, &fl), 1);
}
TEST(sockets_in_flight) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
  int w[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, w));
  send_fds(sv[0], w, 1, 0);
  OK(write(w[1], "waiting", 7));
  close(w[0]);
  int got, fl;
  EQ(recv_fds(sv[1], &got, 1, 0, &fl), 1);
  char b[10] = "";
  EQ(read(got, b, 10), 7);
  STREQ(b, "waiting");
  send_fds(sv[0], &sv[1], 1, 0);
  send_fds(sv[1], &sv[0], 1, 0);
  close(sv[0]);
  close(sv[1]);
  for (int i = 0; i < 50; i++) {
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
    send_fds(sv[0], sv, 2, 0);
    close(sv[0]);
    close(sv[1]);
  }
}
TEST(credentials) {
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv));
  int on = 1;
  OK(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
  OK(write(sv[0], "x", 1));
  char c[CMSG_SPACE(sizeof(struct ucred))], b;
  struct iovec v = {&b, 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
  EQ(recvmsg(sv[1], &m, 0), 1);
  struct cmsghdr *h = CMSG_FIRSTHDR(&m);
  CHECK(h && h->cmsg_type == SCM_CREDENTIALS);
  struct ucred *u = (void *)CMSG_DATA(h);
  EQ(u->pid, getpid());
  EQ(u->uid, 0);
  IN_CHILD {
    become(1000, 1001);
    struct ucred w = {getpid(), 0, 0};
    struct msghdr s = m;
    s.msg_controllen = sizeof c;
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_CREDENTIALS;
    h->cmsg_len = CMSG_LEN(sizeof w);
    memcpy(CMSG_DATA(h), &w, sizeof w);
    ERR(EPERM, sendmsg(sv[0], &s, 0));
    w.uid = 1000;
    w.gid = 1001;
    memcpy(CMSG_DATA(h), &w, sizeof w);
    OK(sendmsg(sv[0], &s, 0));
  }
  m.msg_controllen = sizeof c;
  EQ(recvmsg(sv[1], &m, 0), 1);
  u = (void *)CMSG_DATA(CMSG_FIRSTHDR(&m));
  EQ(u->uid, 1000);
  EQ(u->gid, 1001);
}
TEST(flags) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
  char b[20] = "";
  OK(write(sv[0], "abcdef", 6));
  EQ(recv(sv[1], b, 3, MSG_PEEK), 3);
  EQ(recv(sv[1], b, 20, MSG_PEEK), 6);
  EQ(recv(sv[1], b, 2, 0), 2);
  int n;
  OK(ioctl(sv[1], FIONREAD, &n));
  EQ(n, 4);
  pid_t p = xfork();
  if (!p) {
    msleep(30);
    OK(write(sv[0], "ghij", 4));
    CHILD_END();
  }
  EQ(recv(sv[1], b, 8, MSG_WAITALL), 8);
  CHECK(!memcmp(b, "cdefghij", 8));
  REAP(p);
  ERR(EAGAIN, recv(sv[1], b, 1, MSG_DONTWAIT));
  ERR(EOPNOTSUPP, send(sv[0], "x", 1, MSG_OOB) == 1 ? (errno = EOPNOTSUPP, -1) : -1);
  struct timeval t = {0, 20000};
  OK(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
  ERR(EAGAIN, read(sv[0], b, 1));
  struct mmsghdr mm[3];
  memset(mm, 0, sizeof mm);
  struct iovec v[3] = {{"1", 1}, {"22", 2}, {"333", 3}};
  for (int i = 0; i < 3; i++)
    mm[i].msg_hdr.msg_iov = v + i, mm[i].msg_hdr.msg_iovlen = 1;
  int d[2];
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, d));
  EQ(sendmmsg(d[0], mm, 3, 0), 3);
  EQ(mm[2].msg_len, 3);
  char r[3][5];
  for (int i = 0; i < 3; i++)
    v[i] = (struct iovec){r[i], 5};
  EQ(recvmmsg(d[1], mm, 3, 0, 0), 3);
  EQ(mm[1].msg_len, 2);
}
TEST(shutdown_and_close) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
  char b;
  OK(write(sv[0], "x", 1));
  OK(shutdown(sv[0], SHUT_WR));
  EQ(read(sv[1], &b, 1), 1);
  EQ(read(sv[1], &b, 1), 0);
  signal(SIGPIPE, SIG_IGN);
  ERR(EPIPE, write(sv[0], "x", 1));
  OK(write(sv[1], "y", 1));
  OK(shutdown(sv[0], SHUT_RD));
  ERR(EPIPE, write(sv[1], "y", 1));
  ERR(EINVAL, shutdown(sv[0], 7));
  OK(shutdown(socket(AF_UNIX, SOCK_STREAM, 0), SHUT_RD));
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
  OK(write(sv[1], "unread", 6));
  OK(write(sv[0], "z", 1));
  close(sv[0]);
  EQ(read(sv[1], &b, 1), 1);
  ERR(ECONNRESET, read(sv[1], &b, 1));
  EQ(read(sv[1], &b, 1), 0);
  struct pollfd p = {sv[1], POLLIN | POLLOUT | POLLRDHUP, 0};
  EQ(poll(&p, 1, 0), 1);
  EQ(p.revents & (POLLIN | POLLHUP | POLLRDHUP), POLLIN | POLLHUP | POLLRDHUP);
}
TEST(flow_control) {
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
  int n;
  socklen_t l = sizeof n;
  OK(getsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &n, &l));
  CHECK(n >= 4096);
  pid_t p = xfork();
  if (!p) {
    static char b[1 << 20];
    for (size_t i = 0; i < sizeof b; i++)
      b[i] = i * 31;
    size_t k = 0;
    while (k < sizeof b)
      k += MUST(write(sv[0], b + k, sizeof b - k));
    CHILD_END();
  }
  close(sv[0]);
  char b[7777];
  size_t at = 0;
  ssize_t r;
  while ((r = read(sv[1], b, sizeof b)) > 0) {
    for (int i = 0; i < r; i++)
      if (b[i] != (char)((at + i) * 31)) {
        CHECK(0);
        exit(1);
      }
    at += r;
  }
  EQ(at, 1 << 20);
  REAP(p);
}
