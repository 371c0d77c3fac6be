// rename(2), renameat2(2).
#include "guest.h"
#define R2(a, b, f) syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, f)

TEST(files) {
  struct stat a, b;
  put("a", "A");
  put("b", "B");
  OK(stat("a", &a));
  int fd = OK(open("b", O_RDONLY));
  OK(rename("a", "b"));
  ERR(ENOENT, stat("a", &b));
  OK(stat("b", &b));
  EQ(a.st_ino, b.st_ino);
  STREQ(get("b"), "A");
  char c;
  EQ(read(fd, &c, 1), 1);
  EQ(c, 'B');
  OK(fstat(fd, &b));
  EQ(b.st_nlink, 0);
  OK(rename("b", "b"));
  OK(link("b", "c"));
  OK(rename("b", "c"));
  OK(stat("b", &a));
  OK(stat("c", &a));
  EQ(a.st_nlink, 2);
  ERR(ENOENT, rename("none", "x"));
  ERR(ENOENT, rename("b", "no/x"));
  ERR(ENOENT, rename("b", ""));
  ERR(ENOENT, rename("", "b"));
  ERR(ENOTDIR, rename("b", "c/x"));
}
TEST(directories) {
  OK(mkdir("d", 0755));
  OK(mkdir("e", 0755));
  put("d/f", "f");
  OK(rename("d", "e"));
  STREQ(get("e/f"), "f");
  OK(mkdir("g", 0755));
  ERR(ENOTEMPTY, rename("g", "e"));
  put("file", "");
  ERR(ENOTDIR, rename("g", "file"));
  ERR(EISDIR, rename("file", "g"));
  ERR(EINVAL, rename("e", "e/x"));
  OK(mkdir("e/s", 0755));
  ERR(EINVAL, rename("e", "e/s/t"));
  ERR(ENOTEMPTY, rename("e/s", "e"));
  OK(rename("g/", "h/"));
  ERR(ENOTDIR, rename("file/", "x"));
  ERR(ENOTDIR, rename("file", "x/"));
  ERR(EBUSY, rename("h/.", "x"));
  ERR(EBUSY, rename("h", "e/.."));
  ERR(EBUSY, rename("/", "/x"));
  struct stat s;
  OK(stat(".", &s));
  EQ(s.st_nlink, 4);
  OK(rename("h", "e/h"));
  OK(stat(".", &s));
  EQ(s.st_nlink, 3);
  OK(stat("e", &s));
  EQ(s.st_nlink, 4);
}
TEST(open_directory_moves) {
  OK(mkdir("a", 0755));
  OK(mkdir("a/b", 0755));
  OK(mkdir("z", 0755));
  OK(chdir("a/b"));
  OK(rename("../../a", "../../z/a"));
  char b[PATH_MAX];
  CHECK(getcwd(b, sizeof b));
  CHECK(strstr(b, "/z/a/b"));
  put("here", "x");
  OK(chdir("../../.."));
  STREQ(get("z/a/b/here"), "x");
}
TEST(no_replace) {
  put("a", "A");
  put("b", "B");
  ERR(EEXIST, R2("a", "b", RENAME_NOREPLACE));
  OK(R2("a", "c", RENAME_NOREPLACE));
  STREQ(get("c"), "A");
  ERR(EEXIST, R2("c", "c", RENAME_NOREPLACE));
  ERR(EINVAL, R2("c", "d", 64));
  ERR(EINVAL, R2("c", "b", RENAME_NOREPLACE | RENAME_EXCHANGE));
}
TEST(exchange) {
  put("a", "A");
  OK(mkdir("d", 0755));
  put("d/x", "X");
  OK(R2("a", "d", RENAME_EXCHANGE));
  STREQ(get("d"), "A");
  STREQ(get("a/x"), "X");
  ERR(ENOENT, R2("a", "none", RENAME_EXCHANGE));
  ERR(EINVAL, R2("a", "a/x", RENAME_EXCHANGE));
  struct stat s;
  OK(stat(".", &s));
  EQ(s.st_nlink, 3);
}
TEST(links_are_not_followed) {
  put("f", "F");
  OK(symlink("f", "l"));
  OK(rename("l", "m"));
  struct stat s;
  OK(lstat("m", &s));
  CHECK(S_ISLNK(s.st_mode));
  STREQ(get("f"), "F");
  put("g", "G");
  OK(rename("g", "m"));
  OK(lstat("m", &s));
  CHECK(S_ISREG(s.st_mode));
  STREQ(get("f"), "F");
}
TEST(across_mounts) {
  int r = rename("/proc/self/cmdline", "x");
  CHECK(r == -1 && errno == EXDEV);
  ERR(EXDEV, link("/proc/version", "y"));
}
TEST(by_descriptor) {
  OK(mkdir("a", 0755));
  OK(mkdir("b", 0755));
  put("a/f", "1");
  int a = OK(open("a", O_PATH)), b = OK(open("b", O_PATH));
  OK(renameat(a, "f", b, "g"));
  STREQ(get("b/g"), "1");
  ERR(EBADF, renameat(99, "f", b, "g"));
  ERR(ENOTDIR, renameat(OK(open("b/g", O_PATH)), "f", b, "g"));
}
TEST(racing) {
  // Two processes rename over the same name; it exists all the time.
  put("t", "0");
  pid_t p[2];
  for (int k = 0; k < 2; k++)
    if (!(p[k] = xfork())) {
      char n[8];
      snprintf(n, 8, "n%d", k);
      for (int i = 0; i < 100; i++) {
        put(n, k ? "1" : "2");
        OK(rename(n, "t"));
      }
      CHILD_END();
    }
  for (int i = 0; i < 200; i++) {
    struct stat s;
    OK(stat("t", &s));
  }
  REAP(p[0]);
  REAP(p[1]);
}
