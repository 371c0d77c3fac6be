// inotify(7).
#include "guest.h"
#include <sys/inotify.h>
static void drain(int fd, const char *title) {
  static char b[65536] __attribute__((aligned(8)));
  printf("%s:", title);
  ssize_t n;
  while ((n = read(fd, b, sizeof b)) > 0)
    for (char *p = b; p < b + n;) {
      struct inotify_event *e = (void *)p;
      printf(" %#x%s%s%s", e->mask, e->len ? "/" : "", e->len ? e->name : "", e->cookie ? "+" : "");
      p += sizeof *e + e->len;
    }
  printf(" %s\n", ename(errno));
}
TEST(directory_events) {
  OK(mkdir("d", 0755));
  int i = OK(inotify_init1(IN_NONBLOCK)), w = OK(inotify_add_watch(i, "d", IN_ALL_EVENTS));
  EQ(w, 1);
  drain(i, "none");
  put("d/f", "x");
  drain(i, "create, write");
  get("d/f");
  drain(i, "read");
  OK(rename("d/f", "d/g"));
  drain(i, "rename");
  OK(chmod("d/g", 0600));
  drain(i, "chmod");
  OK(link("d/g", "d/h"));
  drain(i, "link");
  OK(unlink("d/g"));
  drain(i, "unlink");
  OK(mkdir("d/s", 0755));
  OK(rmdir("d/s"));
  drain(i, "mkdir, rmdir");
  OK(rename("d/h", "out"));
  drain(i, "moved out");
  OK(rename("out", "d/in"));
  drain(i, "moved in");
  OK(truncate("d/in", 0));
  drain(i, "truncate");
  OK(unlink("d/in"));
  OK(symlink("x", "d/l"));
  OK(unlink("d/l"));
  drain(i, "symlink");
  OK(rmdir("d"));
  drain(i, "removed");
}
TEST(file_events) {
  put("f", "x");
  int i = OK(inotify_init1(IN_NONBLOCK));
  OK(inotify_add_watch(i, "f", IN_ALL_EVENTS));
  int fd = OK(open("f", O_RDWR));
  OK(write(fd, "abc", 3));
  drain(i, "open, write");
  OK(write(fd, "abc", 3));
  OK(write(fd, "abc", 3));
  drain(i, "merged");
  close(fd);
  OK(rename("f", "g"));
  OK(unlink("g"));
  drain(i, "move, delete");
}
TEST(arguments) {
  put("f", "");
  int i = OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  EQ(fcntl(i, F_GETFD), FD_CLOEXEC);
  ERR(EINVAL, inotify_init1(3));
  ERR(EINVAL, inotify_add_watch(i, "f", 0));
  ERR(ENOENT, inotify_add_watch(i, "none", IN_OPEN));
  ERR(ENOTDIR, inotify_add_watch(i, "f", IN_OPEN | IN_ONLYDIR));
  ERR(EBADF, inotify_add_watch(99, "f", IN_OPEN));
  ERR(EINVAL, inotify_add_watch(0, "f", IN_OPEN));
  int w = OK(inotify_add_watch(i, "f", IN_OPEN));
  EQ(inotify_add_watch(i, "f", IN_CLOSE), w);
  get("f");
  drain(i, "replaced");
  EQ(inotify_add_watch(i, "f", IN_OPEN | IN_MASK_ADD), w);
  get("f");
  drain(i, "added");
  ERR(EEXIST, inotify_add_watch(i, "f", IN_OPEN | IN_MASK_CREATE));
  OK(inotify_rm_watch(i, w));
  drain(i, "ignored");
  ERR(EINVAL, inotify_rm_watch(i, w));
  OK(inotify_add_watch(i, "f", IN_OPEN | IN_ONESHOT));
  get("f");
  get("f");
  drain(i, "oneshot");
}
TEST(reading) {
  put("f", "");
  int i = OK(inotify_init());
  OK(inotify_add_watch(i, "f", IN_ATTRIB));
  struct pollfd p = {i, POLLIN, 0};
  EQ(poll(&p, 1, 0), 0);
  OK(chmod("f", 0600));
  EQ(poll(&p, 1, 0), 1);
  int n = 0;
  OK(ioctl(i, FIONREAD, &n));
  EQ(n, 16);
  char b[64];
  ERR(EINVAL, read(i, b, 10));
  EQ(read(i, b, 64), 16);
  pid_t c = xfork();
  if (!c) {
    msleep(50);
    OK(chmod("f", 0644));
    CHILD_END();
  }
  EQ(read(i, b, 64), 16);
  REAP(c);
}
static int told;
static void on_sigio(int s, siginfo_t *i, void *c) { told += s == SIGIO ? 1 : i->si_fd >= 0 ? 100 : 10000; }
TEST(dnotify) {
  struct sigaction a = {.sa_sigaction = on_sigio, .sa_flags = SA_SIGINFO};
  sigaction(SIGIO, &a, 0);
  sigaction(SIGRTMIN, &a, 0);
  MUST(mkdir("d", 0755));
  int d = OK(open("d", O_RDONLY | O_DIRECTORY));
  put("f", "");
  ERR(ENOTDIR, fcntl(open("f", O_RDONLY), F_NOTIFY, DN_CREATE));
  OK(fcntl(d, F_NOTIFY, DN_CREATE));
  EQ(fcntl(d, F_GETOWN), getpid());
  put("d/a", "x");
  EQ(told, 1);
  put("d/b", "x");
  EQ(told, 1); // once
  OK(fcntl(d, F_NOTIFY, DN_DELETE | DN_MODIFY | DN_ATTRIB | DN_MULTISHOT));
  put("d/a", "y");
  CHECK(told > 1);
  int before = told;
  OK(chmod("d/a", 0600));
  EQ(told, before + 1);
  OK(unlink("d/a"));
  CHECK(told > before + 1);
  before = told;
  get("d/b");
  EQ(told, before);
  OK(fcntl(d, F_SETSIG, SIGRTMIN));
  told = 0;
  OK(unlink("d/b"));
  SAY("told %d\n", told);
  OK(fcntl(d, F_NOTIFY, DN_RENAME | DN_MULTISHOT));
  OK(fcntl(d, F_NOTIFY, 0));
  told = 0;
  put("d/c", "z");
  OK(unlink("d/c"));
  EQ(told, 0);
  OK(fcntl(d, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
  close(d);
  put("d/c", "z");
  EQ(told, 0);
}
