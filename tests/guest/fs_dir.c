// getdents64(2), directory positions, chdir(2), fchdir(2), getcwd(2), chroot(2).
#include "guest.h"
static int by_name(const void *a, const void *b) {
  return strcmp(*(char **)a, *(char **)b);
}
static void show(const char *dir) {
  DIR *d = opendir(dir);
  if (!d) {
    printf("%s: %s\n", dir, ename(errno));
    return;
  }
  char *n[200];
  int k = 0;
  struct dirent *e;
  while ((e = readdir(d)) && k < 200) {
    char t[300];
    snprintf(t, sizeof t, "%s:%d", e->d_name, e->d_type);
    n[k++] = strdup(t);
  }
  qsort(n, k, sizeof *n, by_name);
  for (int i = 0; i < k; i++)
    printf("%s ", n[i]);
  printf("(%d)\n", k);
  closedir(d);
}
TEST(listing) {
  OK(mkdir("d", 0755));
  show("d");
  put("d/file", "");
  OK(mkdir("d/dir", 0755));
  OK(symlink("x", "d/link"));
  OK(mkfifo("d/fifo", 0600));
  show("d");
  OK(unlink("d/file"));
  show("d");
  show("none");
}
TEST(many_entries) {
  OK(mkdir("d", 0755));
  for (int i = 0; i < 1000; i++) {
    char n[40];
    snprintf(n, 40, "d/entry-number-%d", i);
    close(MUST(open(n, O_CREAT | O_WRONLY, 0600)));
  }
  DIR *d = opendir("d");
  int seen[1000] = {0}, other = 0, k;
  struct dirent *e;
  while ((e = readdir(d)))
    if (sscanf(e->d_name, "entry-number-%d", &k) == 1)
      seen[k]++;
    else
      other++;
  EQ(other, 2);
  for (int i = 0; i < 1000; i++)
    EQ(seen[i], 1);
  rewinddir(d);
  int n = 0;
  while (readdir(d))
    n++;
  EQ(n, 1002);
  rewinddir(d);
  for (int i = 0; i < 500; i++)
    readdir(d);
  long pos = telldir(d);
  e = readdir(d);
  char keep[256];
  strcpy(keep, e->d_name);
  for (int i = 0; i < 100; i++)
    readdir(d);
  seekdir(d, pos);
  e = readdir(d);
  STREQ(e->d_name, keep);
  // Removal while reading loses nothing that stays.
  rewinddir(d);
  int left = 0, gone = 0;
  while ((e = readdir(d)))
    if (sscanf(e->d_name, "entry-number-%d", &k) == 1) {
      left++;
      if (k % 2) {
        OK(unlinkat(dirfd(d), e->d_name, 0));
        gone++;
      }
    }
  EQ(left, 1000);
  EQ(gone, 500);
}
TEST(raw_calls) {
  char b[1024];
  int d = OK(open(".", O_RDONLY));
  CHECK(syscall(SYS_getdents64, d, b, sizeof b) > 0);
  EQ(syscall(SYS_getdents64, d, b, sizeof b), 0);
  OK(lseek(d, 0, SEEK_SET));
  ERR(EINVAL, syscall(SYS_getdents64, d, b, 10));
  ERR(EFAULT, syscall(SYS_getdents64, d, (void *)8, 1024));
  put("f", "");
  int f = OK(open("f", O_RDONLY));
  ERR(ENOTDIR, syscall(SYS_getdents64, f, b, 1024));
  ERR(EBADF, syscall(SYS_getdents64, 99, b, 1024));
  OK(lseek(d, 0, SEEK_SET));
  CHECK(syscall(SYS_getdents, d, b, sizeof b) > 0);
  int p = OK(open(".", O_PATH));
  ERR(EBADF, syscall(SYS_getdents64, p, b, 1024));
}
TEST(removed_directory) {
  OK(mkdir("d", 0755));
  int d = OK(open("d", O_RDONLY));
  OK(rmdir("d"));
  char b[1024];
  SHOW(syscall(SYS_getdents64, d, b, sizeof b) > 0 ? 1 : 0);
}
TEST(working_directory) {
  char b[PATH_MAX], c[PATH_MAX];
  CHECK(getcwd(b, sizeof b));
  OK(mkdir("d", 0755));
  OK(chdir("d"));
  CHECK(getcwd(c, sizeof c));
  EQ(strncmp(b, c, strlen(b)), 0);
  STREQ(c + strlen(b), "/d");
  ERR(ERANGE, syscall(SYS_getcwd, c, 2));
  ERR(EFAULT, syscall(SYS_getcwd, (void *)8, 4096));
  EQ(syscall(SYS_getcwd, c, sizeof c), (long)strlen(c) + 1);
  OK(chdir(".."));
  put("f", "");
  ERR(ENOTDIR, chdir("f"));
  ERR(ENOENT, chdir("none"));
  int d = OK(open("d", O_RDONLY));
  OK(fchdir(d));
  CHECK(getcwd(c, sizeof c));
  STREQ(c + strlen(b), "/d");
  ERR(EBADF, fchdir(99));
  int f = OK(open("../f", O_RDONLY));
  ERR(ENOTDIR, fchdir(f));
  OK(rename("../d", "../e"));
  CHECK(getcwd(c, sizeof c));
  STREQ(c + strlen(b), "/e");
  IN_CHILD {
    OK(chdir("/"));
  }
  CHECK(getcwd(c, sizeof c));
  STREQ(c + strlen(b), "/e");
}
TEST(other_root) {
  OK(mkdir("r", 0755));
  OK(mkdir("r/in", 0755));
  put("r/in/f", "jail");
  put("outside", "no");
  OK(symlink("/in/f", "r/l"));
  int out = OK(open(".", O_RDONLY));
  IN_CHILD {
    OK(chroot("r"));
    OK(chdir("/"));
    STREQ(get("/in/f"), "jail");
    STREQ(get("/l"), "jail");
    STREQ(get("/../in/f"), "jail");
    char b[100];
    CHECK(getcwd(b, 100));
    STREQ(b, "/");
    STREQ(get("/outside"), "<ENOENT>");
    show("/");
    OK(fchdir(out));
    char u[PATH_MAX];
    OK(syscall(SYS_getcwd, u, sizeof u));
    CHECK(!strncmp(u, "(unreachable)", 13));
    STREQ(get("outside"), "no");
  }
  IN_CHILD {
    become(1000, 1000);
    ERR(EPERM, chroot("/"));
  }
  ERR(ENOTDIR, chroot("outside"));
  ERR(ENOENT, chroot("none"));
}
