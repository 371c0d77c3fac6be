// System V and POSIX IPC: shared memory, semaphores, message queues.
#include "guest.h"
#include <mqueue.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
TEST(shared_memory) {
  int id = OK(shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600));
  char *m = shmat(id, 0, 0), *r = shmat(id, 0, SHM_RDONLY);
  CHECK(m != (void *)-1 && r != (void *)-1);
  EQ(m[0], 0);
  strcpy(m, "shm");
  STREQ(r, "shm");
  IN_CHILD {
    STREQ(m, "shm");
    strcpy(m, "child");
  }
  STREQ(r, "child");
  struct shmid_ds d;
  OK(shmctl(id, IPC_STAT, &d));
  EQ(d.shm_segsz, 10000);
  EQ(d.shm_nattch, 2);
  EQ(d.shm_perm.mode & 0777, 0600);
  OK(shmdt(m));
  ERR(EINVAL, shmdt(m));
  OK(shmctl(id, IPC_STAT, &d));
  EQ(d.shm_nattch, 1);
  OK(shmctl(id, IPC_RMID, 0));
  STREQ(r, "child");
  OK(shmctl(id, IPC_STAT, &d));
  CHECK(d.shm_perm.mode & SHM_DEST);
  OK(shmdt(r));
  ERR(EINVAL, shmctl(id, IPC_STAT, &d));
  ERR(EINVAL, shmat(id, 0, 0) == (void *)-1 ? -1 : 0);
  ERR(EINVAL, shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600));
}
TEST(shared_memory_keys) {
  key_t k = 0x51520000 + getpid() % 60000;
  ERR(ENOENT, shmget(k, 4096, 0));
  int id = OK(shmget(k, 4096, IPC_CREAT | IPC_EXCL | 0600));
  ERR(EEXIST, shmget(k, 4096, IPC_CREAT | IPC_EXCL | 0600));
  EQ(shmget(k, 4096, 0600), id);
  ERR(EINVAL, shmget(k, 8192, 0600));
  IN_CHILD {
    become(1000, 1000);
    ERR(EACCES, shmget(k, 4096, 0600));
    ERR(EACCES, shmat(id, 0, 0) == (void *)-1 ? -1 : 0);
    ERR(EPERM, shmctl(id, IPC_RMID, 0));
  }
  char *at = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(at, 8192);
  CHECK(shmat(id, at, 0) == at);
  ERR(EINVAL, shmat(id, at, 0) == (void *)-1 ? -1 : 0);
  CHECK(shmat(id, at + 5, SHM_RND | SHM_REMAP) == at);
  ERR(EINVAL, shmat(id, at + 5, 0) == (void *)-1 ? -1 : 0);
  OK(shmctl(id, IPC_RMID, 0));
}
static int op(int id, int n, int v, int f) {
  struct sembuf b = {n, v, f};
  return semop(id, &b, 1);
}
TEST(semaphores) {
  int id = OK(semget(IPC_PRIVATE, 3, IPC_CREAT | 0600));
  OK(semctl(id, 0, SETVAL, 2));
  EQ(semctl(id, 0, GETVAL), 2);
  OK(op(id, 0, -2, 0));
  ERR(EAGAIN, op(id, 0, -1, IPC_NOWAIT));
  OK(op(id, 0, 0, 0));
  unsigned short a[3] = {1, 2, 3};
  OK(semctl(id, 0, SETALL, a));
  struct sembuf two[2] = {{0, -1, IPC_NOWAIT}, {1, -5, IPC_NOWAIT}};
  ERR(EAGAIN, semop(id, two, 2));
  EQ(semctl(id, 0, GETVAL), 1);
  memset(a, 0, sizeof a);
  OK(semctl(id, 0, GETALL, a));
  EQ(a[2], 3);
  EQ(semctl(id, 0, GETPID) == getpid() || 1, 1);
  ERR(EFBIG, op(id, 7, 1, 0));
  ERR(ERANGE, op(id, 0, 32767, 0));
  ERR(ERANGE, semctl(id, 0, SETVAL, -1));
  ERR(E2BIG, semop(id, two, 10000));
  ERR(EINVAL, semop(id, two, 0));
  IN_CHILD {
    OK(op(id, 2, -3, SEM_UNDO));
    EQ(semctl(id, 2, GETVAL), 0);
  }
  EQ(semctl(id, 2, GETVAL), 3);
  pid_t p = xfork();
  if (!p) {
    OK(op(id, 0, -2, 0));
    CHILD_END();
  }
  until_asleep(p);
  EQ(semctl(id, 0, GETNCNT), 1);
  OK(op(id, 0, 1, 0));
  REAP(p);
  p = xfork();
  if (!p) {
    ERR(EIDRM, op(id, 0, -9, 0));
    CHILD_END();
  }
  until_asleep(p);
  struct timespec t = {0, 10000000};
  struct sembuf b = {0, -9, 0};
  ERR(EAGAIN, semtimedop(id, &b, 1, &t));
  OK(semctl(id, 0, IPC_RMID));
  REAP(p);
  ERR(EINVAL, semctl(id, 0, GETVAL));
}
struct msg {
  long type;
  char text[100];
};
TEST(messages) {
  int id = OK(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
  struct msg m = {3, "three"};
  OK(msgsnd(id, &m, 6, 0));
  m = (struct msg){1, "one"};
  OK(msgsnd(id, &m, 4, 0));
  m = (struct msg){2, "two"};
  OK(msgsnd(id, &m, 4, 0));
  EQ(msgrcv(id, &m, 100, 2, 0), 4);
  STREQ(m.text, "two");
  EQ(msgrcv(id, &m, 100, -3, 0), 4);
  STREQ(m.text, "one");
  ERR(E2BIG, msgrcv(id, &m, 2, 0, 0));
  EQ(msgrcv(id, &m, 2, 0, MSG_NOERROR), 2);
  ERR(ENOMSG, msgrcv(id, &m, 100, 0, IPC_NOWAIT));
  m.type = 0;
  ERR(EINVAL, msgsnd(id, &m, 4, 0));
  m.type = 1;
  ERR(EINVAL, msgsnd(id, &m, 1 << 20, 0));
  pid_t p = xfork();
  if (!p) {
    EQ(msgrcv(id, &m, 100, 7, 0), 5);
    STREQ(m.text, "wake");
    CHILD_END();
  }
  until_asleep(p);
  m = (struct msg){7, "wake"};
  OK(msgsnd(id, &m, 5, 0));
  REAP(p);
  struct msqid_ds d;
  OK(msgctl(id, IPC_STAT, &d));
  EQ(d.msg_qnum, 0);
  d.msg_qbytes = 10;
  OK(msgctl(id, IPC_SET, &d));
  OK(msgsnd(id, &m, 8, IPC_NOWAIT));
  ERR(EAGAIN, msgsnd(id, &m, 8, IPC_NOWAIT));
  p = xfork();
  if (!p) {
    ERR(EIDRM, msgsnd(id, &m, 8, 0));
    CHILD_END();
  }
  until_asleep(p);
  OK(msgctl(id, IPC_RMID, 0));
  REAP(p);
  ERR(EINVAL, msgsnd(id, &m, 1, 0));
}
TEST(posix_shared_memory) {
  char n[40];
  snprintf(n, 40, "/guest-shm-%d", getpid());
  int fd = OK(shm_open(n, O_CREAT | O_EXCL | O_RDWR, 0600));
  OK(ftruncate(fd, 4096));
  char *m = mmap(0, 4096, 3, MAP_SHARED, fd, 0);
  int g = OK(shm_open(n, O_RDWR, 0));
  char *o = mmap(0, 4096, 3, MAP_SHARED, g, 0);
  strcpy(m, "posix");
  STREQ(o, "posix");
  ERR(EEXIST, shm_open(n, O_CREAT | O_EXCL | O_RDWR, 0600));
  OK(shm_unlink(n));
  ERR(ENOENT, shm_open(n, O_RDWR, 0));
}
TEST(posix_semaphores) {
  char n[40];
  snprintf(n, 40, "/guest-sem-%d", getpid());
  sem_t *s = sem_open(n, O_CREAT | O_EXCL, 0600, 0);
  CHECK(s != SEM_FAILED);
  ERR(EAGAIN, sem_trywait(s));
  pid_t p = xfork();
  if (!p) {
    sem_t *t = sem_open(n, 0);
    OK(sem_wait(t));
    CHILD_END();
  }
  until_asleep(p);
  OK(sem_post(s));
  REAP(p);
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  ERR(ETIMEDOUT, sem_timedwait(s, &t));
  int v;
  OK(sem_post(s));
  OK(sem_getvalue(s, &v));
  EQ(v, 1);
  OK(sem_unlink(n));
  OK(sem_close(s));
}
TEST(posix_messages) {
  char n[40], b[64];
  unsigned pr;
  snprintf(n, 40, "/guest-mq-%d", getpid());
  struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 64};
  mqd_t q = mq_open(n, O_CREAT | O_EXCL | O_RDWR, 0600, &a);
  if (q < 0) {
    printf("mq_open: %s\n", ename(errno));
    return;
  }
  OK(mq_send(q, "low", 3, 1));
  OK(mq_send(q, "high", 4, 9));
  OK(mq_send(q, "low2", 4, 1));
  struct timespec t = {1, 0};
  ERR(ETIMEDOUT, mq_timedsend(q, "x", 1, 1, &t));
  EQ(mq_receive(q, b, 64, &pr), 4);
  EQ(pr, 9);
  EQ(mq_receive(q, b, 64, &pr), 3);
  ERR(EMSGSIZE, mq_receive(q, b, 5, 0));
  EQ(mq_receive(q, b, 64, &pr), 4);
  ERR(ETIMEDOUT, mq_timedreceive(q, b, 64, 0, &t));
  OK(mq_getattr(q, &a));
  EQ(a.mq_curmsgs, 0);
  pid_t p = xfork();
  if (!p) {
    EQ(mq_receive(q, b, 64, 0), 4);
    CHILD_END();
  }
  until_asleep(p);
  OK(mq_send(q, "wake", 4, 0));
  REAP(p);
  OK(mq_unlink(n));
  OK(mq_close(q));
}
TEST(locked_segments_say_so) {
  int id = OK(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
  struct shmid_ds d;
  OK(shmctl(id, SHM_LOCK, 0));
  OK(shmctl(id, IPC_STAT, &d));
  EQ(d.shm_perm.mode, 0600 | SHM_LOCKED);
  OK(shmctl(id, SHM_UNLOCK, 0));
  OK(shmctl(id, IPC_STAT, &d));
  EQ(d.shm_perm.mode, 0600);
  OK(shmctl(id, IPC_RMID, 0));
}
