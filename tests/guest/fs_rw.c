// read(2), write(2), their positioned and vectored relatives, lseek(2), truncate(2), sparse files.
#include "guest.h"

TEST(basic) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  char b[100];
  EQ(write(fd, "0123456789", 10), 10);
  EQ(read(fd, b, 10), 0);
  EQ(lseek(fd, 0, SEEK_SET), 0);
  EQ(read(fd, b, 100), 10);
  EQ(read(fd, b, 0), 0);
  EQ(write(fd, b, 0), 0);
  EQ(lseek(fd, -3, SEEK_END), 7);
  EQ(read(fd, b, 100), 3);
  CHECK(!memcmp(b, "789", 3));
  EQ(lseek(fd, -2, SEEK_CUR), 8);
  ERR(EINVAL, lseek(fd, -1, SEEK_SET));
  ERR(EINVAL, lseek(fd, -11, SEEK_END));
  ERR(EINVAL, lseek(fd, 0, 99));
  EQ(lseek(fd, 0, SEEK_CUR), 8);
  EQ(lseek(fd, 1000, SEEK_SET), 1000);
  EQ(read(fd, b, 10), 0);
  EQ(write(fd, "x", 1), 1);
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_size, 1001);
  EQ(pread(fd, b, 5, 500), 5);
  for (int i = 0; i < 5; i++)
    EQ(b[i], 0);
}
TEST(bad_arguments) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  put("f", "hello");
  char b[8];
  ERR(EFAULT, read(fd, (void *)8, 5));
  EQ(lseek(fd, 0, SEEK_CUR), 0);
  ERR(EFAULT, write(fd, (void *)8, 5));
  ERR(EBADF, read(-1, b, 1));
  ERR(EBADF, write(555, b, 1));
  ERR(EINVAL, pread(fd, b, 1, -1));
  ERR(EINVAL, pwrite(fd, b, 1, -1));
  int p[2];
  MUST(pipe(p));
  ERR(ESPIPE, lseek(p[0], 0, SEEK_SET));
  ERR(ESPIPE, pread(p[0], b, 1, 0));
  ERR(ESPIPE, pwrite(p[1], b, 1, 0));
  int d = OK(open(".", O_RDONLY));
  ERR(EISDIR, read(d, b, 1));
  ERR(EISDIR, pread(d, b, 1, 0));
  ERR(EBADF, write(d, b, 1));
  static char low[8];
  EQ(read(fd, low, (size_t)1 << 31), 5);
}
TEST(partial_buffer) {
  // The second page of the buffer is not there: what fits moves, then EFAULT.
  char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  OK(munmap(m + 4096, 4096));
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  char big[8192];
  memset(big, 'z', sizeof big);
  EQ(write(fd, big, 8192), 8192);
  OK(lseek(fd, 0, SEEK_SET));
  ssize_t n = read(fd, m + 4000, 200);
  CHECK(n == 96 || (n == -1 && errno == EFAULT));
  EQ(m[4000], 'z');
  memset(m, 'y', 4096);
  int g = OK(open("g", O_CREAT | O_RDWR, 0600));
  n = write(g, m + 4000, 200);
  CHECK(n == 96 || (n == -1 && errno == EFAULT));
}
TEST(vectors) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  struct iovec w[3] = {{"abc", 3}, {"", 0}, {"defg", 4}};
  EQ(writev(fd, w, 3), 7);
  STREQ(get("f"), "abcdefg");
  char a[3] = "", b[3] = "", c[10] = "";
  struct iovec r[3] = {{a, 2}, {b, 2}, {c, 9}};
  OK(lseek(fd, 0, SEEK_SET));
  EQ(readv(fd, r, 3), 7);
  STREQ(a, "ab");
  STREQ(b, "cd");
  STREQ(c, "efg");
  EQ(preadv(fd, r, 2, 3), 4);
  STREQ(a, "de");
  EQ(pwritev(fd, w, 1, 4), 3);
  STREQ(get("f"), "abcdabc");
  EQ(lseek(fd, 0, SEEK_CUR), 7);
  EQ(readv(fd, r, 0), 0);
  ERR(EINVAL, readv(fd, r, -1));
  ERR(EINVAL, readv(fd, r, 1025));
  struct iovec neg[2] = {{a, 2}, {b, (size_t)-1}};
  ERR(EINVAL, readv(fd, neg, 2));
  ERR(EFAULT, readv(fd, (void *)8, 1));
  EQ(preadv2(fd, r, 1, 0, 0), 2);
  OK(lseek(fd, 1, SEEK_SET));
  EQ(preadv2(fd, r, 1, -1, 0), 2);
  EQ(lseek(fd, 0, SEEK_CUR), 3);
  ERR(EOPNOTSUPP, preadv2(fd, r, 1, 0, 0x40000000));
  EQ(pwritev2(fd, w, 1, 0, RWF_APPEND), 3);
  STREQ(get("f"), "abcdabcabc");
  EQ(pwritev2(fd, w, 1, 0, RWF_DSYNC), 3);
}
TEST(truncation) {
  put("f", "0123456789");
  OK(truncate("f", 4));
  STREQ(get("f"), "0123");
  OK(truncate("f", 8));
  int fd = OK(open("f", O_RDWR));
  char b[8];
  EQ(read(fd, b, 8), 8);
  CHECK(!memcmp(b, "0123\0\0\0", 8));
  OK(ftruncate(fd, 0));
  EQ(lseek(fd, 0, SEEK_CUR), 8);
  OK(write(fd, "x", 1));
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_size, 9);
  ERR(EINVAL, truncate("f", -1));
  ERR(EINVAL, ftruncate(fd, -1));
  ERR(EISDIR, truncate(".", 0));
  ERR(ENOENT, truncate("none", 0));
  ERR(EBADF, ftruncate(99, 0));
  int r = OK(open("f", O_RDONLY));
  ERR(EINVAL, ftruncate(r, 0));
  int p[2];
  MUST(pipe(p));
  ERR(EINVAL, ftruncate(p[1], 0));
}
TEST(file_size_limit) {
  struct rlimit r = {4096, 4096};
  OK(setrlimit(RLIMIT_FSIZE, &r));
  catch_signal(SIGXFSZ, 0);
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  char b[8192] = "";
  EQ(write(fd, b, 8192), 4096);
  EQ(caught[SIGXFSZ], 0);
  ERR(EFBIG, write(fd, b, 1));
  EQ(caught[SIGXFSZ], 1);
  ERR(EFBIG, ftruncate(fd, 5000));
  EQ(caught[SIGXFSZ], 2);
  OK(ftruncate(fd, 4096));
}
TEST(holes) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(pwrite(fd, "a", 1, 0));
  OK(pwrite(fd, "b", 1, 1 << 20));
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_size, (1 << 20) + 1);
  CHECK(s.st_blocks * 512 < 1 << 20);
  EQ(lseek(fd, 0, SEEK_DATA), 0);
  EQ(lseek(fd, 0, SEEK_HOLE), 4096);
  EQ(lseek(fd, 5000, SEEK_DATA), 1 << 20);
  EQ(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 1);
  ERR(ENXIO, lseek(fd, 2 << 20, SEEK_DATA));
  ERR(ENXIO, lseek(fd, 2 << 20, SEEK_HOLE));
  char b[3];
  EQ(pread(fd, b, 3, (1 << 20) - 1), 2);
  EQ(b[0], 0);
  EQ(b[1], 'b');
}
TEST(large_offsets) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  off_t far = 5ll << 30;
  EQ(pwrite(fd, "far", 3, far), 3);
  char b[4] = "";
  EQ(pread(fd, b, 3, far), 3);
  STREQ(b, "far");
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_size, far + 3);
  EQ(lseek(fd, 0, SEEK_END), far + 3);
  OK(ftruncate(fd, 1));
}
TEST(shared_offset) {
  put("f", "abcdef");
  int a = OK(open("f", O_RDONLY)), b = OK(dup(a)), c = OK(open("f", O_RDONLY));
  char x;
  OK(read(a, &x, 1));
  OK(read(b, &x, 1));
  EQ(x, 'b');
  OK(read(c, &x, 1));
  EQ(x, 'a');
  IN_CHILD {
    OK(read(a, &x, 1));
    EQ(x, 'c');
    OK(lseek(a, 5, SEEK_SET));
  }
  OK(read(b, &x, 1));
  EQ(x, 'f');
}
TEST(overlapping_writers) {
  int fd = OK(open("f", O_CREAT | O_APPEND | O_WRONLY, 0600));
  pid_t p[4];
  for (int k = 0; k < 4; k++) {
    p[k] = xfork();
    if (!p[k]) {
      char l[101];
      memset(l, 'a' + k, 100);
      l[99] = '\n';
      for (int i = 0; i < 50; i++)
        EQ(write(fd, l, 100), 100);
      CHILD_END();
    }
  }
  for (int k = 0; k < 4; k++)
    REAP(p[k]);
  FILE *f = fopen("f", "r");
  char l[200];
  int n = 0, count[4] = {0};
  while (fgets(l, sizeof l, f)) {
    n++;
    EQ(strlen(l), 100);
    for (int i = 1; i < 99; i++)
      CHECK(l[i] == l[0]);
    count[l[0] - 'a']++;
  }
  EQ(n, 200);
  for (int k = 0; k < 4; k++)
    EQ(count[k], 50);
}
TEST(sync_and_advice) {
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(write(fd, "x", 1));
  OK(fsync(fd));
  OK(fdatasync(fd));
  sync();
  OK(syncfs(fd));
  ERR(EBADF, fsync(77));
  int p[2];
  MUST(pipe(p));
  ERR(EINVAL, fsync(p[0]));
  EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
  EQ(posix_fadvise(fd, 0, 0, 99), EINVAL);
  EQ(posix_fadvise(p[0], 0, 0, 0), ESPIPE);
  OK(readahead(fd, 0, 10));
  OK(sync_file_range(fd, 0, 0, 0));
}
TEST(special_devices) {
  int z = OK(open("/dev/zero", O_RDWR)), n = OK(open("/dev/null", O_RDWR)), f = OK(open("/dev/full", O_RDWR)),
      u = OK(open("/dev/urandom", O_RDONLY));
  char b[64];
  memset(b, 1, 64);
  EQ(read(z, b, 64), 64);
  for (int i = 0; i < 64; i++)
    EQ(b[i], 0);
  EQ(write(z, b, 64), 64);
  EQ(read(n, b, 64), 0);
  EQ(write(n, b, 64), 64);
  EQ(read(f, b, 64), 64);
  ERR(ENOSPC, write(f, b, 1));
  EQ(read(u, b, 64), 64);
  EQ(lseek(n, 5, SEEK_SET), 0);
  struct stat s;
  OK(fstat(n, &s));
  CHECK(S_ISCHR(s.st_mode));
  EQ(s.st_rdev, 0x103);
  OK(fstat(z, &s));
  EQ(s.st_rdev, 0x105);
  char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, z, 0);
  CHECK(m != MAP_FAILED);
  EQ(m[0], 0);
  m[0] = 1;
}
