// link(2), symlink(2), readlink(2), unlink(2), mkdir(2), rmdir(2), mknod(2), path walking.
#include "guest.h"
#include <sys/sysmacros.h>

TEST(hard_links) {
  struct stat s;
  put("f", "data");
  OK(link("f", "g"));
  OK(stat("g", &s));
  EQ(s.st_nlink, 2);
  ERR(EEXIST, link("f", "g"));
  ERR(ENOENT, link("none", "h"));
  OK(mkdir("d", 0755));
  ERR(EPERM, link("d", "e"));
  OK(symlink("f", "l"));
  OK(link("l", "m"));
  OK(lstat("m", &s));
  CHECK(S_ISLNK(s.st_mode));
  OK(linkat(AT_FDCWD, "l", AT_FDCWD, "n", AT_SYMLINK_FOLLOW));
  OK(lstat("n", &s));
  CHECK(S_ISREG(s.st_mode));
  EQ(s.st_nlink, 3);
  ERR(EINVAL, linkat(AT_FDCWD, "f", AT_FDCWD, "q", 1));
  int fd = OK(open("f", O_RDONLY));
  OK(linkat(fd, "", AT_FDCWD, "byfd", AT_EMPTY_PATH));
  STREQ(get("byfd"), "data");
  ERR(ENOENT, link("f", "none/x"));
  ERR(ENOTDIR, link("f", "g/x"));
}
TEST(symbolic_links) {
  char b[100];
  memset(b, '#', 100);
  OK(symlink("target/path", "l"));
  EQ(readlink("l", b, 100), 11);
  EQ(b[11], '#');
  EQ(readlink("l", b, 3), 3);
  ERR(EINVAL, readlink("l", b, 0));
  put("f", "");
  ERR(EINVAL, readlink("f", b, 100));
  ERR(EEXIST, symlink("x", "l"));
  ERR(ENOENT, symlink("", "m"));
  ERR(ENOENT, readlink("none", b, 10));
  ERR(ENOENT, symlink("x", "no/l"));
  OK(unlink("l"));
  ERR(EFAULT, symlink((void *)8, "l"));
  OK(symlink("f", "k"));
  ERR(EFAULT, readlink("k", (void *)8, 10));
  ERR(EINVAL, readlink("f", b, -1));
}
TEST(following) {
  OK(mkdir("a", 0755));
  OK(mkdir("a/b", 0755));
  put("a/b/f", "deep");
  OK(symlink("a/b", "l"));
  STREQ(get("l/f"), "deep");
  OK(symlink("../l/f", "a/up"));
  STREQ(get("a/up"), "deep");
  struct stat s;
  OK(lstat("l/", &s));
  CHECK(S_ISDIR(s.st_mode));
  OK(stat("l/../b/f", &s));
  ERR(ENOTDIR, rmdir("l"));
  ERR(ENOTDIR, rmdir("l/"));
  ERR(EISDIR, unlink("a"));
  ERR(ENOTDIR, unlink("a/b/f/"));
  // 40 links are followed, 41 are not
  put("end", "end");
  char from[16], to[16] = "end";
  for (int i = 1; i <= 41; i++) {
    snprintf(from, 16, "s%d", i);
    OK(symlink(to, from));
    strcpy(to, from);
  }
  STREQ(get("s40"), "end");
  STREQ(get("s41"), "<ELOOP>");
  OK(lstat("s41", &s));
}
TEST(directories) {
  OK(mkdir("d", 0755));
  ERR(EEXIST, mkdir("d", 0755));
  ERR(EEXIST, mkdir(".", 0755));
  ERR(EEXIST, mkdir("/", 0755));
  ERR(ENOENT, mkdir("x/y", 0755));
  put("f", "");
  ERR(ENOTDIR, mkdir("f/y", 0755));
  ERR(EEXIST, mkdir("f", 0755));
  OK(mkdir("t/", 0755));
  put("d/x", "");
  ERR(ENOTEMPTY, rmdir("d"));
  OK(unlink("d/x"));
  ERR(EINVAL, rmdir("d/."));
  ERR(ENOTEMPTY, rmdir("d/.."));
  ERR(ENOTDIR, rmdir("f"));
  ERR(ENOENT, rmdir("none"));
  OK(rmdir("d/"));
  ERR(EBUSY, rmdir("/"));
  ERR(ENOENT, rmdir(""));
  OK(symlink("t2", "lt"));
  ERR(EEXIST, mkdir("lt", 0755));
}
TEST(removed_working_directory) {
  OK(mkdir("d", 0755));
  OK(chdir("d"));
  OK(rmdir("../d"));
  char b[PATH_MAX];
  errno = 0;
  CHECK(!getcwd(b, sizeof b));
  EQ(errno, ENOENT);
  ERR(ENOENT, open("x", O_CREAT | O_RDWR, 0600));
  ERR(ENOENT, mkdir("x", 0755));
  struct stat s;
  OK(stat(".", &s));
  EQ(s.st_nlink, 0);
  OK(chdir(".."));
}
TEST(nodes) {
  struct stat s;
  OK(mknod("r", S_IFREG | 0640, 0));
  OK(stat("r", &s));
  CHECK(S_ISREG(s.st_mode));
  OK(mknod("z", 0600, 0));
  OK(stat("z", &s));
  CHECK(S_ISREG(s.st_mode));
  OK(mknod("p", S_IFIFO | 0600, 0));
  OK(mknod("s", S_IFSOCK | 0600, 0));
  OK(stat("s", &s));
  CHECK(S_ISSOCK(s.st_mode));
  ERR(EEXIST, mknod("p", S_IFIFO | 0600, 0));
  ERR(EPERM, mknod("d", S_IFDIR | 0700, 0));
  ERR(EINVAL, mknod("q", S_IFLNK | 0700, 0));
  ERR(ENXIO, open("s", O_RDONLY));
  IN_CHILD {
    OK(chmod(".", 0777));
    become(1000, 1000);
    ERR(EPERM, mknod("c", S_IFCHR | 0600, makedev(1, 3)));
    OK(mkfifo("f", 0600));
  }
}
TEST(long_names) {
  char n[300];
  memset(n, 'n', 300);
  n[255] = 0;
  put(n, "max");
  STREQ(get(n), "max");
  OK(unlink(n));
  n[255] = 'n';
  n[256] = 0;
  ERR(ENAMETOOLONG, open(n, O_CREAT | O_RDWR, 0600));
  ERR(ENAMETOOLONG, mkdir(n, 0700));
  struct stat s;
  ERR(ENAMETOOLONG, stat(n, &s));
  ERR(ENAMETOOLONG, symlink("x", n));
  put("f", "");
  ERR(ENAMETOOLONG, rename("f", n));
  ERR(ENAMETOOLONG, unlink(n));
  static char p[5000];
  for (int i = 0; i < 4096; i += 2)
    memcpy(p + i, "./", 2);
  p[4096] = 0;
  ERR(ENAMETOOLONG, stat(p, &s));
  p[4095] = 0;
  OK(stat(p, &s));
  ERR(ENAMETOOLONG, chdir(memset(p, '/', 4999)));
  put("odd \n\t\x01\xff\xc3\x28 name", "ok");
  STREQ(get("odd \n\t\x01\xff\xc3\x28 name"), "ok");
}
TEST(dots_and_slashes) {
  OK(mkdir("a", 0755));
  put("a/f", "F");
  STREQ(get(".//a/./../a///f"), "F");
  struct stat s, r;
  OK(stat("/..", &s));
  OK(stat("/", &r));
  EQ(s.st_ino, r.st_ino);
  OK(stat("/../../..//", &s));
  EQ(s.st_ino, r.st_ino);
  ERR(ENOENT, stat("a/none/..", &s));
  ERR(ENOTDIR, stat("a/f/.", &s));
  ERR(ENOTDIR, stat("a/f/..", &s));
  OK(lstat("a/.", &s));
}
TEST(deep_tree) {
  for (int i = 0; i < 200; i++) {
    MUST(mkdir("deep", 0755));
    MUST(chdir("deep"));
  }
  put("f", "bottom");
  char b[PATH_MAX];
  CHECK(getcwd(b, sizeof b));
  int n = 0;
  for (char *p = b; (p = strstr(p, "/deep")); p++)
    n++;
  EQ(n, 200);
  OK(unlink("f"));
  for (int i = 0; i < 200; i++) {
    MUST(chdir(".."));
    MUST(rmdir("deep"));
  }
}
