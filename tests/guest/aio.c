// Asynchronous I/O of the kernel: io_setup, io_submit, io_getevents, io_cancel.
#include "guest.h"
#include <linux/aio_abi.h>
#define setup(n, c) syscall(SYS_io_setup, n, c)
#define destroy(c) syscall(SYS_io_destroy, c)
#define submit(c, n, l) syscall(SYS_io_submit, c, n, l)
#define getevents(c, min, max, ev, t) syscall(SYS_io_getevents, c, min, max, ev, t)
static aio_context_t ctx;
static struct io_event ev[8];
static struct iocb cb(int op, int fd, void *buf, size_t n, long long at) {
  return (struct iocb){.aio_data = 7, .aio_lio_opcode = op, .aio_fildes = fd, .aio_buf = (uintptr_t)buf, .aio_nbytes = n, .aio_offset = at};
}
static long one(struct iocb b) {
  struct iocb *l[] = {&b};
  if (submit(ctx, 1, l) != 1) return -1000 - errno;
  if (getevents(ctx, 1, 1, ev, 0) != 1) return -2000;
  CHECK(ev[0].data == 7 && ev[0].obj == (uintptr_t)&b);
  return ev[0].res;
}
TEST(reads_and_writes) {
  char buf[16] = {0};
  int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
  OK(setup(4, &ctx));
  EQ(one(cb(IOCB_CMD_PWRITE, fd, "hello", 5, 3)), 5);
  EQ(one(cb(IOCB_CMD_PREAD, fd, buf, 16, 4)), 4);
  STREQ(buf, "ello");
  struct iovec v[2] = {{"ab", 2}, {"cd", 2}}, r[2] = {{buf, 1}, {buf + 8, 3}};
  EQ(one(cb(IOCB_CMD_PWRITEV, fd, v, 2, 0)), 4);
  EQ(one(cb(IOCB_CMD_PREADV, fd, r, 2, 0)), 4);
  CHECK(buf[0] == 'a' && !memcmp(buf + 8, "bcd", 3));
  EQ(one(cb(IOCB_CMD_FSYNC, fd, 0, 0, 0)), 0);
  EQ(one(cb(IOCB_CMD_FDSYNC, fd, 0, 0, 0)), 0);
  EQ(one(cb(IOCB_CMD_PREAD, fd, buf, 16, 100)), 0);
  EQ(one(cb(IOCB_CMD_PREAD, fd, (void *)8, 16, 0)), -EFAULT);
  EQ(lseek(fd, 0, SEEK_CUR), 0);
  int p[2];
  OK(pipe(p));
  EQ(one(cb(IOCB_CMD_PWRITE, p[1], "xyz", 3, 0)), 3);
  EQ(one(cb(IOCB_CMD_PREAD, p[0], buf, 3, 0)), 3);
  int e = OK(eventfd(0, 0));
  struct iocb b = cb(IOCB_CMD_PREAD, fd, buf, 2, 0);
  b.aio_flags = IOCB_FLAG_RESFD;
  b.aio_resfd = e;
  EQ(one(b), 2);
  uint64_t n = 0;
  EQ(read(e, &n, 8), 8);
  EQ(n, 1);
  OK(destroy(ctx));
}
TEST(refusals) {
  char buf[16];
  ctx = 5;
  ERR(EINVAL, setup(4, &ctx));
  ctx = 0;
  ERR(EINVAL, setup(0, &ctx));
  ERR(EFAULT, setup(4, 8));
  ERR(EAGAIN, setup(1 << 20, &ctx));
  OK(setup(4, &ctx));
  int fd = OK(open("f", O_CREAT | O_RDONLY, 0600));
  struct iocb good = cb(IOCB_CMD_PREAD, fd, buf, 1, 0), bad = cb(IOCB_CMD_PREAD, 99, buf, 1, 0);
  struct iocb *l[] = {&good, &bad};
  EQ(submit(ctx, 2, l), 1);
  EQ(submit(ctx, 0, l), 0);
  ERR(EINVAL, submit(ctx, -1L, l));
  ERR(EINVAL, submit(ctx + 4096, 1, l));
  ERR(EFAULT, submit(ctx, 1, 8));
  ERR(EBADF, submit(ctx, 1, l + 1));
  bad = cb(IOCB_CMD_PWRITE, fd, buf, 1, 0);
  ERR(EBADF, submit(ctx, 1, l + 1));
  bad = cb(99, fd, buf, 1, 0);
  ERR(EINVAL, submit(ctx, 1, l + 1));
  bad = cb(IOCB_CMD_FSYNC, fd, buf, 0, 0);
  ERR(EINVAL, submit(ctx, 1, l + 1));
  bad = cb(IOCB_CMD_PREAD, fd, buf, -1, 0);
  ERR(EINVAL, submit(ctx, 1, l + 1));
  bad = cb(IOCB_CMD_PREAD, fd, buf, 1, 0);
  bad.aio_reserved2 = 1;
  ERR(EINVAL, submit(ctx, 1, l + 1));
  bad.aio_reserved2 = 0;
  bad.aio_flags = IOCB_FLAG_RESFD;
  bad.aio_resfd = fd;
  ERR(EINVAL, submit(ctx, 1, l + 1));
  struct timespec t = {0, 10000000}, zero = {0};
  ERR(EINVAL, getevents(ctx, 2, 1, ev, &t));
  ERR(EINVAL, getevents(ctx, -1L, 1, ev, &t));
  ERR(EFAULT, getevents(ctx, 1, 1, 8, &t));
  EQ(getevents(ctx, 2, 8, ev, &t), 1);
  EQ(getevents(ctx, 1, 8, ev, &zero), 0);
  EQ(getevents(ctx, 0, 8, ev, 0), 0);
  ERR(EINVAL, syscall(SYS_io_cancel, ctx, &good, ev));
  OK(destroy(ctx));
  ERR(EINVAL, destroy(ctx));
  ERR(EINVAL, getevents(ctx, 0, 1, ev, 0));
}
