// guest.h: what every guest program shares. A program is a list of TEST(name) functions.
//
//   prog            runs every test, each in a forked child and a fresh directory
//   prog NAME...    runs those
//   prog --list     names them
//
// The output and the exit status must be the same on Linux and in a sandbox, so nothing that is printed
// may depend on a process id, an address, an inode number, a time or the order of two processes.
// Directories are made below $TMPDIR (default /tmp).
#ifndef GUEST_H
#define GUEST_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define LEN(a) (sizeof(a) / sizeof *(a))

struct guest_test { const char *name; void (*run)(void); struct guest_test *next; };
static struct guest_test *guest_first, **guest_last = &guest_first;
static int guest_failed;

#define TEST(n)                                                                   \
  static void test_##n(void);                                                     \
  __attribute__((constructor)) static void register_##n(void) {                   \
    static struct guest_test t = {#n, test_##n, 0};                               \
    *guest_last = &t; guest_last = &t.next;                                       \
  }                                                                               \
  static void test_##n(void)

UNUSED static const char *ename(int e) { const char *n = e ? strerrorname_np(e) : "0"; return n ? n : "E?"; }
UNUSED static const char *signame(int s) {
  static char buf[4][24]; static int k; const char *n = sigabbrev_np(s); char *b = buf[k++ & 3];
  if (n) snprintf(b, 24, "SIG%s", n); else snprintf(b, 24, "SIG%d", s);
  return b;
}
__attribute__((format(printf, 2, 3))) UNUSED static void fail(int line, const char *fmt, ...) {
  va_list ap; va_start(ap, fmt); printf("FAIL line %d: ", line); vprintf(fmt, ap); printf("\n"); va_end(ap);
  fflush(stdout); guest_failed = 1;
}
// A condition that must hold.
#define CHECK(c) do { if (!(c)) fail(__LINE__, "%s", #c); } while (0)
// An equality of integers; both sides are shown when it does not hold.
#define EQ(a, b) do { long long a_ = (long long)(a), b_ = (long long)(b); \
    if (a_ != b_) fail(__LINE__, "%s is %lld, not %lld", #a, a_, b_); } while (0)
#define STREQ(a, b) do { const char *a_ = (a), *b_ = (b); \
    if (strcmp(a_, b_)) fail(__LINE__, "%s is \"%s\", not \"%s\"", #a, a_, b_); } while (0)
// A call that must succeed; its value.
#define OK(call) ({ errno = 0; long long r_ = (long long)(call); \
    if (r_ == -1) fail(__LINE__, "%s: %s", #call, ename(errno)); r_; })
// A call that nothing can go on without.
#define MUST(call) ({ errno = 0; long long m_ = (long long)(call); \
    if (m_ == -1) { fail(__LINE__, "%s: %s; giving up", #call, ename(errno)); fflush(stdout); _exit(1); } m_; })
// A call that must fail with this errno.
#define ERR(e, call) do { errno = 0; long long r_ = (long long)(call); int e_ = errno; \
    if (r_ != -1) fail(__LINE__, "%s is %lld, not %s", #call, r_, #e); \
    else if (e_ != (e)) fail(__LINE__, "%s: %s, not %s", #call, ename(e_), #e); } while (0)
// Prints what a call gives: its value or its errno.
#define SHOW(call) do { errno = 0; long long r_ = (long long)(call); \
    if (r_ == -1) printf("%s: %s\n", #call, ename(errno)); else printf("%s = %lld\n", #call, r_); fflush(stdout); } while (0)
// Prints a name and whether the call worked or its errno (the value may differ).
#define WORKS(call) do { errno = 0; long long r_ = (long long)(call); \
    printf("%s: %s\n", #call, r_ == -1 ? ename(errno) : "ok"); fflush(stdout); } while (0)
#define SAY(...) do { printf(__VA_ARGS__); fflush(stdout); } while (0)

UNUSED static const char *status_text(int st) {
  static char buf[64];
  if (WIFEXITED(st)) snprintf(buf, sizeof buf, "exit %d", WEXITSTATUS(st));
  else if (WIFSIGNALED(st)) snprintf(buf, sizeof buf, "killed by %s", signame(WTERMSIG(st)));
  else if (WIFSTOPPED(st)) snprintf(buf, sizeof buf, "stopped by %s", signame(WSTOPSIG(st)));
  else if (WIFCONTINUED(st)) snprintf(buf, sizeof buf, "continued");
  else snprintf(buf, sizeof buf, "status %#x", st);
  return buf;
}
UNUSED static pid_t xfork(void) { fflush(stdout); return (pid_t)MUST(fork()); }
// Ends a child of a test: status 1 where one of its checks failed.
#define CHILD_END() do { fflush(stdout); _exit(guest_failed); } while (0)
UNUSED static const char *reap(pid_t pid) {
  int st; pid_t r;
  do r = waitpid(pid, &st, 0); while (r == -1 && errno == EINTR);
  if (r != pid) return "not waited for";
  return status_text(st);
}
// Waits for a child that must exit 0.
#define REAP(pid) STREQ(reap(pid), "exit 0")
// Runs a block in a child and requires it to exit 0.
#define IN_CHILD for (pid_t c_ = xfork(), once_ = 1; once_; once_ = 0, c_ ? (void)({ REAP(c_); }) : (void)({ CHILD_END(); })) if (!c_)

UNUSED static void msleep(int ms) { struct timespec t = {ms / 1000, (ms % 1000) * 1000000L}; while (nanosleep(&t, &t) == -1 && errno == EINTR) {} }
UNUSED static void put(const char *path, const char *data) {
  int fd = (int)MUST(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0666));
  size_t n = strlen(data); if (write(fd, data, n) != (ssize_t)n) fail(__LINE__, "write %s", path);
  close(fd);
}
UNUSED static const char *get(const char *path) {
  static char buf[2][65536]; static int k; char *b = buf[k++ & 1];
  int fd = open(path, O_RDONLY); if (fd < 0) { snprintf(b, 64, "<%s>", ename(errno)); return b; }
  ssize_t n = 0, r; while ((r = read(fd, b + n, 65535 - n)) > 0) n += r;
  b[n] = 0; close(fd); return b;
}
// Becomes an ordinary user for good.
UNUSED static void become(uid_t uid, gid_t gid) { MUST(setgroups(0, NULL)); MUST(setresgid(gid, gid, gid)); MUST(setresuid(uid, uid, uid)); }
UNUSED static int is_privileged(void) { return geteuid() == 0; }
// State letter of a process from /proc, '?' where there is none.
UNUSED static char proc_state(pid_t pid) {
  char p[64]; snprintf(p, sizeof p, "/proc/%d/stat", pid); const char *s = get(p), *e = strrchr(s, ')');
  return e && e[1] ? e[2] : '?';
}
// Waits (at most 10 s) until a process sleeps, so that a test can act on a blocked call.
UNUSED static void until_asleep(pid_t pid) { for (int i = 0; i < 5000 && proc_state(pid) != 'S'; i++) msleep(2); msleep(10); }
UNUSED static long long now_ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000LL + t.tv_nsec / 1000000; }
UNUSED static volatile int caught[65];
UNUSED static void count_signal(int s) { caught[s]++; }
UNUSED static void catch_signal(int s, int flags) { struct sigaction a = {.sa_handler = count_signal, .sa_flags = flags}; MUST(sigaction(s, &a, NULL)); }

static int guest_rm(const char *p, const struct stat *s, int t, struct FTW *f) { (void)s; (void)t; (void)f; return remove(p), 0; }
static int guest_run(struct guest_test *t) {
  char dir[PATH_MAX]; const char *base = getenv("TMPDIR");
  snprintf(dir, sizeof dir, "%s/guest.XXXXXX", base ? base : "/tmp");
  if (!mkdtemp(dir)) { printf("mkdtemp: %s\n", ename(errno)); return 1; }
  chmod(dir, 0755);
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) { printf("fork: %s\n", ename(errno)); return 1; }
  if (!pid) {
    umask(022);
    if (chdir(dir)) _exit(1);
    t->run();
    fflush(stdout); _exit(guest_failed);
  }
  int st; pid_t r;
  for (;;) { r = wait(&st); if (r == pid || (r == -1 && errno != EINTR)) break; }
  nftw(dir, guest_rm, 20, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  bool bad = r != pid || st != 0;
  printf("%s: %s\n", t->name, bad ? status_text(st) : "ok");
  fflush(stdout);
  return bad;
}
int main(int argc, char **argv);
#ifndef GUEST_MAIN
int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 1 && !strcmp(argv[1], "--list")) {
    for (struct guest_test *t = guest_first; t; t = t->next) puts(t->name);
    return 0;
  }
#ifdef GUEST_HELPER
  if (argc > 1 && argv[1][0] == '@') return GUEST_HELPER(argc, argv);
#endif
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  int bad = 0, ran = 0;
  for (struct guest_test *t = guest_first; t; t = t->next) {
    bool want = argc < 2;
    for (int i = 1; i < argc; i++) want |= !strcmp(argv[i], t->name);
    if (want) { ran++; bad |= guest_run(t); }
  }
  if (!ran) { printf("no such test\n"); return 2; }
  return bad;
}
#endif
#endif
