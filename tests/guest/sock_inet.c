// TCP and UDP over loopback, IPv4 and IPv6, options, errors.
#include "guest.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
static void lo_up(void) {
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq r = {0};
  strcpy(r.ifr_name, "lo");
  if (!ioctl(s, SIOCGIFFLAGS, &r) && !(r.ifr_flags & IFF_UP)) {
    r.ifr_flags |= IFF_UP;
    ioctl(s, SIOCSIFFLAGS, &r);
  }
  close(s);
}
static struct sockaddr_in v4(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return a;
}
#define SA(a) (struct sockaddr *)&(a), sizeof(a)
static int port_of(int s) {
  struct sockaddr_storage a;
  socklen_t n = sizeof a;
  MUST(getsockname(s, (void *)&a, &n));
  return ntohs(((struct sockaddr_in *)&a)->sin_port);
}
static int listening(int *port) {
  lo_up();
  int l = MUST(socket(AF_INET, SOCK_STREAM, 0));
  struct sockaddr_in a = v4(0);
  int on = 1;
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  MUST(bind(l, SA(a)));
  MUST(listen(l, 10));
  *port = port_of(l);
  return l;
}
static void tcp_pair(int *c, int *s) {
  int p, l = listening(&p);
  *c = MUST(socket(AF_INET, SOCK_STREAM, 0));
  struct sockaddr_in a = v4(p);
  MUST(connect(*c, SA(a)));
  *s = MUST(accept(l, 0, 0));
  close(l);
}
TEST(tcp) {
  int c, s;
  tcp_pair(&c, &s);
  char b[20] = "";
  OK(write(c, "hello", 5));
  EQ(recv(s, b, 5, MSG_WAITALL), 5);
  STREQ(b, "hello");
  struct sockaddr_in a, p;
  socklen_t n = sizeof a;
  OK(getsockname(c, (void *)&a, &n));
  n = sizeof p;
  OK(getpeername(s, (void *)&p, &n));
  EQ(a.sin_port, p.sin_port);
  EQ(a.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  OK(shutdown(c, SHUT_WR));
  EQ(read(s, b, 1), 0);
  OK(write(s, "still", 5));
  EQ(recv(c, b, 5, MSG_WAITALL), 5);
  close(s);
  EQ(read(c, b, 1), 0);
  signal(SIGPIPE, SIG_IGN);
  ERR(EPIPE, write(c, "x", 1));
}
TEST(tcp_v6) {
  lo_up();
  int l = socket(AF_INET6, SOCK_STREAM, 0);
  if (l < 0)
    return;
  struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
  if (bind(l, SA(a))) {
    EQ(errno, EADDRNOTAVAIL);
    return;
  }
  OK(listen(l, 1));
  a.sin6_port = htons(port_of(l));
  int c = OK(socket(AF_INET6, SOCK_STREAM, 0));
  OK(connect(c, SA(a)));
  int s = OK(accept(l, 0, 0));
  OK(write(c, "six", 3));
  char b[4] = "";
  EQ(read(s, b, 4), 3);
  STREQ(b, "six");
  int d = OK(socket(AF_INET6, SOCK_STREAM, 0));
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
  OK(bind(d, SA(any)));
  OK(listen(d, 1));
  struct sockaddr_in f = v4(port_of(d));
  int e = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(connect(e, SA(f)));
  struct sockaddr_in6 from;
  socklen_t n = sizeof from;
  OK(accept(d, (void *)&from, &n));
  CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
  int o = OK(socket(AF_INET6, SOCK_STREAM, 0)), on = 1;
  OK(setsockopt(o, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
  OK(bind(o, SA(any)));
  OK(listen(o, 1));
  f = v4(port_of(o));
  ERR(ECONNREFUSED, connect(socket(AF_INET, SOCK_STREAM, 0), SA(f)));
}
TEST(refused_and_errors) {
  int p, l = listening(&p);
  close(l);
  struct sockaddr_in a = v4(p);
  int c = socket(AF_INET, SOCK_STREAM, 0);
  ERR(ECONNREFUSED, connect(c, SA(a)));
  c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int r = connect(c, SA(a));
  CHECK(r == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
  if (errno == EINPROGRESS) {
    struct pollfd f = {c, POLLOUT, 0};
    EQ(poll(&f, 1, 5000), 1);
    int e;
    socklen_t n = sizeof e;
    OK(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n));
    EQ(e, ECONNREFUSED);
    OK(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n));
    EQ(e, 0);
  }
  ERR(ENOTCONN, send(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE
                    ? (errno = ENOTCONN, -1)
                    : -1);
  ERR(ENOTCONN, getpeername(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, &(socklen_t){sizeof a}));
  char b;
  ERR(ENOTCONN, recv(socket(AF_INET, SOCK_STREAM, 0), &b, 1, 0));
  ERR(EAFNOSUPPORT, connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&(struct sockaddr_un){.sun_family = AF_UNIX}, 16));
  a.sin_addr.s_addr = htonl(0x01020304);
  ERR(EADDRNOTAVAIL, bind(socket(AF_INET, SOCK_STREAM, 0), SA(a)));
  ERR(EINVAL, bind(c, SA(a)) == -1 && errno == EADDRNOTAVAIL ? (errno = EINVAL, -1) : -1);
  ERR(EINVAL, connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, 3));
  ERR(EINVAL, accept(socket(AF_INET, SOCK_STREAM, 0), 0, 0));
  ERR(EOPNOTSUPP, accept(socket(AF_INET, SOCK_DGRAM, 0), 0, 0));
  ERR(EOPNOTSUPP, listen(socket(AF_INET, SOCK_DGRAM, 0), 1));
  ERR(EPROTONOSUPPORT, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
  ERR(EFAULT, bind(socket(AF_INET, SOCK_STREAM, 0), (void *)8, 16));
}
TEST(addresses_in_use) {
  int p, l = listening(&p);
  struct sockaddr_in a = v4(p);
  int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  ERR(EADDRINUSE, bind(s, SA(a)));
  OK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  ERR(EADDRINUSE, bind(s, SA(a)));
  ERR(EINVAL, bind(l, SA(a)));
  int x = socket(AF_INET, SOCK_STREAM, 0), y = socket(AF_INET, SOCK_STREAM, 0);
  OK(setsockopt(x, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
  OK(setsockopt(y, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
  a = v4(0);
  OK(bind(x, SA(a)));
  a = v4(port_of(x));
  OK(bind(y, SA(a)));
  OK(listen(x, 1));
  OK(listen(y, 1));
  int c = socket(AF_INET, SOCK_STREAM, 0);
  OK(connect(c, SA(a)));
  IN_CHILD {
    become(1000, 1000);
    a = v4(80);
    int z = bind(socket(AF_INET, SOCK_STREAM, 0), SA(a));
    CHECK(z == -1 && (errno == EACCES || errno == EADDRINUSE));
  }
}
TEST(restart_a_server) {
  int p, l = listening(&p);
  struct sockaddr_in a = v4(p);
  int c = socket(AF_INET, SOCK_STREAM, 0);
  OK(connect(c, SA(a)));
  int s = OK(accept(l, 0, 0));
  close(s);
  close(l);
  char b;
  EQ(read(c, &b, 1), 0);
  close(c);
  l = socket(AF_INET, SOCK_STREAM, 0);
  int on = 1;
  OK(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
  OK(bind(l, SA(a)));
  OK(listen(l, 1));
}
TEST(nonblocking_connect) {
  int p, l = listening(&p);
  struct sockaddr_in a = v4(p);
  int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  int r = connect(c, SA(a));
  CHECK(r == 0 || errno == EINPROGRESS);
  struct pollfd f = {c, POLLOUT, 0};
  EQ(poll(&f, 1, 5000), 1);
  EQ(f.revents, POLLOUT);
  int e;
  socklen_t n = sizeof e;
  OK(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n));
  EQ(e, 0);
  int s = OK(accept4(l, 0, 0, SOCK_NONBLOCK));
  char b;
  ERR(EAGAIN, read(s, &b, 1));
  fcntl(l, F_SETFL, O_NONBLOCK);
  ERR(EAGAIN, accept(l, 0, 0));
  f = (struct pollfd){l, POLLIN, 0};
  EQ(poll(&f, 1, 0), 0);
  int d = socket(AF_INET, SOCK_STREAM, 0);
  OK(connect(d, SA(a)));
  EQ(poll(&f, 1, 1000), 1);
}
TEST(reset) {
  int c, s;
  tcp_pair(&c, &s);
  struct linger l = {1, 0};
  OK(setsockopt(c, SOL_SOCKET, SO_LINGER, &l, sizeof l));
  close(c);
  char b;
  struct pollfd f = {s, POLLIN, 0};
  EQ(poll(&f, 1, 5000), 1);
  CHECK(f.revents & POLLERR);
  ERR(ECONNRESET, read(s, &b, 1));
  EQ(read(s, &b, 1), 0);
  tcp_pair(&c, &s);
  OK(write(c, "unread", 6));
  f = (struct pollfd){s, POLLIN, 0};
  EQ(poll(&f, 1, 5000), 1);
  close(s);
  f = (struct pollfd){c, POLLIN, 0};
  EQ(poll(&f, 1, 5000), 1);
  ERR(ECONNRESET, read(c, &b, 1));
}
TEST(readiness) {
  int c, s;
  tcp_pair(&c, &s);
  struct pollfd f = {c, POLLIN | POLLOUT | POLLRDHUP, 0};
  EQ(poll(&f, 1, 0), 1);
  EQ(f.revents, POLLOUT);
  OK(write(s, "x", 1));
  f.events = POLLIN;
  EQ(poll(&f, 1, 5000), 1);
  int n;
  OK(ioctl(c, FIONREAD, &n));
  EQ(n, 1);
  shutdown(s, SHUT_WR);
  f.events = POLLRDHUP;
  EQ(poll(&f, 1, 5000), 1);
  EQ(f.revents, POLLRDHUP);
  shutdown(c, SHUT_WR);
  f.events = 0;
  EQ(poll(&f, 1, 5000), 1);
  EQ(f.revents, POLLHUP);
}
TEST(bulk) {
  int c, s;
  tcp_pair(&c, &s);
  pid_t p = xfork();
  size_t total = 4 << 20;
  if (!p) {
    close(s);
    static char b[50000];
    size_t k = 0;
    while (k < total) {
      size_t n = sizeof b < total - k ? sizeof b : total - k;
      for (size_t i = 0; i < n; i++)
        b[i] = (k + i) * 13 >> 3;
      for (size_t o = 0; o < n;)
        o += MUST(write(c, b + o, n - o));
      k += n;
    }
    CHILD_END();
  }
  close(c);
  static char b[33333];
  size_t at = 0;
  ssize_t r;
  while ((r = read(s, b, sizeof b)) > 0) {
    for (ssize_t i = 0; i < r; i++)
      if (b[i] != (char)((at + i) * 13 >> 3)) {
        fail(__LINE__, "byte %zu", at + i);
        exit(1);
      }
    at += r;
  }
  EQ(at, total);
  REAP(p);
}
TEST(many_connections) {
  int p, l = listening(&p);
  struct sockaddr_in a = v4(p);
  pid_t k = xfork();
  if (!k) {
    for (int i = 0; i < 100; i++) {
      int c = socket(AF_INET, SOCK_STREAM, 0);
      MUST(connect(c, SA(a)));
      OK(write(c, &i, 4));
      int r;
      EQ(recv(c, &r, 4, MSG_WAITALL), 4);
      EQ(r, i * 2);
      close(c);
    }
    CHILD_END();
  }
  for (int i = 0; i < 100; i++) {
    int s = MUST(accept(l, 0, 0)), v;
    EQ(recv(s, &v, 4, MSG_WAITALL), 4);
    v *= 2;
    OK(write(s, &v, 4));
    close(s);
  }
  REAP(k);
}
TEST(udp) {
  lo_up();
  int a = OK(socket(AF_INET, SOCK_DGRAM, 0)), b = OK(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in x = v4(0), from;
  OK(bind(a, SA(x)));
  x = v4(port_of(a));
  OK(sendto(b, "packet", 6, 0, SA(x)));
  char d[20] = "";
  socklen_t n = sizeof from;
  EQ(recvfrom(a, d, 20, 0, (void *)&from, &n), 6);
  STREQ(d, "packet");
  EQ(ntohs(from.sin_port), port_of(b));
  OK(sendto(a, "reply to it", 11, 0, (void *)&from, n));
  EQ(recv(b, d, 5, MSG_TRUNC), 11);
  OK(connect(b, SA(x)));
  OK(send(b, "", 0, 0));
  EQ(recv(a, d, 20, 0), 0);
  ERR(EDESTADDRREQ, send(a, "x", 1, 0));
  static char big[70000];
  ERR(EMSGSIZE, send(b, big, 70000, 0));
  OK(send(b, big, 60000, 0));
  EQ(recv(a, big, 70000, 0), 60000);
  close(a);
  OK(send(b, "x", 1, 0));
  struct pollfd f = {b, POLLIN, 0};
  EQ(poll(&f, 1, 5000), 1);
  ERR(ECONNREFUSED, recv(b, d, 1, MSG_DONTWAIT));
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  OK(connect(b, &none, sizeof none));
  ERR(EDESTADDRREQ, send(b, "x", 1, 0));
  int c = OK(socket(AF_INET, SOCK_DGRAM, 0));
  x = v4(0);
  OK(bind(c, SA(x)));
  x = v4(port_of(c));
  ERR(EADDRINUSE, bind(socket(AF_INET, SOCK_DGRAM, 0), SA(x)));
}
TEST(options) {
  int s = OK(socket(AF_INET, SOCK_STREAM, 0)), v = 1;
  socklen_t n = sizeof v;
  int o[] = {SO_KEEPALIVE, SO_REUSEADDR, SO_BROADCAST, SO_OOBINLINE, SO_REUSEPORT};
  for (unsigned i = 0; i < LEN(o); i++) {
    v = 1;
    OK(setsockopt(s, SOL_SOCKET, o[i], &v, 4));
    v = 9;
    OK(getsockopt(s, SOL_SOCKET, o[i], &v, &n));
    EQ(v, 1);
  }
  v = 8192;
  OK(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, 4));
  OK(getsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, &n));
  EQ(v, 16384);
  v = 1;
  OK(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &v, 4));
  v = 0;
  OK(getsockopt(s, IPPROTO_TCP, TCP_NODELAY, &v, &n));
  EQ(v, 1);
  v = 30;
  OK(setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &v, 4));
  OK(getsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &v, &n));
  EQ(v, 30);
  OK(getsockopt(s, SOL_SOCKET, SO_DOMAIN, &v, &n));
  EQ(v, AF_INET);
  OK(getsockopt(s, SOL_SOCKET, SO_PROTOCOL, &v, &n));
  EQ(v, IPPROTO_TCP);
  OK(getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN, &v, &n));
  EQ(v, 0);
  ERR(ENOPROTOOPT, getsockopt(s, SOL_SOCKET, 9999, &v, &n));
  ERR(EFAULT, setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, (void *)8, 4));
  ERR(EINVAL, setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, 1));
  n = -1;
  ERR(EINVAL, getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &n));
  struct tcp_info i;
  n = sizeof i;
  OK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &i, &n));
  EQ(i.tcpi_state, TCP_CLOSE);
  ERR(ENOTSOCK, setsockopt(0, SOL_SOCKET, SO_KEEPALIVE, &v, 4));
}
TEST(interfaces) {
  lo_up();
  struct ifaddrs *a, *i;
  OK(getifaddrs(&a));
  int four = 0, up = 0;
  for (i = a; i; i = i->ifa_next)
    if (!strcmp(i->ifa_name, "lo")) {
      up |= i->ifa_flags & (IFF_UP | IFF_LOOPBACK);
      if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
        four = ((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    }
  EQ(up, IFF_UP | IFF_LOOPBACK);
  EQ(four, 1);
  EQ(if_nametoindex("lo"), 1);
  char n[IFNAMSIZ];
  STREQ(if_indextoname(1, n), "lo");
  EQ(if_nametoindex("none0"), 0);
  EQ(errno, ENODEV);
  struct ifreq r = {0};
  strcpy(r.ifr_name, "lo");
  int s = socket(AF_INET, SOCK_DGRAM, 0);
  OK(ioctl(s, SIOCGIFMTU, &r));
  EQ(r.ifr_mtu, 65536);
  OK(ioctl(s, SIOCGIFADDR, &r));
  CHECK(strstr(get("/proc/net/dev"), "lo:"));
}
TEST(waiting) {
  int c, s;
  tcp_pair(&c, &s);
  pid_t p = xfork();
  if (!p) {
    char b;
    EQ(read(s, &b, 1), 1);
    CHILD_END();
  }
  until_asleep(p);
  OK(write(c, "x", 1));
  REAP(p);
  int q, l = listening(&q);
  p = xfork();
  if (!p) {
    OK(accept(l, 0, 0));
    CHILD_END();
  }
  until_asleep(p);
  struct sockaddr_in a = v4(q);
  OK(connect(socket(AF_INET, SOCK_STREAM, 0), SA(a)));
  REAP(p);
  catch_signal(SIGALRM, 0);
  struct itimerval t = {{0, 0}, {0, 30000}};
  setitimer(ITIMER_REAL, &t, 0);
  ERR(EINTR, accept(l, 0, 0));
  struct timeval v = {0, 20000};
  OK(setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &v, sizeof v));
  char b;
  ERR(EAGAIN, read(c, &b, 1));
}
#ifndef UDPLITE_SEND_CSCOV
#define UDPLITE_SEND_CSCOV 10
#define UDPLITE_RECV_CSCOV 11
#endif
static int lite(int *port) {
  lo_up();
  int s = MUST(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
  struct sockaddr_in a = v4(0);
  MUST(bind(s, SA(a)));
  *port = port_of(s);
  return s;
}
TEST(udplite) {
  int p, q, v;
  socklen_t n = sizeof v;
  int a = lite(&p), b = lite(&q);
  OK(getsockopt(a, SOL_SOCKET, SO_PROTOCOL, &v, &n));
  EQ(v, IPPROTO_UDPLITE);
  // Ports are not those of UDP.
  int u = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in to = v4(q);
  OK(bind(u, SA(to)));
  EQ(sendto(a, "hello", 5, 0, SA(to)), 5);
  char buf[16];
  EQ(recv(b, buf, 16, 0), 5);
  ERR(EAGAIN, recv(u, buf, 16, MSG_DONTWAIT));
  // How much is covered, and has to be.
  OK(getsockopt(a, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, &v, &n));
  EQ(v, 0);
  v = 3;
  OK(setsockopt(a, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, &v, n));
  OK(getsockopt(a, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, &v, &n));
  EQ(v, 8);
  EQ(sendto(a, "hello", 5, 0, SA(to)), 5);
  EQ(recv(b, buf, 16, 0), 5);
  v = 12;
  OK(setsockopt(b, IPPROTO_UDPLITE, UDPLITE_RECV_CSCOV, &v, n));
  EQ(sendto(a, "hello", 5, 0, SA(to)), 5);
  ERR(EAGAIN, recv(b, buf, 16, MSG_DONTWAIT));
  v = 12;
  OK(setsockopt(a, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, &v, n));
  EQ(sendto(a, "hello", 5, 0, SA(to)), 5);
  EQ(recv(b, buf, 16, MSG_DONTWAIT), 5);
  ERR(ENOPROTOOPT, setsockopt(u, IPPROTO_UDPLITE, UDPLITE_SEND_CSCOV, &v, n));
  char line[32];
  sprintf(line, "0100007F:%04X", q);
  CHECK(strstr(get("/proc/net/udplite"), line));
}
TEST(hops_by_message) {
  lo_up();
  int r = MUST(socket(AF_INET6, SOCK_DGRAM, 0)), s = MUST(socket(AF_INET6, SOCK_DGRAM, 0)), on = 1;
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
  MUST(bind(r, SA(to)));
  to.sin6_port = htons(port_of(r));
  OK(setsockopt(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, 4));
  OK(setsockopt(r, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, 4));
  int hops = 9;
  OK(setsockopt(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, 4));
  int values[] = {-1, 0, 7, 255, 256, -2};
  for (size_t i = 0; i < LEN(values); i++)
    for (int kind = 0; kind < 2; kind++) {
      char c[CMSG_SPACE(4)] = {0}, b[4];
      struct iovec v = {"x", 1};
      struct msghdr m = {&to, sizeof to, &v, 1, c, CMSG_LEN(4), 0};
      struct cmsghdr *h = CMSG_FIRSTHDR(&m);
      *h = (struct cmsghdr){CMSG_LEN(4), IPPROTO_IPV6, kind ? IPV6_TCLASS : IPV6_HOPLIMIT};
      memcpy(CMSG_DATA(h), &values[i], 4);
      if (kind && values[i] == -1) continue; // Linux came to send 255 for it
      ssize_t n = sendmsg(s, &m, 0);
      SAY("%s %d: %s", kind ? "class" : "hops", values[i], n == 1 ? "sent" : ename(errno));
      if (n == 1) {
        char room[128];
        struct iovec w = {b, 4};
        struct msghdr g = {0, 0, &w, 1, room, sizeof room, 0};
        EQ(recvmsg(r, &g, 0), 1);
        for (h = CMSG_FIRSTHDR(&g); h; h = CMSG_NXTHDR(&g, h))
          if (h->cmsg_type == (kind ? IPV6_TCLASS : IPV6_HOPLIMIT)) SAY(" %d", *(int *)CMSG_DATA(h));
      }
      SAY("\n");
    }
}
TEST(send_to_a_closed_end_takes_no_more_than_the_buffer) {
  int c, s, n = 4096;
  tcp_pair(&c, &s);
  OK(setsockopt(c, SOL_SOCKET, SO_SNDBUF, &n, 4));
  close(s);
  msleep(20);
  char *big = calloc(1, 8 << 20);
  ssize_t sent = send(c, big, 8 << 20, MSG_DONTWAIT | MSG_NOSIGNAL);
  CHECK(sent > 0 && sent < 8 << 20);
  msleep(20);
  CHECK(send(c, big, 10, MSG_DONTWAIT | MSG_NOSIGNAL) == -1);
}
TEST(options_of_other_levels) {
  int family[] = {AF_INET, AF_INET6}, type[] = {SOCK_STREAM, SOCK_DGRAM}, level[] = {0, 6, 17, 41, 500};
  for (size_t f = 0; f < LEN(family); f++)
    for (size_t t = 0; t < LEN(type); t++) {
      int s = OK(socket(family[f], type[t], 0)), v = 0;
      for (size_t l = 0; l < LEN(level); l++) {
        socklen_t n = 4;
        int get = getsockopt(s, level[l], 777, &v, &n) ? errno : 0;
        int set = setsockopt(s, level[l], 777, &v, 4) ? errno : 0;
        printf("%d %d %d: %d %d\n", family[f], type[t], level[l], get, set);
      }
    }
}
