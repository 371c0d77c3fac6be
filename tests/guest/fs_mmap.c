// Mapped files: shared and private, beyond the end, truncation, coherence with read and write.
#include "guest.h"
#include <setjmp.h>
static sigjmp_buf out;
static volatile int code, signo;
static void on_fault(int s, siginfo_t *i, void *c) {
  (void)c;
  signo = s;
  code = i->si_code;
  siglongjmp(out, 1);
}
static void arm(void) {
  struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  MUST(sigaction(SIGBUS, &a, 0));
  MUST(sigaction(SIGSEGV, &a, 0));
}
#define FAULTS(expr)                                                                                                   \
  ({                                                                                                                   \
    signo = 0;                                                                                                         \
    if (!sigsetjmp(out, 1)) {                                                                                          \
      expr;                                                                                                            \
    }                                                                                                                  \
    signo;                                                                                                             \
  })
TEST(shared) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(ftruncate(fd, 8192));
  char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
       *n = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 4096);
  CHECK(m != MAP_FAILED && n != MAP_FAILED);
  strcpy(m, "mapped");
  m[4096] = 'Z';
  char b[8] = "";
  EQ(pread(fd, b, 6, 0), 6);
  STREQ(b, "mapped");
  EQ(n[0], 'Z');
  OK(pwrite(fd, "WRITE", 5, 0));
  EQ(memcmp(m, "WRITEd", 6), 0);
  OK(msync(m, 8192, MS_SYNC));
  IN_CHILD {
    m[1] = 'c';
  }
  EQ(m[1], 'c');
  close(fd);
  OK(munmap(m, 8192));
  EQ(n[0], 'Z');
  STREQ(get("f"), "WcITEd");
}
TEST(private) {
  put("f", "original");
  int fd = OK(open("f", O_RDONLY));
  char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  CHECK(m != MAP_FAILED);
  STREQ(m, "original");
  memcpy(m, "CHANGED!", 8);
  STREQ(get("f"), "original");
  IN_CHILD {
    EQ(m[0], 'C');
    m[0] = 'x';
  }
  EQ(m[0], 'C');
  ERR(EACCES, mmap(0, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
  int w = OK(open("f", O_WRONLY));
  ERR(EACCES, mmap(0, 4096, PROT_READ, MAP_PRIVATE, w, 0) == MAP_FAILED ? -1 : 0);
  char *s = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
  ERR(EACCES, mprotect(s, 4096, PROT_READ | PROT_WRITE));
}
TEST(beyond_the_end) {
  arm();
  put("f", "abc");
  int fd = OK(open("f", O_RDWR));
  volatile char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  EQ(m[3], 0);
  EQ(m[4095], 0);
  m[100] = 'x';
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_size, 3);
  EQ(FAULTS((void)m[4096]), SIGBUS);
  EQ(code, BUS_ADRERR);
  EQ(FAULTS(m[5000] = 1), SIGBUS);
  OK(ftruncate(fd, 8192));
  EQ(m[4096], 0);
  m[5000] = 2;
  OK(ftruncate(fd, 0));
  EQ(FAULTS((void)m[0]), SIGBUS);
  OK(ftruncate(fd, 10));
  EQ(m[0], 0);
}
TEST(truncation_zeroes) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(ftruncate(fd, 4096));
  char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  memset(m, 'q', 4096);
  OK(ftruncate(fd, 100));
  OK(ftruncate(fd, 4096));
  EQ(m[99], 'q');
  EQ(m[100], 0);
  EQ(m[4095], 0);
}
TEST(private_truncated) {
  arm();
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(ftruncate(fd, 8192));
  volatile char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  m[4096] = 'k';
  OK(ftruncate(fd, 0));
  EQ(FAULTS((void)m[0]), SIGBUS);
  EQ(FAULTS((void)m[4096]), SIGBUS);
}
TEST(system_calls_on_missing_pages) {
  put("f", "abc");
  int fd = OK(open("f", O_RDWR));
  char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int p[2];
  MUST(pipe(p));
  ERR(EFAULT, write(p[1], m + 4096, 10));
  OK(write(p[1], m, 3));
  ERR(EFAULT, read(p[0], m + 4096, 3));
  char *q = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
  OK(write(p[1], "z", 1));
  ERR(EFAULT, read(p[0], q, 1));
}
TEST(refusals) {
  put("f", "abc");
  int fd = OK(open("f", O_RDWR)), d = OK(open(".", O_RDONLY)), p[2];
  MUST(pipe(p));
  ERR(EINVAL, mmap(0, 0, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
  ERR(EINVAL, mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 100) == MAP_FAILED ? -1 : 0);
  ERR(EINVAL, mmap(0, 4096, PROT_READ, 0, fd, 0) == MAP_FAILED ? -1 : 0);
  ERR(EBADF, mmap(0, 4096, PROT_READ, MAP_SHARED, 99, 0) == MAP_FAILED ? -1 : 0);
  ERR(ENODEV, mmap(0, 4096, PROT_READ, MAP_PRIVATE, d, 0) == MAP_FAILED ? -1 : 0);
  ERR(ENODEV, mmap(0, 4096, PROT_READ, MAP_PRIVATE, p[0], 0) == MAP_FAILED ? -1 : 0);
}
TEST(unlinked_file_stays_mapped) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(ftruncate(fd, 4096));
  char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  strcpy(m, "alive");
  OK(unlink("f"));
  close(fd);
  STREQ(m, "alive");
  m[0] = 'A';
  OK(msync(m, 4096, MS_SYNC));
  STREQ(m, "Alive");
}
TEST(large_shared_between_processes) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  size_t n = 4 << 20;
  OK(ftruncate(fd, n));
  unsigned *m = mmap(0, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  pid_t c[4];
  for (int k = 0; k < 4; k++)
    if (!(c[k] = xfork())) {
      for (size_t i = k; i < n / 4; i += 4)
        m[i] = i * 7;
      CHILD_END();
    }
  for (int k = 0; k < 4; k++)
    REAP(c[k]);
  for (size_t i = 0; i < n / 4; i += 1021)
    EQ(m[i], (unsigned)(i * 7));
  unsigned b[1024];
  EQ(pread(fd, b, 4096, 8192), 4096);
  EQ(b[5], (2048u + 5) * 7);
}
