// Waits that are moved to locks, waits for readiness by asynchronous I/O, and what is counted meanwhile.
#include "guest.h"
#include <linux/futex.h>
#include <linux/aio_abi.h>
static int cond, lock, got;
static long fx(int *a, int op, int v, void *t, int *b, int v3) {
  return syscall(SYS_futex, a, op, v, t, b, v3);
}
static void *waiter(void *x) {
  (void)x;
  long r = fx(&cond, FUTEX_WAIT_REQUEUE_PI, 0, 0, &lock, 0);
  if (r) {
    printf("wait: %s\n", ename(errno));
    return 0;
  }
  EQ(lock & FUTEX_TID_MASK, syscall(SYS_gettid));
  __atomic_add_fetch(&got, 1, 5);
  fx(&lock, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
  return 0;
}
TEST(requeue_pi) {
  struct timespec t = {0, 0};
  ERR(EAGAIN, fx(&cond, FUTEX_WAIT_REQUEUE_PI, 1, 0, &lock, 0));
  ERR(EINVAL, fx(&cond, FUTEX_WAIT_REQUEUE_PI, 0, 0, &cond, 0));
  ERR(ETIMEDOUT, fx(&cond, FUTEX_WAIT_REQUEUE_PI, 0, &t, &lock, 0));
  ERR(EINVAL, fx(&cond, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &lock, 0));
  ERR(EAGAIN, fx(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 5));
  SHOW(fx(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &lock, 0));
  pthread_t th[3];
  OK(fx(&lock, FUTEX_LOCK_PI, 0, 0, 0, 0));
  for (int i = 0; i < 3; i++)
    pthread_create(&th[i], 0, waiter, 0);
  msleep(100);
  SHOW(fx(&cond, FUTEX_CMP_REQUEUE_PI, 1, (void *)(long)INT_MAX, &lock, 0));
  EQ(got, 0);
  OK(fx(&lock, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
  for (int i = 0; i < 3; i++)
    pthread_join(th[i], 0);
  EQ(got, 3);
  EQ(lock, 0);
  pthread_create(&th[0], 0, waiter, 0);
  msleep(50);
  SHOW(fx(&cond, FUTEX_WAKE, 1, 0, 0, 0));
  SHOW(fx(&cond, FUTEX_CMP_REQUEUE_PI, 1, 0, &lock, 0));
  pthread_join(th[0], 0);
  EQ(got, 4);
}
TEST(aio_poll) {
  aio_context_t c = 0;
  MUST(syscall(SYS_io_setup, 8, &c));
  int p[2];
  MUST(pipe(p));
  struct iocb a = {.aio_data = 7, .aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = p[0], .aio_buf = POLLIN}, *v[1] = {&a};
  EQ(syscall(SYS_io_submit, c, 1, v), 1);
  struct io_event e[2];
  struct timespec t = {0, 0};
  EQ(syscall(SYS_io_getevents, c, 0, 2, e, &t), 0);
  write(p[1], "x", 1);
  t.tv_sec = 5;
  EQ(syscall(SYS_io_getevents, c, 1, 2, e, &t), 1);
  EQ(e[0].data, 7);
  EQ(e[0].res & POLLIN, POLLIN);
  EQ(e[0].obj, (long)&a);
  EQ(syscall(SYS_io_submit, c, 1, v), 1);
  EQ(syscall(SYS_io_getevents, c, 1, 2, e, &t), 1);
  EQ(e[0].res, POLLIN);
  char b;
  read(p[0], &b, 1);
  EQ(syscall(SYS_io_submit, c, 1, v), 1);
  SHOW(syscall(SYS_io_cancel, c, &a, e));
  EQ(syscall(SYS_io_getevents, c, 1, 2, e, &t), 1);
  SHOW(e[0].res);
  SHOW(syscall(SYS_io_cancel, c, &a, e));
  a.aio_nbytes = 1;
  SHOW(syscall(SYS_io_submit, c, 1, v));
  a.aio_nbytes = 0;
  a.aio_buf = 0x10001;
  SHOW(syscall(SYS_io_submit, c, 1, v));
  a.aio_buf = POLLIN;
  EQ(syscall(SYS_io_submit, c, 1, v), 1);
  OK(syscall(SYS_io_destroy, c));
}
TEST(usage_counts) {
  struct rusage a, b;
  getrusage(RUSAGE_SELF, &a);
  for (int i = 0; i < 20; i++)
    msleep(1);
  getrusage(RUSAGE_SELF, &b);
  CHECK(b.ru_nvcsw - a.ru_nvcsw >= 20);
  char *m = mmap(0, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(m, 1, 1 << 22);
  getrusage(RUSAGE_SELF, &a);
  CHECK(a.ru_minflt > b.ru_minflt);
  double l[3];
  EQ(getloadavg(l, 3), 3);
  CHECK(l[0] >= 0 && l[0] < 1000);
  IN_CHILD {
    for (int i = 0; i < 20; i++)
      msleep(1);
  }
  getrusage(RUSAGE_CHILDREN, &b);
  CHECK(b.ru_nvcsw >= 20);
}
