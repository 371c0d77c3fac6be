// Mounts by descriptor: open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr.
#include "guest.h"
#include <sys/statvfs.h>
#define own_mounts() (OK(unshare(CLONE_NEWNS)), OK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)))
static int attach(int fd, const char *to) { return move_mount(fd, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH); }
static int set(const char *path, int flags, uint64_t set, uint64_t clear, uint64_t propagation) {
  struct mount_attr a = {.attr_set = set, .attr_clr = clear, .propagation = propagation};
  return mount_setattr(AT_FDCWD, path, flags, &a, sizeof a);
}
TEST(from_scratch) {
  IN_CHILD {
    own_mounts();
    OK(mkdir("m", 0755));
    put("f", "file");
    ERR(ENODEV, fsopen("nonsensefs", 0));
    ERR(EINVAL, fsopen("tmpfs", 8));
    int fs = OK(fsopen("tmpfs", FSOPEN_CLOEXEC));
    EQ(fcntl(fs, F_GETFD), FD_CLOEXEC);
    ERR(EINVAL, fsmount(fs, 0, 0));
    ERR(EINVAL, fsconfig(fs, FSCONFIG_SET_STRING, "size", 0, 0));
    ERR(EINVAL, fsconfig(fs, FSCONFIG_SET_FLAG, 0, 0, 0));
    ERR(EINVAL, fsconfig(fs, FSCONFIG_CMD_CREATE, "x", 0, 0));
    ERR(EOPNOTSUPP, fsconfig(fs, 77, 0, 0, 0));
    ERR(EBADF, fsconfig(99, FSCONFIG_CMD_CREATE, 0, 0, 0));
    ERR(EINVAL, fsconfig(-1, FSCONFIG_CMD_CREATE, 0, 0, 0));
    ERR(EINVAL, fsconfig(1, FSCONFIG_CMD_CREATE, 0, 0, 0));
    OK(fsconfig(fs, FSCONFIG_SET_STRING, "source", "nothing", 0));
    ERR(EINVAL, fsconfig(fs, FSCONFIG_SET_STRING, "source", "twice", 0));
    OK(fsconfig(fs, FSCONFIG_SET_STRING, "size", "1m", 0));
    OK(fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0711", 0));
    OK(fsconfig(fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
    ERR(EBUSY, fsconfig(fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
    ERR(EINVAL, fsmount(fs, 8, 0));
    ERR(EINVAL, fsmount(fs, 0, MOUNT_ATTR_IDMAP));
    int m = OK(fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV));
    EQ(fcntl(m, F_GETFD), FD_CLOEXEC);
    char b[8];
    ERR(EBADF, read(m, b, 8));
    int in = OK(openat(m, "early", O_CREAT | O_RDWR, 0600));
    close(in);
    ERR(EINVAL, attach(m, "f"));
    OK(attach(m, "m"));
    ERR(ENOENT, attach(m, "none"));
    close(m);
    struct stat s;
    OK(stat("m", &s));
    EQ(s.st_mode & 07777, 0711);
    OK(stat("m/early", &s));
    struct statfs f;
    OK(statfs("m", &f));
    EQ(f.f_flags & (ST_NOEXEC | ST_NODEV | ST_NOSUID), ST_NOEXEC | ST_NODEV);
    EQ(f.f_blocks * f.f_bsize, 1 << 20);
    OK(umount("m"));
    ERR(ENOENT, stat("m/early", &s));
  }
}
TEST(copies) {
  IN_CHILD {
    own_mounts();
    OK(mkdir("a", 0755));
    OK(mkdir("b", 0755));
    OK(mount("tmpfs", "a", "tmpfs", 0, 0));
    OK(mkdir("a/sub", 0755));
    OK(mount("tmpfs", "a/sub", "tmpfs", 0, 0));
    put("a/f", "of a");
    put("a/sub/f", "of sub");
    ERR(EINVAL, open_tree(AT_FDCWD, "a", AT_RECURSIVE));
    ERR(EINVAL, open_tree(AT_FDCWD, "a", 2));
    ERR(ENOENT, open_tree(AT_FDCWD, "none", OPEN_TREE_CLONE));
    int place = OK(open_tree(AT_FDCWD, "a/sub", OPEN_TREE_CLOEXEC));
    EQ(fcntl(place, F_GETFD), FD_CLOEXEC);
    EQ(fcntl(place, F_GETFL) & O_PATH, O_PATH);
    int one = OK(open_tree(AT_FDCWD, "a", OPEN_TREE_CLONE));
    int all = OK(open_tree(AT_FDCWD, "a", OPEN_TREE_CLONE | AT_RECURSIVE));
    ERR(ENOENT, openat(one, "sub/f", O_RDONLY));
    int in = OK(openat(all, "sub/f", O_RDONLY));
    close(in);
    OK(attach(one, "b"));
    STREQ(get("b/f"), "of a");
    STREQ(get("b/sub/f"), "<ENOENT>");
    ERR(EBUSY, umount("b"));
    OK(umount2("b", MNT_DETACH));
    ERR(EINVAL, attach(one, "b"));
    OK(attach(all, "b"));
    STREQ(get("b/sub/f"), "of sub");
    ERR(EBUSY, umount("b"));
    OK(umount2("b", MNT_DETACH));
    // an attached one moves
    OK(attach(place, "b"));
    STREQ(get("b/f"), "of sub");
    STREQ(get("a/sub/f"), "<ENOENT>");
    ERR(EINVAL, move_mount(AT_FDCWD, "a/sub", AT_FDCWD, "b", 0));
    ERR(EINVAL, move_mount(AT_FDCWD, "b", AT_FDCWD, "a", 0x1000));
    OK(mkdir("b/in", 0755));
    ERR(ELOOP, move_mount(AT_FDCWD, "b", AT_FDCWD, "b/in", 0));
    put("file", "x");
    ERR(EINVAL, mount("b", "file", 0, MS_MOVE, 0));
    ERR(ENOTDIR, mount("b", "file", 0, MS_BIND, 0));
    ERR(EINVAL, mount(0, "b", 0, MS_BIND, 0));
    ERR(EINVAL, mount("", "b", 0, MS_MOVE, 0));
    ERR(EINVAL, mount("x", "b", 0, 0, 0));
    OK(move_mount(AT_FDCWD, "b", AT_FDCWD, "a/sub", 0));
    STREQ(get("a/sub/f"), "of sub");
  }
}
TEST(closed_is_gone) {
  IN_CHILD {
    own_mounts();
    OK(mkdir("a", 0755));
    int fs = OK(fsopen("tmpfs", 0));
    OK(fsconfig(fs, FSCONFIG_CMD_CREATE, 0, 0, 0));
    int m = OK(fsmount(fs, 0, 0));
    close(fs);
    int d = OK(dup(m));
    close(m);
    int in = OK(openat(d, "f", O_CREAT | O_RDWR, 0600));
    close(d);
    EQ(write(in, "x", 1), 1);
    struct stat s;
    OK(fstat(in, &s));
    EQ(s.st_nlink, 1);
  }
}
TEST(attributes) {
  IN_CHILD {
    own_mounts();
    OK(mkdir("a", 0755));
    OK(mount("tmpfs", "a", "tmpfs", 0, 0));
    OK(mkdir("a/sub", 0755));
    OK(mount("tmpfs", "a/sub", "tmpfs", 0, 0));
    struct mount_attr x[2] = {{.attr_set = MOUNT_ATTR_RDONLY}, {1}};
    ERR(EINVAL, mount_setattr(AT_FDCWD, "a", 0, x, 8));
    ERR(E2BIG, mount_setattr(AT_FDCWD, "a", 0, x, 40));
    ERR(E2BIG, mount_setattr(AT_FDCWD, "a", 0, x, 5000));
    ERR(EINVAL, mount_setattr(AT_FDCWD, "a", 1, x, sizeof *x));
    ERR(EFAULT, mount_setattr(AT_FDCWD, "a", 0, (void *)8, sizeof *x));
    ERR(EINVAL, set("a", 0, 1 << 30, 0, 0));
    ERR(EINVAL, set("a", 0, MOUNT_ATTR_NOATIME, 0, 0));
    ERR(EINVAL, set("a", 0, 0, 0, MS_SHARED | MS_SLAVE));
    ERR(EINVAL, set("a", 0, 0, 0, MS_BIND));
    ERR(ENOENT, set("none", 0, MOUNT_ATTR_RDONLY, 0, 0));
    OK(set("none", 0, 0, 0, 0));
    ERR(EINVAL, set("a/sub/..//sub/.", 0, 0, 1 << 30, 0));
    int w = OK(open("a/sub/w", O_CREAT | O_RDWR, 0600));
    ERR(EBUSY, set("a", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0));
    OK(open("a/g", O_CREAT | O_RDONLY, 0600));
    close(w);
    OK(set("a", AT_RECURSIVE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, 0, 0));
    ERR(EROFS, open("a/sub/w", O_RDWR));
    ERR(EROFS, mkdir("a/d", 0700));
    OK(set("a", 0, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, 0));
    OK(mkdir("a/d", 0700));
    ERR(EROFS, mkdir("a/sub/d", 0700));
    struct statfs f;
    OK(statfs("a", &f));
    EQ(f.f_flags & (ST_NOEXEC | ST_NOSUID | ST_RDONLY), ST_NOSUID);
    OK(statfs("a/sub", &f));
    EQ(f.f_flags & (ST_NOEXEC | ST_NOSUID | ST_RDONLY), ST_NOEXEC | ST_RDONLY);
    OK(set("a", 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, MS_SHARED));
    OK(statfs("a", &f));
    EQ(f.f_flags & (ST_NOATIME | ST_RELATIME), ST_NOATIME);
    ERR(EINVAL, set("a/d", 0, MOUNT_ATTR_RDONLY, 0, 0));
    int p = OK(fspick(AT_FDCWD, "a", FSPICK_CLOEXEC));
    ERR(EINVAL, fspick(AT_FDCWD, "a/d", 0));
    OK(fsconfig(p, FSCONFIG_SET_FLAG, "ro", 0, 0));
    OK(fsconfig(p, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    ERR(EROFS, mkdir("a/e", 0700));
  }
}
TEST(without_rights) {
  IN_CHILD {
    own_mounts();
    OK(mkdir("a", 0777));
    OK(chmod(".", 0777));
    OK(setresuid(1234, 1234, 1234));
    ERR(EPERM, fsopen("tmpfs", 8));
    ERR(EPERM, fsmount(99, 8, 0));
    ERR(EPERM, fspick(AT_FDCWD, "none", 0));
    ERR(EPERM, open_tree(AT_FDCWD, "none", OPEN_TREE_CLONE));
    ERR(EPERM, move_mount(AT_FDCWD, "none", AT_FDCWD, "a", 0x1000));
    ERR(EPERM, set("none", 0, 1 << 30, 0, 0));
    ERR(EPERM, mount("x", "a", "nonsensefs", 0, 0));
    ERR(ENOENT, mount("x", "none", "tmpfs", 0, 0));
    ERR(EPERM, umount("a"));
    ERR(EPERM, syscall(SYS_pivot_root, "none", "none"));
    OK(open_tree(AT_FDCWD, "a", 0));
  }
}
