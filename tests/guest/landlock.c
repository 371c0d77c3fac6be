// landlock(7): restrictions of access to files, TCP ports, abstract sockets and signals.
#include "guest.h"
#include <arpa/inet.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#define READ_FILE (1u << 2)
#define READ_DIR (1u << 3)
#define WRITE_FILE (1u << 1)
#define EXECUTE 1u
#define REMOVE_DIR (1u << 4)
#define REMOVE_FILE (1u << 5)
#define MAKE_DIR (1u << 7)
#define MAKE_REG (1u << 8)
#define MAKE_SYM (1u << 12)
#define REFER (1u << 13)
#define TRUNCATE (1u << 14)
#define IOCTL_DEV (1u << 15)
struct attr {
  uint64_t fs, net, scoped;
};
struct beneath {
  uint64_t access;
  int32_t fd;
} __attribute__((packed));
struct port {
  uint64_t access, port;
};
static int create(uint64_t fs, uint64_t net, uint64_t scoped) {
  struct attr a = {fs, net, scoped};
  return (int)syscall(SYS_landlock_create_ruleset, &a, sizeof a, 0);
}
static int allow(int rs, const char *path, uint64_t access) {
  int fd = (int)MUST(open(path, O_PATH | O_CLOEXEC));
  struct beneath b = {access, fd};
  int r = (int)syscall(SYS_landlock_add_rule, rs, 1, &b, 0), e = errno;
  close(fd);
  errno = e;
  return r;
}
static int allow_port(int rs, uint64_t port, uint64_t access) {
  struct port p = {access, port};
  return (int)syscall(SYS_landlock_add_rule, rs, 2, &p, 0);
}
static void enforce(int rs) {
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  MUST(syscall(SYS_landlock_restrict_self, rs, 0));
  close(rs);
}
TEST(create) {
  CHECK(syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 6);
  struct attr a = {READ_FILE, 0, 0};
  ERR(EINVAL, syscall(SYS_landlock_create_ruleset, &a, 8, 1));
  ERR(EINVAL, syscall(SYS_landlock_create_ruleset, NULL, 8, 1));
  ERR(EINVAL, syscall(SYS_landlock_create_ruleset, &a, 8, 1u << 30));
  ERR(EFAULT, syscall(SYS_landlock_create_ruleset, NULL, 8, 0));
  ERR(EFAULT, syscall(SYS_landlock_create_ruleset, 1, 8, 0));
  ERR(EINVAL, syscall(SYS_landlock_create_ruleset, &a, 7, 0));
  ERR(E2BIG, syscall(SYS_landlock_create_ruleset, &a, 4097, 0));
  ERR(ENOMSG, create(0, 0, 0));
  ERR(EINVAL, create(1ull << 16, 0, 0));
  ERR(EINVAL, create(0, 4, 0));
  ERR(EINVAL, create(0, 0, 4));
  int rs = OK(syscall(SYS_landlock_create_ruleset, &a, 8, 0));
  EQ(fcntl(rs, F_GETFD), FD_CLOEXEC);
  char l[64] = "", p[32];
  snprintf(p, 32, "/proc/self/fd/%d", rs);
  OK(readlink(p, l, 63));
  STREQ(l, "anon_inode:[landlock-ruleset]");
  ERR(EINVAL, read(rs, l, 1));
  ERR(EINVAL, write(rs, l, 1));
}
TEST(add_rule) {
  int rs = OK(create(READ_FILE | READ_DIR, 1, 0));
  ERR(EINVAL, allow(rs, ".", WRITE_FILE));
  ERR(EINVAL, allow(rs, ".", 1ull << 40));
  ERR(ENOMSG, allow(rs, ".", 0));
  struct beneath b = {READ_FILE, -1};
  ERR(EBADF, syscall(SYS_landlock_add_rule, rs, 1, &b, 0));
  ERR(EINVAL, syscall(SYS_landlock_add_rule, rs, 1, &b, 1));
  ERR(EINVAL, syscall(SYS_landlock_add_rule, rs, 3, &b, 0));
  ERR(EFAULT, syscall(SYS_landlock_add_rule, rs, 1, 1, 0));
  ERR(EBADF, syscall(SYS_landlock_add_rule, -1, 1, &b, 0));
  ERR(EBADFD, syscall(SYS_landlock_add_rule, 0, 1, &b, 0));
  int p[2];
  MUST(pipe(p));
  b.fd = p[0];
  ERR(EBADFD, syscall(SYS_landlock_add_rule, rs, 1, &b, 0));
  b.fd = rs;
  ERR(EBADFD, syscall(SYS_landlock_add_rule, rs, 1, &b, 0));
  put("f", "");
  ERR(EINVAL, allow(rs, "f", READ_DIR));
  OK(allow(rs, "f", READ_FILE));
  OK(allow(rs, ".", READ_DIR));
  ERR(EINVAL, allow_port(rs, 80, 2));
  ERR(ENOMSG, allow_port(rs, 80, 0));
  ERR(EINVAL, allow_port(rs, 65536, 1));
  OK(allow_port(rs, 80, 1));
}
TEST(restrict_self) {
  int rs = OK(create(READ_FILE, 0, 0));
  ERR(EINVAL, syscall(SYS_landlock_restrict_self, rs, 1u << 30));
  ERR(EBADF, syscall(SYS_landlock_restrict_self, -1, 0));
  ERR(EBADFD, syscall(SYS_landlock_restrict_self, 0, 0));
  IN_CHILD {
    become(65534, 65534);
    ERR(EPERM, syscall(SYS_landlock_restrict_self, rs, 0));
    enforce(rs);
  }
  OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  for (int i = 0; i < 16; i++)
    OK(syscall(SYS_landlock_restrict_self, rs, 0));
  ERR(E2BIG, syscall(SYS_landlock_restrict_self, rs, 0));
}
TEST(read_and_write) {
  MUST(mkdir("r", 0755));
  MUST(mkdir("w", 0755));
  MUST(mkdir("n", 0755));
  put("r/f", "r");
  put("w/f", "w");
  put("n/f", "n");
  int before = OK(open("n/f", O_RDWR));
  int rs = OK(create(READ_FILE | READ_DIR | WRITE_FILE | EXECUTE, 0, 0));
  OK(allow(rs, "r", READ_FILE | READ_DIR));
  OK(allow(rs, "w", WRITE_FILE));
  enforce(rs);
  OK(open("r/f", O_RDONLY));
  ERR(EACCES, open("r/f", O_WRONLY));
  ERR(EACCES, open("r/f", O_RDWR));
  OK(open("w/f", O_WRONLY));
  ERR(EACCES, open("w/f", O_RDONLY));
  OK(open("r", O_RDONLY | O_DIRECTORY));
  ERR(EACCES, open("w", O_RDONLY | O_DIRECTORY));
  ERR(EACCES, open("n/f", O_RDONLY));
  OK(open("n/f", O_PATH));
  ERR(EACCES, open(".", O_RDONLY));
  char b[4];
  EQ(read(before, b, 4), 1);
  EQ(write(before, "x", 1), 1);
  struct stat st;
  OK(stat("n/f", &st)); // not restricted
  OK(chmod("n/f", 0600));
  OK(access("n/f", R_OK));
  IN_CHILD {
    ERR(EACCES, open("n/f", O_RDONLY));
  }
  // What is not handled is not restricted.
  OK(mkdir("n/d", 0755));
  OK(unlink("w/f"));
  ERR(EACCES, execl("/bin/true", "true", NULL));
  int p[2];
  OK(pipe(p));
  char path[40];
  snprintf(path, 40, "/proc/self/fd/%d", p[0]);
  OK(open(path, O_RDONLY | O_NONBLOCK));
}
TEST(making_and_removing) {
  MUST(mkdir("a", 0755));
  MUST(mkdir("b", 0755));
  put("b/f", "");
  MUST(mkdir("b/d", 0755));
  uint64_t make = MAKE_DIR | MAKE_REG | MAKE_SYM | (1 << 9) | (1 << 10) | (1 << 6);
  int rs = OK(create(make | REMOVE_DIR | REMOVE_FILE, 0, 0));
  OK(allow(rs, "a", MAKE_DIR | MAKE_REG | REMOVE_FILE));
  enforce(rs);
  OK(mkdir("a/d", 0755));
  ERR(EACCES, mkdir("b/e", 0755));
  OK(open("a/f", O_CREAT | O_RDWR, 0600));
  ERR(EACCES, open("b/g", O_CREAT | O_RDWR, 0600));
  OK(open("b/f", O_CREAT | O_RDWR, 0600));
  ERR(EACCES, symlink("x", "a/s"));
  ERR(EACCES, mknod("a/p", S_IFIFO | 0600, 0));
  ERR(EACCES, mknod("a/c", S_IFCHR | 0600, makedev(1, 3)));
  OK(mknod("a/r", S_IFREG | 0600, 0));
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un u = {AF_UNIX, "a/sock"};
  ERR(EACCES, bind(s, (void *)&u, sizeof u));
  OK(unlink("a/f"));
  ERR(EACCES, unlink("b/f"));
  ERR(EACCES, rmdir("a/d"));
  ERR(EACCES, rmdir("b/d"));
  ERR(ENOENT, unlink("b/none"));
  ERR(EEXIST, mkdir("b/d", 0755));
  // Linking within a directory needs the right to make; across, to refer.
  OK(link("a/r", "a/l"));
  ERR(EXDEV, link("a/r", "a/d/l"));
  ERR(EACCES, link("b/f", "b/l"));
  OK(rename("a/r", "a/r2"));
  ERR(EACCES, rename("b/f", "b/f2"));
  ERR(EACCES, rename("a/r2", "b/r2"));
}
TEST(refer) {
  MUST(mkdir("src", 0755));
  MUST(mkdir("dst", 0755));
  MUST(mkdir("loose", 0755));
  MUST(mkdir("strict", 0755));
  put("src/f", "");
  put("src/g", "");
  put("src/h", "");
  put("strict/f", "");
  MUST(mkdir("src/d", 0755));
  uint64_t all = REFER | MAKE_REG | MAKE_DIR | REMOVE_FILE | REMOVE_DIR;
  int rs = OK(create(all | READ_FILE | EXECUTE, 0, 0));
  OK(allow(rs, "src", all | READ_FILE));
  OK(allow(rs, "dst", all | READ_FILE));
  OK(allow(rs, "loose", all | READ_FILE | EXECUTE));
  OK(allow(rs, "strict", all));
  enforce(rs);
  OK(rename("src/f", "dst/f"));
  OK(link("src/g", "dst/g"));
  OK(rename("src/d", "dst/d"));
  ERR(EXDEV, rename("src/g", "loose/g")); // could be executed there
  ERR(EXDEV, link("src/g", "loose/g"));
  OK(rename("src/g", "strict/g")); // less can be done there
  ERR(EXDEV, rename("strict/f", "src/f"));
  ERR(EXDEV, syscall(SYS_renameat2, AT_FDCWD, "src/h", AT_FDCWD, "strict/f", 2));
  OK(syscall(SYS_renameat2, AT_FDCWD, "src/h", AT_FDCWD, "dst/f", 2));
  ERR(EACCES, rename("src/h", "h"));
}
TEST(truncation) {
  put("t", "text");
  put("n", "text");
  int before = OK(open("n", O_RDWR));
  int rs = OK(create(TRUNCATE | WRITE_FILE, 0, 0));
  OK(allow(rs, "t", TRUNCATE | WRITE_FILE));
  OK(allow(rs, "n", WRITE_FILE));
  enforce(rs);
  OK(truncate("t", 2));
  ERR(EACCES, truncate("n", 2));
  OK(ftruncate(before, 3));
  int fd = OK(open("n", O_RDWR));
  ERR(EACCES, ftruncate(fd, 2));
  ERR(EACCES, open("n", O_RDWR | O_TRUNC));
  fd = OK(open("t", O_RDWR | O_TRUNC));
  OK(ftruncate(fd, 2));
  int m = OK(memfd_create("m", 0));
  OK(ftruncate(m, 10));
}
TEST(device_requests) {
  int before = OK(open("/dev/null", O_RDONLY));
  int rs = OK(create(IOCTL_DEV, 0, 0));
  OK(allow(rs, "/dev/zero", IOCTL_DEV));
  enforce(rs);
  int n, no = OK(open("/dev/null", O_RDONLY)), yes = OK(open("/dev/zero", O_RDONLY));
  ERR(ENOTTY, ioctl(before, TCGETS, &n));
  ERR(EACCES, ioctl(no, TCGETS, &n));
  ERR(ENOTTY, ioctl(yes, TCGETS, &n));
  n = 1;
  OK(ioctl(no, FIONBIO, &n));
  OK(ioctl(no, FIOCLEX));
  put("f", "123");
  int f = OK(open("f", O_RDONLY));
  OK(ioctl(f, FIONREAD, &n));
}
TEST(execution) {
  int rs = OK(create(EXECUTE | READ_FILE, 0, 0));
  OK(allow(rs, "/", READ_FILE));
  IN_CHILD {
    enforce(rs);
    ERR(EACCES, execl("/proc/self/exe", "x", NULL));
  }
  OK(allow(rs, "/", EXECUTE));
  enforce(rs);
  pid_t p = xfork();
  if (!p)
    execl("/proc/self/exe", "x", "--list", NULL), _exit(9);
  REAP(p);
}
TEST(layers) {
  MUST(mkdir("a", 0755));
  put("a/f", "");
  int one = OK(create(READ_FILE | READ_DIR, 0, 0)), two = OK(create(WRITE_FILE, 0, 0));
  OK(allow(one, "a", READ_FILE));
  OK(allow(two, "a", WRITE_FILE));
  enforce(one);
  OK(open("a/f", O_RDWR));
  enforce(two);
  OK(open("a/f", O_RDWR));
  int three = OK(create(READ_FILE, 0, 0));
  enforce(three);
  ERR(EACCES, open("a/f", O_RDONLY));
  OK(open("a/f", O_WRONLY));
}
TEST(mounts) {
  if (unshare(CLONE_NEWNS)) {
    printf("unshare: %s\n", ename(errno));
    return;
  }
  MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
  MUST(mkdir("m", 0755));
  MUST(mount("none", "m", "tmpfs", 0, 0));
  put("m/f", "");
  int rs = OK(create(READ_FILE, 0, 0));
  OK(allow(rs, ".", READ_FILE));
  enforce(rs);
  OK(open("m/f", O_RDONLY)); // what is mounted is below what it is mounted on
  ERR(EPERM, mount("none", "m", "tmpfs", 0, 0));
  ERR(EPERM, umount("m"));
  ERR(EPERM, mount(0, "m", 0, MS_REMOUNT | MS_BIND, 0));
}
TEST(tcp_ports) {
  int srv = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, b = a;
  socklen_t l = sizeof a;
  OK(bind(srv, (void *)&a, l));
  OK(listen(srv, 4));
  OK(getsockname(srv, (void *)&a, &l));
  OK(bind(other, (void *)&b, l));
  OK(listen(other, 4));
  OK(getsockname(other, (void *)&b, &l));
  int rs = OK(create(0, 3, 0));
  OK(allow_port(rs, ntohs(a.sin_port), 2));
  OK(allow_port(rs, 0, 1));
  enforce(rs);
  int s = socket(AF_INET, SOCK_STREAM, 0);
  ERR(EACCES, connect(s, (void *)&b, l));
  OK(connect(s, (void *)&a, l));
  s = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in c = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(34567)};
  ERR(EACCES, bind(s, (void *)&c, l));
  ERR(EINVAL, bind(s, (void *)&c, 4));
  c.sin_port = 0;
  OK(bind(s, (void *)&c, l));
  s = socket(AF_INET, SOCK_DGRAM, 0);
  c.sin_port = htons(34567);
  OK(connect(s, (void *)&c, l));
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(34567)};
  s = socket(AF_INET6, SOCK_STREAM, 0);
  if (s >= 0)
    ERR(EACCES, bind(s, (void *)&six, sizeof six));
}
TEST(abstract_sockets) {
  struct sockaddr_un u = {AF_UNIX, ""};
  snprintf(u.sun_path + 1, 40, "guest-landlock-%d", getpid());
  socklen_t l = (socklen_t)(3 + strlen(u.sun_path + 1));
  int srv = socket(AF_UNIX, SOCK_STREAM, 0), dg = socket(AF_UNIX, SOCK_DGRAM, 0);
  OK(bind(srv, (void *)&u, l));
  OK(listen(srv, 4));
  struct sockaddr_un d = u, p = {AF_UNIX, "named"};
  d.sun_path[1] = 'G';
  OK(bind(dg, (void *)&d, l));
  int named = socket(AF_UNIX, SOCK_STREAM, 0);
  OK(bind(named, (void *)&p, sizeof p));
  OK(listen(named, 4));
  int pair[2], joined = socket(AF_UNIX, SOCK_DGRAM, 0);
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  OK(connect(joined, (void *)&d, l));
  int rs = OK(create(0, 0, 1));
  enforce(rs);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  ERR(EPERM, connect(s, (void *)&u, l));
  OK(connect(s, (void *)&p, sizeof p));
  int e = socket(AF_UNIX, SOCK_DGRAM, 0);
  ERR(EPERM, connect(e, (void *)&d, l));
  ERR(EPERM, sendto(e, "x", 1, 0, (void *)&d, l));
  EQ(send(joined, "x", 1, 0), 1);
  EQ(write(pair[0], "x", 1), 1);
  // Within the domain all is well.
  struct sockaddr_un mine = u;
  mine.sun_path[1] = 'M';
  int own = socket(AF_UNIX, SOCK_STREAM, 0);
  OK(bind(own, (void *)&mine, l));
  OK(listen(own, 4));
  OK(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&mine, l));
  IN_CHILD {
    OK(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&mine, l));
  }
}
TEST(signals) {
  pid_t other = xfork();
  if (!other)
    for (;;)
      pause();
  pid_t mid = xfork();
  if (!mid) {
    int rs = OK(create(0, 0, 2));
    enforce(rs);
    ERR(EPERM, kill(other, 0));
    ERR(EPERM, kill(other, SIGTERM));
    ERR(EPERM, kill(getppid(), SIGTERM));
    OK(kill(getpid(), 0));
    pid_t c = xfork();
    if (!c)
      for (;;)
        pause();
    OK(kill(c, SIGKILL));
    STREQ(reap(c), "killed by SIGKILL");
    CHILD_END();
  }
  REAP(mid);
  OK(kill(other, SIGKILL));
  reap(other);
}
TEST(looking_into_others) {
  pid_t other = xfork();
  if (!other)
    for (;;)
      pause();
  until_asleep(other);
  static char here[8] = "text", there[8];
  struct iovec l = {there, 4}, r = {here, 4};
  EQ(process_vm_readv(other, &l, 1, &r, 1, 0), 4);
  int rs = OK(create(MAKE_REG, 0, 0));
  enforce(rs);
  ERR(EPERM, process_vm_readv(other, &l, 1, &r, 1, 0));
  IN_CHILD {
    ERR(EPERM, process_vm_readv(other, &l, 1, &r, 1, 0));
  }
  pid_t own = xfork();
  if (!own)
    for (;;)
      pause();
  EQ(process_vm_readv(own, &l, 1, &r, 1, 0), 4);
  OK(kill(own, SIGKILL));
  reap(own);
  OK(kill(other, SIGKILL));
  reap(other);
}
