// Extended attributes: user.* and their rules.
#include "guest.h"
#include <sys/xattr.h>
TEST(set_get_list_remove) {
  char b[100];
  put("f", "");
  OK(setxattr("f", "user.one", "1", 1, 0));
  OK(setxattr("f", "user.two", "22", 2, 0));
  EQ(getxattr("f", "user.two", b, 100), 2);
  EQ(getxattr("f", "user.two", 0, 0), 2);
  ERR(ERANGE, getxattr("f", "user.two", b, 1));
  ERR(EEXIST, setxattr("f", "user.one", "x", 1, XATTR_CREATE));
  ERR(ENODATA, setxattr("f", "user.none", "x", 1, XATTR_REPLACE));
  OK(setxattr("f", "user.one", "changed", 7, XATTR_REPLACE));
  EQ(getxattr("f", "user.one", b, 100), 7);
  CHECK(!memcmp(b, "changed", 7));
  ssize_t n = OK(listxattr("f", b, 100));
  int one = 0, two = 0;
  for (char *p = b; p < b + n; p += strlen(p) + 1) {
    one += !strcmp(p, "user.one");
    two += !strcmp(p, "user.two");
  }
  EQ(one, 1);
  EQ(two, 1);
  ERR(ERANGE, listxattr("f", b, 3));
  OK(removexattr("f", "user.one"));
  ERR(ENODATA, removexattr("f", "user.one"));
  ERR(ENODATA, getxattr("f", "user.one", b, 100));
  OK(setxattr("f", "user.empty", "", 0, 0));
  EQ(getxattr("f", "user.empty", b, 100), 0);
  ERR(EINVAL, setxattr("f", "user.x", "x", 1, 8));
  ERR(ENOENT, setxattr("none", "user.x", "x", 1, 0));
  ERR(E2BIG, setxattr("f", "user.big", b, 65537, 0));
  ERR(EOPNOTSUPP, setxattr("f", "nonsense.x", "x", 1, 0));
  ERR(EOPNOTSUPP, setxattr("f", "x", "x", 1, 0));
  char n2[300];
  memset(n2, 'a', 300);
  memcpy(n2, "user.", 5);
  n2[256] = 0;
  ERR(ERANGE, setxattr("f", n2, "x", 1, 0));
  ERR(ERANGE, setxattr("f", "", "x", 1, 0));
  ERR(EINVAL, setxattr("f", "user.", "x", 1, 0));
}
TEST(descriptors_and_links) {
  char b[10];
  put("f", "");
  int fd = OK(open("f", O_RDWR));
  OK(fsetxattr(fd, "user.a", "v", 1, 0));
  EQ(fgetxattr(fd, "user.a", b, 10), 1);
  EQ(flistxattr(fd, 0, 0) > 0, 1);
  OK(fremovexattr(fd, "user.a"));
  OK(symlink("f", "l"));
  OK(setxattr("l", "user.b", "v", 1, 0));
  EQ(getxattr("f", "user.b", b, 10), 1);
  ERR(EPERM, lsetxattr("l", "user.c", "v", 1, 0));
  OK(mkdir("d", 0755));
  OK(setxattr("d", "user.d", "v", 1, 0));
  OK(mkfifo("p", 0600));
  ERR(EPERM, setxattr("p", "user.d", "v", 1, 0));
  int o = OK(open("f", O_PATH));
  ERR(EBADF, fgetxattr(o, "user.b", b, 10));
}
TEST(permissions) {
  char b[10];
  put("f", "");
  OK(chmod(".", 0755));
  OK(setxattr("f", "user.a", "v", 1, 0));
  IN_CHILD {
    become(1000, 1000);
    EQ(getxattr("f", "user.a", b, 10), 1);
    ERR(EACCES, setxattr("f", "user.a", "w", 1, 0));
    ERR(EACCES, removexattr("f", "user.a"));
    ERR(EPERM, setxattr("f", "trusted.a", "w", 1, 0));
  }
  OK(chmod("f", 0600));
  IN_CHILD {
    become(1000, 1000);
    ERR(EACCES, getxattr("f", "user.a", b, 10));
  }
}
TEST(follow_renames) {
  char b[10];
  put("f", "");
  OK(setxattr("f", "user.a", "v", 1, 0));
  OK(rename("f", "g"));
  EQ(getxattr("g", "user.a", b, 10), 1);
  OK(unlink("g"));
  put("g", "");
  ERR(ENODATA, getxattr("g", "user.a", b, 10));
}
