// mmap(2) and family on anonymous memory, brk(2), fork and memory, memfd, protection.
#include "guest.h"
#include <setjmp.h>
#include <sys/auxv.h>
static sigjmp_buf out;
static volatile int sig, code;
static void fault(int s, siginfo_t *i, void *c) {
  (void)c;
  sig = s;
  code = i->si_code;
  siglongjmp(out, 1);
}
#define FAULT(x)                                                                                                       \
  ({                                                                                                                   \
    struct sigaction a_ = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};                                             \
    sigaction(SIGSEGV, &a_, 0);                                                                                        \
    sigaction(SIGBUS, &a_, 0);                                                                                         \
    sig = 0;                                                                                                           \
    if (!sigsetjmp(out, 1)) {                                                                                          \
      x;                                                                                                               \
    }                                                                                                                  \
    sig;                                                                                                               \
  })
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
static char *map(size_t n) {
  char *m = mmap(0, n, RW, ANON, -1, 0);
  if (m == MAP_FAILED) {
    fail(0, "mmap: %s", ename(errno));
    _exit(1);
  }
  return m;
}
#define MAPERR(e, call) ERR(e, (call) == MAP_FAILED ? -1 : 0)
TEST(anonymous) {
  char *m = map(65536);
  for (int i = 0; i < 65536; i += 4096)
    EQ(m[i], 0);
  memset(m, 7, 65536);
  OK(munmap(m + 8192, 4096));
  EQ(m[8191], 7);
  EQ(FAULT((void)*(volatile char *)(m + 8192)), SIGSEGV);
  EQ(code, SEGV_MAPERR);
  EQ(m[12288], 7);
  OK(munmap(m, 65536));
  OK(munmap(m, 65536));
  ERR(EINVAL, munmap(m + 1, 4096));
  ERR(EINVAL, munmap(m, 0));
  MAPERR(EINVAL, mmap(0, 0, RW, ANON, -1, 0));
  MAPERR(EINVAL, mmap(0, 4096, RW, MAP_ANONYMOUS, -1, 0));
  MAPERR(ENOMEM, mmap(0, 1ul << 47, RW, ANON, -1, 0));
  MAPERR(ENOMEM, mmap(0, -4096ul, RW, ANON, -1, 0));
}
TEST(fixed) {
  char *m = map(16384);
  m[4096] = 5;
  char *f = mmap(m + 4096, 4096, RW, ANON | MAP_FIXED, -1, 0);
  CHECK(f == m + 4096);
  EQ(f[0], 0);
  MAPERR(EEXIST, mmap(m, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
  OK(munmap(m, 4096));
  CHECK(mmap(m, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == m);
  MAPERR(EINVAL, mmap(m + 1, 4096, RW, ANON | MAP_FIXED, -1, 0));
  MAPERR(EPERM, mmap(0, 4096, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED ? MAP_FAILED : (errno = EPERM, MAP_FAILED));
  OK(munmap(m, 16384));
  CHECK(mmap(m, 4096, RW, ANON, -1, 0) == m);
  char *low = mmap(0, 4096, RW, ANON | MAP_32BIT, -1, 0);
  CHECK((uintptr_t)low < 1ul << 32);
}
TEST(protection) {
  char *m = map(12288);
  m[4096] = 1;
  OK(mprotect(m + 4096, 4096, PROT_READ));
  EQ(FAULT(m[4096] = 2), SIGSEGV);
  EQ(code, SEGV_ACCERR);
  EQ(m[4096], 1);
  m[8192] = 3;
  OK(mprotect(m + 4096, 4096, PROT_NONE));
  EQ(FAULT((void)*(volatile char *)(m + 4096)), SIGSEGV);
  int p[2];
  MUST(pipe(p));
  ERR(EFAULT, write(p[1], m + 4096, 1));
  OK(mprotect(m, 12288, RW));
  EQ(m[4096], 1);
  ERR(EINVAL, mprotect(m + 1, 4096, RW));
  OK(munmap(m + 4096, 4096));
  ERR(ENOMEM, mprotect(m, 12288, PROT_READ));
  ERR(EINVAL, mprotect(m, 4096, 0x100));
  OK(mprotect(m, 0, RW));
  unsigned char ret42[] = {0xb8, 42, 0, 0, 0, 0xc3};
  char *x = map(4096);
  memcpy(x, ret42, 6);
  EQ(FAULT(((int (*)(void))x)()), SIGSEGV);
  OK(mprotect(x, 4096, PROT_READ | PROT_EXEC));
  EQ(((int (*)(void))x)(), 42);
  OK(mprotect(x, 4096, RW | PROT_EXEC));
  x[1] = 43;
  EQ(((int (*)(void))x)(), 43);
}
TEST(remap) {
  char *m = map(8192);
  strcpy(m, "first");
  strcpy(m + 4096, "second");
  char *g = mremap(m, 8192, 1 << 20, MREMAP_MAYMOVE);
  CHECK(g != MAP_FAILED);
  STREQ(g, "first");
  STREQ(g + 4096, "second");
  EQ(g[8192], 0);
  g[(1 << 20) - 1] = 1;
  CHECK(mremap(g, 1 << 20, 4096, 0) == g);
  EQ(FAULT((void)*(volatile char *)(g + 4096)), SIGSEGV);
  char *to = map(8192);
  CHECK(mremap(g, 4096, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  STREQ(to, "first");
  EQ(FAULT((void)*(volatile char *)g), SIGSEGV);
  char *wall = map(8192);
  OK(munmap(wall + 4096, 4096));
  mmap(wall + 4096, 4096, RW, ANON | MAP_FIXED, -1, 0);
  OK(mprotect(wall + 4096, 4096, PROT_READ));
  MAPERR(ENOMEM, mremap(wall, 4096, 8192, 0));
  MAPERR(EINVAL, mremap(wall + 1, 4096, 8192, MREMAP_MAYMOVE));
  MAPERR(EINVAL, mremap(wall, 4096, 0, MREMAP_MAYMOVE));
  MAPERR(EFAULT, mremap((void *)0x10000, 4096, 8192, MREMAP_MAYMOVE));
  MAPERR(EINVAL, mremap(wall, 4096, 4096, 0x100));
  MAPERR(EINVAL, mremap(wall, 4096, 4096, MREMAP_FIXED, to));
  char *s = mmap(0, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  strcpy(s, "shared");
  char *t = mremap(s, 0, 4096, MREMAP_MAYMOVE);
  CHECK(t != MAP_FAILED && t != s);
  STREQ(t, "shared");
  s[0] = 'S';
  EQ(t[0], 'S');
  char *d = map(4096);
  d[0] = 9;
  char *e = mremap(d, 4096, 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
  if (e != MAP_FAILED) {
    EQ(e[0], 9);
    EQ(d[0], 0);
  }
}
TEST(heap) {
  char *b = sbrk(0);
  CHECK(sbrk(100000) == b);
  memset(b, 1, 100000);
  CHECK(sbrk(0) == b + 100000);
  CHECK(sbrk(-50000) != (void *)-1);
  char *c = sbrk(0);
  EQ(c - b, 50000);
  CHECK(sbrk(100000) == c);
  EQ(c[8192], 0);
  EQ(syscall(SYS_brk, 0), (long)sbrk(0));
  EQ(syscall(SYS_brk, 8), (long)sbrk(0));
  struct rlimit r = {1 << 20, 1 << 20};
  IN_CHILD {
    setrlimit(RLIMIT_DATA, &r);
    errno = 0;
    CHECK(sbrk(8 << 20) == (void *)-1);
    EQ(errno, ENOMEM);
  }
}
TEST(fork_copies) {
  char *p = map(1 << 20), *s = mmap(0, 1 << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(p, 1, 1 << 20);
  memset(s, 1, 1 << 20);
  pid_t c = xfork();
  if (!c) {
    memset(p, 2, 1 << 20);
    memset(s + 4096, 2, 4096);
    EQ(p[0], 2);
    CHILD_END();
  }
  REAP(c);
  for (int i = 0; i < 1 << 20; i += 4096) {
    EQ(p[i], 1);
    EQ(s[i], i == 4096 ? 2 : 1);
  }
  c = xfork();
  if (!c) {
    pid_t d = xfork();
    if (!d) {
      p[0] = 5;
      s[0] = 5;
      CHILD_END();
    }
    REAP(d);
    EQ(p[0], 1);
    EQ(s[0], 5);
    p[0] = 6;
    CHILD_END();
  }
  p[0] = 7;
  REAP(c);
  EQ(p[0], 7);
  char *q = map(4096);
  for (int i = 0; i < 50; i++) {
    *q = i;
    IN_CHILD {
      EQ(*q, i);
      *q = 99;
    }
    EQ(*q, i);
  }
  IN_CHILD {
    OK(munmap(s, 4096));
  }
  EQ(s[0], 5);
}
TEST(advice) {
  char *m = map(16384);
  memset(m, 3, 16384);
  OK(madvise(m + 4096, 4096, MADV_DONTNEED));
  EQ(m[4096], 0);
  EQ(m[0], 3);
  EQ(m[8192], 3);
  OK(madvise(m, 16384, MADV_WILLNEED));
  OK(madvise(m, 16384, MADV_RANDOM));
  OK(madvise(m, 16384, MADV_FREE));
  ERR(EINVAL, madvise(m + 1, 4096, MADV_DONTNEED));
  ERR(EINVAL, madvise(m, 4096, 999));
  OK(munmap(m + 4096, 4096));
  ERR(ENOMEM, madvise(m, 16384, MADV_DONTNEED));
  EQ(m[8192], 0);
  char *f = map(8192);
  *f = 1;
  OK(madvise(f, 4096, MADV_DONTFORK));
  f[4096] = 2;
  OK(madvise(f + 4096, 4096, MADV_WIPEONFORK));
  IN_CHILD {
    EQ(FAULT((void)*(volatile char *)f), SIGSEGV);
    EQ(f[4096], 0);
  }
  EQ(f[4096], 2);
  char *s = mmap(0, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  *s = 4;
  OK(madvise(s, 4096, MADV_DONTNEED));
  EQ(*s, 4);
  OK(madvise(s, 4096, MADV_REMOVE));
  EQ(*s, 0);
}
TEST(residence) {
  char *m = map(16384);
  unsigned char v[4];
  m[0] = 1;
  m[8192] = 1;
  OK(mincore(m, 16384, v));
  EQ(v[0] & 1, 1);
  EQ(v[2] & 1, 1);
  ERR(EINVAL, mincore(m + 1, 4096, v));
  ERR(ENOMEM, mincore((void *)0x10000, 4096, v));
  ERR(EFAULT, mincore(m, 4096, (void *)8));
  OK(mlock(m, 16384));
  OK(mincore(m, 16384, v));
  EQ(v[1] & 1, 1);
  OK(munlock(m, 16384));
  ERR(ENOMEM, mlock((void *)0x10000, 4096));
  OK(mlockall(MCL_CURRENT));
  OK(munlockall());
  ERR(EINVAL, mlockall(99));
  struct rlimit r = {0, 0};
  IN_CHILD {
    setrlimit(RLIMIT_MEMLOCK, &r);
    become(1000, 1000);
    ERR(EPERM, mlock(m, 4096));
    r.rlim_cur = r.rlim_max = 4096;
  }
  OK(syscall(SYS_mlock2, m, 4096, 1));
  ERR(EINVAL, syscall(SYS_mlock2, m, 4096, 2));
  OK(msync(m, 4096, MS_SYNC));
  ERR(EINVAL, msync(m, 4096, MS_SYNC | MS_ASYNC));
  ERR(ENOMEM, msync((void *)0x10000, 4096, MS_SYNC));
  ERR(EINVAL, msync(m + 1, 4096, MS_SYNC));
}
TEST(memory_files) {
  int fd = OK(memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  OK(ftruncate(fd, 8192));
  char *m = mmap(0, 8192, RW, MAP_SHARED, fd, 0);
  strcpy(m, "data");
  char b[5] = "";
  EQ(pread(fd, b, 4, 0), 4);
  STREQ(b, "data");
  char l[100] = "", p[50];
  snprintf(p, 50, "/proc/self/fd/%d", fd);
  OK(readlink(p, l, 99));
  STREQ(l, "/memfd:name (deleted)");
  EQ(fcntl(fd, F_GET_SEALS), 0);
  ERR(EBUSY, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
  OK(munmap(m, 8192));
  OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
  ERR(EPERM, write(fd, "x", 1));
  ERR(EPERM, ftruncate(fd, 4096));
  OK(ftruncate(fd, 16384));
  MAPERR(EPERM, mmap(0, 4096, RW, MAP_SHARED, fd, 0));
  CHECK(mmap(0, 4096, RW, MAP_PRIVATE, fd, 0) != MAP_FAILED);
  OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL));
  ERR(EPERM, ftruncate(fd, 32768));
  ERR(EPERM, fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
  EQ(fcntl(fd, F_GET_SEALS), 15);
  int g = OK(memfd_create("", 0));
  EQ(fcntl(g, F_GET_SEALS), F_SEAL_SEAL);
  ERR(EPERM, fcntl(g, F_ADD_SEALS, F_SEAL_GROW));
  ERR(EINVAL, memfd_create("x", 0x1000));
  ERR(EFAULT, syscall(SYS_memfd_create, 8, 0));
  char n[260];
  memset(n, 'n', 260);
  n[250] = 0;
  ERR(EINVAL, memfd_create(n, 0));
  n[249] = 0;
  OK(memfd_create(n, 0));
  put("f", "");
  ERR(EINVAL, fcntl(OK(open("f", O_RDWR)), F_GET_SEALS) == -1 ? -1 : (errno = EINVAL, -1));
  int f = OK(memfd_create("w", MFD_ALLOW_SEALING));
  OK(ftruncate(f, 4096));
  char *w = mmap(0, 4096, RW, MAP_SHARED, f, 0);
  OK(fcntl(f, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
  w[0] = 1;
  ERR(EPERM, write(f, "x", 1));
}
static int recurse(int n) {
  volatile char big[4096];
  big[0] = n;
  return n ? recurse(n - 1) + big[0] * 0 : 0;
}
TEST(stack) {
  EQ(recurse(1000), 0);
  struct rlimit r;
  OK(getrlimit(RLIMIT_STACK, &r));
  EQ(r.rlim_cur, 8 << 20);
  pid_t c = xfork();
  if (!c) {
    recurse(1 << 20);
    _exit(0);
  }
  puts(reap(c));
  char *m = mmap(0, 1 << 20, RW, ANON | MAP_GROWSDOWN | MAP_STACK, -1, 0);
  CHECK(m != MAP_FAILED);
  m[0] = 1;
}
TEST(own_maps) {
  char *m = map(12288);
  OK(mprotect(m + 4096, 4096, PROT_READ));
  FILE *f = fopen("/proc/self/maps", "r");
  char line[600], perms[5], path[512];
  unsigned long a, b;
  int heap = 0, stack = 0, rw = 0, ro = 0, text = 0, vdso = 0;
  while (fgets(line, sizeof line, f)) {
    path[0] = 0;
    CHECK(sscanf(line, "%lx-%lx %4s %*x %*x:%*x %*d %511s", &a, &b, perms, path) >= 3);
    heap += !strcmp(path, "[heap]");
    stack += !strcmp(path, "[stack]");
    vdso += !strcmp(path, "[vdso]");
    if (a <= (uintptr_t)m && b > (uintptr_t)m) {
      rw++;
      STREQ(perms, "rw-p");
    }
    if (a <= (uintptr_t)m + 4096 && b > (uintptr_t)m + 4096) {
      ro++;
      STREQ(perms, "r--p");
    }
    uintptr_t me = (uintptr_t)test_own_maps;
    if (a <= me && b > me) {
      text++;
      STREQ(perms, "r-xp");
      CHECK(path[0] == '/');
    }
  }
  EQ(heap, 1);
  EQ(stack, 1);
  EQ(rw, 1);
  EQ(ro, 1);
  EQ(text, 1);
  EQ(vdso, 1);
}
TEST(address_space_limit) {
  IN_CHILD {
    struct rlimit r = {256 << 20, 256 << 20};
    OK(setrlimit(RLIMIT_AS, &r));
    MAPERR(ENOMEM, mmap(0, 512 << 20, RW, ANON, -1, 0));
    CHECK(mmap(0, 1 << 20, RW, ANON, -1, 0) != MAP_FAILED);
  }
}
TEST(zero_and_large) {
  char *m = mmap(0, 1ul << 32, RW, ANON | MAP_NORESERVE, -1, 0);
  CHECK(m != MAP_FAILED);
  for (unsigned long i = 0; i < 1ul << 32; i += 1ul << 26)
    m[i] = 1;
  OK(munmap(m, 1ul << 32));
  char *n = mmap(0, 1ul << 36, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
  CHECK(n != MAP_FAILED);
  OK(mprotect(n + (1ul << 35), 4096, RW));
  n[1ul << 35] = 1;
}
TEST(many_areas) {
  char *m = map(2000 * 8192);
  for (int i = 0; i < 2000; i++) {
    OK(mprotect(m + i * 8192, 4096, i % 2 ? PROT_READ : PROT_NONE));
    m[i * 8192 + 4096] = i;
  }
  for (int i = 0; i < 2000; i++)
    EQ((unsigned char)m[i * 8192 + 4096], i & 255);
  OK(mprotect(m, 2000 * 8192, RW));
  OK(munmap(m, 2000 * 8192));
}
TEST(other_process_memory) {
  static char secret[16] = "parent's";
  struct iovec l = {(char[16]){0}, 16}, r = {secret, 16};
  pid_t me = getpid();
  IN_CHILD {
    strcpy(secret, "mine");
    EQ(process_vm_readv(me, &l, 1, &r, 1, 0), 16);
    STREQ(l.iov_base, "parent's");
    strcpy(l.iov_base, "written");
    EQ(process_vm_writev(me, &l, 1, &r, 1, 0), 16);
  }
  STREQ(secret, "written");
  ERR(ESRCH, process_vm_readv(99999, &l, 1, &r, 1, 0));
  r.iov_base = (void *)8;
  ERR(EFAULT, process_vm_readv(me, &l, 1, &r, 1, 0));
  ERR(EINVAL, process_vm_readv(me, &l, 1, &r, 1, 1));
}
TEST(faults_inside_handlers) {
  static volatile int inner;
  void h(int s) {
    (void)s;
    char *p = map(4096);
    p[0] = 1;
    inner++;
    OK(mprotect(p, 4096, PROT_READ));
  }
  struct sigaction a = {.sa_handler = h};
  sigaction(SIGUSR1, &a, 0);
  raise(SIGUSR1);
  EQ(inner, 1);
}
