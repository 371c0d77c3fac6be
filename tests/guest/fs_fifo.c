// FIFOs: opening waits for the other end, ENXIO, reopening, end of file.
#include "guest.h"
TEST(open_waits_for_the_other_end) {
  OK(mkfifo("p", 0600));
  pid_t c = xfork();
  if (!c) {
    int w = OK(open("p", O_WRONLY));
    OK(write(w, "hello", 5));
    CHILD_END();
  }
  until_asleep(c);
  int r = OK(open("p", O_RDONLY));
  char b[10] = "";
  EQ(read(r, b, 10), 5);
  STREQ(b, "hello");
  EQ(read(r, b, 10), 0);
  REAP(c);
}
TEST(nonblocking_open) {
  OK(mkfifo("p", 0600));
  ERR(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
  int r = OK(open("p", O_RDONLY | O_NONBLOCK));
  char b[4];
  EQ(read(r, b, 4), 0);
  int w = OK(open("p", O_WRONLY | O_NONBLOCK));
  ERR(EAGAIN, read(r, b, 4));
  OK(write(w, "x", 1));
  EQ(read(r, b, 4), 1);
  close(w);
  EQ(read(r, b, 4), 0);
  int rw = OK(open("p", O_RDWR));
  ERR(EAGAIN, read(r, b, 4));
  OK(write(rw, "y", 1));
  EQ(read(rw, b, 4), 1);
  ERR(ESPIPE, lseek(r, 0, SEEK_SET));
}
TEST(open_interrupted) {
  OK(mkfifo("p", 0600));
  catch_signal(SIGALRM, 0);
  struct itimerval t = {{0, 0}, {0, 30000}};
  setitimer(ITIMER_REAL, &t, 0);
  ERR(EINTR, open("p", O_RDONLY));
  setitimer(ITIMER_REAL, &t, 0);
  ERR(EINTR, open("p", O_WRONLY));
}
TEST(no_reader) {
  OK(mkfifo("p", 0600));
  int r = OK(open("p", O_RDONLY | O_NONBLOCK)), w = OK(open("p", O_WRONLY));
  close(r);
  catch_signal(SIGPIPE, 0);
  ERR(EPIPE, write(w, "x", 1));
  EQ(caught[SIGPIPE], 1);
  struct pollfd p = {w, POLLOUT, 0};
  EQ(poll(&p, 1, 0), 1);
  CHECK(p.revents & POLLERR);
  r = OK(open("p", O_RDONLY | O_NONBLOCK));
  OK(write(w, "x", 1));
}
TEST(poll_after_reopen) {
  OK(mkfifo("p", 0600));
  int r = OK(open("p", O_RDONLY | O_NONBLOCK));
  struct pollfd p = {r, POLLIN, 0};
  EQ(poll(&p, 1, 0), 0);
  int w = OK(open("p", O_WRONLY));
  close(w);
  EQ(poll(&p, 1, 0), 1);
  EQ(p.revents, POLLHUP);
  w = OK(open("p", O_WRONLY));
  EQ(poll(&p, 1, 0), 0);
  OK(write(w, "x", 1));
  close(w);
  EQ(poll(&p, 1, 0), 1);
  EQ(p.revents, POLLIN | POLLHUP);
}
TEST(same_object_by_name) {
  OK(mkfifo("p", 0600));
  OK(link("p", "q"));
  int r = OK(open("p", O_RDONLY | O_NONBLOCK)), w = OK(open("q", O_WRONLY));
  OK(unlink("p"));
  OK(unlink("q"));
  char b;
  OK(write(w, "z", 1));
  EQ(read(r, &b, 1), 1);
}
