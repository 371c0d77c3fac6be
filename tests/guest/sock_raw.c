// Packets: raw sockets, ping sockets, packet sockets; errors of UDP, urgent data, control messages of IPv6.
#include "guest.h"
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/genetlink.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
// <linux/icmp.h> and <netinet/ip_icmp.h> do not go together.
#define ICMP_FILTER 1
struct icmp_filter { uint32_t data; };
// A network of the test's own: nobody else's packets are on its loopback.
static void own_network(void) {
  MUST(unshare(CLONE_NEWNET));
  int s = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  struct ifreq r = {.ifr_name = "lo"};
  MUST(ioctl(s, SIOCGIFFLAGS, &r));
  r.ifr_flags |= IFF_UP;
  MUST(ioctl(s, SIOCSIFFLAGS, &r));
  close(s);
}
static struct sockaddr_in v4(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return a;
}
static struct sockaddr_in6 v6(int port) {
  struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
  return a;
}
#define SA(a) (struct sockaddr *)&(a), sizeof(a)
static void wait_at_most(int s, int ms) {
  struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  MUST(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
}
static void on(int s, int level, int name) {
  int one = 1;
  OK(setsockopt(s, level, name, &one, sizeof one));
}
static unsigned short checksum(const void *p, int n) {
  unsigned sum = 0;
  const unsigned char *b = p;
  for (int i = 0; i < n; i++)
    sum += i & 1 ? b[i] : b[i] << 8;
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return htons(~sum);
}
// An echo request of 8 and 4 bytes.
static int echo_request(char *b, int id) {
  struct icmphdr h = {.type = ICMP_ECHO, .un.echo = {.id = htons(id), .sequence = htons(7)}};
  memcpy(b, &h, 8);
  memcpy(b + 8, "ping", 4);
  h.checksum = checksum(b, 12);
  memcpy(b, &h, 8);
  return 12;
}
TEST(making) {
  SHOW(socket(AF_INET, SOCK_RAW, 0));
  SHOW(socket(AF_INET, SOCK_RAW, 300));
  SHOW(socket(AF_INET, SOCK_SEQPACKET, 0));
  SHOW(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP));
  SHOW(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMP));
  int s = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_UDP)), n;
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  OK(getsockname(s, (void *)&a, &len));
  SAY("%d bytes, port %d\n", len, ntohs(a.sin_port));
  ERR(ENOTCONN, getpeername(s, (void *)&a, &len));
  ERR(EOPNOTSUPP, listen(s, 1));
  len = sizeof n;
  OK(getsockopt(s, SOL_SOCKET, SO_PROTOCOL, &n, &len));
  EQ(n, IPPROTO_UDP);
  OK(getsockopt(s, SOL_SOCKET, SO_TYPE, &n, &len));
  EQ(n, SOCK_RAW);
  OK(getsockopt(s, SOL_IP, IP_HDRINCL, &n, &len));
  EQ(n, 0);
  SHOW(getsockopt(s, SOL_RAW, ICMP_FILTER, &n, &len));
  ERR(EDESTADDRREQ, send(s, "x", 1, 0));
  ERR(EOPNOTSUPP, send(s, "x", 1, MSG_OOB));
  struct sockaddr_in far = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x01020304)};
  ERR(EADDRNOTAVAIL, bind(s, SA(far)));
  int r = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  OK(getsockopt(r, SOL_IP, IP_HDRINCL, &n, &len));
  EQ(n, 1);
  int u = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  ERR(ENOPROTOOPT, setsockopt(u, SOL_IP, IP_HDRINCL, &n, sizeof n));
  become(12345, 12345);
  SHOW(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
  SHOW(socket(AF_INET, SOCK_RAW, 0));
  SHOW(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  SHOW(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
}
TEST(ping_v4) {
  own_network();
  int s = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  wait_at_most(s, 2000);
  struct icmp_filter f = {.data = ~(1u << ICMP_ECHOREPLY)};
  OK(setsockopt(s, SOL_RAW, ICMP_FILTER, &f, sizeof f));
  on(s, SOL_IP, IP_RECVTTL);
  int ttl = 9, tos = 0x10;
  OK(setsockopt(s, SOL_IP, IP_TTL, &ttl, sizeof ttl));
  OK(setsockopt(s, SOL_IP, IP_TOS, &tos, sizeof tos));
  char b[100], c[100];
  struct sockaddr_in a = v4(0), from;
  EQ(sendto(s, b, echo_request(b, 77), 0, SA(a)), 12);
  struct iovec v = {b, sizeof b};
  struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
  int n = recvmsg(s, &m, 0);
  EQ(n, 32);
  struct iphdr *ip = (void *)b;
  struct icmphdr *h = (void *)(b + 20);
  SAY("version %d, %d words, length %d, ttl %d, tos %#x, protocol %d, df %d\n", ip->version, ip->ihl, ntohs(ip->tot_len), ip->ttl,
      ip->tos, ip->protocol, (ntohs(ip->frag_off) & IP_DF) != 0);
  EQ(checksum(b, 20), 0);
  EQ(checksum(b + 20, 12), 0);
  SAY("type %d, id %d, sequence %d, \"%.4s\"\n", h->type, ntohs(h->un.echo.id), ntohs(h->un.echo.sequence), b + 28);
  EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  EQ(from.sin_port, 0);
  struct cmsghdr *k = CMSG_FIRSTHDR(&m);
  CHECK(k && k->cmsg_level == SOL_IP && k->cmsg_type == IP_TTL && *(int *)CMSG_DATA(k) == 64);
  // without a filter it sees its own request first
  memset(&f, 0, sizeof f);
  OK(setsockopt(s, SOL_RAW, ICMP_FILTER, &f, sizeof f));
  EQ(sendto(s, b, echo_request(b, 78), 0, SA(a)), 12);
  for (int i = 0; i < 2; i++) {
    EQ(recv(s, b, sizeof b, 0), 32);
    SAY("type %d, ttl %d\n", h->type, ip->ttl);
  }
  ERR(EAGAIN, recv(s, b, sizeof b, MSG_DONTWAIT));
  ERR(EMSGSIZE, sendto(s, b, 65536, 0, SA(a)));
}
TEST(ping_v6) {
  own_network();
  int s = MUST(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  wait_at_most(s, 2000);
  struct icmp6_filter f;
  ICMP6_FILTER_SETBLOCKALL(&f);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f);
  OK(setsockopt(s, SOL_ICMPV6, ICMP6_FILTER, &f, sizeof f));
  int off = -1;
  socklen_t len = sizeof off;
  OK(getsockopt(s, SOL_IPV6, IPV6_CHECKSUM, &off, &len));
  EQ(off, 2);
  struct icmp6_hdr h = {.icmp6_type = ICMP6_ECHO_REQUEST, .icmp6_dataun.icmp6_un_data16 = {htons(5), htons(6)}};
  char b[100];
  memcpy(b, &h, 8);
  memcpy(b + 8, "six", 3);
  struct sockaddr_in6 a = v6(0);
  EQ(sendto(s, b, 11, 0, SA(a)), 11);
  EQ(recv(s, b, sizeof b, 0), 11);
  SAY("type %d, \"%.3s\"\n", (unsigned char)b[0], b + 8);
  a.sin6_port = htons(17);
  ERR(EINVAL, sendto(s, b, 11, 0, SA(a)));
}
TEST(ping_sockets) {
  own_network();
  SAY("range %s", get("/proc/sys/net/ipv4/ping_group_range"));
  SHOW(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
  put("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
  int s = MUST(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
  wait_at_most(s, 2000);
  struct sockaddr_in a = v4(0), me = v4(1234);
  OK(bind(s, SA(me)));
  char b[100];
  ERR(EINVAL, sendto(s, "short", 5, 0, SA(a)));
  echo_request(b, 1);
  b[0] = ICMP_ECHOREPLY;
  ERR(EINVAL, sendto(s, b, 12, 0, SA(a)));
  EQ(sendto(s, b, echo_request(b, 1), 0, SA(a)), 12);
  EQ(recv(s, b, sizeof b, 0), 12);
  struct icmphdr *h = (void *)b;
  SAY("type %d, id %d, \"%.4s\"\n", h->type, ntohs(h->un.echo.id), b + 8);
}
TEST(raw_udp) {
  own_network();
  int raw = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_UDP)), u = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  wait_at_most(raw, 2000);
  wait_at_most(u, 2000);
  struct sockaddr_in a = v4(5000), from;
  OK(bind(u, SA(a)));
  // what the UDP socket is sent is seen
  int c = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in mine = v4(5001);
  OK(bind(c, SA(mine)));
  EQ(sendto(c, "seen", 4, 0, SA(a)), 4);
  char b[200];
  EQ(recv(raw, b, sizeof b, 0), 32);
  struct udphdr *h = (void *)(b + 20);
  SAY("%d to %d, length %d, \"%.4s\"\n", ntohs(h->source), ntohs(h->dest), ntohs(h->len), b + 28);
  EQ(recv(u, b, sizeof b, 0), 4);
  // a header of one's own reaches it
  char d[12] = {0};
  struct udphdr w = {.source = htons(6000), .dest = htons(5000), .len = htons(12)};
  memcpy(d, &w, 8);
  memcpy(d + 8, "made", 4);
  EQ(sendto(raw, d, 12, 0, SA(a)), 12);
  socklen_t len = sizeof from;
  EQ(recvfrom(u, b, sizeof b, 0, (void *)&from, &len), 4);
  SAY("from %d: \"%.4s\"\n", ntohs(from.sin_port), b);
  // and so does one with the header of IP
  int r = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  char p[32] = {0};
  struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 3, .protocol = IPPROTO_UDP, .saddr = htonl(0x7f000005), .daddr = htonl(INADDR_LOOPBACK)};
  memcpy(p, &ip, 20);
  memcpy(p + 20, d, 12);
  EQ(sendto(r, p, 32, 0, SA(a)), 32);
  on(u, SOL_IP, IP_RECVTTL);
  EQ(recvfrom(u, b, sizeof b, 0, (void *)&from, &len), 4);
  SAY("from %s %d\n", inet_ntoa(from.sin_addr), ntohs(from.sin_port));
  ERR(EINVAL, sendto(r, p, 10, 0, SA(a)));
  ERR(EAGAIN, recv(r, b, sizeof b, MSG_DONTWAIT));
  // a bound and connected raw socket sees only what fits
  int n = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
  struct sockaddr_in other = v4(0);
  other.sin_addr.s_addr = htonl(0x7f000009);
  OK(bind(n, SA(other)));
  EQ(sendto(c, "x", 1, 0, SA(a)), 1);
  ERR(EAGAIN, recv(n, b, sizeof b, MSG_DONTWAIT));
}
TEST(port_unreachable) {
  own_network();
  int i = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)), u = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  wait_at_most(i, 2000);
  struct sockaddr_in a = v4(9), from, mine = v4(5002);
  OK(bind(u, SA(mine)));
  EQ(sendto(u, "nobody", 6, 0, SA(a)), 6);
  char b[600], c[200];
  EQ(recv(i, b, sizeof b, 0), 20 + 8 + 34);
  struct icmphdr *h = (void *)(b + 20);
  SAY("type %d code %d tos %#x\n", h->type, h->code, (unsigned char)b[1]);
  // an unconnected socket hears nothing unless it asks
  ERR(EAGAIN, recv(u, b, sizeof b, MSG_DONTWAIT));
  on(u, SOL_IP, IP_RECVERR);
  EQ(sendto(u, "nobody", 6, 0, SA(a)), 6);
  struct pollfd p = {.fd = u, .events = POLLIN};
  EQ(poll(&p, 1, 2000), 1);
  SAY("poll %#x\n", p.revents);
  ERR(ECONNREFUSED, recv(u, b, sizeof b, MSG_DONTWAIT));
  struct iovec v = {b, sizeof b};
  struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
  EQ(recvmsg(u, &m, MSG_ERRQUEUE), 6);
  EQ(m.msg_flags, MSG_ERRQUEUE);
  EQ(ntohs(from.sin_port), 9);
  struct cmsghdr *k = CMSG_FIRSTHDR(&m);
  CHECK(k && k->cmsg_level == SOL_IP && k->cmsg_type == IP_RECVERR);
  if (!k)
    return;
  struct sock_extended_err *e = (void *)CMSG_DATA(k);
  struct sockaddr_in *o = (void *)SO_EE_OFFENDER(e);
  SAY("%s origin %d type %d code %d info %d from %s, cmsg %d\n", ename(e->ee_errno), e->ee_origin, e->ee_type, e->ee_code, e->ee_info,
      inet_ntoa(o->sin_addr), (int)k->cmsg_len);
  ERR(EAGAIN, recvmsg(u, &m, MSG_ERRQUEUE));
  EQ(poll(&p, 1, 0), 0);
  // a connected one hears without asking
  int n = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  OK(connect(n, SA(a)));
  EQ(send(n, "x", 1, 0), 1);
  ERR(ECONNREFUSED, recv(n, b, sizeof b, 0));
  // but only of whom it is connected to
  a.sin_port = htons(10);
  EQ(sendto(n, "x", 1, 0, SA(a)), 1);
  ERR(EAGAIN, recv(n, b, sizeof b, MSG_DONTWAIT));
  // IPv6
  int s = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
  on(s, SOL_IPV6, IPV6_RECVERR);
  struct sockaddr_in6 a6 = v6(9);
  EQ(sendto(s, "six", 3, 0, SA(a6)), 3);
  m.msg_namelen = 0, m.msg_controllen = sizeof c;
  EQ(recvmsg(s, &m, MSG_ERRQUEUE), 3);
  k = CMSG_FIRSTHDR(&m);
  CHECK(k && k->cmsg_level == SOL_IPV6 && k->cmsg_type == IPV6_RECVERR);
  if (k) {
    e = (void *)CMSG_DATA(k);
    SAY("%s origin %d type %d code %d, cmsg %d\n", ename(e->ee_errno), e->ee_origin, e->ee_type, e->ee_code, (int)k->cmsg_len);
  }
}
TEST(unknown_protocol) {
  own_network();
  int i = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)), r = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  wait_at_most(i, 2000);
  char p[24] = {0}, b[200];
  struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 3, .protocol = 200, .daddr = htonl(INADDR_LOOPBACK)};
  memcpy(p, &ip, 20);
  struct sockaddr_in a = v4(0);
  EQ(sendto(r, p, 24, 0, SA(a)), 24);
  EQ(recv(i, b, sizeof b, 0), 20 + 8 + 24);
  SAY("type %d code %d\n", b[20], b[21]);
  // no TCP socket: a reset
  int t = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_TCP));
  wait_at_most(t, 2000);
  struct tcphdr h = {.source = htons(1000), .dest = htons(2000), .seq = htonl(5), .doff = 5, .syn = 1};
  struct { unsigned s, d; char z, p; unsigned short n; struct tcphdr h; } pseudo = {htonl(INADDR_LOOPBACK), htonl(INADDR_LOOPBACK), 0, 6, htons(20), h};
  h.check = checksum(&pseudo, sizeof pseudo);
  EQ(sendto(t, &h, 20, 0, SA(a)), 20);
  for (int k = 0; k < 2; k++) {
    EQ(recv(t, b, sizeof b, 0), 40);
    struct tcphdr *g = (void *)(b + 20);
    SAY("%d to %d: syn %d rst %d ack %d number %u\n", ntohs(g->source), ntohs(g->dest), g->syn, g->rst, g->ack, ntohl(g->ack_seq));
  }
}
static int packet_socket(int type, int protocol) {
  int s = MUST(socket(AF_PACKET, type, htons(protocol)));
  struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_ifindex = 1, .sll_protocol = htons(protocol)};
  OK(bind(s, SA(a)));
  wait_at_most(s, 2000);
  return s;
}
static void say_frame(int s) {
  char b[300];
  struct sockaddr_ll a;
  socklen_t len = sizeof a;
  int n = recvfrom(s, b, sizeof b, 0, (void *)&a, &len);
  SAY("%d bytes; protocol %#x if %d hatype %d pkttype %d halen %d, name of %d\n", n, ntohs(a.sll_protocol), a.sll_ifindex, a.sll_hatype,
      a.sll_pkttype, a.sll_halen, len);
}
TEST(packets) {
  own_network();
  int s = packet_socket(SOCK_RAW, ETH_P_ALL), d = packet_socket(SOCK_DGRAM, ETH_P_IP);
  int u = MUST(socket(AF_INET, SOCK_DGRAM, 0)), v = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in a = v4(5000);
  OK(bind(u, SA(a)));
  EQ(sendto(v, "frame", 5, 0, SA(a)), 5);
  say_frame(s);
  say_frame(s);
  say_frame(d);
  char b[300];
  ERR(EAGAIN, recv(s, b, sizeof b, MSG_DONTWAIT));
  ERR(EAGAIN, recv(d, b, sizeof b, MSG_DONTWAIT));
  ERR(EINVAL, recv(s, b, sizeof b, MSG_OOB | MSG_DONTWAIT));
  struct tpacket_stats st;
  socklen_t len = sizeof st;
  OK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &len));
  SAY("%d packets, %d drops, %d bytes\n", st.tp_packets, st.tp_drops, len);
  OK(getsockopt(s, SOL_PACKET, PACKET_STATISTICS, &st, &len));
  EQ(st.tp_packets, 0);
  struct sockaddr_ll l;
  len = sizeof l;
  OK(getsockname(s, (void *)&l, &len));
  SAY("name of %d: protocol %#x if %d hatype %d halen %d\n", len, ntohs(l.sll_protocol), l.sll_ifindex, l.sll_hatype, l.sll_halen);
  ERR(EOPNOTSUPP, getpeername(s, (void *)&l, &len));
  ERR(EOPNOTSUPP, connect(s, SA(l)));
  ERR(EOPNOTSUPP, listen(s, 1));
  ERR(EOPNOTSUPP, shutdown(s, SHUT_RD));
  l.sll_ifindex = 999;
  ERR(ENODEV, bind(s, SA(l)));
  ERR(EINVAL, bind(s, (void *)&l, 5));
  struct packet_mreq m = {.mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC};
  OK(setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m));
  OK(setsockopt(s, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &m, sizeof m));
  m.mr_ifindex = 999;
  ERR(ENODEV, setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof m));
  struct ifreq r = {.ifr_name = "lo"};
  OK(ioctl(s, SIOCGIFINDEX, &r));
  EQ(r.ifr_ifindex, 1);
}
TEST(packets_sent) {
  own_network();
  int s = packet_socket(SOCK_RAW, 0x1234), d = packet_socket(SOCK_DGRAM, 0x1234), all = packet_socket(SOCK_RAW, ETH_P_ALL);
  char f[20] = {0};
  f[12] = 0x12, f[13] = 0x34;
  EQ(send(s, f, 20, 0), 20);
  say_frame(s);
  say_frame(d);
  say_frame(all);
  say_frame(all);
  f[0] = 2;
  EQ(send(s, f, 20, 0), 20);
  say_frame(s);
  memset(f, 0xff, 6);
  EQ(send(s, f, 20, 0), 20);
  say_frame(s);
  struct sockaddr_ll l = {.sll_family = AF_PACKET, .sll_ifindex = 1, .sll_protocol = htons(0x1234), .sll_halen = 6};
  char b[100];
  while (recv(d, b, sizeof b, MSG_DONTWAIT) > 0) {}
  EQ(sendto(d, "cooked", 6, 0, SA(l)), 6);
  say_frame(s);
  EQ(recv(d, b, sizeof b, 0), 6);
  ERR(EINVAL, send(s, f, 5, 0));
  int n = MUST(socket(AF_PACKET, SOCK_RAW, 0));
  ERR(ENXIO, send(n, f, 20, 0));
  l.sll_ifindex = 999;
  ERR(ENXIO, sendto(s, f, 20, 0, SA(l)));
  on(s, SOL_PACKET, PACKET_AUXDATA);
  EQ(send(s, f, 20, 0), 20);
  char c[100];
  struct iovec v = {b, sizeof b};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
  EQ(recvmsg(s, &m, 0), 20);
  struct cmsghdr *k = CMSG_FIRSTHDR(&m);
  CHECK(k && k->cmsg_level == SOL_PACKET && k->cmsg_type == PACKET_AUXDATA);
  if (k) {
    struct tpacket_auxdata *x = (void *)CMSG_DATA(k);
    SAY("aux of %d: len %d snaplen %d net %d\n", (int)k->cmsg_len, x->tp_len, x->tp_snaplen, x->tp_net);
  }
}
TEST(filters) {
  own_network();
  int u = MUST(socket(AF_INET, SOCK_DGRAM, 0)), c = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in a = v4(5000);
  OK(bind(u, SA(a)));
  ERR(ENOENT, setsockopt(u, SOL_SOCKET, SO_DETACH_FILTER, &u, sizeof u));
  // the first byte behind the header decides; of the others four are kept
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'k', 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 12),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog prog = {LEN(code), code};
  ERR(EINVAL, setsockopt(u, SOL_SOCKET, SO_ATTACH_FILTER, &prog, 4));
  code[3].code = 0xffff;
  ERR(EINVAL, setsockopt(u, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog));
  code[3].code = BPF_RET | BPF_K;
  OK(setsockopt(u, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog));
  EQ(sendto(c, "no", 2, 0, SA(a)), 2);
  EQ(sendto(c, "keep this", 9, 0, SA(a)), 9);
  char b[100];
  wait_at_most(u, 2000);
  EQ(recv(u, b, sizeof b, 0), 4);
  ERR(EAGAIN, recv(u, b, sizeof b, MSG_DONTWAIT));
  on(u, SOL_SOCKET, SO_LOCK_FILTER);
  ERR(EPERM, setsockopt(u, SOL_SOCKET, SO_DETACH_FILTER, &u, sizeof u));
  ERR(EPERM, setsockopt(u, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog));
  // of packets: UDP of IPv4 to port 5000, as tcpdump writes it
  int p = packet_socket(SOCK_RAW, ETH_P_ALL);
  struct sock_filter port[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 6),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 4),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 5000, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 40),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog two = {LEN(port), port};
  OK(setsockopt(p, SOL_SOCKET, SO_ATTACH_FILTER, &two, sizeof two));
  EQ(sendto(c, "keep this", 9, 0, SA(a)), 9);
  a.sin_port = htons(5001);
  sendto(c, "not this", 8, 0, SA(a));
  EQ(recv(p, b, sizeof b, 0), 40);
  EQ(recv(p, b, sizeof b, MSG_TRUNC), 40);
  ERR(EAGAIN, recv(p, b, sizeof b, MSG_DONTWAIT));
}
TEST(tcp_is_seen) {
  own_network();
  int p = packet_socket(SOCK_DGRAM, ETH_P_IP);
  int l = MUST(socket(AF_INET, SOCK_STREAM, 0)), c = MUST(socket(AF_INET, SOCK_STREAM, 0));
  struct sockaddr_in a = v4(5000);
  OK(bind(l, SA(a)));
  OK(listen(l, 1));
  OK(connect(c, SA(a)));
  int s = MUST(accept(l, 0, 0));
  EQ(send(c, "over", 4, 0), 4);
  char b[200];
  EQ(recv(s, b, 4, MSG_WAITALL), 4);
  bool syn = false, data = false;
  for (int n; (n = recv(p, b, sizeof b, MSG_DONTWAIT)) > 0;) {
    struct iphdr *ip = (void *)b;
    struct tcphdr *t = (void *)(b + 4 * ip->ihl);
    syn |= t->syn && !t->ack && ntohs(t->dest) == 5000;
    data |= n >= 4 && !memcmp(b + n - 4, "over", 4) && t->psh;
  }
  SAY("syn %d, data %d\n", syn, data);
}
static void say_ancillary(int s) {
  char b[20], c[200];
  struct iovec v = {b, sizeof b};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
  SAY("%d bytes, flags %#x:", (int)recvmsg(s, &m, 0), m.msg_flags);
  for (struct cmsghdr *k = CMSG_FIRSTHDR(&m); k; k = CMSG_NXTHDR(&m, k))
    SAY(" %d/%d(%d)=%d", k->cmsg_level, k->cmsg_type, (int)k->cmsg_len, k->cmsg_type == IPV6_PKTINFO ? -1 : *(int *)CMSG_DATA(k));
  SAY("\n");
}
TEST(ancillary_v6) {
  own_network();
  int s = MUST(socket(AF_INET6, SOCK_DGRAM, 0)), c = MUST(socket(AF_INET6, SOCK_DGRAM, 0));
  struct sockaddr_in6 a = v6(5000);
  OK(bind(s, SA(a)));
  wait_at_most(s, 2000);
  on(s, SOL_IPV6, IPV6_RECVHOPLIMIT);
  on(s, SOL_IPV6, IPV6_RECVTCLASS);
  on(s, SOL_IPV6, IPV6_RECVPKTINFO);
  EQ(sendto(c, "a", 1, 0, SA(a)), 1);
  say_ancillary(s);
  int hops = 3, class = 0x20;
  OK(setsockopt(c, SOL_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops));
  OK(setsockopt(c, SOL_IPV6, IPV6_TCLASS, &class, sizeof class));
  EQ(sendto(c, "b", 1, 0, SA(a)), 1);
  say_ancillary(s);
  // sent with the message
  char k[CMSG_SPACE(4) * 2] = {0};
  struct iovec v = {"c", 1};
  struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1, .msg_control = k, .msg_controllen = sizeof k};
  struct cmsghdr *h = CMSG_FIRSTHDR(&m);
  *h = (struct cmsghdr){CMSG_LEN(4), SOL_IPV6, IPV6_HOPLIMIT};
  *(int *)CMSG_DATA(h) = 5;
  h = CMSG_NXTHDR(&m, h);
  *h = (struct cmsghdr){CMSG_LEN(4), SOL_IPV6, IPV6_TCLASS};
  *(int *)CMSG_DATA(h) = 6;
  EQ(sendmsg(c, &m, 0), 1);
  say_ancillary(s);
  *(int *)CMSG_DATA(h) = 256;
  ERR(EINVAL, sendmsg(c, &m, 0));
  // no room
  EQ(sendto(c, "d", 1, 0, SA(a)), 1);
  char b[4], small[CMSG_SPACE(20) + 4];
  struct iovec w = {b, sizeof b};
  struct msghdr r = {.msg_iov = &w, .msg_iovlen = 1, .msg_control = small, .msg_controllen = sizeof small};
  EQ(recvmsg(s, &r, 0), 1);
  SAY("flags %#x, %d bytes of control\n", r.msg_flags, (int)r.msg_controllen);
}
TEST(ancillary_v4) {
  own_network();
  int s = MUST(socket(AF_INET, SOCK_DGRAM, 0)), c = MUST(socket(AF_INET, SOCK_DGRAM, 0));
  struct sockaddr_in a = v4(5000);
  OK(bind(s, SA(a)));
  wait_at_most(s, 2000);
  on(s, SOL_IP, IP_RECVTTL);
  on(s, SOL_IP, IP_RECVTOS);
  char k[CMSG_SPACE(4) * 2] = {0};
  struct iovec v = {"c", 1};
  struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1, .msg_control = k, .msg_controllen = sizeof k};
  struct cmsghdr *h = CMSG_FIRSTHDR(&m);
  *h = (struct cmsghdr){CMSG_LEN(4), SOL_IP, IP_TTL};
  *(int *)CMSG_DATA(h) = 5;
  h = CMSG_NXTHDR(&m, h);
  *h = (struct cmsghdr){CMSG_LEN(1), SOL_IP, IP_TOS};
  *CMSG_DATA(h) = 8;
  EQ(sendmsg(c, &m, 0), 1);
  char b[20], x[100];
  struct iovec w = {b, sizeof b};
  struct msghdr r = {.msg_iov = &w, .msg_iovlen = 1, .msg_control = x, .msg_controllen = sizeof x};
  EQ(recvmsg(s, &r, 0), 1);
  for (struct cmsghdr *g = CMSG_FIRSTHDR(&r); g; g = CMSG_NXTHDR(&r, g))
    SAY("%d (%d) = %d\n", g->cmsg_type, (int)g->cmsg_len, *CMSG_DATA(g));
  *(int *)CMSG_DATA(CMSG_FIRSTHDR(&m)) = 0;
  ERR(EINVAL, sendmsg(c, &m, 0));
  // several datagrams in one call, and received in one
  int size = 4, one = 1;
  OK(setsockopt(c, SOL_UDP, 103 /* UDP_SEGMENT */, &size, sizeof size));
  EQ(sendto(c, "aaaabbbbcc", 10, 0, SA(a)), 10);
  for (int i = 0; i < 3; i++)
    SAY("%d ", (int)recv(s, b, sizeof b, 0));
  OK(setsockopt(s, SOL_UDP, 104 /* UDP_GRO */, &one, sizeof one));
  EQ(sendto(c, "aaaabbbbcc", 10, 0, SA(a)), 10);
  r.msg_controllen = sizeof x;
  SAY("%d\n", (int)recvmsg(s, &r, 0));
  for (struct cmsghdr *g = CMSG_FIRSTHDR(&r); g; g = CMSG_NXTHDR(&r, g))
    if (g->cmsg_level == SOL_UDP)
      SAY("%d (%d) = %d\n", g->cmsg_type, (int)g->cmsg_len, *(int *)CMSG_DATA(g));
}
static void say_urgent(int a, int b) {
  char x[20] = "";
  int at;
  catch_signal(SIGURG, 0);
  OK(fcntl(b, F_SETOWN, getpid()));
  ERR(EINVAL, recv(b, x, 1, MSG_OOB));
  EQ(send(a, "abc", 3, MSG_OOB), 3);
  struct pollfd p = {.fd = b, .events = POLLIN | POLLPRI};
  EQ(poll(&p, 1, 2000), 1);
  for (int i = 0; i < 200 && !caught[SIGURG]; i++)
    msleep(5);
  SAY("poll %#x, SIGURG %d\n", p.revents, caught[SIGURG]);
  EQ(send(a, "def", 3, 0), 3);
  // up to the mark, and behind it
  EQ(recv(b, x, sizeof x, MSG_DONTWAIT), 2);
  OK(ioctl(b, SIOCATMARK, &at));
  SAY("\"%.2s\", at mark %d\n", x, at);
  EQ(recv(b, x, 1, MSG_OOB | MSG_PEEK), 1);
  struct iovec v = {x, sizeof x};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  EQ(recvmsg(b, &m, MSG_OOB), 1);
  SAY("'%c', flags %#x\n", x[0], m.msg_flags & ~MSG_NOSIGNAL);
  ERR(EINVAL, recv(b, x, 1, MSG_OOB));
  EQ(recv(b, x, sizeof x, MSG_DONTWAIT), 3);
  SAY("\"%.3s\"\n", x);
  OK(ioctl(b, SIOCATMARK, &at));
  EQ(at, 0);
  // not read: gone past
  EQ(send(a, "xy", 2, MSG_OOB), 2);
  EQ(send(a, "z", 1, 0), 1);
  msleep(50);
  EQ(recv(b, x, sizeof x, MSG_DONTWAIT), 1);
  EQ(recv(b, x, sizeof x, MSG_DONTWAIT), 1);
  SAY("'%c'\n", x[0]);
  ERR(EAGAIN, recv(b, x, 1, MSG_DONTWAIT));
  // in line
  on(b, SOL_SOCKET, SO_OOBINLINE);
  EQ(send(a, "12", 2, MSG_OOB), 2);
  EQ(send(a, "3", 1, 0), 1);
  msleep(50);
  EQ(recv(b, x, sizeof x, MSG_DONTWAIT), 1);
  ERR(EINVAL, recv(b, x, 1, MSG_OOB));
  OK(ioctl(b, SIOCATMARK, &at));
  EQ(at, 1);
  EQ(recv(b, x, sizeof x, MSG_DONTWAIT), 2);
  SAY("\"%.2s\"\n", x);
}
TEST(urgent_tcp) {
  own_network();
  int l = MUST(socket(AF_INET, SOCK_STREAM, 0)), c = MUST(socket(AF_INET, SOCK_STREAM, 0));
  struct sockaddr_in a = v4(5000);
  OK(bind(l, SA(a)));
  OK(listen(l, 1));
  OK(connect(c, SA(a)));
  say_urgent(c, MUST(accept(l, 0, 0)));
}
TEST(urgent_unix) {
  int s[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  say_urgent(s[0], s[1]);
  OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
  ERR(EOPNOTSUPP, send(s[0], "x", 1, MSG_OOB));
  ERR(EOPNOTSUPP, recv(s[0], s, 1, MSG_OOB));
}
// A request of generic netlink with one attribute; the answer's length.
static int ask(int s, int family, int cmd, int attr, const void *data, int len, char *answer, int room) {
  struct { struct nlmsghdr n; struct genlmsghdr g; char a[64]; } q = {0};
  struct nlattr *a = (void *)q.a;
  *a = (struct nlattr){NLA_HDRLEN + len, attr};
  memcpy(q.a + NLA_HDRLEN, data, len);
  q.n = (struct nlmsghdr){NLMSG_LENGTH(GENL_HDRLEN + NLA_ALIGN(a->nla_len)), family, NLM_F_REQUEST, 1, 0};
  q.g = (struct genlmsghdr){cmd, 1};
  EQ(send(s, &q, q.n.nlmsg_len, 0), q.n.nlmsg_len);
  return recv(s, answer, room, 0);
}
static int nl_error(const char *answer) {
  const struct nlmsghdr *n = (const void *)answer;
  return n->nlmsg_type == NLMSG_ERROR ? -((const struct nlmsgerr *)NLMSG_DATA(n))->error : 0;
}
TEST(taskstats) {
  int s = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC));
  wait_at_most(s, 2000);
  char b[4096];
  ask(s, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, "nothing", 8, b, sizeof b);
  SAY("%s\n", ename(nl_error(b)));
  int n = ask(s, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME, sizeof TASKSTATS_GENL_NAME, b, sizeof b);
  EQ(nl_error(b), 0);
  int family = 0;
  for (struct nlattr *a = (void *)(b + NLMSG_LENGTH(GENL_HDRLEN)); (char *)a < b + n; a = (void *)((char *)a + NLA_ALIGN(a->nla_len))) {
    if (a->nla_type == CTRL_ATTR_FAMILY_ID)
      family = *(unsigned short *)((char *)a + NLA_HDRLEN);
    if (a->nla_type == CTRL_ATTR_FAMILY_NAME)
      SAY("%s\n", (char *)a + NLA_HDRLEN);
  }
  CHECK(family > GENL_ID_CTRL);
  long long end = now_ms() + 50;
  while (now_ms() < end) {}
  int pid = getpid();
  ask(s, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_PID, &pid, 4, b, sizeof b);
  EQ(nl_error(b), 0);
  struct genlmsghdr *g = NLMSG_DATA(b);
  EQ(g->cmd, TASKSTATS_CMD_NEW);
  struct nlattr *aggr = (void *)((char *)g + GENL_HDRLEN), *p = (void *)((char *)aggr + NLA_HDRLEN), *t = (void *)((char *)p + NLA_ALIGN(p->nla_len));
  SAY("%d %d %d\n", aggr->nla_type & NLA_TYPE_MASK, p->nla_type, t->nla_type);
  struct taskstats st;
  memcpy(&st, (char *)t + NLA_HDRLEN, sizeof st);
  EQ(st.ac_pid, pid);
  EQ(st.ac_ppid, getppid());
  CHECK(st.ac_utime + st.ac_stime > 10000);
  CHECK(st.version >= 13);
  SAY("\"%s\", nice %d, uid %d\n", st.ac_comm, (signed char)st.ac_nice, st.ac_uid);
  ask(s, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_TGID, &pid, 4, b, sizeof b);
  EQ(nl_error(b), 0);
  pid = 0x3fffffff;
  ask(s, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_PID, &pid, 4, b, sizeof b);
  SAY("%s\n", ename(nl_error(b)));
  ask(s, family, 99, TASKSTATS_CMD_ATTR_PID, &pid, 4, b, sizeof b);
  SAY("%s\n", ename(nl_error(b)));
  become(12345, 12345);
  s = MUST(socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC));
  ask(s, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_PID, &pid, 4, b, sizeof b);
  SAY("%s\n", ename(nl_error(b)));
}
TEST(proc_net) {
  own_network();
  int r = MUST(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)), p = MUST(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)));
  char line[200];
  const char *t = get("/proc/self/net/raw");
  t = strchr(t, '\n');
  CHECK(t && sscanf(t, " %*d: %199[^\n]", line) == 1);
  line[30] = 0;
  SAY("%s\n", line);
  t = strchr(get("/proc/self/net/packet"), '\n');
  int type, proto, refs, iface;
  unsigned long long sk;
  EQ(sscanf(t, " %llx %d %d %x %d", &sk, &refs, &type, &proto, &iface), 5);
  SAY("%d %x %d\n", type, proto, iface);
  close(r);
  close(p);
  EQ(strlen(strchr(get("/proc/self/net/packet"), '\n')), 1);
}
