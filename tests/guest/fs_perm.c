// Permissions: owners, groups, other users, sticky and set-group-ID directories, capabilities on files.
static int helper(int argc, char **argv);
#define GUEST_HELPER helper
#include "guest.h"

TEST(classes) {
  put("f", "x");
  OK(chmod(".", 0755));
  OK(chown("f", 1000, 2000));
  OK(chmod("f", 0640));
  IN_CHILD {
    become(1000, 1);
    OK(open("f", O_RDWR));
  }
  IN_CHILD {
    become(1001, 2000);
    OK(open("f", O_RDONLY));
    ERR(EACCES, open("f", O_WRONLY));
  }
  IN_CHILD {
    become(1001, 3);
    ERR(EACCES, open("f", O_RDONLY));
    ERR(EACCES, truncate("f", 0));
  }
  IN_CHILD {
    gid_t g[2] = {5, 2000};
    MUST(setgroups(2, g));
    MUST(setresgid(3, 3, 3));
    MUST(setresuid(1001, 1001, 1001));
    OK(open("f", O_RDONLY));
  }
  OK(chmod("f", 0077));
  IN_CHILD {
    become(1000, 2000);
    ERR(EACCES, open("f", O_RDONLY));
  }
  IN_CHILD {
    become(5, 2000);
    OK(open("f", O_RDWR));
  }
}
TEST(directories) {
  OK(chmod(".", 0755));
  OK(mkdir("d", 0700));
  put("d/f", "x");
  OK(chmod("d/f", 0666));
  struct stat s;
  IN_CHILD {
    become(1000, 1000);
    ERR(EACCES, open("d/f", O_RDONLY));
    ERR(EACCES, stat("d/f", &s));
    ERR(EACCES, open("d", O_RDONLY));
    OK(stat("d", &s));
    ERR(EACCES, mkdir("x", 0700));
    ERR(EACCES, chdir("d"));
    ERR(EACCES, unlink("d"));
    ERR(EACCES, rmdir("d"));
  }
  OK(chmod("d", 0711));
  IN_CHILD {
    become(1000, 1000);
    OK(open("d/f", O_RDWR));
    ERR(EACCES, open("d", O_RDONLY));
    OK(open("d", O_PATH));
    ERR(EACCES, unlink("d/f"));
    ERR(EACCES, open("d/new", O_CREAT | O_RDWR, 0600));
    ERR(EACCES, symlink("a", "d/l"));
    ERR(EACCES, link("d/f", "d/g"));
  }
  OK(chmod("d", 0744));
  IN_CHILD {
    become(1000, 1000);
    OK(open("d", O_RDONLY));
    ERR(EACCES, stat("d/f", &s));
  }
  OK(chmod("d", 0733));
  IN_CHILD {
    become(1000, 1000);
    put("d/mine", "");
    OK(unlink("d/f"));
  }
}
TEST(owner_rules) {
  put("f", "");
  OK(chmod(".", 0777));
  OK(chown("f", 1000, 1000));
  IN_CHILD {
    become(1001, 1001);
    ERR(EPERM, chmod("f", 0777));
    ERR(EPERM, chown("f", 1001, -1));
    ERR(EACCES, utimensat(AT_FDCWD, "f", NULL, 0));
    struct timespec t[2] = {{1, 0}, {1, 0}};
    ERR(EPERM, utimensat(AT_FDCWD, "f", t, 0));
  }
  IN_CHILD {
    become(1000, 1000);
    OK(chmod("f", 0755));
    ERR(EPERM, chown("f", 1001, -1));
    ERR(EPERM, chown("f", -1, 5));
    OK(chown("f", 1000, 1000));
    struct timespec t[2] = {{1, 0}, {1, 0}};
    OK(utimensat(AT_FDCWD, "f", t, 0));
    OK(chmod("f", 02755));
  }
  IN_CHILD {
    gid_t g = 77;
    MUST(setgroups(1, &g));
    MUST(setresgid(1000, 1000, 1000));
    MUST(setresuid(1000, 1000, 1000));
    OK(chown("f", -1, 77));
    OK(chown("f", -1, 1000));
    OK(chmod("f", 02755));
    struct stat s;
    OK(stat("f", &s));
    EQ(s.st_mode & 07777, 02755);
  }
  OK(chown("f", 1000, 5));
  IN_CHILD {
    become(1000, 1000);
    OK(chmod("f", 02755));
    struct stat s;
    OK(stat("f", &s));
    EQ(s.st_mode & 07777, 0755);
  }
}
TEST(sticky) {
  OK(mkdir("t", 0777));
  OK(chmod("t", 01777));
  OK(chmod(".", 0755));
  put("t/root", "");
  IN_CHILD {
    become(1000, 1000);
    put("t/mine", "");
    OK(mkdir("t/dir", 0777));
  }
  IN_CHILD {
    become(1001, 1001);
    ERR(EPERM, unlink("t/root"));
    ERR(EPERM, unlink("t/mine"));
    ERR(EPERM, rmdir("t/dir"));
    ERR(EPERM, rename("t/mine", "t/x"));
    put("t/own", "");
    ERR(EPERM, rename("t/own", "t/mine"));
    OK(rename("t/own", "t/own2"));
    OK(unlink("t/own2"));
  }
  IN_CHILD {
    become(1000, 1000);
    OK(unlink("t/mine"));
    OK(rmdir("t/dir"));
  }
  OK(unlink("t/root"));
}
TEST(set_group_id_directory) {
  OK(mkdir("g", 0777));
  OK(chown("g", 0, 2000));
  OK(chmod("g", 02777));
  OK(chmod(".", 0755));
  struct stat s;
  IN_CHILD {
    become(1000, 1000);
    put("g/f", "");
    OK(mkdir("g/d", 0755));
  }
  OK(stat("g/f", &s));
  EQ(s.st_gid, 2000);
  EQ(s.st_mode & 07777, 0644);
  OK(stat("g/d", &s));
  EQ(s.st_gid, 2000);
  EQ(s.st_mode & 07777, 02755);
  OK(lstat("g/f", &s));
  IN_CHILD {
    become(1000, 1000);
    umask(0);
    int fd = OK(open("g/x", O_CREAT | O_RDWR, 02775));
    OK(fstat(fd, &s));
    EQ(s.st_mode & 07777, 0775);
    EQ(s.st_gid, 2000);
  }
}
TEST(write_clears_set_id) {
  put("f", "x");
  OK(chmod(".", 0777));
  OK(chown("f", 1000, 1000));
  OK(chmod("f", 06777));
  struct stat s;
  IN_CHILD {
    become(1000, 1000);
    int fd = OK(open("f", O_RDWR));
    OK(write(fd, "y", 1));
    OK(fstat(fd, &s));
    EQ(s.st_mode & 07777, 0777);
  }
  OK(chmod("f", 06777));
  IN_CHILD {
    become(1000, 1000);
    OK(truncate("f", 0));
    OK(stat("f", &s));
    EQ(s.st_mode & 07777, 0777);
  }
  OK(chmod("f", 06777));
  int fd = OK(open("f", O_RDWR));
  OK(write(fd, "z", 1));
  OK(fstat(fd, &s));
  EQ(s.st_mode & 07777, 06777);
}
TEST(set_user_id_program) {
  // The program itself, copied and set-user-ID to 1234, shows whom it runs as.
  int in = OK(open("/proc/self/exe", O_RDONLY)), out = OK(open("prog", O_CREAT | O_WRONLY, 0755));
  char b[65536];
  ssize_t n;
  while ((n = read(in, b, sizeof b)) > 0)
    MUST(write(out, b, n));
  close(out);
  OK(chmod(".", 0755));
  OK(chown("prog", 1234, 1235));
  OK(chmod("prog", 06755));
  struct statfs f;
  OK(statfs(".", &f));
  if (f.f_flags & 2) {
    printf("user 1000 1234 1234 group 1000 1235 1235\nuser 1000 1000 1000 group 1000 1000 1000\n");
    return;
  }
  fflush(stdout);
  IN_CHILD {
    become(1000, 1000);
    execl("./prog", "prog", "@ids", NULL);
    CHECK(0);
  }
  IN_CHILD {
    become(1000, 1000);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    execl("./prog", "prog", "@ids", NULL);
    CHECK(0);
  }
}
TEST(root_and_execute) {
  put("f", "#!/bin/sh\n");
  OK(chmod("f", 0644));
  IN_CHILD {
    char *a[] = {"f", 0};
    ERR(EACCES, execv("./f", a));
  }
}
TEST(directory_without_search) {
  OK(mkdir("a", 0755));
  OK(mkdir("a/b", 0755));
  OK(chmod(".", 0755));
  OK(chmod("a", 0600));
  IN_CHILD {
    OK(chdir("a/b"));
    become(1000, 1000);
    struct stat s;
    OK(stat(".", &s));
    OK(stat("..", &s));
    ERR(EACCES, stat("../b", &s));
    ERR(EACCES, stat("../..", &s));
  }
}
static int helper(int argc, char **argv) {
  (void)argc;
  (void)argv;
  uid_t r, e, s;
  gid_t a, b, c;
  getresuid(&r, &e, &s);
  getresgid(&a, &b, &c);
  printf("user %d %d %d group %d %d %d\n", r, e, s, a, b, c);
  return 0;
}
