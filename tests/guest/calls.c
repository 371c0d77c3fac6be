// Calls that are asked for rarely: security modules, mounts as structures, what a host refuses that has it off.
#include "guest.h"
#include <linux/mount.h>
TEST(security_modules) {
  uint64_t ids[64];
  uint32_t size = sizeof ids;
  int n = OK(syscall(461, ids, &size, 0));
  EQ(size, n * 8);
  int known = 0;
  for (int i = 0; i < n; i++)
    known += ids[i] == 100 || ids[i] == 110;
  EQ(known, 2);
  size = 1;
  ERR(E2BIG, syscall(461, ids, &size, 0));
  EQ(size, n * 8);
  ERR(EINVAL, syscall(461, ids, &size, 1));
  ERR(EFAULT, syscall(461, ids, 1, 0));
  size = sizeof ids;
  ERR(EINVAL, syscall(459, 0, ids, &size, 0));
  ERR(EINVAL, syscall(459, 100, ids, NULL, 0));
  ERR(EOPNOTSUPP, syscall(459, 103, ids, &size, 0));
  ERR(EINVAL, syscall(459, 100, ids, &size, 2));
  memset(ids, 0, sizeof ids);
  ERR(EINVAL, syscall(460, 100, ids, 8, 0));
  ERR(EINVAL, syscall(460, 100, ids, 32, 1));
  ERR(EINVAL, syscall(460, 100, ids, 32, 0));
  ERR(E2BIG, syscall(460, 100, ids, 5000, 0));
}
struct req {
  uint32_t size, spare;
  uint64_t mnt_id, param, ns;
};
struct sm {
  uint32_t size, mnt_opts;
  uint64_t mask;
  uint32_t dev_major, dev_minor;
  uint64_t magic;
  uint32_t sb_flags, fs_type;
  uint64_t mnt_id, parent;
  uint32_t id_old, parent_old;
  uint64_t attr, propagation, peer, master, from;
  uint32_t root, point;
  uint64_t ns, spare[49];
  char str[4096];
};
TEST(mounts_as_structures) {
  if (unshare(CLONE_NEWNS)) {
    printf("unshare: %s\n", ename(errno));
    return;
  }
  MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
  MUST(mkdir("m", 0755));
  MUST(mount("none", "m", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, "size=64k"));
  MUST(mkdir("m/n", 0755));
  MUST(mount("none", "m/n", "tmpfs", MS_RDONLY, 0));
  struct statx x, y;
  OK(statx(AT_FDCWD, "m", 0, 0x4000, &x));
  CHECK(x.stx_mask & 0x4000);
  CHECK(!(x.stx_mask & 0x1000));
  CHECK(x.stx_mnt_id > 1ull << 31);
  OK(statx(AT_FDCWD, "m/n", 0, 0x4000, &y));
  uint64_t ids[16];
  struct req r = {32, 0, x.stx_mnt_id, 0, 0};
  EQ(syscall(458, &r, ids, 16, 0), 1);
  EQ(ids[0], y.stx_mnt_id);
  r.mnt_id = ~0ull;
  CHECK(syscall(458, &r, ids, 16, 0) > 2);
  r.param = x.stx_mnt_id;
  EQ(syscall(458, &r, ids, 16, 0), 1);
  EQ(ids[0], y.stx_mnt_id);
  EQ(syscall(458, &r, ids, 0, 0), 0);
  ERR(EINVAL, syscall(458, &r, ids, 16, 2));
  ERR(EFAULT, syscall(458, &r, 1, 16, 0));
  ERR(EFAULT, syscall(458, 1, ids, 16, 0));
  r.size = 8;
  ERR(EINVAL, syscall(458, &r, ids, 16, 0));
  r.size = 5000;
  ERR(E2BIG, syscall(458, &r, ids, 16, 0));
  r.size = 32, r.mnt_id = 5;
  ERR(EINVAL, syscall(458, &r, ids, 16, 0));
  r.mnt_id = 1ull << 40;
  ERR(ENOENT, syscall(458, &r, ids, 16, 0));
  static struct sm s;
  r = (struct req){32, 0, x.stx_mnt_id, 0x3b, 0};
  OK(syscall(457, &r, &s, sizeof s, 0));
  EQ(s.mask, 0x3b);
  EQ(s.magic, 0x1021994);
  EQ(s.sb_flags, 0);
  EQ(s.mnt_id, x.stx_mnt_id);
  EQ(s.attr, 0x2 | 0x4 | 0x10);
  EQ(s.propagation, MS_PRIVATE);
  STREQ(s.str + s.fs_type, "tmpfs");
  STREQ(s.str + s.root, "/");
  char *end = s.str + s.point + strlen(s.str + s.point);
  STREQ(end - 2, "/m");
  ERR(EOVERFLOW, syscall(457, &r, &s, 520, 0));
  r.param = 2;
  OK(syscall(457, &r, &s, 100, 0));
  ERR(EINVAL, syscall(457, &r, &s, sizeof s, 1));
  r.mnt_id = 1ull << 40;
  ERR(ENOENT, syscall(457, &r, &s, sizeof s, 0));
  r.mnt_id = y.stx_mnt_id;
  OK(syscall(457, &r, &s, sizeof s, 0));
  EQ(s.parent, x.stx_mnt_id);
}
TEST(never_were) {
  ERR(ENOSYS, syscall(SYS_afs_syscall));
  ERR(ENOSYS, syscall(SYS_tuxcall));
  ERR(ENOSYS, syscall(SYS_security));
  ERR(ENOSYS, syscall(SYS_getpmsg));
  ERR(ENOSYS, syscall(SYS_putpmsg));
  ERR(ENOSYS, syscall(SYS_vserver));
  ERR(ENOSYS, syscall(SYS_create_module));
  ERR(ENOSYS, syscall(SYS_query_module));
  ERR(ENOSYS, syscall(SYS_get_kernel_syms));
  ERR(ENOSYS, syscall(SYS_nfsservctl));
  ERR(ENOSYS, syscall(SYS_set_thread_area));
  ERR(ENOSYS, syscall(SYS_get_thread_area));
  ERR(ENOSYS, syscall(SYS_epoll_ctl_old));
  ERR(ENOSYS, syscall(SYS_epoll_wait_old));
  ERR(ENOSYS, syscall(SYS_lookup_dcookie));
  ERR(ENOSYS, syscall(SYS_uselib));
  ERR(ENOSYS, syscall(SYS__sysctl));
  ERR(ENOSYS, syscall(400));
  ERR(ENOSYS, syscall(600));
  ERR(ENOSYS, syscall(-1));
}
