// execve(2), execveat(2): arguments, environment, what is kept, scripts, bad executables.
static int helper(int argc, char **argv);
#define GUEST_HELPER helper
#include "guest.h"
#include <elf.h>
#include <sys/auxv.h>
extern char **environ;
static char self[PATH_MAX];
static void find_self(void) {
  ssize_t n = MUST(readlink("/proc/self/exe", self, sizeof self - 1));
  self[n] = 0;
}
static const char *run(char *const argv[], char *const env[]) {
  pid_t p = xfork();
  if (!p) {
    execve(self, argv, env);
    printf("execve: %s\n", ename(errno));
    fflush(stdout);
    _exit(99);
  }
  return reap(p);
}
static void copy_self(const char *to) {
  int in = MUST(open("/proc/self/exe", O_RDONLY)), out = MUST(open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755));
  char b[65536];
  ssize_t n;
  while ((n = read(in, b, sizeof b)) > 0)
    MUST(write(out, b, n));
  close(in);
  close(out);
}
TEST(arguments_and_environment) {
  find_self();
  puts(run((char *[]){"zero", "@show", "", "two words", "\xff\n", 0}, (char *[]){"A=1", "B=", "=odd", "C=x=y", 0}));
  puts(run((char *[]){"zero", "@show", 0}, (char *[]){0}));
  puts(run((char *[]){"zero", "@show", 0}, 0));
}
TEST(no_arguments) {
  find_self();
  pid_t p = xfork();
  if (!p) {
    execve("./none", (char *[]){0}, 0);
    _exit(errno == ENOENT ? 0 : 1);
  }
  REAP(p);
}
TEST(close_on_exec_and_kept_state) {
  find_self();
  int a = OK(open("/dev/null", O_RDONLY)), b = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
  dup2(a, 40);
  dup2(b, 41);
  fcntl(41, F_SETFD, FD_CLOEXEC);
  signal(SIGUSR1, SIG_IGN);
  catch_signal(SIGUSR2, 0);
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGTERM);
  sigprocmask(SIG_BLOCK, &s, 0);
  raise(SIGTERM);
  umask(031);
  OK(mkdir("dir", 0755));
  OK(chdir("dir"));
  struct rlimit r = {77, 88};
  setrlimit(RLIMIT_NOFILE, &r);
  setpriority(PRIO_PROCESS, 0, 4);
  prctl(PR_SET_PDEATHSIG, 0);
  puts(run((char *[]){"x", "@state", 0}, 0));
}
TEST(scripts) {
  find_self();
  char line[PATH_MAX + 50];
  snprintf(line, sizeof line, "#!%s @show\n", self);
  put("s", line);
  chmod("s", 0755);
  pid_t p = xfork();
  if (!p) {
    execve("./s", (char *[]){"argv0", "A", "B", 0}, 0);
    _exit(9);
  }
  printf("%s\n", reap(p));
  put("t", "#!./s\n");
  chmod("t", 0755);
  p = xfork();
  if (!p) {
    execve("./t", (char *[]){"t", "C", 0}, 0);
    printf("%s\n", ename(errno));
    fflush(stdout);
    _exit(9);
  }
  puts(reap(p));
  put("loop", "#!./loop\n");
  chmod("loop", 0755);
  ERR(ELOOP, execve("./loop", (char *[]){"x", 0}, 0));
  put("none", "#!/no/such/interpreter\n");
  chmod("none", 0755);
  ERR(ENOENT, execve("./none", (char *[]){"x", 0}, 0));
  put("empty", "#!\n");
  chmod("empty", 0755);
  ERR(ENOEXEC, execve("./empty", (char *[]){"x", 0}, 0));
  put("spaces", "#!   \t \n");
  chmod("spaces", 0755);
  ERR(ENOEXEC, execve("./spaces", (char *[]){"x", 0}, 0));
  put("dir", "#!/\n");
  chmod("dir", 0755);
  ERR(EACCES, execve("./dir", (char *[]){"x", 0}, 0));
}
TEST(bad_files) {
  put("text", "hello\n");
  chmod("text", 0755);
  ERR(ENOEXEC, execve("./text", (char *[]){"x", 0}, 0));
  put("zero", "");
  chmod("zero", 0755);
  ERR(ENOEXEC, execve("./zero", (char *[]){"x", 0}, 0));
  put("noexec", "x");
  ERR(EACCES, execve("./noexec", (char *[]){"x", 0}, 0));
  OK(mkdir("dir", 0755));
  ERR(EACCES, execve("./dir", (char *[]){"x", 0}, 0));
  ERR(ENOENT, execve("./missing", (char *[]){"x", 0}, 0));
  ERR(ENOENT, execve("", (char *[]){"x", 0}, 0));
  ERR(ENOTDIR, execve("./text/x", (char *[]){"x", 0}, 0));
  ERR(EFAULT, execve((char *)8, (char *[]){"x", 0}, 0));
  ERR(EFAULT, execve("./zero", (void *)8, 0));
  ERR(EFAULT, execve("/proc/self/exe", (char *[]){(char *)8, 0}, 0));
  OK(symlink("l", "l"));
  ERR(ELOOP, execve("./l", (char *[]){"x", 0}, 0));
  ERR(EACCES, execve("/dev/null", (char *[]){"x", 0}, 0));
}
static void patch(const char *name, off_t at, const void *with, size_t n) {
  copy_self(name);
  int fd = MUST(open(name, O_WRONLY));
  OK(pwrite(fd, with, n, at));
  close(fd);
}
static const char *try_exec(const char *n) {
  pid_t p = xfork();
  if (!p) {
    execve(n, (char *[]){"x", "@nothing", 0}, 0);
    printf("%s: %s\n", n, ename(errno));
    fflush(stdout);
    _exit(99);
  }
  return reap(p);
}
TEST(damaged_elf) {
  uint16_t v = EM_AARCH64;
  patch("arch", offsetof(Elf64_Ehdr, e_machine), &v, 2);
  puts(try_exec("./arch"));
  v = ET_REL;
  patch("type", offsetof(Elf64_Ehdr, e_type), &v, 2);
  puts(try_exec("./type"));
  v = 0;
  patch("phnum", offsetof(Elf64_Ehdr, e_phnum), &v, 2);
  puts(try_exec("./phnum"));
  v = 1;
  patch("phsize", offsetof(Elf64_Ehdr, e_phentsize), &v, 2);
  puts(try_exec("./phsize"));
  uint64_t o = 1ull << 40;
  patch("phoff", offsetof(Elf64_Ehdr, e_phoff), &o, 8);
  puts(try_exec("./phoff"));
  patch("magic", 0, "\177ELX", 4);
  puts(try_exec("./magic"));
  copy_self("short");
  OK(truncate("./short", 40));
  puts(try_exec("./short"));
  copy_self("header");
  OK(truncate("./header", 70));
  puts(try_exec("./header"));
}
TEST(busy_text) {
  copy_self("p");
  int fd = OK(open("p", O_WRONLY));
  ERR(ETXTBSY, execve("./p", (char *[]){"x", 0}, 0));
  close(fd);
  int q[2];
  MUST(pipe(q));
  pid_t p = xfork();
  if (!p) {
    dup2(q[0], 0);
    close(q[1]);
    execve("./p", (char *[]){"p", "@wait", 0}, 0);
    _exit(9);
  }
  close(q[0]);
  while (1) {
    char l[PATH_MAX] = "", n[64];
    snprintf(n, 64, "/proc/%d/exe", p);
    if (readlink(n, l, sizeof l - 1) > 0 && strstr(l, "/p")) {
      char *b = strrchr(l, '/');
      if (!strcmp(b, "/p"))
        break;
    }
    msleep(1);
  }
  ERR(ETXTBSY, open("p", O_WRONLY));
  OK(unlink("p"));
  close(q[1]);
  puts(reap(p));
}
TEST(by_descriptor) {
  find_self();
  int fd = OK(open(self, O_RDONLY));
  pid_t p = xfork();
  if (!p) {
    syscall(SYS_execveat, fd, "", (char *[]){"viafd", "@show", 0}, 0, AT_EMPTY_PATH);
    _exit(9);
  }
  puts(reap(p));
  int o = OK(open(self, O_PATH | O_CLOEXEC));
  p = xfork();
  if (!p) {
    fexecve(o, (char *[]){"viapath", "@show", 0}, (char *[]){0});
    _exit(9);
  }
  puts(reap(p));
  copy_self("x");
  int d = OK(open(".", O_PATH));
  p = xfork();
  if (!p) {
    syscall(SYS_execveat, d, "x", (char *[]){"at", "@show", 0}, 0, 0);
    _exit(9);
  }
  puts(reap(p));
  OK(symlink("x", "l"));
  ERR(ELOOP, syscall(SYS_execveat, d, "l", (char *[]){"x", 0}, 0, AT_SYMLINK_NOFOLLOW));
  ERR(EINVAL, syscall(SYS_execveat, d, "x", (char *[]){"x", 0}, 0, 0x8));
  ERR(EBADF, syscall(SYS_execveat, 99, "x", (char *[]){"x", 0}, 0, 0));
  ERR(ENOENT, syscall(SYS_execveat, d, "", (char *[]){"x", 0}, 0, 0));
  put("s", "#!/bin/true\n");
  chmod("s", 0755);
  int s = OK(open("s", O_RDONLY | O_CLOEXEC));
  ERR(ENOENT, syscall(SYS_execveat, s, "", (char *[]){"x", 0}, 0, AT_EMPTY_PATH));
}
TEST(big_arguments) {
  find_self();
  char *a[2003];
  static char word[1000];
  memset(word, 'w', 999);
  a[0] = "x";
  a[1] = "@count";
  for (int i = 2; i < 2002; i++)
    a[i] = word;
  a[2002] = 0;
  IN_CHILD {
    struct rlimit r = {64 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_STACK, &r);
    puts(run(a, 0));
  }
  char *huge = malloc(200000);
  memset(huge, 'h', 199999);
  huge[199999] = 0;
  ERR(E2BIG, execve(self, (char *[]){"x", huge, 0}, 0));
  huge[131071] = 0;
  puts(run((char *[]){"x", "@count", huge, 0}, 0));
  struct rlimit r = {1 << 20, 1 << 20};
  setrlimit(RLIMIT_STACK, &r);
  ERR(E2BIG, execve(self, a, 0));
}
static void *exec_it(void *x) {
  (void)x;
  execve(self, (char *[]){"threaded", "@show", 0}, 0);
  return 0;
}
static void *idle(void *x) {
  (void)x;
  for (;;)
    pause();
  return 0;
}
TEST(from_a_thread) {
  find_self();
  pid_t p = xfork();
  if (!p) {
    pthread_t t;
    for (int i = 0; i < 5; i++)
      pthread_create(&t, 0, idle, 0);
    pthread_create(&t, 0, exec_it, 0);
    for (;;)
      pause();
  }
  puts(reap(p));
}
TEST(keeps_pid) {
  find_self();
  int q[2];
  MUST(pipe(q));
  pid_t p = xfork();
  if (!p) {
    dup2(q[1], 1);
    execve(self, (char *[]){"x", "@pid", 0}, 0);
    _exit(9);
  }
  pid_t got = 0;
  OK(read(q[0], &got, sizeof got));
  EQ(got, p);
  REAP(p);
}
TEST(auxiliary_vector) {
  EQ(getauxval(AT_PAGESZ), 4096);
  EQ(getauxval(AT_UID), 0);
  EQ(getauxval(AT_SECURE), 0);
  EQ(getauxval(AT_CLKTCK), 100);
  CHECK(getauxval(AT_RANDOM));
  CHECK(getauxval(AT_PHDR));
  EQ(getauxval(AT_PHENT), 56);
  CHECK(getauxval(AT_PHNUM) > 2);
  CHECK(getauxval(AT_ENTRY));
  STREQ((char *)getauxval(AT_PLATFORM), "x86_64");
  CHECK(getauxval(AT_EXECFN));
  CHECK(getauxval(AT_SYSINFO_EHDR));
  CHECK(getauxval(AT_HWCAP));
}
static int helper(int argc, char **argv) {
  if (!strcmp(argv[1], "@show")) {
    printf("%d:", argc);
    for (int i = 0; i < argc; i++) {
      char *base = strrchr(argv[i], '/');
      printf(" [%s]", base ? base + 1 : argv[i]);
    }
    printf(" env:");
    for (char **e = environ; e && *e; e++)
      printf(" [%s]", *e);
    puts("");
  }
  if (!strcmp(argv[1], "@count")) {
    size_t n = 0;
    for (int i = 0; i < argc; i++)
      n += strlen(argv[i]) + 1;
    printf("%d %zu\n", argc, n);
  }
  if (!strcmp(argv[1], "@state")) {
    printf("fd40 %d fd41 %d\n", fcntl(40, F_GETFD), fcntl(41, F_GETFD));
    struct sigaction a;
    sigaction(SIGUSR1, 0, &a);
    printf("usr1 %s\n", a.sa_handler == SIG_IGN ? "ignored" : "not ignored");
    sigaction(SIGUSR2, 0, &a);
    printf("usr2 %s\n", a.sa_handler == SIG_DFL ? "default" : "not default");
    sigset_t s;
    sigprocmask(SIG_BLOCK, 0, &s);
    printf("term blocked %d", sigismember(&s, SIGTERM));
    sigpending(&s);
    printf(" pending %d\n", sigismember(&s, SIGTERM));
    printf("umask %o\n", umask(0));
    char c[PATH_MAX];
    getcwd(c, sizeof c);
    puts(strrchr(c, '/'));
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    printf("nofile %d %d nice %d\n", (int)r.rlim_cur, (int)r.rlim_max, getpriority(PRIO_PROCESS, 0));
  }
  if (!strcmp(argv[1], "@pid")) {
    pid_t p = getpid();
    write(1, &p, sizeof p);
  }
  if (!strcmp(argv[1], "@wait")) {
    char c;
    read(0, &c, 1);
  }
  return 0;
}
