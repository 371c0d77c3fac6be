// open(2), openat(2), creat(2), close(2), close_range(2): flags, errors, the lowest descriptor.
#include "guest.h"

TEST(create_and_modes) {
  int fd = OK(open("a", O_CREAT | O_EXCL | O_RDWR, 0640));
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_mode & 07777, 0640);
  EQ(s.st_size, 0);
  EQ(s.st_nlink, 1);
  ERR(EEXIST, open("a", O_CREAT | O_EXCL | O_RDWR, 0640));
  umask(077);
  int g = OK(open("b", O_CREAT | O_WRONLY, 0777));
  OK(fstat(g, &s));
  EQ(s.st_mode & 07777, 0700);
  int c = OK(creat("c", 07777));
  OK(fstat(c, &s));
  EQ(s.st_mode & 07777, 07700);
  EQ(fcntl(c, F_GETFL) & O_ACCMODE, O_WRONLY);
}
TEST(errors) {
  put("file", "x");
  OK(mkdir("dir", 0755));
  OK(symlink("loop", "loop"));
  OK(symlink("nowhere", "dangling"));
  ERR(ENOENT, open("none", O_RDONLY));
  ERR(ENOENT, open("none/x", O_CREAT | O_RDWR, 0600));
  ERR(ENOENT, open("", O_RDONLY));
  ERR(ENOTDIR, open("file/x", O_RDONLY));
  ERR(ENOTDIR, open("file/", O_RDONLY));
  ERR(ENOTDIR, open("file", O_DIRECTORY));
  ERR(EISDIR, open("dir", O_WRONLY));
  ERR(EISDIR, open("dir", O_RDWR));
  ERR(EISDIR, open("dir", O_CREAT | O_RDONLY, 0600));
  ERR(EISDIR, open("dir/", O_CREAT | O_RDWR, 0600));
  ERR(EISDIR, open("new/", O_CREAT | O_RDWR, 0600));
  ERR(ELOOP, open("loop", O_RDONLY));
  ERR(ELOOP, open("dangling", O_RDONLY | O_NOFOLLOW));
  ERR(ENOENT, open("dangling", O_RDONLY));
  ERR(EEXIST, open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600));
  int fd = OK(open("dangling", O_CREAT | O_RDWR, 0600));
  struct stat s;
  OK(stat("nowhere", &s));
  close(fd);
  ERR(EFAULT, open((char *)8, O_RDONLY));
  ERR(EBADF, openat(777, "x", O_RDONLY));
  ERR(ENOTDIR, openat(OK(open("file", O_RDONLY)), "x", O_RDONLY));
  ERR(EINVAL, open("file", O_TMPFILE | O_RDONLY, 0600));
  ERR(EINVAL, open("dir", O_CREAT | O_DIRECTORY | O_RDONLY, 0600));
}
TEST(append) {
  int a = OK(open("f", O_CREAT | O_APPEND | O_RDWR, 0600)), b = OK(open("f", O_WRONLY));
  OK(write(a, "one", 3));
  OK(write(b, "TWO!", 4));
  OK(lseek(a, 0, SEEK_SET));
  OK(write(a, "end", 3));
  STREQ(get("f"), "TWO!end");
  EQ(lseek(a, 0, SEEK_CUR), 7);
  OK(pwrite(a, "p", 1, 0));
  STREQ(get("f"), "TWO!endp");
  OK(fcntl(a, F_SETFL, 0));
  OK(pwrite(a, "Q", 1, 0));
  STREQ(get("f"), "QWO!endp");
  OK(fcntl(a, F_SETFL, O_APPEND));
  EQ(fcntl(a, F_GETFL) & (O_APPEND | O_ACCMODE), O_APPEND | O_RDWR);
}
TEST(truncate_on_open) {
  put("f", "hello");
  int r = OK(open("f", O_RDONLY));
  char c;
  OK(read(r, &c, 1));
  int w = OK(open("f", O_WRONLY | O_TRUNC));
  EQ(read(r, &c, 1), 0);
  OK(write(w, "abcdef", 6));
  EQ(read(r, &c, 1), 1);
  EQ(c, 'b');
  ERR(EBADF, read(w, &c, 1));
  ERR(EBADF, write(r, &c, 1));
  ERR(EINVAL, ftruncate(r, 0));
}
TEST(lowest_descriptor_and_dup) {
  int a = OK(open("/", O_RDONLY)), b = OK(open("/", O_RDONLY)), c = OK(open("/", O_RDONLY));
  EQ(b, a + 1);
  EQ(c, b + 1);
  OK(close(b));
  EQ(open("/", O_RDONLY), b);
  OK(close(a));
  EQ(dup(c), a);
  EQ(dup2(c, 50), 50);
  EQ(fcntl(c, F_DUPFD, 60), 60);
  EQ(fcntl(c, F_DUPFD_CLOEXEC, 60), 61);
  EQ(fcntl(61, F_GETFD), FD_CLOEXEC);
  EQ(fcntl(60, F_GETFD), 0);
  EQ(dup3(c, 62, O_CLOEXEC), 62);
  EQ(fcntl(62, F_GETFD), FD_CLOEXEC);
  ERR(EINVAL, dup3(c, c, 0));
  EQ(dup2(c, c), c);
  ERR(EBADF, dup2(777, 777));
  ERR(EBADF, dup(777));
  ERR(EBADF, dup2(c, -1));
  ERR(EINVAL, dup3(c, 63, 0x7));
  ERR(EINVAL, fcntl(c, F_DUPFD, -1));
  ERR(EBADF, close(999));
  ERR(EBADF, fcntl(999, F_GETFL));
  ERR(EINVAL, fcntl(c, 9999));
}
TEST(close_range) {
  for (int i = 20; i < 40; i++)
    MUST(dup2(0, i));
  OK(syscall(SYS_close_range, 25u, 30u, 0u));
  ERR(EBADF, fcntl(25, F_GETFD));
  ERR(EBADF, fcntl(30, F_GETFD));
  EQ(fcntl(24, F_GETFD), 0);
  EQ(fcntl(31, F_GETFD), 0);
  OK(syscall(SYS_close_range, 31u, 33u, 4u));
  EQ(fcntl(31, F_GETFD), FD_CLOEXEC);
  EQ(fcntl(34, F_GETFD), 0);
  ERR(EINVAL, syscall(SYS_close_range, 9u, 3u, 0u));
  ERR(EINVAL, syscall(SYS_close_range, 3u, 9u, 64u));
  OK(syscall(SYS_close_range, 36u, ~0u, 2u));
  ERR(EBADF, fcntl(36, F_GETFD));
  EQ(fcntl(35, F_GETFD), 0);
}
TEST(nofile_limit) {
  struct rlimit r = {20, 20};
  OK(setrlimit(RLIMIT_NOFILE, &r));
  int n = 0, fd;
  while ((fd = open("/", O_RDONLY)) >= 0)
    n = fd;
  EQ(errno, EMFILE);
  EQ(n, 19);
  ERR(EBADF, dup2(0, 20));
  ERR(EINVAL, fcntl(0, F_DUPFD, 20));
  ERR(EMFILE, fcntl(0, F_DUPFD, 10));
  int p[2];
  ERR(EMFILE, pipe(p));
  ERR(EMFILE, dup(0));
}
TEST(relative_to_descriptor) {
  OK(mkdir("d", 0755));
  int d = OK(open("d", O_RDONLY | O_DIRECTORY));
  int f = OK(openat(d, "x", O_CREAT | O_RDWR, 0644));
  OK(write(f, "hi", 2));
  STREQ(get("d/x"), "hi");
  OK(mkdirat(d, "s", 0755));
  OK(unlinkat(d, "x", 0));
  OK(unlinkat(d, "s", AT_REMOVEDIR));
  ERR(EINVAL, unlinkat(d, "x", 0x4000));
  OK(rename("d", "e"));
  OK(close(OK(openat(d, "y", O_CREAT | O_RDWR, 0644))));
  struct stat s;
  OK(stat("e/y", &s));
  OK(unlinkat(d, "y", 0));
  OK(rmdir("e"));
  ERR(ENOENT, openat(d, "z", O_CREAT | O_RDWR, 0644));
  OK(fstat(d, &s));
  EQ(s.st_nlink, 0);
}
TEST(path_descriptors) {
  put("f", "data");
  int p = OK(open("f", O_PATH));
  char c;
  struct stat s;
  ERR(EBADF, read(p, &c, 1));
  ERR(EBADF, write(p, &c, 1));
  OK(fstat(p, &s));
  ERR(EBADF, fchmod(p, 0600));
  ERR(EBADF, ioctl(p, FIONREAD, &c));
  ERR(EBADF, fchown(p, 0, 0));
  ERR(EBADF, lseek(p, 0, SEEK_SET));
  ERR(EBADF, mmap(0, 4096, PROT_READ, MAP_PRIVATE, p, 0) == MAP_FAILED ? -1 : 0);
  EQ(fcntl(p, F_GETFL) & O_PATH, O_PATH);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", p);
  int r = OK(open(path, O_RDONLY));
  EQ(read(r, &c, 1), 1);
  EQ(c, 'd');
  OK(symlink("f", "l"));
  int l = OK(open("l", O_PATH | O_NOFOLLOW));
  OK(fstat(l, &s));
  CHECK(S_ISLNK(s.st_mode));
  char b[8] = "";
  EQ(readlinkat(l, "", b, 8), 1);
  EQ(b[0], 'f');
  int d = OK(open(".", O_PATH));
  int q = OK(openat(d, "f", O_RDONLY));
  OK(close(q));
  OK(fchdir(d));
  ERR(EBADF, flock(p, LOCK_SH));
}
TEST(tmpfile) {
  int fd = open(".", O_TMPFILE | O_RDWR, 0644);
  if (fd < 0) {
    printf("tmpfile: %s\n", ename(errno));
    return;
  }
  OK(write(fd, "anon", 4));
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_nlink, 0);
  char p[64];
  snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
  OK(linkat(AT_FDCWD, p, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  STREQ(get("named"), "anon");
  OK(fstat(fd, &s));
  EQ(s.st_nlink, 1);
  int x = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0644));
  snprintf(p, sizeof p, "/proc/self/fd/%d", x);
  ERR(ENOENT, linkat(AT_FDCWD, p, AT_FDCWD, "no", AT_SYMLINK_FOLLOW));
}
TEST(proc_fd_reopen) {
  put("f", "12345");
  int fd = OK(open("f", O_RDONLY));
  char p[64], c;
  OK(lseek(fd, 3, SEEK_SET));
  snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
  int g = OK(open(p, O_RDWR));
  EQ(read(g, &c, 1), 1);
  EQ(c, '1');
  EQ(lseek(fd, 0, SEEK_CUR), 3);
  OK(unlink("f"));
  int h = OK(open(p, O_RDONLY));
  EQ(read(h, &c, 1), 1);
  char l[PATH_MAX] = "";
  OK(readlink(p, l, sizeof l - 1));
  CHECK(strstr(l, "/f (deleted)"));
}
TEST(unlinked_file_lives) {
  put("f", "abc");
  int fd = OK(open("f", O_RDWR));
  OK(unlink("f"));
  ERR(ENOENT, open("f", O_RDONLY));
  struct stat s;
  OK(fstat(fd, &s));
  EQ(s.st_nlink, 0);
  EQ(s.st_size, 3);
  OK(pwrite(fd, "ABCDEF", 6, 0));
  char b[7] = "";
  EQ(pread(fd, b, 6, 0), 6);
  STREQ(b, "ABCDEF");
  put("f", "other");
  EQ(pread(fd, b, 6, 0), 6);
  STREQ(b, "ABCDEF");
}
TEST(created_query) {
  enum { CREATED_QUERY = 1024 + 4 };
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  EQ(fcntl(fd, CREATED_QUERY, 0), 1);
  EQ(fcntl(OK(open("f", O_CREAT | O_RDWR, 0600)), CREATED_QUERY, 0), 0);
  EQ(fcntl(OK(open("/dev/null", O_RDONLY)), CREATED_QUERY, 0), 0);
}
