// Threads: creation, synchronisation, cancellation, directed signals, the end of the leader.
#include "guest.h"
#include <linux/futex.h>
#include <semaphore.h>
static long futex(volatile int *u, int op, int v, const struct timespec *t, volatile int *u2, int v3) {
  return syscall(SYS_futex, u, op, v, t, u2, v3);
}
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static volatile int shared, stop;
static void *add(void *x) {
  for (int i = 0; i < (int)(long)x; i++) {
    pthread_mutex_lock(&m);
    shared++;
    pthread_mutex_unlock(&m);
  }
  return x;
}
TEST(mutex) {
  pthread_t t[8];
  for (int i = 0; i < 8; i++)
    EQ(pthread_create(t + i, 0, add, (void *)2000), 0);
  for (int i = 0; i < 8; i++) {
    void *r;
    EQ(pthread_join(t[i], &r), 0);
    EQ((long)r, 2000);
  }
  EQ(shared, 16000);
}
static void *waiter(void *x) {
  (void)x;
  pthread_mutex_lock(&m);
  shared++;
  while (!stop)
    pthread_cond_wait(&cv, &m);
  shared--;
  pthread_mutex_unlock(&m);
  return 0;
}
TEST(condition) {
  pthread_t t[10];
  for (int i = 0; i < 10; i++)
    pthread_create(t + i, 0, waiter, 0);
  while (shared < 10)
    msleep(1);
  pthread_mutex_lock(&m);
  stop = 1;
  pthread_cond_broadcast(&cv);
  pthread_mutex_unlock(&m);
  for (int i = 0; i < 10; i++)
    pthread_join(t[i], 0);
  EQ(shared, 0);
  struct timespec d;
  clock_gettime(CLOCK_REALTIME, &d);
  d.tv_nsec += 20000000;
  if (d.tv_nsec >= 1000000000)
    d.tv_sec++, d.tv_nsec -= 1000000000;
  pthread_mutex_lock(&m);
  EQ(pthread_cond_timedwait(&cv, &m, &d), ETIMEDOUT);
  EQ(pthread_mutex_unlock(&m), 0);
}
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static void *reader(void *x) {
  (void)x;
  for (int i = 0; i < 500; i++) {
    pthread_rwlock_rdlock(&rw);
    int a = shared, b = shared;
    CHECK(a == b);
    pthread_rwlock_unlock(&rw);
  }
  return 0;
}
static void *writer(void *x) {
  (void)x;
  for (int i = 0; i < 500; i++) {
    pthread_rwlock_wrlock(&rw);
    shared++;
    pthread_rwlock_unlock(&rw);
  }
  return 0;
}
TEST(read_write_lock) {
  pthread_t t[6];
  for (int i = 0; i < 6; i++)
    pthread_create(t + i, 0, i % 2 ? writer : reader, 0);
  for (int i = 0; i < 6; i++)
    pthread_join(t[i], 0);
  EQ(shared, 1500);
}
static pthread_barrier_t bar;
static int serial;
static void *phases(void *x) {
  (void)x;
  for (int i = 0; i < 20; i++) {
    __sync_fetch_and_add(&shared, 1);
    if (pthread_barrier_wait(&bar) == PTHREAD_BARRIER_SERIAL_THREAD)
      serial++;
    CHECK(shared >= (i + 1) * 4);
    pthread_barrier_wait(&bar);
  }
  return 0;
}
TEST(barrier) {
  pthread_barrier_init(&bar, 0, 4);
  pthread_t t[4];
  for (int i = 0; i < 4; i++)
    pthread_create(t + i, 0, phases, 0);
  for (int i = 0; i < 4; i++)
    pthread_join(t[i], 0);
  EQ(serial, 20);
  EQ(shared, 80);
}
static void *nothing(void *x) {
  return x;
}
static sem_t gate;
static void *gated(void *x) {
  sem_wait(&gate);
  sem_post(&gate);
  return x;
}
TEST(two_hundred) {
  sem_init(&gate, 0, 0);
  pthread_attr_t a;
  pthread_attr_init(&a);
  pthread_attr_setstacksize(&a, 65536);
  pthread_t t[200];
  for (int i = 0; i < 200; i++)
    EQ(pthread_create(t + i, &a, gated, (void *)(long)i), 0);
  DIR *d = opendir("/proc/self/task");
  int k = 0;
  while (readdir(d))
    k++;
  closedir(d);
  EQ(k, 203);
  CHECK(strstr(get("/proc/self/status"), "Threads:\t201"));
  sem_post(&gate);
  for (int i = 0; i < 200; i++) {
    void *r;
    pthread_join(t[i], &r);
    EQ((long)r, i);
  }
  for (int i = 0; i < 300; i++) {
    pthread_create(t, 0, nothing, 0);
    pthread_join(*t, 0);
  }
}
static pthread_mutex_t rm;
static void *die_holding(void *x) {
  pthread_mutex_lock(&rm);
  return x;
}
TEST(robust_mutex) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&rm, &a);
  pthread_t t;
  pthread_create(&t, 0, die_holding, 0);
  pthread_join(t, 0);
  EQ(pthread_mutex_lock(&rm), EOWNERDEAD);
  EQ(pthread_mutex_consistent(&rm), 0);
  EQ(pthread_mutex_unlock(&rm), 0);
  EQ(pthread_mutex_lock(&rm), 0);
}
TEST(robust_across_processes) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
  pthread_mutex_t *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutex_init(p, &a);
  pid_t c = xfork();
  if (!c) {
    pthread_mutex_lock(p);
    kill(getpid(), SIGKILL);
  }
  puts(reap(c));
  EQ(pthread_mutex_lock(p), EOWNERDEAD);
}
TEST(priority_inheritance) {
  pthread_mutexattr_t a;
  pthread_mutexattr_init(&a);
  pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
  pthread_mutex_init(&m, &a);
  pthread_t t[4];
  for (int i = 0; i < 4; i++)
    pthread_create(t + i, 0, add, (void *)500);
  for (int i = 0; i < 4; i++)
    pthread_join(t[i], 0);
  EQ(shared, 2000);
  pthread_mutex_lock(&m);
  pid_t c = xfork();
  if (!c) {
    EQ(pthread_mutex_trylock(&m), EBUSY);
    CHILD_END();
  }
  REAP(c);
}
TEST(futex_calls) {
  volatile int f = 5;
  ERR(EAGAIN, futex(&f, FUTEX_WAIT, 4, 0, 0, 0));
  struct timespec t = {0, 10000000};
  ERR(ETIMEDOUT, futex(&f, FUTEX_WAIT, 5, &t, 0, 0));
  EQ(futex(&f, FUTEX_WAKE, 1, 0, 0, 0), 0);
  ERR(EFAULT, futex((void *)8, FUTEX_WAIT, 0, 0, 0, 0));
  ERR(EINVAL, futex((void *)((char *)&f + 1), FUTEX_WAIT, 0, 0, 0, 0));
  ERR(ENOSYS, futex(&f, 77, 0, 0, 0, 0));
  ERR(EINVAL, futex(&f, FUTEX_WAIT_BITSET, 5, &t, 0, 0));
  t.tv_nsec = -1;
  ERR(EINVAL, futex(&f, FUTEX_WAIT, 5, &t, 0, 0));
  catch_signal(SIGALRM, 0);
  struct itimerval it = {{0, 0}, {0, 20000}};
  setitimer(ITIMER_REAL, &it, 0);
  ERR(EINTR, futex(&f, FUTEX_WAIT, 5, 0, 0, 0));
  struct timespec abs;
  clock_gettime(CLOCK_MONOTONIC, &abs);
  ERR(ETIMEDOUT, futex(&f, FUTEX_WAIT_BITSET, 5, &abs, 0, -1));
  ERR(EAGAIN, futex(&f, FUTEX_CMP_REQUEUE, 1, (void *)1, &f, 9));
}
static volatile int w1, w2;
static volatile int woken;
static void *fw(void *x) {
  (void)x;
  __sync_fetch_and_add(&shared, 1);
  futex(&w1, FUTEX_WAIT, 0, 0, 0, 0);
  __sync_fetch_and_add(&woken, 1);
  return 0;
}
TEST(requeue) {
  pthread_t t[5];
  for (int i = 0; i < 5; i++)
    pthread_create(t + i, 0, fw, 0);
  while (shared < 5)
    msleep(1);
  msleep(50);
  EQ(futex(&w1, FUTEX_CMP_REQUEUE, 1, (void *)10, &w2, 0), 5);
  while (woken < 1)
    msleep(1);
  msleep(20);
  EQ(woken, 1);
  EQ(futex(&w1, FUTEX_WAKE, 10, 0, 0, 0), 0);
  EQ(futex(&w2, FUTEX_WAKE, 2, 0, 0, 0), 2);
  EQ(futex(&w2, FUTEX_WAKE, 10, 0, 0, 0), 2);
  for (int i = 0; i < 5; i++)
    pthread_join(t[i], 0);
}
TEST(shared_futex) {
  volatile int *f = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t c = xfork();
  if (!c) {
    while (!*f)
      futex(f, FUTEX_WAIT, 0, 0, 0, 0);
    EQ(*f, 7);
    CHILD_END();
  }
  until_asleep(c);
  *f = 7;
  futex(f, FUTEX_WAKE, 1, 0, 0, 0);
  REAP(c);
  put("f", "12345678");
  int fd = OK(open("f", O_RDWR));
  volatile int *a = mmap(0, 4096, 3, MAP_SHARED, fd, 0), *b = mmap(0, 4096, 3, MAP_SHARED, fd, 0);
  *a = 0;
  c = xfork();
  if (!c) {
    while (!*b)
      futex(b, FUTEX_WAIT, 0, 0, 0, 0);
    CHILD_END();
  }
  until_asleep(c);
  *a = 1;
  EQ(futex(a, FUTEX_WAKE, 1, 0, 0, 0), 1);
  REAP(c);
}
static int p[2];
static volatile int cleaned;
static void cleanup(void *x) {
  (void)x;
  cleaned++;
}
static void *cancelled(void *x) {
  (void)x;
  pthread_cleanup_push(cleanup, 0);
  char b;
  read(p[0], &b, 1);
  pthread_cleanup_pop(0);
  return 0;
}
TEST(cancellation) {
  MUST(pipe(p));
  pthread_t t;
  pthread_create(&t, 0, cancelled, 0);
  msleep(20);
  EQ(pthread_cancel(t), 0);
  void *r;
  pthread_join(t, &r);
  CHECK(r == PTHREAD_CANCELED);
  EQ(cleaned, 1);
}
static volatile pid_t handled_by;
static void who(int s) {
  (void)s;
  handled_by = gettid();
}
static volatile pid_t tid;
static void *sleeper(void *x) {
  (void)x;
  tid = gettid();
  while (!stop)
    msleep(2);
  return 0;
}
TEST(directed_signals) {
  signal(SIGUSR1, who);
  pthread_t t;
  pthread_create(&t, 0, sleeper, 0);
  while (!tid)
    msleep(1);
  OK(syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
  while (!handled_by)
    msleep(1);
  EQ(handled_by, tid);
  handled_by = 0;
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &s, 0);
  OK(kill(getpid(), SIGUSR1));
  while (!handled_by)
    msleep(1);
  EQ(handled_by, tid);
  ERR(ESRCH, syscall(SYS_tgkill, 1, tid, SIGUSR1));
  stop = 1;
  pthread_join(t, 0);
  ERR(ESRCH, syscall(SYS_tgkill, getpid(), tid, 0));
}
static void *last(void *x) {
  (void)x;
  msleep(50);
  printf("last thread\n");
  fflush(stdout);
  exit(23);
}
TEST(leader_ends_first) {
  pid_t c = xfork();
  if (!c) {
    pthread_t t;
    pthread_create(&t, 0, last, 0);
    syscall(SYS_exit, 0);
  }
  puts(reap(c));
  c = xfork();
  if (!c) {
    pthread_t t;
    pthread_create(&t, 0, last, 0);
    pthread_exit(0);
  }
  puts(reap(c));
}
static void *ender(void *x) {
  (void)x;
  syscall(SYS_exit_group, 44);
  return 0;
}
static void *crasher(void *x) {
  (void)x;
  *(volatile int *)0 = 1;
  return 0;
}
static void *spinner(void *x) {
  (void)x;
  for (;;)
    ;
  return 0;
}
TEST(group_exit) {
  pid_t c = xfork();
  if (!c) {
    pthread_t t;
    for (int i = 0; i < 3; i++)
      pthread_create(&t, 0, spinner, 0);
    pthread_create(&t, 0, ender, 0);
    for (;;)
      pause();
  }
  puts(reap(c));
  c = xfork();
  if (!c) {
    pthread_t t;
    pthread_create(&t, 0, sleeper, 0);
    pthread_create(&t, 0, crasher, 0);
    for (;;)
      pause();
  }
  puts(reap(c));
}
static void *own(void *x) {
  (void)x;
  unshare(CLONE_FS);
  chdir("/");
  return 0;
}
static __thread int tls = 3;
static void *tls_thread(void *x) {
  (void)x;
  int was = tls;
  tls = 9;
  return (void *)(long)was;
}
TEST(thread_local_and_shared_state) {
  pthread_t t;
  void *r;
  tls = 5;
  pthread_create(&t, 0, tls_thread, 0);
  pthread_join(t, &r);
  EQ((long)r, 3);
  EQ(tls, 5);
  pthread_create(&t, 0, own, 0);
  pthread_join(t, 0);
  char b[PATH_MAX];
  getcwd(b, sizeof b);
  CHECK(strcmp(b, "/"));
  CHECK(getpid() == gettid());
}
static void *forker(void *x) {
  (void)x;
  pid_t c = fork();
  if (!c) {
    DIR *d = opendir("/proc/self/task");
    int k = 0;
    while (readdir(d))
      k++;
    _exit(k - 2);
  }
  return strdup(reap(c));
}
TEST(fork_from_a_thread) {
  pthread_t t, s;
  pthread_create(&s, 0, sleeper, 0);
  pthread_create(&t, 0, forker, 0);
  void *r;
  pthread_join(t, &r);
  puts(r);
  stop = 1;
  pthread_join(s, 0);
}
static void *reader_thread(void *x) {
  char b;
  return (void *)(long)read(*(int *)x, &b, 1);
}
TEST(wait_by_any_thread) {
  int q[2];
  MUST(pipe(q));
  pthread_t t;
  pthread_create(&t, 0, reader_thread, q);
  msleep(10);
  pid_t c = xfork();
  if (!c)
    _exit(3);
  puts(reap(c));
  OK(write(q[1], "x", 1));
  void *r;
  pthread_join(t, &r);
  EQ((long)r, 1);
}
TEST(shared_futexes_need_a_page) {
  int word = 0, *none = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ERR(EFAULT, syscall(SYS_futex, none, FUTEX_WAKE, 1, 0, 0, 0));
  EQ(syscall(SYS_futex, none, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0), 0);
  ERR(EFAULT, syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 1L, none, 0));
  munmap(none, 4096);
  ERR(EFAULT, syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 1, 1L, none, 0));
}
