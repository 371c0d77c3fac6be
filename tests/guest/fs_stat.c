// stat(2), statx(2), statfs(2), chmod(2), chown(2), utimensat(2), access(2), umask(2).
#include "guest.h"
#include <linux/stat.h>
#include <utime.h>

TEST(kinds) {
  struct stat s; put("f", "abc"); OK(stat("f", &s)); CHECK(S_ISREG(s.st_mode)); EQ(s.st_size, 3); EQ(s.st_uid, 0); EQ(s.st_nlink, 1); CHECK(s.st_blksize >= 512);
  OK(mkdir("d", 0700)); OK(stat("d", &s)); CHECK(S_ISDIR(s.st_mode)); OK(symlink("f", "l")); OK(stat("l", &s)); CHECK(S_ISREG(s.st_mode)); OK(lstat("l", &s)); CHECK(S_ISLNK(s.st_mode)); EQ(s.st_size, 1); EQ(s.st_mode & 0777, 0777);
  OK(mkfifo("p", 0644)); OK(stat("p", &s)); CHECK(S_ISFIFO(s.st_mode)); OK(stat("/dev/null", &s)); CHECK(S_ISCHR(s.st_mode)); int p[2]; MUST(pipe(p)); OK(fstat(p[0], &s)); CHECK(S_ISFIFO(s.st_mode));
  int u = socket(AF_UNIX, SOCK_STREAM, 0); OK(fstat(u, &s)); CHECK(S_ISSOCK(s.st_mode));
  ERR(ENOENT, stat("none", &s)); ERR(ENOTDIR, stat("f/x", &s)); ERR(ENOTDIR, stat("f/", &s)); ERR(EFAULT, syscall(SYS_stat, (void *)8, &s)); ERR(EFAULT, syscall(SYS_stat, "f", (void *)8)); ERR(EBADF, fstat(66, &s)); ERR(ENOENT, stat("", &s));
}
TEST(same_inode) {
  struct stat a, b; put("f", ""); OK(link("f", "g")); OK(stat("f", &a)); OK(stat("g", &b)); EQ(a.st_ino, b.st_ino); EQ(a.st_dev, b.st_dev); EQ(a.st_nlink, 2); OK(unlink("f")); OK(stat("g", &b)); EQ(b.st_nlink, 1); EQ(a.st_ino, b.st_ino);
  OK(mkdir("d", 0755)); OK(mkdir("d/e", 0755)); OK(mkdir("d/f", 0755)); OK(stat("d", &a)); EQ(a.st_nlink, 4); OK(stat("d/e/..", &b)); EQ(a.st_ino, b.st_ino);
}
TEST(fstatat_flags) {
  struct stat s; put("f", "xy"); OK(symlink("f", "l")); OK(fstatat(AT_FDCWD, "l", &s, AT_SYMLINK_NOFOLLOW)); CHECK(S_ISLNK(s.st_mode)); int fd = OK(open("f", O_RDONLY)); OK(fstatat(fd, "", &s, AT_EMPTY_PATH)); EQ(s.st_size, 2);
  ERR(ENOENT, fstatat(fd, "", &s, 0)); ERR(EINVAL, fstatat(AT_FDCWD, "f", &s, 0x40000)); ERR(ENOTDIR, fstatat(fd, "x", &s, 0)); ERR(EBADF, fstatat(999, "x", &s, 0)); OK(fstatat(AT_FDCWD, "", &s, AT_EMPTY_PATH)); CHECK(S_ISDIR(s.st_mode)); OK(fstatat(999, "/", &s, 0));
}
TEST(statx_call) {
  struct statx x; memset(&x, 0xff, sizeof x); put("f", "hello"); OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &x)); EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS); EQ(x.stx_size, 5); EQ(x.stx_mode & 0777, 0644); EQ(x.stx_nlink, 1);
  int fd = OK(open("f", O_RDONLY)); OK(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x)); EQ(x.stx_size, 5); ERR(EINVAL, statx(AT_FDCWD, "f", 0, 0x80000000u, &x)); ERR(EINVAL, statx(AT_FDCWD, "f", AT_STATX_SYNC_TYPE, 0, &x)); ERR(EINVAL, statx(AT_FDCWD, "f", 0x80000, 0, &x)); ERR(ENOENT, statx(AT_FDCWD, "n", 0, 0, &x));
  ERR(EFAULT, statx(AT_FDCWD, "f", 0, 0, (void *)8)); OK(symlink("none", "l")); OK(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x)); CHECK(S_ISLNK(x.stx_mode)); struct stat s; OK(stat("f", &s)); OK(statx(AT_FDCWD, "f", 0, STATX_ALL, &x)); EQ(x.stx_ino, s.st_ino); EQ(makedev(x.stx_dev_major, x.stx_dev_minor), s.st_dev); EQ(x.stx_mtime.tv_sec, s.st_mtim.tv_sec); EQ(x.stx_mtime.tv_nsec, s.st_mtim.tv_nsec);
}
TEST(chmod_family) {
  struct stat s; put("f", ""); OK(chmod("f", 07755)); OK(stat("f", &s)); EQ(s.st_mode & 07777, 07755); int fd = OK(open("f", O_RDONLY)); OK(fchmod(fd, 0400)); OK(fstat(fd, &s)); EQ(s.st_mode & 07777, 0400); OK(fchmodat(AT_FDCWD, "f", 0644, 0)); OK(symlink("f", "l")); OK(chmod("l", 0611)); OK(stat("f", &s)); EQ(s.st_mode & 07777, 0611); OK(lstat("l", &s)); EQ(s.st_mode & 07777, 0777);
  ERR(ENOENT, chmod("none", 0644)); ERR(EBADF, fchmod(99, 0)); ERR(EOPNOTSUPP, fchmodat(AT_FDCWD, "l", 0644, AT_SYMLINK_NOFOLLOW)); OK(chmod("f", 0170644)); OK(stat("f", &s)); EQ(s.st_mode, S_IFREG | 0644);
  EQ(syscall(452 /* fchmodat2 */, AT_FDCWD, "f", 0600, 0), 0); OK(stat("f", &s)); EQ(s.st_mode & 07777, 0600);
}
TEST(chown_family) {
  struct stat s; put("f", ""); OK(chmod("f", 06755)); OK(chown("f", 1000, 1001)); OK(stat("f", &s)); EQ(s.st_uid, 1000); EQ(s.st_gid, 1001); EQ(s.st_mode & 07777, 0755); OK(chown("f", -1, 5)); OK(stat("f", &s)); EQ(s.st_uid, 1000); EQ(s.st_gid, 5);
  OK(symlink("f", "l")); OK(lchown("l", 7, 8)); OK(stat("f", &s)); EQ(s.st_uid, 1000); OK(lstat("l", &s)); EQ(s.st_uid, 7); EQ(s.st_gid, 8); OK(chown("l", 0, 0)); OK(stat("f", &s)); EQ(s.st_uid, 0); int fd = OK(open("f", O_RDONLY)); OK(fchown(fd, 3, 4)); OK(fchownat(fd, "", 5, 6, AT_EMPTY_PATH)); OK(fstat(fd, &s)); EQ(s.st_uid, 5); EQ(s.st_gid, 6);
  ERR(ENOENT, chown("none", 0, 0)); ERR(EINVAL, fchownat(AT_FDCWD, "f", 0, 0, 0x40)); OK(chmod("f", 02745)); OK(chown("f", 5, 6)); OK(stat("f", &s)); EQ(s.st_mode & 07777, 02745);
}
TEST(times) {
  struct stat s; put("f", ""); struct timespec t[2] = {{1000000000, 123456789}, {1100000000, 987654321}}; OK(utimensat(AT_FDCWD, "f", t, 0)); OK(stat("f", &s)); EQ(s.st_atim.tv_sec, 1000000000); EQ(s.st_atim.tv_nsec, 123456789); EQ(s.st_mtim.tv_sec, 1100000000); EQ(s.st_mtim.tv_nsec, 987654321); CHECK(s.st_ctim.tv_sec > 1100000000);
  t[0].tv_nsec = UTIME_OMIT; t[1] = (struct timespec){5, 0}; OK(utimensat(AT_FDCWD, "f", t, 0)); OK(stat("f", &s)); EQ(s.st_atim.tv_sec, 1000000000); EQ(s.st_mtim.tv_sec, 5); t[1].tv_nsec = UTIME_NOW; OK(utimensat(AT_FDCWD, "f", t, 0)); OK(stat("f", &s)); CHECK(s.st_mtim.tv_sec > 1700000000);
  t[1].tv_nsec = 1000000000; ERR(EINVAL, utimensat(AT_FDCWD, "f", t, 0)); t[1].tv_nsec = 0; OK(symlink("f", "l")); t[0] = t[1] = (struct timespec){77, 0}; OK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW)); OK(lstat("l", &s)); EQ(s.st_mtim.tv_sec, 77); OK(stat("f", &s)); CHECK(s.st_mtim.tv_sec != 77);
  int fd = OK(open("f", O_RDWR)); OK(futimens(fd, t)); OK(fstat(fd, &s)); EQ(s.st_mtim.tv_sec, 77); struct utimbuf u = {1, 2}; OK(utime("f", &u)); OK(fstat(fd, &s)); EQ(s.st_mtim.tv_sec, 2); struct timeval v[2] = {{3, 4}, {5, 6}}; OK(utimes("f", v)); OK(fstat(fd, &s)); EQ(s.st_mtim.tv_nsec, 6000); OK(utime("f", NULL)); OK(fstat(fd, &s)); CHECK(s.st_mtim.tv_sec > 1700000000);
  ERR(ENOENT, utimensat(AT_FDCWD, "none", t, 0)); ERR(EINVAL, utimensat(AT_FDCWD, "f", t, 0x8000));
}
TEST(times_move) {
  struct stat s; put("f", "x"); struct timespec old[2] = {{100, 0}, {100, 0}}; OK(utimensat(AT_FDCWD, "f", old, 0)); int fd = OK(open("f", O_RDWR)); OK(write(fd, "y", 1)); OK(fstat(fd, &s)); CHECK(s.st_mtim.tv_sec > 100); OK(utimensat(AT_FDCWD, "f", old, 0)); OK(ftruncate(fd, 0)); OK(fstat(fd, &s)); CHECK(s.st_mtim.tv_sec > 100);
  OK(mkdir("d", 0755)); OK(utimensat(AT_FDCWD, "d", old, 0)); put("d/x", ""); OK(stat("d", &s)); CHECK(s.st_mtim.tv_sec > 100); OK(utimensat(AT_FDCWD, "d", old, 0)); OK(unlink("d/x")); OK(stat("d", &s)); CHECK(s.st_mtim.tv_sec > 100); OK(utimensat(AT_FDCWD, "d", old, 0)); OK(chmod("d", 0700)); OK(stat("d", &s)); EQ(s.st_mtim.tv_sec, 100);
}
TEST(access_checks) {
  put("f", ""); OK(chmod("f", 0644)); OK(access("f", F_OK)); OK(access("f", R_OK | W_OK)); ERR(EACCES, access("f", X_OK)); OK(chmod("f", 0001)); OK(access("f", X_OK)); ERR(ENOENT, access("none", F_OK)); ERR(EINVAL, access("f", 8)); OK(chmod("f", 0640));
  OK(chmod(".", 0755)); IN_CHILD { MUST(setresgid(1000, 1000, 1000)); MUST(setgroups(0, 0)); MUST(setresuid(1000, 0, 0)); ERR(EACCES, access("f", R_OK)); OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS)); OK(close(OK(open("f", O_RDONLY)))); }
  int fd = OK(open("f", O_RDONLY)); OK(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH)); ERR(EINVAL, syscall(SYS_faccessat2, AT_FDCWD, "f", 0, 0x8000)); OK(symlink("none", "l")); OK(syscall(SYS_faccessat2, AT_FDCWD, "l", 0, AT_SYMLINK_NOFOLLOW)); ERR(ENOENT, faccessat(AT_FDCWD, "l", 0, 0));
}
TEST(umask_rules) { EQ(umask(0123), 022); EQ(umask(07777), 0123); EQ(umask(0), 0777); struct stat s; OK(mkdir("d", 01777)); OK(stat("d", &s)); EQ(s.st_mode & 07777, 01777); umask(027); OK(mkdir("e", 0777)); OK(stat("e", &s)); EQ(s.st_mode & 07777, 0750); OK(symlink("x", "l")); OK(lstat("l", &s)); EQ(s.st_mode & 07777, 0777); OK(mkfifo("p", 0666)); OK(stat("p", &s)); EQ(s.st_mode & 0777, 0640); }
TEST(filesystem) { struct statfs f; OK(statfs(".", &f)); CHECK(f.f_bsize >= 512); EQ(f.f_namelen, 255); OK(fstatfs(OK(open(".", O_RDONLY)), &f)); OK(statfs("/proc", &f)); EQ(f.f_type, 0x9fa0); ERR(ENOENT, statfs("none", &f)); ERR(EBADF, fstatfs(99, &f)); ERR(EFAULT, statfs(".", (void *)8)); }
