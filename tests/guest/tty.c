// Terminals: pseudo-terminal pairs, line discipline, window size, job control.
#include "guest.h"
#include <pty.h>
#include <termios.h>
static int m, s;
static struct termios t;
static void open_pair(void) {
  MUST(openpty(&m, &s, 0, 0, 0));
  MUST(tcgetattr(s, &t));
}
static void set(void) {
  OK(tcsetattr(s, TCSANOW, &t));
}
static const char *rd(int fd) {
  static char b[2][300];
  static int k;
  char *x = b[k++ & 1];
  struct pollfd p = {fd, POLLIN, 0};
  if (poll(&p, 1, 3000) != 1)
    return "<nothing>";
  msleep(5);
  ssize_t n = read(fd, x, 299);
  if (n < 0)
    return ename(errno);
  x[n] = 0;
  return x;
}
static int quiet(int fd) {
  struct pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, 30) == 0;
}
TEST(pair) {
  open_pair();
  CHECK(isatty(s) && isatty(m));
  char n[64];
  EQ(ttyname_r(s, n, 64), 0);
  CHECK(!strncmp(n, "/dev/pts/", 9));
  STREQ(ptsname(m), n);
  struct stat st;
  OK(fstat(s, &st));
  CHECK(S_ISCHR(st.st_mode));
  EQ(major(st.st_rdev), 136);
  ERR(ENOTTY, tcgetattr(OK(open("/dev/null", O_RDONLY)), &t));
  int p[2];
  MUST(pipe(p));
  ERR(ENOTTY, ioctl(p[0], TIOCGWINSZ, n));
  close(s);
  EQ(read(m, n, 1), -1);
  EQ(errno, EIO);
  int x = OK(open(ptsname(m), O_RDWR | O_NOCTTY));
  close(m);
  EQ(read(x, n, 1), 0);
  ERR(EIO, write(x, "x", 1));
}
TEST(defaults) {
  open_pair();
  printf("%o %o %o %o\n", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
  for (int i = 0; i < 17; i++)
    printf("%d ", t.c_cc[i]);
  puts("");
  EQ(cfgetospeed(&t), B38400);
}
TEST(canonical) {
  open_pair();
  OK(write(m, "abc", 3));
  CHECK(quiet(s));
  OK(write(m, "\n", 1));
  STREQ(rd(s), "abc\n");
  STREQ(rd(m), "abc\r\n");
  OK(write(m, "wrong\x15right\x7fT\n", 14));
  STREQ(rd(s), "righT\n");
  rd(m);
  OK(write(m, "two words\x17x\n", 12));
  STREQ(rd(s), "two x\n");
  rd(m);
  OK(write(m, "part\x04", 5));
  STREQ(rd(s), "part");
  OK(write(m, "\x04", 1));
  char b;
  EQ(read(s, &b, 1), 0);
  OK(write(m, "a\nb\n", 4));
  STREQ(rd(s), "a\n");
  STREQ(rd(s), "b\n");
  OK(write(m, "\x16\x03q\n", 4));
  STREQ(rd(s), "\x03q\n");
  OK(write(m, "long line\n", 10));
  char c[4];
  EQ(read(s, c, 4), 4);
  STREQ(rd(s), " line\n");
  int n;
  OK(write(m, "12345\n", 6));
  msleep(10);
  OK(ioctl(s, FIONREAD, &n));
  EQ(n, 6);
  OK(tcflush(s, TCIFLUSH));
  CHECK(quiet(s));
}
TEST(raw) {
  open_pair();
  cfmakeraw(&t);
  set();
  OK(write(m, "a\x03\r\x7f", 4));
  STREQ(rd(s), "a\x03\r\x7f");
  CHECK(quiet(m));
  OK(write(s, "x\ny", 3));
  STREQ(rd(m), "x\ny");
  t.c_cc[VMIN] = 0;
  t.c_cc[VTIME] = 0;
  set();
  char b[10];
  EQ(read(s, b, 10), 0);
  t.c_cc[VTIME] = 1;
  set();
  EQ(read(s, b, 10), 0);
  t.c_cc[VMIN] = 3;
  t.c_cc[VTIME] = 0;
  set();
  pid_t p = xfork();
  if (!p) {
    EQ(read(s, b, 10), 3);
    CHILD_END();
  }
  until_asleep(p);
  OK(write(m, "12", 2));
  msleep(20);
  OK(write(m, "3", 1));
  REAP(p);
  fcntl(s, F_SETFL, O_NONBLOCK);
  ERR(EAGAIN, read(s, b, 10));
}
TEST(output_processing) {
  open_pair();
  OK(write(s, "a\nb", 3));
  STREQ(rd(m), "a\r\nb");
  t.c_oflag &= ~OPOST;
  set();
  OK(write(s, "a\nb", 3));
  STREQ(rd(m), "a\nb");
  t.c_iflag &= ~ICRNL;
  t.c_lflag &= ~ECHO;
  set();
  OK(write(m, "x\ry\n", 4));
  STREQ(rd(s), "x\ry\n");
  t.c_iflag |= INLCR | ICRNL;
  set();
  t.c_iflag = IGNCR;
  set();
  OK(write(m, "x\ry\n", 4));
  STREQ(rd(s), "xy\n");
  CHECK(quiet(m));
  t.c_lflag |= ECHO | ECHOCTL;
  set();
  OK(write(m, "\x01\n", 2));
  STREQ(rd(m), "^A\n");
}
TEST(window_size) {
  open_pair();
  struct winsize w = {33, 99, 0, 0}, g;
  OK(ioctl(m, TIOCSWINSZ, &w));
  OK(ioctl(s, TIOCGWINSZ, &g));
  EQ(g.ws_row, 33);
  EQ(g.ws_col, 99);
  IN_CHILD {
    setsid();
    OK(ioctl(s, TIOCSCTTY, 0));
    catch_signal(SIGWINCH, 0);
    w.ws_row = 44;
    OK(ioctl(m, TIOCSWINSZ, &w));
    for (int i = 0; i < 500 && !caught[SIGWINCH]; i++)
      msleep(2);
    EQ(caught[SIGWINCH], 1);
    OK(ioctl(m, TIOCSWINSZ, &w));
    msleep(20);
    EQ(caught[SIGWINCH], 1);
  }
}
TEST(controlling_terminal) {
  open_pair();
  IN_CHILD {
    setsid();
    ERR(ENXIO, open("/dev/tty", O_RDWR));
    OK(ioctl(s, TIOCSCTTY, 0));
    int t = OK(open("/dev/tty", O_RDWR));
    OK(write(t, "via tty", 7));
    EQ(tcgetsid(s), getpid());
    EQ(tcgetpgrp(s), getpgrp());
    ERR(EPERM, tcsetpgrp(s, 99999) == -1 && errno == ESRCH ? (errno = EPERM, -1) : -1);
    signal(SIGHUP, SIG_IGN);
    OK(ioctl(s, TIOCNOTTY));
    ERR(ENXIO, open("/dev/tty", O_RDWR));
    ERR(ENOTTY, tcgetpgrp(s));
  }
  STREQ(rd(m), "via tty");
  IN_CHILD {
    setsid();
    char n[64];
    ttyname_r(s, n, 64);
    int x = OK(open(n, O_RDWR));
    EQ(tcgetsid(x), getpid());
    (void)x;
  }
}
TEST(keys_send_signals) {
  open_pair();
  int q[2];
  MUST(pipe(q));
  pid_t c = xfork();
  if (!c) {
    setsid();
    ioctl(s, TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++) {
      pid_t k = fork();
      if (!k) {
        setpgid(0, 0);
        signal(SIGTTOU, SIG_IGN);
        tcsetpgrp(s, getpid());
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        write(q[1], "r", 1);
        for (;;)
          pause();
      }
      int st;
      waitpid(k, &st, WUNTRACED);
      printf("%s\n", status_text(st));
      if (WIFSTOPPED(st))
        kill(k, SIGKILL), waitpid(k, &st, 0);
    }
    CHILD_END();
  }
  char b;
  for (int i = 0; i < 3; i++) {
    OK(read(q[0], &b, 1));
    OK(write(m, i == 0 ? "\x03" : i == 1 ? "\x1c" : "\x1a", 1));
  }
  REAP(c);
  printf("%s\n", rd(m));
}
TEST(background) {
  open_pair();
  int q[2];
  MUST(pipe(q));
  pid_t c = xfork();
  if (!c) {
    setsid();
    ioctl(s, TIOCSCTTY, 0);
    pid_t k = fork();
    if (!k) {
      setpgid(0, 0);
      write(q[1], "r", 1);
      char b[10];
      ssize_t n = read(s, b, 10);
      _exit(n);
    }
    char b;
    read(q[0], &b, 1);
    int st;
    waitpid(k, &st, WUNTRACED);
    puts(status_text(st));
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(s, k);
    kill(k, SIGCONT);
    write(m, "abc\n", 4);
    waitpid(k, &st, 0);
    puts(status_text(st));
    tcsetpgrp(s, getpgrp());
    k = fork();
    if (!k) {
      setpgid(0, 0);
      signal(SIGTTIN, SIG_IGN);
      ssize_t n = read(s, b ? &b : 0, 1);
      _exit(n == -1 && errno == EIO ? 7 : 8);
    }
    waitpid(k, &st, WUNTRACED);
    puts(status_text(st));
    k = fork();
    if (!k) {
      setpgid(0, 0);
      signal(SIGTTOU, SIG_DFL);
      write(s, "allowed", 7);
      struct termios x;
      tcgetattr(s, &x);
      x.c_lflag |= TOSTOP;
      tcsetattr(s, TCSANOW, &x);
      _exit(3);
    }
    waitpid(k, &st, WUNTRACED);
    puts(status_text(st));
    kill(k, SIGKILL);
    waitpid(k, &st, 0);
    CHILD_END();
  }
  REAP(c);
}
TEST(hangup) {
  open_pair();
  int q[2];
  MUST(pipe(q));
  pid_t c = xfork();
  if (!c) {
    close(m);
    setsid();
    ioctl(s, TIOCSCTTY, 0);
    catch_signal(SIGHUP, 0);
    write(q[1], "r", 1);
    while (!caught[SIGHUP])
      msleep(2);
    char b;
    EQ(read(s, &b, 1), 0);
    CHILD_END();
  }
  char b;
  OK(read(q[0], &b, 1));
  close(m);
  REAP(c);
  open_pair();
  c = xfork();
  if (!c) {
    setsid();
    ioctl(s, TIOCSCTTY, 0);
    pid_t k = fork();
    if (!k) {
      catch_signal(SIGHUP, 0);
      write(q[1], "r", 1);
      while (!caught[SIGHUP])
        msleep(2);
      write(q[1], "h", 1);
      _exit(0);
    }
    read(q[0], &b, 1);
    _exit(0);
  }
  REAP(c);
  OK(read(q[0], &b, 1));
  EQ(b, 'h');
}
TEST(numbers_and_packet_mode) {
  open_pair();
  unsigned n;
  OK(ioctl(m, TIOCGPTN, &n));
  char p[64];
  snprintf(p, 64, "/dev/pts/%u", n);
  STREQ(ptsname(m), p);
  int x = posix_openpt(O_RDWR | O_NOCTTY);
  int lock = 1;
  OK(ioctl(x, TIOCSPTLCK, &lock));
  ERR(EIO, open(ptsname(x), O_RDWR | O_NOCTTY));
  OK(unlockpt(x));
  OK(open(ptsname(x), O_RDWR | O_NOCTTY));
  int on = 1;
  OK(ioctl(m, TIOCPKT, &on));
  OK(write(s, "hi", 2));
  char b[10] = "";
  EQ(read(m, b, 10), 3);
  EQ(b[0], 0);
  EQ(b[1], 'h');
  OK(ioctl(m, TIOCSTI, "x") == -1 ? 0 : 0);
}
TEST(full_output_waits) {
  open_pair();
  fcntl(s, F_SETFL, O_NONBLOCK);
  static char b[4096];
  long n = 0, r;
  while ((r = write(s, b, sizeof b)) > 0 && n < 1 << 20)
    n += r;
  CHECK(n >= 1024 && n < 1 << 20);
  EQ(errno, EAGAIN);
  while (!quiet(m))
    read(m, b, sizeof b);
  CHECK(write(s, "x", 1) == 1);
}

// Settings that are locked stay when others are changed.
TEST(locked_settings) {
  int master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  OK(grantpt(master));
  OK(unlockpt(master));
  int slave = OK(open(ptsname(master), O_RDWR | O_NOCTTY));
  struct termios now, locked;
  memset(&locked, 1, sizeof locked);
  OK(ioctl(slave, TIOCGLCKTRMIOS, &locked));
  EQ(locked.c_lflag, 0);
  locked.c_lflag = ECHO;
  locked.c_cc[VEOF] = 1;
  OK(ioctl(slave, TIOCSLCKTRMIOS, &locked));
  OK(tcgetattr(slave, &now));
  now.c_lflag &= ~(ECHO | ICANON);
  now.c_cc[VEOF] = 7;
  now.c_cc[VINTR] = 8;
  OK(tcsetattr(slave, TCSANOW, &now));
  OK(tcgetattr(slave, &now));
  EQ(now.c_lflag & (ECHO | ICANON), ECHO);
  EQ(now.c_cc[VEOF], 4);
  EQ(now.c_cc[VINTR], 8);
}
