// timerfd_create(2) and family.
#include "guest.h"
static struct itimerspec ms(int first, int every) {
  return (struct itimerspec){{every / 1000, every % 1000 * 1000000l}, {first / 1000, first % 1000 * 1000000l}};
}
TEST(once) {
  int t = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
  struct itimerspec s = ms(30, 0), o;
  uint64_t n;
  ERR(EAGAIN, read(t, &n, 8));
  OK(timerfd_settime(t, 0, &s, 0));
  ERR(EAGAIN, read(t, &n, 8));
  struct pollfd p = {t, POLLIN, 0};
  EQ(poll(&p, 1, 5000), 1);
  EQ(read(t, &n, 8), 8);
  EQ(n, 1);
  ERR(EAGAIN, read(t, &n, 8));
  OK(timerfd_gettime(t, &o));
  EQ(o.it_value.tv_sec, 0);
  EQ(o.it_value.tv_nsec, 0);
}
TEST(periodic) {
  int t = OK(timerfd_create(CLOCK_MONOTONIC, 0));
  struct itimerspec s = ms(10, 10), o;
  OK(timerfd_settime(t, 0, &s, 0));
  msleep(65);
  uint64_t n;
  EQ(read(t, &n, 8), 8);
  CHECK(n >= 5);
  OK(timerfd_gettime(t, &o));
  EQ(o.it_interval.tv_nsec, 10000000);
  CHECK(o.it_value.tv_nsec <= 10000000);
  s = ms(0, 0);
  OK(timerfd_settime(t, 0, &s, &o));
  EQ(o.it_interval.tv_nsec, 10000000);
  struct pollfd p = {t, POLLIN, 0};
  EQ(poll(&p, 1, 40), 0);
}
TEST(absolute) {
  int t = OK(timerfd_create(CLOCK_REALTIME, 0));
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct itimerspec s = {{0, 0}, {now.tv_sec - 10, 0}};
  OK(timerfd_settime(t, TFD_TIMER_ABSTIME, &s, 0));
  uint64_t n;
  EQ(read(t, &n, 8), 8);
  EQ(n, 1);
  s.it_value = now;
  s.it_value.tv_nsec += 50000000;
  if (s.it_value.tv_nsec >= 1000000000)
    s.it_value.tv_sec++, s.it_value.tv_nsec -= 1000000000;
  OK(timerfd_settime(t, TFD_TIMER_ABSTIME, &s, 0));
  EQ(read(t, &n, 8), 8);
  struct timespec then;
  clock_gettime(CLOCK_REALTIME, &then);
  CHECK(then.tv_sec > s.it_value.tv_sec || (then.tv_sec == s.it_value.tv_sec && then.tv_nsec >= s.it_value.tv_nsec));
}
TEST(arguments) {
  ERR(EINVAL, timerfd_create(99, 0));
  ERR(EINVAL, timerfd_create(CLOCK_MONOTONIC, 1));
  int t = OK(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC));
  EQ(fcntl(t, F_GETFD), FD_CLOEXEC);
  struct itimerspec s = ms(10, 0);
  s.it_value.tv_nsec = 1000000000;
  ERR(EINVAL, timerfd_settime(t, 0, &s, 0));
  s = ms(10, 0);
  ERR(EINVAL, timerfd_settime(t, 0x100, &s, 0));
  ERR(EINVAL, timerfd_settime(0, 0, &s, 0));
  ERR(EBADF, timerfd_settime(99, 0, &s, 0));
  ERR(EFAULT, timerfd_settime(t, 0, (void *)8, 0));
  uint64_t n;
  ERR(EINVAL, read(t, &n, 4));
  ERR(EINVAL, write(t, &n, 8));
}
