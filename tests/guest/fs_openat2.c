// openat2(2): the RESOLVE flags and how unknown bits are refused.
#include "guest.h"
#include <linux/openat2.h>
static long o2(int d, const char *p, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how h = {flags, mode, resolve};
  return syscall(SYS_openat2, d, p, &h, sizeof h);
}
static void tree(void) {
  OK(mkdir("r", 0755));
  OK(mkdir("r/d", 0755));
  put("r/d/f", "inner");
  put("out", "outer");
  OK(symlink("../out", "r/up"));
  OK(symlink("/d/f", "r/abs"));
  OK(symlink("d/f", "r/rel"));
}

TEST(plain) {
  put("f", "x");
  OK(o2(AT_FDCWD, "f", O_RDONLY, 0, 0));
  OK(o2(AT_FDCWD, "g", O_CREAT | O_RDWR, 0600, 0));
  ERR(ENOENT, o2(AT_FDCWD, "none", O_RDONLY, 0, 0));
}
TEST(refusals) {
  put("f", "x");
  ERR(EINVAL, o2(AT_FDCWD, "f", O_RDONLY, 0600, 0));
  ERR(EINVAL, o2(AT_FDCWD, "f", 1ull << 40, 0, 0));
  ERR(EINVAL, o2(AT_FDCWD, "f", O_CREAT | O_RDWR, 0200000, 0));
  ERR(EINVAL, o2(AT_FDCWD, "f", 0, 0, 0x1000));
  ERR(EINVAL, o2(AT_FDCWD, "f", 0, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
  ERR(EINVAL, o2(AT_FDCWD, "f", O_PATH | O_RDWR, 0, 0));
  struct open_how h = {0};
  ERR(EINVAL, syscall(SYS_openat2, AT_FDCWD, "f", &h, 8));
  struct {
    struct open_how h;
    char more[16];
  } big;
  memset(&big, 0, sizeof big);
  OK(syscall(SYS_openat2, AT_FDCWD, "f", &big, sizeof big));
  big.more[3] = 1;
  ERR(E2BIG, syscall(SYS_openat2, AT_FDCWD, "f", &big, sizeof big));
  ERR(EFAULT, syscall(SYS_openat2, AT_FDCWD, "f", (void *)8, sizeof h));
}
TEST(beneath) {
  tree();
  int r = OK(open("r", O_PATH));
  OK(o2(r, "d/f", 0, 0, RESOLVE_BENEATH));
  OK(o2(r, "d/../d/f", 0, 0, RESOLVE_BENEATH));
  OK(o2(r, "rel", 0, 0, RESOLVE_BENEATH));
  ERR(EXDEV, o2(r, "../out", 0, 0, RESOLVE_BENEATH));
  ERR(EXDEV, o2(r, "up", 0, 0, RESOLVE_BENEATH));
  ERR(EXDEV, o2(r, "abs", 0, 0, RESOLVE_BENEATH));
  ERR(EXDEV, o2(r, "/", 0, 0, RESOLVE_BENEATH));
}
TEST(in_root) {
  tree();
  int r = OK(open("r", O_PATH));
  int fd = OK(o2(r, "abs", 0, 0, RESOLVE_IN_ROOT));
  char b[6] = "";
  EQ(read(fd, b, 5), 5);
  STREQ(b, "inner");
  OK(o2(r, "/d/f", 0, 0, RESOLVE_IN_ROOT));
  OK(o2(r, "../../d/f", 0, 0, RESOLVE_IN_ROOT));
  ERR(ENOENT, o2(r, "up", 0, 0, RESOLVE_IN_ROOT));
}
TEST(no_links) {
  tree();
  int r = OK(open("r", O_PATH));
  ERR(ELOOP, o2(r, "rel", 0, 0, RESOLVE_NO_SYMLINKS));
  OK(o2(r, "d/f", 0, 0, RESOLVE_NO_SYMLINKS));
  OK(symlink("d", "r/dl"));
  ERR(ELOOP, o2(r, "dl/f", 0, 0, RESOLVE_NO_SYMLINKS));
  ERR(ELOOP, o2(AT_FDCWD, "/proc/self/fd/0", O_PATH, 0, RESOLVE_NO_MAGICLINKS));
  OK(o2(r, "rel", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
}
TEST(no_crossing) {
  ERR(EXDEV, o2(AT_FDCWD, "/proc/self/stat", 0, 0, RESOLVE_NO_XDEV));
  put("f", "");
  OK(o2(AT_FDCWD, "f", 0, 0, RESOLVE_NO_XDEV));
}
