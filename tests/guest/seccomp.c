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
