// POSIX message queues: limits, priorities, notification, the file system.
#include "guest.h"
#include <mqueue.h>
static const char *name(void) {
  static char n[40]; // children have it, too
  if (!*n)
    snprintf(n, 40, "/guest-mq-%d", getpid());
  return n;
}
static mqd_t make(int flags, long max, long size) {
  struct mq_attr a = {.mq_maxmsg = max, .mq_msgsize = size};
  return (mqd_t)MUST(mq_open(name(), O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a));
}
TEST(mq_open_errors) {
  struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 64};
  ERR(ENOENT, mq_open("/guest-mq-none", O_RDWR));
  ERR(EINVAL, mq_open("guest-mq", O_RDWR));
  ERR(ENOENT, syscall(SYS_mq_open, "", O_RDWR, 0, 0));
  ERR(EACCES, syscall(SYS_mq_open, "a/b", O_RDWR, 0, 0));
  ERR(EACCES, syscall(SYS_mq_open, ".", O_RDWR, 0, 0));
  ERR(EACCES, syscall(SYS_mq_open, "..", O_RDWR | O_CREAT, 0600, 0));
  char longname[300];
  memset(longname, 'x', 299);
  longname[299] = 0;
  ERR(ENAMETOOLONG, syscall(SYS_mq_open, longname, O_RDWR, 0, 0));
  ERR(EFAULT, syscall(SYS_mq_open, "x", O_RDWR, 0, 1));
  ERR(EFAULT, syscall(SYS_mq_open, 1, O_RDWR, 0, 0));
  a.mq_maxmsg = 0;
  ERR(EINVAL, mq_open(name(), O_CREAT | O_RDWR, 0600, &a));
  a.mq_maxmsg = 3, a.mq_msgsize = -1;
  ERR(EINVAL, mq_open(name(), O_CREAT | O_RDWR, 0600, &a));
  a.mq_maxmsg = 65537, a.mq_msgsize = 1;
  ERR(EINVAL, mq_open(name(), O_CREAT | O_RDWR, 0600, &a));
  a.mq_maxmsg = 1, a.mq_msgsize = (16 << 20) + 1;
  ERR(EINVAL, mq_open(name(), O_CREAT | O_RDWR, 0600, &a));
  mqd_t q = make(0, 3, 64);
  ERR(EEXIST, mq_open(name(), O_CREAT | O_EXCL | O_RDWR, 0600, &a));
  EQ(fcntl(q, F_GETFD), FD_CLOEXEC);
  EQ(fcntl(q, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
  mqd_t r = OK(mq_open(name(), O_RDONLY | O_CREAT, 0600, &a));
  ERR(EBADF, mq_send(r, "x", 1, 0));
  mqd_t w = OK(mq_open(name(), O_WRONLY | O_NONBLOCK));
  char b[64];
  ERR(EBADF, mq_receive(w, b, 64, 0));
  ERR(EINVAL, mq_open(name(), O_ACCMODE));
  ERR(EBADF, mq_send(0, "x", 1, 0));
  ERR(EBADF, mq_send(-1, "x", 1, 0));
  ERR(EINVAL, mq_send(q, "x", 1, 32768));
  OK(mq_send(q, "", 0, 32767));
  ERR(EMSGSIZE, mq_send(q, b, 65, 0));
  ERR(EFAULT, mq_send(q, (char *)1, 1, 0));
  struct timespec bad = {0, 1000000000};
  ERR(EINVAL, mq_timedsend(q, "x", 1, 0, &bad));
  struct timespec neg = {-1, 0};
  ERR(EINVAL, mq_timedsend(q, "x", 1, 0, &neg));
  OK(mq_unlink(name()));
  ERR(ENOENT, mq_unlink(name()));
  ERR(ENOENT, mq_open(name(), O_RDWR));
  EQ(mq_receive(q, b, 64, 0), 0);
}
TEST(mq_attributes) {
  mqd_t q = make(0, 3, 64);
  struct mq_attr a, n = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 9};
  OK(mq_setattr(q, &n, &a));
  EQ(a.mq_flags, 0);
  EQ(a.mq_maxmsg, 3);
  EQ(a.mq_msgsize, 64);
  OK(mq_getattr(q, &a));
  EQ(a.mq_flags, O_NONBLOCK);
  EQ(a.mq_maxmsg, 3);
  EQ(fcntl(q, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  n.mq_flags = 1;
  ERR(EINVAL, mq_setattr(q, &n, 0));
  ERR(EBADF, mq_getattr(1, &a));
  char b[64];
  ERR(EAGAIN, mq_receive(q, b, 64, 0));
  for (int i = 0; i < 3; i++)
    OK(mq_send(q, "m", 1, i));
  ERR(EAGAIN, mq_send(q, "m", 1, 0));
  OK(mq_getattr(q, &a));
  EQ(a.mq_curmsgs, 3);
  for (unsigned i = 3, p; i-- > 0;) {
    EQ(mq_receive(q, b, 64, &p), 1);
    EQ(p, i);
  }
  OK(mq_unlink(name()));
}
TEST(mq_defaults) {
  mqd_t q = OK(mq_open(name(), O_CREAT | O_RDWR, 0644, 0));
  struct mq_attr a;
  OK(mq_getattr(q, &a));
  printf("%ld %ld\n", a.mq_maxmsg, a.mq_msgsize);
  struct stat st;
  OK(fstat(q, &st));
  EQ(st.st_mode, S_IFREG | 0644);
  EQ(st.st_size, 80);
  EQ(st.st_nlink, 1);
  OK(mq_unlink(name()));
  OK(fstat(q, &st));
  EQ(st.st_nlink, 0);
  static const char *const all[] = {"msg_default", "msg_max", "msgsize_default", "msgsize_max", "queues_max"};
  for (size_t i = 0; i < LEN(all); i++) {
    char p[64];
    snprintf(p, 64, "/proc/sys/fs/mqueue/%s", all[i]);
    printf("%s %s", all[i], get(p));
  }
}
TEST(mq_priorities_fifo) {
  mqd_t q = make(O_NONBLOCK, 8, 8);
  const char *t[] = {"a1", "b3", "c1", "d3", "e2", "f0"};
  for (int i = 0; i < 6; i++)
    OK(mq_send(q, t[i], 2, t[i][1] - '0'));
  char b[8];
  for (int i = 0; i < 6; i++) {
    EQ(mq_receive(q, b, 8, 0), 2);
    printf("%.2s ", b);
  }
  printf("\n");
  OK(mq_unlink(name()));
}
TEST(mq_blocked_sender) {
  mqd_t q = make(0, 1, 8);
  OK(mq_send(q, "one", 3, 0));
  pid_t p = xfork();
  if (!p) {
    OK(mq_send(q, "two", 3, 0));
    CHILD_END();
  }
  until_asleep(p);
  char b[8];
  EQ(mq_receive(q, b, 8, 0), 3);
  CHECK(!memcmp(b, "one", 3));
  REAP(p);
  EQ(mq_receive(q, b, 8, 0), 3);
  CHECK(!memcmp(b, "two", 3));
  OK(mq_unlink(name()));
}
TEST(mq_interrupted) {
  mqd_t q = make(0, 1, 8);
  catch_signal(SIGALRM, 0);
  struct itimerval t = {.it_value = {0, 50000}};
  char b[8];
  setitimer(ITIMER_REAL, &t, 0);
  ERR(EINTR, mq_receive(q, b, 8, 0));
  pid_t p = xfork();
  if (!p) {
    catch_signal(SIGUSR1, SA_RESTART);
    EQ(mq_receive(q, b, 8, 0), 2);
    EQ(caught[SIGUSR1], 1);
    CHILD_END();
  }
  until_asleep(p);
  OK(kill(p, SIGUSR1));
  msleep(50);
  until_asleep(p);
  OK(mq_send(q, "ok", 2, 0));
  REAP(p);
  OK(mq_unlink(name()));
}
TEST(mq_poll) {
  mqd_t q = make(0, 1, 8);
  struct pollfd p = {q, POLLIN | POLLOUT, 0};
  EQ(poll(&p, 1, 0), 1);
  EQ(p.revents, POLLOUT);
  OK(mq_send(q, "x", 1, 0));
  EQ(poll(&p, 1, 0), 1);
  EQ(p.revents, POLLIN);
  int e = OK(epoll_create1(0));
  struct epoll_event ev = {.events = EPOLLIN | EPOLLET}, got;
  OK(epoll_ctl(e, EPOLL_CTL_ADD, q, &ev));
  EQ(epoll_wait(e, &got, 1, 0), 1);
  EQ(epoll_wait(e, &got, 1, 0), 0);
  char b[8];
  OK(mq_receive(q, b, 8, 0));
  OK(mq_send(q, "x", 1, 0));
  EQ(epoll_wait(e, &got, 1, 0), 1);
  OK(mq_unlink(name()));
}
static volatile int notified, value;
static void on_notify(int s, siginfo_t *i, void *c) {
  (void)s, (void)c;
  notified = i->si_code;
  value = i->si_value.sival_int;
}
TEST(mq_notify_signal) {
  mqd_t q = make(O_NONBLOCK, 4, 8);
  struct sigaction sa = {.sa_sigaction = on_notify, .sa_flags = SA_SIGINFO};
  sigaction(SIGUSR1, &sa, 0);
  struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
  OK(mq_notify(q, &ev));
  ERR(EBUSY, mq_notify(q, &ev));
  IN_CHILD {
    ERR(EBUSY, mq_notify(q, &ev));
    OK(mq_notify(q, 0));
    OK(mq_send(q, "x", 1, 0));
  }
  EQ(notified, SI_MESGQ);
  EQ(value, 42);
  notified = 0;
  OK(mq_send(q, "x", 1, 0));
  EQ(notified, 0);
  OK(mq_notify(q, &ev));
  OK(mq_send(q, "x", 1, 0)); // not empty before
  EQ(notified, 0);
  OK(mq_notify(q, 0));
  OK(mq_notify(q, 0));
  ev.sigev_notify = 77;
  ERR(EINVAL, mq_notify(q, &ev));
  ev.sigev_notify = SIGEV_SIGNAL, ev.sigev_signo = 65;
  ERR(EINVAL, mq_notify(q, &ev));
  ERR(EBADF, mq_notify(1, 0));
  ev.sigev_notify = SIGEV_NONE;
  OK(mq_notify(q, &ev));
  char b[8];
  for (int i = 0; i < 3; i++)
    OK(mq_receive(q, b, 8, 0));
  OK(mq_send(q, "x", 1, 0));
  OK(mq_notify(q, &ev)); // it was used up
  OK(mq_close(dup(q)));  // and closing takes it back
  OK(mq_notify(q, &ev));
  OK(mq_unlink(name()));
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static int threads_told;
static void in_thread(union sigval v) {
  pthread_mutex_lock(&lock);
  threads_told = v.sival_int;
  pthread_cond_signal(&told);
  pthread_mutex_unlock(&lock);
}
TEST(mq_notify_thread) {

  mqd_t q = make(O_NONBLOCK, 4, 8);
  struct sigevent ev = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = in_thread, .sigev_value.sival_int = 7};
  OK(mq_notify(q, &ev));
  OK(mq_send(q, "x", 1, 0));
  pthread_mutex_lock(&lock);
  while (!threads_told)
    pthread_cond_wait(&told, &lock);
  pthread_mutex_unlock(&lock);
  EQ(threads_told, 7);
  struct sigevent raw = {
      .sigev_notify = SIGEV_THREAD, .sigev_signo = 0, .sigev_value.sival_ptr = "0123456789012345678901234567890"};
  ERR(ENOTSOCK, syscall(SYS_mq_notify, q, &raw));
  raw.sigev_signo = -1;
  ERR(EBADF, syscall(SYS_mq_notify, q, &raw));
  int u = socket(AF_UNIX, SOCK_STREAM, 0);
  raw.sigev_signo = u;
  ERR(EINVAL, syscall(SYS_mq_notify, q, &raw));
  raw.sigev_value.sival_ptr = (void *)1;
  ERR(EFAULT, syscall(SYS_mq_notify, q, &raw));
  OK(mq_unlink(name()));
}
TEST(mq_rlimit) {
  struct rlimit r = {81920 - 100, 819200}, o;
  OK(getrlimit(RLIMIT_MSGQUEUE, &o));
  become(65534, 65534);
  OK(setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){10 * (48 + 48 + 100) - 1, o.rlim_max}));
  struct mq_attr a = {.mq_maxmsg = 10, .mq_msgsize = 100};
  ERR(EMFILE, mq_open(name(), O_CREAT | O_RDWR, 0600, &a));
  OK(setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){10 * (48 + 48 + 100), o.rlim_max}));
  mqd_t q = OK(mq_open(name(), O_CREAT | O_RDWR, 0600, &a));
  ERR(EMFILE, mq_open("/guest-mq-two", O_CREAT | O_RDWR, 0600, &a));
  a.mq_maxmsg = 11;
  ERR(EINVAL, mq_open("/guest-mq-two", O_CREAT | O_RDWR, 0600, &a));
  a.mq_maxmsg = 10, a.mq_msgsize = 8193;
  ERR(EINVAL, mq_open("/guest-mq-two", O_CREAT | O_RDWR, 0600, &a));
  OK(mq_unlink(name()));
  OK(mq_close(q));
  a.mq_msgsize = 100;
  q = OK(mq_open(name(), O_CREAT | O_RDWR, 0600, &a));
  OK(mq_unlink(name()));
  (void)r;
}
TEST(mq_permissions) {
  mqd_t q = make(0, 2, 8);
  OK(fchmod(q, 0640));
  IN_CHILD {
    become(65534, 65534);
    ERR(EACCES, mq_open(name(), O_RDONLY));
    ERR(EACCES, mq_unlink(name()));
  }
  OK(fchmod(q, 0644));
  OK(mq_unlink(name()));
}
TEST(mq_filesystem) {
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC)) {
    printf("unshare: %s\n", ename(errno));
    return;
  }
  OK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
  OK(mkdir("m", 0755));
  OK(mount("mq", "m", "mqueue", 0, 0));
  struct stat st;
  OK(stat("m", &st));
  EQ(st.st_mode, S_IFDIR | 01777);
  EQ(st.st_size, 40);
  struct statfs sf;
  OK(statfs("m", &sf));
  EQ(sf.f_type, 0x19800202);
  struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 16};
  mqd_t q = OK(mq_open("/one", O_CREAT | O_RDWR, 0600, &a));
  OK(mq_send(q, "hello", 5, 0));
  printf("%s", get("m/one"));
  struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  OK(mq_notify(q, &ev));
  char want[100];
  snprintf(want, 100, "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", 5ul, SIGEV_SIGNAL, SIGUSR1, getpid());
  STREQ(get("m/one"), want);
  OK(stat("m", &st));
  EQ(st.st_size, 60);
  int fd = OK(open("m/two", O_CREAT | O_RDWR, 0600));
  OK(fstat(fd, &st));
  EQ(st.st_size, 80);
  OK(mq_getattr(fd, &a));
  EQ(a.mq_maxmsg, 10);
  ERR(EINVAL, write(fd, "x", 1));
  ERR(EPERM, mkdir("m/d", 0755));
  ERR(EPERM, symlink("x", "m/s"));
  ERR(EPERM, rename("m/one", "m/three"));
  DIR *d = opendir("m");
  int n = 0;
  for (struct dirent *e; (e = readdir(d));)
    n += e->d_name[0] != '.';
  closedir(d);
  EQ(n, 2);
  OK(unlink("m/one"));
  ERR(ENOENT, mq_open("/one", O_RDWR));
  ERR(EBUSY, umount("m"));
  close(fd);
  OK(umount("m"));
  OK(mount("mq", "m", "mqueue", 0, 0));
  OK(access("m/two", F_OK));
  OK(umount("m"));
}
