// Memory: sealing, remapping, advice to others, pages of other processes, what is cached.
#include "guest.h"
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#define PG 4096
static char *pages(int n, int prot) {
  return mmap(0, (size_t)n * PG, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
TEST(seal) {
  char *p = pages(4, PROT_READ | PROT_WRITE);
  p[0] = 1;
  ERR(EINVAL, syscall(SYS_mseal, p, PG, 1));
  ERR(EINVAL, syscall(SYS_mseal, p + 1, PG, 0));
  OK(syscall(SYS_mseal, p, 0, 0));
  munmap(p + 3 * PG, PG);
  ERR(ENOMEM, syscall(SYS_mseal, p, 4 * PG, 0));
  OK(syscall(SYS_mseal, p + PG, PG, 0));
  OK(syscall(SYS_mseal, p + PG, 100, 0));
  ERR(EPERM, munmap(p, 3 * PG));
  ERR(EPERM, munmap(p + PG, PG));
  ERR(EPERM, mprotect(p + PG, PG, PROT_READ));
  ERR(EPERM, mremap(p + PG, PG, 2 * PG, MREMAP_MAYMOVE));
  ERR(EPERM, mmap(p + PG, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  char *q = pages(1, PROT_READ);
  ERR(EPERM, mremap(q, PG, PG, MREMAP_MAYMOVE | MREMAP_FIXED, p + PG));
  OK(madvise(p + PG, PG, MADV_DONTNEED)); // it can be written to
  OK(syscall(SYS_mseal, q, PG, 0));
  ERR(EPERM, madvise(q, PG, MADV_DONTNEED));
  ERR(EPERM, madvise(q, PG, MADV_DONTFORK));
  OK(madvise(q, PG, MADV_WILLNEED));
  p[PG] = 3;
  OK(munmap(p, PG));
  OK(munmap(p + 2 * PG, PG));
  IN_CHILD {
    ERR(EPERM, munmap(p + PG, PG));
  }
}
TEST(remap_pages) {
  int fd = OK(memfd_create("m", 0));
  OK(ftruncate(fd, 4 * PG));
  char *p = mmap(0, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  for (int i = 0; i < 4; i++)
    p[i * PG] = 'a' + i;
  OK(remap_file_pages(p, PG, 0, 3, 0));
  EQ(p[0], 'd');
  OK(remap_file_pages(p + 3 * PG, PG, 0, 0, 0));
  EQ(p[3 * PG], 'a');
  EQ(p[PG], 'b');
  p[0] = 'z';
  char b;
  EQ(pread(fd, &b, 1, 3 * PG), 1);
  EQ(b, 'z');
  ERR(EINVAL, remap_file_pages(p, PG, PROT_READ, 0, 0));
  ERR(EINVAL, remap_file_pages(p, 0, 0, 0, 0));
  char *q = pages(1, PROT_READ);
  ERR(EINVAL, remap_file_pages(q, PG, 0, 0, 0));
  char *s = mmap(0, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  s[0] = 1, s[PG] = 2;
  OK(remap_file_pages(s, PG, 0, 1, 0));
  EQ(s[0], 2);
}
TEST(advice_to_others) {
  char *p = pages(2, PROT_READ | PROT_WRITE);
  struct iovec v = {p, 2 * PG};
  int self = OK(syscall(SYS_pidfd_open, getpid(), 0));
  EQ(syscall(SYS_process_madvise, self, &v, 1, MADV_COLD, 0), 2 * PG);
  ERR(EINVAL, syscall(SYS_process_madvise, self, &v, 1, MADV_COLD, 1));
  ERR(EBADF, syscall(SYS_process_madvise, -1, &v, 1, MADV_COLD, 0));
  ERR(EFAULT, syscall(SYS_process_madvise, self, 1, 1, MADV_COLD, 0));
  ERR(EINVAL, syscall(SYS_process_madvise, self, &v, 1, 1234, 0));
  pid_t c = xfork();
  if (!c)
    for (;;)
      pause();
  int other = OK(syscall(SYS_pidfd_open, c, 0));
  EQ(syscall(SYS_process_madvise, other, &v, 1, MADV_WILLNEED, 0), 2 * PG);
  ERR(EINVAL, syscall(SYS_process_madvise, other, &v, 1, MADV_DONTNEED, 0));
  IN_CHILD {
    become(65534, 65534);
    ERR(EACCES, syscall(SYS_process_madvise, other, &v, 1, MADV_COLD, 0));
  }
  kill(c, SIGKILL);
  reap(c);
}
TEST(numa) {
  char *p = pages(3, PROT_READ | PROT_WRITE);
  p[0] = 1;
  void *at[3] = {p, (void *)0x1000};
  int st[3] = {9, 9, 9}, node[3] = {0, 0, 0};
  OK(syscall(SYS_move_pages, 0, 2, at, NULL, st, 0));
  printf("%d %d\n", st[0], st[1]);
  ERR(EINVAL, syscall(SYS_move_pages, 0, 1, at, NULL, st, 1));
  ERR(ESRCH, syscall(SYS_move_pages, 0x3fffffff, 1, at, NULL, st, 0));
  ERR(EFAULT, syscall(SYS_move_pages, 0, 1, 1, NULL, st, 0));
  node[0] = 1 << 20;
  ERR(ENODEV, syscall(SYS_move_pages, 0, 1, at, node, st, 2));
  unsigned long mask = 1;
  OK(syscall(SYS_migrate_pages, 0, 8, &mask, &mask));
  ERR(ESRCH, syscall(SYS_migrate_pages, 0x3fffffff, 8, &mask, &mask));
  OK(syscall(450, p, 0, 0, 0));
  ERR(EINVAL, syscall(450, p + 1, PG, 0, 0));
  ERR(EINVAL, syscall(450, p, PG, 0, 1));
  ERR(EINVAL, syscall(450, p, PG, 4000, 0));
  ERR(ENOENT, syscall(450, p, PG, 0, 0));
}
TEST(cached) {
  int fd = OK(memfd_create("m", 0));
  char b[3 * PG] = "x";
  EQ(write(fd, b, 3 * PG), 3 * PG);
  uint64_t r[2] = {0, 0}, c[5];
  OK(syscall(SYS_cachestat, fd, r, c, 0));
  EQ(c[0], 3);
  r[0] = PG, r[1] = PG;
  OK(syscall(SYS_cachestat, fd, r, c, 0));
  EQ(c[0], 1);
  EQ(c[2] + c[3] + c[4], 0);
  ERR(EBADF, syscall(SYS_cachestat, -1, r, c, 0));
  ERR(EFAULT, syscall(SYS_cachestat, fd, 1, c, 0));
  ERR(EFAULT, syscall(SYS_cachestat, fd, r, 1, 0));
  ERR(EINVAL, syscall(SYS_cachestat, fd, r, c, 1));
}
