// System call filters.
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ON(nr, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define ELSE(action) BPF_STMT(BPF_RET | BPF_K, action)

static long install(unsigned flags, struct sock_filter *insns, int n)
{
    struct sock_fprog prog = {.len = n, .filter = insns};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static long refuse(unsigned flags, int nr, unsigned action)
{
    struct sock_filter f[] = {LOAD(nr), ON(nr, action), ELSE(SECCOMP_RET_ALLOW)};
    return install(flags, f, sizeof f / sizeof *f);
}

static void end_of(pid_t pid)
{
    int status;
    OK(waitpid(pid, &status, 0));
    if (WIFSIGNALED(status))
        printf("signal %d\n", WTERMSIG(status));
    else
        printf("code %d\n", WEXITSTATUS(status));
}

TEST(errno_answers)
{
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    OK(refuse(0, SYS_getppid, SECCOMP_RET_ERRNO | 77));
    EQ(syscall(SYS_getppid), -1);
    EQ(errno, 77);
    EQ(prctl(PR_GET_SECCOMP, 0, 0, 0, 0), 2);
    OK(refuse(0, SYS_getppid, SECCOMP_RET_ERRNO | 78));
    EQ(syscall(SYS_getppid), -1);
    EQ(errno, 78);
    OK(refuse(0, SYS_getppid, SECCOMP_RET_TRACE));
    EQ(syscall(SYS_getppid), -1);
    EQ(errno, 78);
    OK(refuse(0, SYS_getpgrp, SECCOMP_RET_ERRNO));
    EQ(syscall(SYS_getpgrp), 0);
    OK(refuse(0, SYS_getsid, SECCOMP_RET_TRACE));
    ERR(ENOSYS, syscall(SYS_getsid, 0));
    IN_CHILD { EQ(syscall(SYS_getppid), -1); }
}

TEST(arguments_decide)
{
    struct sock_filter f[] = {
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup2, 0, 3),
        LOAD(args[1]),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 100, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXFULL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    OK(install(0, f, 6));
    OK(syscall(SYS_dup2, 1, 99));
    ERR(EXFULL, syscall(SYS_dup2, 1, 100));
}

static int trapped, trapped_nr, trapped_data;
static void on_sys(int sig, siginfo_t *info, void *context)
{
    trapped = info->si_code == 1 && sig == SIGSYS;
    trapped_nr = info->si_syscall;
    trapped_data = info->si_errno;
}

TEST(traps)
{
    struct sigaction sa = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO};
    OK(sigaction(SIGSYS, &sa, NULL));
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    OK(refuse(0, SYS_getppid, SECCOMP_RET_TRAP | 5));
    EQ(syscall(SYS_getppid), SYS_getppid);
    EQ(trapped, 1);
    EQ(trapped_nr, SYS_getppid);
    EQ(trapped_data, 5);
}

TEST(killed)
{
    unsigned actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, 0x12340000};
    for (int i = 0; i < 4; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            refuse(0, SYS_getppid, actions[i]);
            syscall(SYS_getppid);
            _exit(3);
        }
        end_of(pid);
    }
}

static void *die(void *arg)
{
    refuse(0, SYS_getppid, SECCOMP_RET_KILL_THREAD);
    syscall(SYS_getppid);
    _exit(9);
}

TEST(one_thread_is_killed)
{
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        pthread_create(&t, NULL, die, NULL);
        pthread_join(t, NULL);
        _exit(syscall(SYS_getppid) > 0 ? 4 : 5);
    }
    end_of(pid);
}

TEST(strict)
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
            if (i)
                syscall(SYS_getpid);
            syscall(SYS_exit, 6);
        }
        end_of(pid);
    }
}

static pthread_barrier_t barrier;
static void *other(void *arg)
{
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    EQ(syscall(SYS_getppid), -1);
    EQ(errno, 42);
    return NULL;
}

TEST(all_threads_at_once)
{
    pthread_t t;
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, other, NULL);
    pthread_barrier_wait(&barrier);
    OK(refuse(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 42));
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
}

TEST(refused)
{
    struct sock_filter bad[] = {LOAD(nr)};
    struct sock_filter far[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ELSE(SECCOMP_RET_ALLOW)};
    unsigned action = SECCOMP_RET_LOG;
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    ERR(EINVAL, install(0, bad, 1));
    ERR(EINVAL, install(0, far, 2));
    ERR(EINVAL, install(0, bad, 0));
    ERR(EINVAL, install(0x8000, bad, 1));
    ERR(EFAULT, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
    ERR(EINVAL, syscall(SYS_seccomp, 77, 0, NULL));
    ERR(EINVAL, prctl(PR_SET_SECCOMP, 7, NULL));
    OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    action = 0x12340000;
    ERR(EOPNOTSUPP, syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    EQ(prctl(PR_GET_SECCOMP, 0, 0, 0, 0), 0);
}

// User notification: another process answers.
#include <sys/ioctl.h>
#include <sys/poll.h>
#include <sys/socket.h>

static void send_fd(int s, int fd)
{
    char c = 0, control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec iov = {&c, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET; h->cmsg_type = SCM_RIGHTS; h->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(h), &fd, sizeof fd);
    MUST(sendmsg(s, &m, 0));
}

static int receive_fd(int s)
{
    char c, control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&c, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd = -1;
    MUST(recvmsg(s, &m, 0));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

// A child whose calls of `nr` are answered here; the listener is stored.
static pid_t watched(int nr, void (*body)(void), int *listener)
{
    int s[2];
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
    pid_t p = xfork();
    if (!p) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int fd = (int)MUST(refuse(SECCOMP_FILTER_FLAG_NEW_LISTENER, nr, SECCOMP_RET_USER_NOTIF));
        send_fd(s[1], fd);
        close(fd);
        close(s[0]); close(s[1]);
        body();
        CHILD_END();
    }
    close(s[1]);
    *listener = receive_fd(s[0]);
    close(s[0]);
    return p;
}

static struct seccomp_notif next(int fd)
{
    struct seccomp_notif n;
    memset(&n, 0, sizeof n);
    OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
    return n;
}

static void answered(void)
{
    EQ(syscall(SYS_getppid), 4711);
    ERR(EXDEV, syscall(SYS_getppid));
    EQ(syscall(SYS_getppid), 99);
}

TEST(another_process_answers)
{
    int fd;
    pid_t p = watched(SYS_getppid, answered, &fd);
    struct pollfd pfd = {fd, POLLIN | POLLOUT, 0};
    EQ(poll(&pfd, 1, 5000), 1);
    EQ(pfd.revents, POLLIN);
    struct seccomp_notif dirty; memset(&dirty, 1, sizeof dirty);
    ERR(EINVAL, ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &dirty));
    struct seccomp_notif n = next(fd);
    EQ(n.pid, p); EQ(n.flags, 0); EQ(n.data.nr, SYS_getppid); EQ(n.data.arch, AUDIT_ARCH_X86_64);
    EQ(poll(&pfd, 1, 5000), 1);
    EQ(pfd.revents, POLLOUT);
    unsigned long long id = n.id, other = n.id + 1;
    OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id));
    ERR(ENOENT, ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &other));
    struct seccomp_notif_resp r = {.id = other};
    ERR(ENOENT, ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    r = (struct seccomp_notif_resp){.id = id, .flags = 8};
    ERR(EINVAL, ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    r = (struct seccomp_notif_resp){.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE, .val = 1};
    ERR(EINVAL, ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    ERR(EINVAL, ioctl(fd, 0x1234, &r));
    r = (struct seccomp_notif_resp){.id = id, .val = 4711};
    OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    n = next(fd);
    r = (struct seccomp_notif_resp){.id = n.id, .error = -EXDEV, .val = 5};
    OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    n = next(fd);
    r = (struct seccomp_notif_resp){.id = n.id, .val = 99};
    OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    REAP(p);
    pfd.revents = 0;
    EQ(poll(&pfd, 1, 5000), 1);
    EQ(pfd.revents, POLLHUP);
}

static void continued(void) { EQ(syscall(SYS_getppid), 1 + syscall(SYS_getppid) - 1); }

TEST(notified_calls_may_go_on)
{
    int fd;
    pid_t p = watched(SYS_getppid, continued, &fd);
    for (int i = 0; i < 2; i++) {
        struct seccomp_notif n = next(fd);
        struct seccomp_notif_resp r = {.id = n.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    }
    REAP(p);
}

static void gets_a_file(void)
{
    int fd = (int)syscall(SYS_open, "/nowhere", 0);
    char c = 0;
    EQ(read(fd, &c, 1), 1);
    EQ(c, 'q');
    EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EQ(syscall(SYS_open, "/nowhere", 0), 77);
    EQ(fcntl(77, F_GETFD), 0);
}

TEST(descriptors_are_put_into_the_caller)
{
    int fd, pipe_[2];
    pid_t p = watched(SYS_open, gets_a_file, &fd);
    MUST(pipe(pipe_));
    EQ(write(pipe_[1], "q", 1), 1);
    struct seccomp_notif n = next(fd);
    struct seccomp_notif_addfd a = {.id = n.id, .srcfd = pipe_[0], .newfd = 3};
    ERR(EINVAL, ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a));
    a.newfd = 0; a.srcfd = 9999;
    ERR(EBADF, ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a));
    a.srcfd = pipe_[0]; a.newfd_flags = O_CLOEXEC;
    int there = (int)OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a));
    struct seccomp_notif_resp r = {.id = n.id, .val = there};
    OK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
    n = next(fd);
    a = (struct seccomp_notif_addfd){.id = n.id, .srcfd = pipe_[0], .newfd = 77, .flags = SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND};
    EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a), 77);
    REAP(p);
}

static void nobody_answers(void) { ERR(ENOSYS, syscall(SYS_getppid)); }

TEST(a_closed_listener_answers_nothing)
{
    int fd;
    pid_t p = watched(SYS_getppid, nobody_answers, &fd);
    struct seccomp_notif n = next(fd);
    CHECK(n.id != 0);
    close(fd);
    REAP(p);
}

static void on_alarm(int s) { (void)s; }
static void interrupted(void)
{
    struct sigaction a = {.sa_handler = on_alarm};
    sigaction(SIGUSR1, &a, NULL);
    ERR(EINTR, syscall(SYS_getppid));
}

TEST(signals_end_the_wait)
{
    int fd;
    pid_t p = watched(SYS_getppid, interrupted, &fd);
    struct seccomp_notif n = next(fd);
    until_asleep(p);
    OK(kill(p, SIGUSR1));
    REAP(p);
    unsigned long long id = n.id;
    ERR(ENOENT, ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id));
}

TEST(one_listener_a_task)
{
    IN_CHILD {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int fd = (int)OK(refuse(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_getppid, SECCOMP_RET_USER_NOTIF));
        EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
        ERR(EBUSY, refuse(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_getpgrp, SECCOMP_RET_USER_NOTIF));
        ERR(EINVAL, refuse(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC, SYS_getpgrp, SECCOMP_RET_USER_NOTIF));
        ERR(EINVAL, refuse(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, SYS_getpgrp, SECCOMP_RET_USER_NOTIF));
        OK(refuse(0, SYS_getpgrp, SECCOMP_RET_USER_NOTIF));
        ERR(ENOSYS, syscall(SYS_getpgrp));
        unsigned action = SECCOMP_RET_USER_NOTIF;
        OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    }
}
