// flock(2), POSIX record locks, open file description locks, leases.
#include "guest.h"
static int lk(int fd, int cmd, int type, off_t start, off_t len) {
  struct flock l = {.l_type = type, .l_start = start, .l_len = len};
  return fcntl(fd, cmd, &l);
}
TEST(whole_file) {
  put("f", "");
  int a = OK(open("f", O_RDWR)), b = OK(open("f", O_RDWR));
  OK(flock(a, LOCK_EX));
  ERR(EAGAIN, flock(b, LOCK_EX | LOCK_NB));
  ERR(EAGAIN, flock(b, LOCK_SH | LOCK_NB));
  OK(flock(a, LOCK_SH));
  OK(flock(b, LOCK_SH));
  ERR(EAGAIN, flock(a, LOCK_EX | LOCK_NB));
  OK(flock(b, LOCK_UN));
  OK(flock(a, LOCK_EX | LOCK_NB));
  int c = OK(dup(a));
  OK(close(a));
  ERR(EAGAIN, flock(b, LOCK_EX | LOCK_NB));
  OK(close(c));
  OK(flock(b, LOCK_EX | LOCK_NB));
  ERR(EINVAL, flock(b, 0));
  ERR(EBADF, flock(99, LOCK_SH));
}
TEST(whole_file_across_fork) {
  put("f", "");
  int a = OK(open("f", O_RDWR));
  OK(flock(a, LOCK_EX));
  IN_CHILD {
    OK(flock(a, LOCK_EX | LOCK_NB));
    int b = OK(open("f", O_RDWR));
    ERR(EAGAIN, flock(b, LOCK_EX | LOCK_NB));
    OK(flock(a, LOCK_UN));
  }
  int b = OK(open("f", O_RDWR));
  OK(flock(b, LOCK_EX | LOCK_NB));
}
TEST(whole_file_waits) {
  put("f", "");
  int a = OK(open("f", O_RDWR));
  OK(flock(a, LOCK_EX));
  pid_t p = xfork();
  if (!p) {
    int b = OK(open("f", O_RDWR));
    OK(flock(b, LOCK_EX));
    put("got", "yes");
    CHILD_END();
  }
  until_asleep(p);
  STREQ(get("got"), "<ENOENT>");
  OK(flock(a, LOCK_UN));
  REAP(p);
  STREQ(get("got"), "yes");
}
TEST(records) {
  put("f", "0123456789");
  int a = OK(open("f", O_RDWR));
  OK(lk(a, F_SETLK, F_WRLCK, 2, 3));
  OK(lk(a, F_SETLK, F_RDLCK, 3, 10));
  IN_CHILD {
    int b = OK(open("f", O_RDWR));
    ERR(EAGAIN, lk(b, F_SETLK, F_WRLCK, 2, 1));
    OK(lk(b, F_SETLK, F_WRLCK, 0, 2));
    OK(lk(b, F_SETLK, F_RDLCK, 5, 1));
    ERR(EAGAIN, lk(b, F_SETLK, F_WRLCK, 5, 1));
    struct flock l = {.l_type = F_WRLCK, .l_start = 0, .l_len = 0};
    OK(fcntl(b, F_GETLK, &l));
    EQ(l.l_type, F_WRLCK);
    EQ(l.l_start, 2);
    EQ(l.l_len, 1);
    EQ(l.l_pid, getppid());
    l = (struct flock){.l_type = F_RDLCK, .l_start = 3, .l_len = 0};
    OK(fcntl(b, F_GETLK, &l));
    EQ(l.l_type, F_UNLCK);
  }
  OK(lk(a, F_SETLK, F_UNLCK, 0, 0));
  int c = OK(open("f", O_RDWR));
  OK(lk(a, F_SETLK, F_WRLCK, 0, 0));
  OK(lk(c, F_SETLK, F_WRLCK, 0, 0));
  OK(close(c));
  IN_CHILD {
    OK(lk(a, F_SETLK, F_WRLCK, 0, 0));
  }
  ERR(EINVAL, lk(a, F_SETLK, F_WRLCK, -1, 1));
  ERR(EINVAL, lk(a, F_SETLK, 9, 0, 1));
  int r = OK(open("f", O_RDONLY));
  ERR(EBADF, lk(r, F_SETLK, F_WRLCK, 0, 1));
  ERR(EFAULT, fcntl(a, F_SETLK, 8));
  OK(lk(a, F_SETLK, F_WRLCK, 8, -3));
  IN_CHILD {
    struct flock l = {.l_type = F_WRLCK, .l_start = 0, .l_len = 0};
    OK(fcntl(a, F_GETLK, &l));
    EQ(l.l_start, 5);
    EQ(l.l_len, 3);
  }
}
TEST(records_are_not_inherited_and_wait) {
  put("f", "x");
  int a = OK(open("f", O_RDWR));
  OK(lk(a, F_SETLK, F_WRLCK, 0, 0));
  pid_t p = xfork();
  if (!p) {
    ERR(EAGAIN, lk(a, F_SETLK, F_WRLCK, 0, 0));
    OK(lk(a, F_SETLKW, F_WRLCK, 0, 0));
    CHILD_END();
  }
  until_asleep(p);
  OK(lk(a, F_SETLK, F_UNLCK, 0, 0));
  REAP(p);
  OK(lk(a, F_SETLK, F_WRLCK, 0, 0));
}
TEST(records_interrupted) {
  put("f", "x");
  int a = OK(open("f", O_RDWR));
  OK(lk(a, F_SETLK, F_WRLCK, 0, 0));
  IN_CHILD {
    catch_signal(SIGALRM, 0);
    struct itimerval t = {{0, 0}, {0, 50000}};
    setitimer(ITIMER_REAL, &t, 0);
    ERR(EINTR, lk(a, F_SETLKW, F_WRLCK, 0, 0));
  }
}
TEST(deadlock) {
  put("f", "xy");
  int a = OK(open("f", O_RDWR)), p[2];
  MUST(pipe(p));
  OK(lk(a, F_SETLK, F_WRLCK, 0, 1));
  pid_t c = xfork();
  if (!c) {
    OK(lk(a, F_SETLK, F_WRLCK, 1, 1));
    OK(write(p[1], "x", 1));
    OK(lk(a, F_SETLKW, F_WRLCK, 0, 1));
    CHILD_END();
  }
  char x;
  OK(read(p[0], &x, 1));
  until_asleep(c);
  ERR(EDEADLK, lk(a, F_SETLKW, F_WRLCK, 1, 1));
  OK(lk(a, F_SETLK, F_UNLCK, 0, 0));
  REAP(c);
}
TEST(released_by_exit) {
  put("f", "x");
  int a = OK(open("f", O_RDWR)), p[2];
  MUST(pipe(p));
  pid_t c = xfork();
  if (!c) {
    MUST(lk(a, F_SETLK, F_WRLCK, 0, 0));
    MUST(write(p[1], "x", 1));
    pause();
  }
  char x;
  OK(read(p[0], &x, 1));
  ERR(EAGAIN, lk(a, F_SETLK, F_WRLCK, 0, 0));
  OK(kill(c, SIGKILL));
  STREQ(reap(c), "killed by SIGKILL");
  OK(lk(a, F_SETLK, F_WRLCK, 0, 0));
}
TEST(open_file_description) {
  put("f", "x");
  int a = OK(open("f", O_RDWR)), b = OK(open("f", O_RDWR));
  OK(lk(a, F_OFD_SETLK, F_WRLCK, 0, 0));
  ERR(EAGAIN, lk(b, F_OFD_SETLK, F_WRLCK, 0, 0));
  ERR(EAGAIN, lk(a, F_SETLK, F_WRLCK, 0, 0));
  struct flock l = {.l_type = F_WRLCK};
  OK(fcntl(b, F_OFD_GETLK, &l));
  EQ(l.l_type, F_WRLCK);
  EQ(l.l_pid, -1);
  IN_CHILD {
    OK(lk(a, F_OFD_SETLK, F_WRLCK, 0, 0));
  }
  int c = OK(dup(a));
  close(a);
  ERR(EAGAIN, lk(b, F_OFD_SETLK, F_RDLCK, 0, 0));
  close(c);
  OK(lk(b, F_OFD_SETLK, F_RDLCK, 0, 0));
  l = (struct flock){.l_type = F_WRLCK, .l_pid = 5};
  ERR(EINVAL, fcntl(b, F_OFD_SETLK, &l));
}
