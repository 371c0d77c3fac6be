// What an attacker tries: bad pointers, lengths and descriptors everywhere, unknown calls, random arguments.
#include "guest.h"
#include <sys/inotify.h>
#define BAD ((void *)0x10)
#define KERNEL ((void *)0xffffffff81000000ul)
TEST(unknown_calls) {
  long n[] = {-1, 999, 100000, 0x40000000 + 39, 1ul << 40 | 39, 400, 463 + 200};
  for (unsigned i = 0; i < LEN(n); i++) {
    errno = 0;
    long r = syscall(n[i], 0, 0, 0, 0, 0, 0);
    printf("%ld: %s\n", n[i], r == -1 ? ename(errno) : r == getpid() ? "the process" : "a value");
  }
}
static void bad(void *p) {
  struct iovec v = {p, 10};
  struct msghdr m = {.msg_iov = p, .msg_iovlen = 1};
  int q[2];
  MUST(pipe(q));
  write(q[1], "xxxx", 4);
  int s[2];
  MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
  write(s[1], "xxxx", 4);
#define E(...) ERR(EFAULT, syscall(__VA_ARGS__))
  E(SYS_read, q[0], p, 4);
  E(SYS_write, q[1], p, 4);
  E(SYS_readv, q[0], p, 1);
  E(SYS_readv, q[0], &v, 1);
  E(SYS_open, p, 0);
  E(SYS_stat, p, p);
  E(SYS_fstat, 0, p);
  E(SYS_stat, "/", p);
  E(SYS_poll, p, 1, 0);
  E(SYS_rt_sigaction, 10, p, 0, 8);
  E(SYS_rt_sigprocmask, 0, p, 0, 8);
  E(SYS_ioctl, q[0], FIONREAD, p);
  E(SYS_access, p, 0);
  E(SYS_pipe, p);
  E(SYS_select, 1, p, 0, 0, 0);
  E(SYS_mincore, (unsigned long)main & ~4095ul, 4096, p);
  E(SYS_nanosleep, p, 0);
  E(SYS_getitimer, 0, p);
  E(SYS_setitimer, 0, p, 0);
  E(SYS_sendto, s[0], p, 4, 0, 0, 0);
  E(SYS_recvfrom, s[0], p, 4, 0, 0, 0);
  E(SYS_sendmsg, s[0], p, 0);
  E(SYS_sendmsg, s[0], &m, 0);
  E(SYS_recvmsg, s[0], p, 0);
  E(SYS_bind, s[0], p, 10);
  E(SYS_connect, s[0], p, 10);
  E(SYS_getsockname, s[0], p, p);
  E(SYS_socketpair, 1, 1, 0, p);
  E(SYS_getsockopt, s[0], SOL_SOCKET, SO_TYPE, p, p);
  E(SYS_execve, p, 0, 0);
  E(SYS_execve, "/proc/self/exe", p, 0);
  E(SYS_uname, p);
  E(SYS_getcwd, p, 4096);
  E(SYS_chdir, p);
  E(SYS_rename, p, p);
  E(SYS_mkdir, p, 0);
  E(SYS_rmdir, p);
  E(SYS_link, p, p);
  E(SYS_unlink, p);
  E(SYS_symlink, p, p);
  E(SYS_readlink, p, p, 1);
  E(SYS_chmod, p, 0);
  E(SYS_chown, p, 0, 0);
  E(SYS_getrlimit, 0, p);
  E(SYS_getrusage, 0, p);
  E(SYS_sysinfo, p);
  E(SYS_times, p);
  E(SYS_setgroups, 1, p);
  E(SYS_getresuid, p, p, p);
  E(SYS_rt_sigpending, p, 8);
  E(SYS_rt_sigtimedwait, p, 0, 0, 8);
  E(SYS_rt_sigsuspend, p, 8);
  E(SYS_sigaltstack, p, 0);
  E(SYS_statfs, p, p);
  E(SYS_statfs, "/", p);
  E(SYS_sched_setaffinity, 0, 8, p);
  E(SYS_sched_getparam, 0, p);
  E(SYS_futex, p, 0, 0, 0, 0, 0);
  E(SYS_clock_gettime, 1, p);
  E(SYS_clock_getres, 1, p);
  E(SYS_clock_nanosleep, 1, 0, p, 0);
  E(SYS_timer_create, 1, 0, p);
  E(SYS_epoll_ctl, OK(epoll_create1(0)), 1, q[0], p);
  E(SYS_utimensat, AT_FDCWD, p, 0, 0);
  E(SYS_utimensat, AT_FDCWD, "/", p, 0);
  E(SYS_prlimit64, 0, 7, 0, p);
  E(SYS_getrandom, p, 16, 0);
  E(SYS_memfd_create, p, 0);
  E(SYS_statx, AT_FDCWD, p, 0, 0, p);
  E(SYS_clone3, p, 88);
  E(SYS_openat2, AT_FDCWD, p, p, 24);
  E(SYS_setsockopt, s[0], SOL_SOCKET, SO_KEEPALIVE, p, 4);
  E(SYS_timerfd_settime, OK(timerfd_create(1, 0)), 0, p, 0);
  E(SYS_getdents64, OK(open("/", O_RDONLY)), p, 1000);
  E(SYS_pread64, OK(open("/proc/self/exe", O_RDONLY)), p, 10, 0);
  E(SYS_mount, p, p, p, 0, 0);
  E(SYS_umount2, p, 0);
  E(SYS_capget, p, p);
  E(SYS_inotify_add_watch, OK(inotify_init1(0)), p, 1);
  E(SYS_wait4, MUST(fork()) ?: (_exit(0), 0), p, 0, 0);
}
TEST(bad_pointers) {
  bad(BAD);
}
TEST(kernel_pointers) {
  bad(KERNEL);
}
TEST(non_canonical_pointers) {
  bad((void *)0x8000000000000000ul);
}
TEST(last_page) {
  char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  OK(munmap(m + 4096, 4096));
  bad(m + 4096);
  memset(m, 'a', 4096);
  ERR(EFAULT, open(m + 4090, O_RDONLY));
  struct stat s;
  memcpy(m + 4094, "/", 2);
  OK(stat(m + 4094, &s));
  ERR(EFAULT, syscall(SYS_stat, "/", m + 4096 - sizeof(struct stat) + 1));
  OK(syscall(SYS_stat, "/", m + 4096 - sizeof(struct stat)));
}
TEST(bad_descriptors) {
  int f[] = {-1, 500, 0x7fffffff, INT_MIN};
  char b[10];
  struct stat s;
  for (unsigned i = 0; i < LEN(f); i++) {
    int d = f[i];
    ERR(EBADF, read(d, b, 1));
    ERR(EBADF, write(d, b, 1));
    ERR(EBADF, close(d));
    ERR(EBADF, fstat(d, &s));
    ERR(EBADF, lseek(d, 0, 0));
    ERR(EBADF, fcntl(d, F_GETFL));
    ERR(EBADF, ioctl(d, FIONREAD, b));
    ERR(EBADF, dup(d));
    ERR(EBADF, fsync(d));
    ERR(EBADF, fchdir(d));
    ERR(EBADF, flock(d, LOCK_SH));
    ERR(EBADF, ftruncate(d, 0));
    ERR(EBADF, listen(d, 1));
    ERR(EBADF, shutdown(d, 0));
    ERR(EBADF, epoll_wait(d, (void *)b, 1, 0));
    ERR(EBADF, sendfile(d, d, 0, 1));
    ERR(EBADF, splice(d, 0, d, 0, 1, 0));
    ERR(EBADF, syscall(SYS_getdents64, d, b, 10));
    ERR(EBADF, fchmod(d, 0));
    ERR(EBADF, send(d, b, 1, 0));
  }
}
TEST(huge_values) {
  char b[10];
  int p[2];
  MUST(pipe(p));
  ERR(EFAULT, write(p[1], b, (size_t)1 << 62));
  ERR(EFAULT, read(p[0], b, (size_t)-1));
  ERR(EINVAL, poll(0, 0x7fffffff, 0));
  ERR(EINVAL, readv(p[0], (void *)b, 0x7fffffff));
  ERR(EINVAL, syscall(SYS_select, 0x80000000u, 0, 0, 0, 0));
  ERR(EINVAL, syscall(SYS_rt_sigaction, 10, 0, 0, 1ul << 40));
  ERR(ENOMEM, syscall(SYS_mmap, 0, 1ul << 62, 3, 0x22, -1, 0));
  ERR(EINVAL, syscall(SYS_munmap, 0x1000, ~0ul));
  ERR(EINVAL, lseek(OK(open("/proc/self/exe", O_RDONLY)), -5, SEEK_SET));
  ERR(EINVAL, syscall(SYS_epoll_wait, MUST(epoll_create1(0)), b, 0x7fffffff, 0));
  ERR(E2BIG, syscall(SYS_clone3, b, 1ul << 30));
  ERR(EINVAL, syscall(SYS_mremap, 0, ~0ul, ~0ul, 1));
  ERR(EINVAL, syscall(SYS_io_setup, 0, b) == -1 && errno == EFAULT ? (errno = EINVAL, -1) : -1);
}
TEST(legacy_gate) {
  pid_t c = xfork();
  if (!c) {
    long r;
    asm volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
    _exit(r == getpid() || r == -ENOSYS ? 3 : 4);
  }
  const char *s = reap(c);
  CHECK(!strcmp(s, "exit 3") || !strcmp(s, "killed by SIGSEGV"));
  c = xfork();
  if (!c) {
    asm volatile("movl $39, %%eax; sysenter" ::: "rax", "memory");
    _exit(0);
  }
  s = reap(c);
  CHECK(strncmp(s, "stopped", 7));
  puts("survived");
}
static uint64_t seed;
static uint64_t rnd(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}
static long argument(void) {
  static long pool[] = {0,    1,     -1,      2,       3,        7,        8,    100,      4095,     4096,
                        4097, 65536, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN, 0x10, 1l << 32, 1l << 46, 1l << 47};
  switch (rnd() % 4) {
  case 0:
    return rnd();
  case 1:
    return (long)(pool + rnd() % LEN(pool));
  default:
    return pool[rnd() % LEN(pool)];
  }
}
static bool skip(long n) {
  static const short no[] = {SYS_exit,
                             SYS_exit_group,
                             SYS_pause,
                             SYS_kill,
                             SYS_tkill,
                             SYS_tgkill,
                             SYS_reboot,
                             SYS_vhangup,
                             SYS_sync,
                             SYS_syncfs,
                             SYS_fork,
                             SYS_vfork,
                             SYS_clone,
                             SYS_clone3,
                             SYS_rt_sigreturn,
                             SYS_rt_sigsuspend,
                             SYS_rt_sigtimedwait,
                             SYS_poll,
                             SYS_ppoll,
                             SYS_select,
                             SYS_pselect6,
                             SYS_nanosleep,
                             SYS_clock_nanosleep,
                             SYS_futex,
                             SYS_wait4,
                             SYS_waitid,
                             SYS_execve,
                             SYS_execveat,
                             SYS_ptrace,
                             SYS_settimeofday,
                             SYS_clock_settime,
                             SYS_clock_adjtime,
                             SYS_adjtimex,
                             SYS_sethostname,
                             SYS_setdomainname,
                             SYS_mount,
                             SYS_umount2,
                             SYS_pivot_root,
                             SYS_chroot,
                             SYS_swapon,
                             SYS_swapoff,
                             SYS_acct,
                             SYS_init_module,
                             SYS_finit_module,
                             SYS_delete_module,
                             SYS_kexec_load,
                             SYS_kexec_file_load,
                             SYS_iopl,
                             SYS_ioperm,
                             SYS_unlink,
                             SYS_rename,
                             SYS_rmdir,
                             SYS_unlinkat,
                             SYS_renameat,
                             SYS_renameat2,
                             SYS_bpf,
                             SYS_rt_sigqueueinfo,
                             SYS_rt_tgsigqueueinfo,
                             SYS_pidfd_send_signal,
                             SYS_setns,
                             SYS_unshare,
                             SYS_munmap,
                             SYS_mremap,
                             SYS_mprotect,
                             SYS_brk,
                             SYS_shmdt,
                             SYS_arch_prctl,
                             SYS_seccomp,
                             SYS_prctl,
                             SYS_alarm,
                             SYS_setitimer,
                             SYS_timer_create,
                             SYS_syslog,
                             SYS_io_uring_setup,
                             SYS_perf_event_open,
                             SYS_userfaultfd,
                             SYS_setpriority,
                             SYS_sched_setattr,
                             SYS_sched_setscheduler,
                             SYS_setrlimit,
                             SYS_prlimit64,
                             SYS_truncate,
                             SYS_chmod,
                             SYS_chown,
                             SYS_lchown,
                             SYS_fchmodat,
                             SYS_fchownat,
                             SYS_fanotify_init,
                             SYS_lookup_dcookie,
                             SYS_quotactl,
                             SYS_mlockall,
                             SYS_epoll_wait,
                             SYS_epoll_pwait,
                             SYS_msgrcv,
                             SYS_msgsnd,
                             SYS_semop,
                             SYS_semtimedop,
                             SYS_flock,
                             SYS_fcntl,
                             SYS_read,
                             SYS_readv,
                             SYS_accept,
                             SYS_accept4,
                             SYS_recvfrom,
                             SYS_recvmsg,
                             SYS_recvmmsg,
                             SYS_open,
                             SYS_openat,
                             SYS_creat,
                             SYS_move_pages,
                             SYS_migrate_pages,
                             SYS_mbind,
                             SYS_set_mempolicy,
                             SYS_process_vm_writev,
                             SYS_ustat,
                             SYS_mmap,
                             SYS_remap_file_pages,
                             SYS_shmat,
                             SYS_set_robust_list,
                             SYS_rseq,
                             SYS_madvise,
                             SYS_sigaltstack,
                             SYS_rt_sigaction,
                             SYS_rt_sigprocmask,
                             SYS_setsid,
                             SYS_close,
                             SYS_setuid,
                             SYS_setgid,
                             SYS_setreuid,
                             SYS_setregid,
                             SYS_setresuid,
                             SYS_setresgid,
                             SYS_setgroups,
                             SYS_capset,
                             SYS_dup2,
                             SYS_dup3,
                             SYS_io_getevents,
                             SYS_io_pgetevents,
                             SYS_mq_timedreceive,
                             SYS_mq_timedsend,
                             SYS_write,
                             SYS_writev,
                             SYS_pwritev,
                             SYS_pwritev2,
                             SYS_pwrite64,
                             SYS_sendfile,
                             SYS_splice,
                             SYS_tee,
                             SYS_copy_file_range,
                             SYS_vmsplice,
                             SYS_ioctl,
                             SYS_mknod,
                             SYS_mkdir,
                             SYS_mknodat,
                             SYS_mkdirat,
                             SYS_symlink,
                             SYS_symlinkat,
                             SYS_link,
                             SYS_linkat,
                             SYS_utime,
                             SYS_utimes,
                             SYS_utimensat,
                             SYS_futimesat,
                             SYS_setxattr,
                             SYS_lsetxattr,
                             SYS_removexattr,
                             SYS_lremovexattr,
                             SYS_add_key,
                             SYS_request_key,
                             SYS_keyctl,
                             SYS_nfsservctl,
                             SYS_pkey_mprotect,
                             SYS_close_range,
                             SYS_landlock_restrict_self,
                             SYS_io_submit,
                             SYS_modify_ldt,
                             SYS_chdir,
                             SYS_fchdir,
                             SYS_personality,
                             SYS_umask,
                             SYS_pkey_alloc,
                             SYS_pkey_free,
                             SYS_sched_setaffinity,
                             SYS_sched_setparam,
                             SYS_timerfd_settime,
                             SYS_process_madvise,
                             SYS_setfsuid,
                             SYS_setfsgid,
                             SYS_vserver,
                             SYS_fallocate,
                             SYS_ftruncate,
                             SYS_fchmod,
                             SYS_fchown,
                             SYS_setpgid,
                             SYS_ioprio_set,
                             SYS_mlock,
                             SYS_mlock2,
                             SYS_mount_setattr,
                             SYS_move_mount,
                             SYS_open_tree,
                             SYS_fsopen,
                             SYS_fsmount,
                             SYS_fsconfig,
                             SYS_fspick,
                             SYS_process_mrelease,
                             SYS_mq_open,
                             SYS_mq_unlink};
  for (unsigned i = 0; i < LEN(no); i++)
    if (no[i] == n)
      return true;
  return n > 450 || n == 425 || n == 426;
}
TEST(random_arguments) {
  for (int round = 0; round < 8; round++) {
    pid_t c = xfork();
    if (!c) {
      alarm(5);
      become(31000 + round, 31000);
      seed = 88172645463325252ull + round * 7919;
      int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      dup2(null, 0);
      for (int i = 0; i < 1500; i++) {
        long n = rnd() % 450;
        if (skip(n))
          continue;
        syscall(n, argument(), argument(), argument(), argument(), argument(), argument());
      }
      _exit(0);
    }
    reap(c);
  }
  puts("survived");
}
TEST(random_code) {
  for (int round = 0; round < 30; round++) {
    pid_t c = xfork();
    if (!c) {
      seed = 12345 + round * 104729;
      struct rlimit r = {1, 1};
      setrlimit(RLIMIT_CPU, &r);
      alarm(1);
      unsigned char *m = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      for (int i = 0; i < 4096; i++) {
        m[i] = rnd();
        if (i && m[i - 1] == 0x0f && (m[i] == 5 || m[i] == 0x34))
          m[i] = 0x0b;
        if (m[i] == 0xcd || m[i] == 0xeb || m[i] == 0xe9)
          m[i] = 0xcc;
      }
      ((void (*)(void))m)();
      _exit(0);
    }
    reap(c);
  }
  puts("survived");
}
TEST(descriptor_storm) {
  struct rlimit r = {4096, 4096};
  setrlimit(RLIMIT_NOFILE, &r);
  int n = 0;
  while (n < 3000) {
    int p[2];
    if (pipe(p))
      break;
    n += 2;
  }
  CHECK(n >= 3000);
  for (int i = 3; i < 3500; i++)
    close(i);
  int p[2];
  OK(pipe(p));
}
TEST(process_storm) {
  for (int i = 0; i < 5; i++) {
    pid_t c[30];
    for (int k = 0; k < 30; k++)
      if (!(c[k] = xfork())) {
        for (int j = 0; j < 3; j++)
          fork();
        _exit(0);
      }
    for (int k = 0; k < 30; k++)
      REAP(c[k]);
    while (wait(0) > 0) {
    }
  }
}
TEST(memory_storm) {
  for (int i = 0; i < 200; i++) {
    char *m = mmap(0, 16 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int k = 0; k < 16; k++)
      m[k << 20] = 1;
    OK(munmap(m, 16 << 20));
  }
}
