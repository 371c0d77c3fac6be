//! Sizes and offsets, held to what the `libc` crate knows of this architecture and, where it knows nothing, to
//! the numbers of Linux's headers.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs, reason = "tests")]

use abi::{aio::*, arch::*, elf::*, fcntl::*, inotify::*, ioctl::*, ipc::*, poll::*, process::*, signal::*};
use abi::{socket::*, stat::*, time::*, tty::*};
use std::mem::{offset_of, size_of};

/// Checks the size of a structure, and the offset of each field named (`ours = theirs` where names differ).
macro_rules! same {
    ($ours:ty, $theirs:ty $(, $field:ident $(= $other:ident)?)* $(,)?) => {
        assert_eq!(size_of::<$ours>(), size_of::<$theirs>(), "size of {}", stringify!($ours));
        $(same!(@field $ours, $theirs, $field $(, $other)?);)*
    };
    (@field $ours:ty, $theirs:ty, $field:ident) => {
        same!(@field $ours, $theirs, $field, $field)
    };
    (@field $ours:ty, $theirs:ty, $field:ident, $other:ident) => {
        assert_eq!(
            offset_of!($ours, $field),
            offset_of!($theirs, $other),
            "offset of {}::{}",
            stringify!($ours),
            stringify!($field)
        )
    };
}

/// Checks the size of a structure, and the offsets of fields.
macro_rules! is {
    ($ours:ty, $size:literal $(, $field:ident @ $offset:literal)* $(,)?) => {
        assert_eq!(size_of::<$ours>(), $size, "size of {}", stringify!($ours));
        $(assert_eq!(
            offset_of!($ours, $field), $offset, "offset of {}::{}", stringify!($ours), stringify!($field)
        );)*
    };
}

#[test]
fn files() {
    same!(
        Stat,
        libc::stat,
        st_dev,
        st_ino,
        st_nlink,
        st_mode,
        st_uid,
        st_gid,
        st_rdev,
        st_size,
        st_blksize,
        st_blocks,
        st_atime,
        st_mtime,
        st_ctime
    );
    same!(
        Statx,
        libc::statx,
        stx_mask,
        stx_blksize,
        stx_attributes,
        stx_nlink,
        stx_uid,
        stx_gid,
        stx_mode,
        stx_ino,
        stx_size,
        stx_blocks,
        stx_attributes_mask,
        stx_atime,
        stx_btime,
        stx_ctime,
        stx_mtime,
        stx_rdev_major,
        stx_rdev_minor,
        stx_dev_major,
        stx_dev_minor,
        stx_mnt_id,
        stx_dio_mem_align,
        stx_dio_offset_align
    );
    is!(Statx, 256, stx_subvol @ 160, stx_atomic_write_unit_min @ 168, stx_atomic_write_segments_max @ 176);
    same!(StatxTimestamp, libc::statx_timestamp, tv_sec, tv_nsec);
    same!(
        Statfs,
        libc::statfs,
        f_type,
        f_bsize,
        f_blocks,
        f_bfree,
        f_bavail,
        f_files,
        f_ffree,
        f_fsid,
        f_namelen,
        f_frsize
    );
    is!(Statfs, 120, f_flags @ 80);
    assert_eq!(offset_of!(libc::dirent64, d_name), DIRENT64_NAME_OFFSET);
    is!(Dirent64, 24, d_off @ 8, d_reclen @ 16, d_type @ 18, _pad @ 19);
    is!(DirentOld, 24, d_off @ 8, d_reclen @ 16, _pad @ 18);
    same!(Flock, libc::flock, l_type, l_whence, l_start, l_len, l_pid);
    is!(FOwnerEx, 8, pid @ 4);
    same!(OpenHow, libc::open_how, flags, mode, resolve);
    same!(FileHandle, libc::file_handle, handle_bytes, handle_type);
    same!(InotifyEvent, libc::inotify_event, wd, mask, cookie, len);
    is!(IoEvent, 32, res @ 16);
    is!(Iocb, 64, aio_rw_flags @ 12, aio_lio_opcode @ 16, aio_fildes @ 20, aio_offset @ 40, aio_resfd @ 60);
    same!(FileCloneRange, libc::file_clone_range, src_fd, src_offset, src_length, dest_offset);
    is!(Fsxattr, 28, fsx_cowextsize @ 16);
    is!(Fiemap, 32, fm_mapped_extents @ 20);
    is!(FiemapExtent, 56, fe_flags @ 40);
}

#[test]
fn readiness() {
    same!(PollFd, libc::pollfd, fd, events, revents);
    same!(EpollEvent, libc::epoll_event, events, data = u64);
    is!(EpollEvent, 12, data @ 4);
}

#[test]
fn signals() {
    is!(SigAction, 32, flags @ 8, restorer @ 16, mask @ 24);
    same!(SigInfo, libc::siginfo_t, si_signo, si_errno, si_code);
    is!(SigInfo, 128, fields @ 16);
    same!(SigAltStack, libc::stack_t, ss_sp, ss_flags, ss_size);
    same!(SigEvent, libc::sigevent, sigev_value, sigev_signo, sigev_notify, sigev_notify_thread_id);
    same!(
        SignalfdSiginfo,
        libc::signalfd_siginfo,
        ssi_signo,
        ssi_errno,
        ssi_code,
        ssi_pid,
        ssi_uid,
        ssi_fd,
        ssi_tid,
        ssi_band,
        ssi_overrun,
        ssi_trapno,
        ssi_status,
        ssi_int,
        ssi_ptr,
        ssi_utime,
        ssi_stime,
        ssi_addr,
        ssi_addr_lsb,
        ssi_syscall,
        ssi_call_addr,
        ssi_arch
    );
    // The C library's `ucontext_t` is the kernel's, with a larger mask and the extended state behind it.
    assert_eq!(offset_of!(UContext, uc_stack), offset_of!(libc::ucontext_t, uc_stack));
    assert_eq!(offset_of!(UContext, uc_mcontext), offset_of!(libc::ucontext_t, uc_mcontext));
    assert_eq!(offset_of!(UContext, uc_sigmask), offset_of!(libc::ucontext_t, uc_sigmask));
    assert_eq!(size_of::<SigContext>(), size_of::<libc::mcontext_t>());
    assert_eq!(offset_of!(SigContext, fpstate), offset_of!(libc::mcontext_t, fpregs));
    for (register, offset) in [
        (libc::REG_R8, offset_of!(SigContext, r8)),
        (libc::REG_R15, offset_of!(SigContext, r15)),
        (libc::REG_RDI, offset_of!(SigContext, rdi)),
        (libc::REG_RSI, offset_of!(SigContext, rsi)),
        (libc::REG_RBP, offset_of!(SigContext, rbp)),
        (libc::REG_RBX, offset_of!(SigContext, rbx)),
        (libc::REG_RDX, offset_of!(SigContext, rdx)),
        (libc::REG_RAX, offset_of!(SigContext, rax)),
        (libc::REG_RCX, offset_of!(SigContext, rcx)),
        (libc::REG_RSP, offset_of!(SigContext, rsp)),
        (libc::REG_RIP, offset_of!(SigContext, rip)),
        (libc::REG_EFL, offset_of!(SigContext, eflags)),
        (libc::REG_CSGSFS, offset_of!(SigContext, cs)),
        (libc::REG_ERR, offset_of!(SigContext, err)),
        (libc::REG_TRAPNO, offset_of!(SigContext, trapno)),
        (libc::REG_OLDMASK, offset_of!(SigContext, oldmask)),
        (libc::REG_CR2, offset_of!(SigContext, cr2)),
    ] {
        assert_eq!(register as usize * 8, offset);
    }
    is!(UContext, 304, uc_mcontext @ 40, uc_sigmask @ 296);
    is!(RtSigFrame, 440, uc @ 8, info @ 312);
    is!(FpxSwBytes, 48, extended_size @ 4, xfeatures @ 8, xstate_size @ 16);
}

#[test]
fn registers() {
    same!(
        UserFpregs,
        libc::user_fpregs_struct,
        cwd,
        swd,
        ftw,
        fop,
        rip,
        rdp,
        mxcsr,
        mxcr_mask,
        st_space,
        xmm_space
    );
    assert_eq!(offset_of!(libc::user, u_debugreg) as u64, USER_DEBUGREG_OFFSET);
    assert_eq!(size_of::<libc::user>() as u64, USER_SIZE);
    is!(UserDesc, 16, flags @ 12);
}

#[test]
fn times() {
    same!(Timespec, libc::timespec, tv_sec, tv_nsec);
    same!(Timeval, libc::timeval, tv_sec, tv_usec);
    same!(Itimerval, libc::itimerval, it_interval, it_value);
    same!(Itimerspec, libc::itimerspec, it_interval, it_value);
    same!(Tms, libc::tms, tms_utime, tms_stime, tms_cutime, tms_cstime);
    same!(Utimbuf, libc::utimbuf, actime, modtime);
    same!(
        Timex,
        libc::timex,
        modes,
        offset,
        freq,
        maxerror,
        esterror,
        status,
        constant,
        precision,
        tolerance,
        time,
        tick,
        ppsfreq,
        jitter,
        shift,
        stabil,
        jitcnt,
        calcnt,
        errcnt,
        stbcnt,
        tai
    );
    is!(Timezone, 8, tz_dsttime @ 4);
}

#[test]
fn processes() {
    same!(
        CloneArgs,
        libc::clone_args,
        flags,
        pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        tls,
        set_tid,
        set_tid_size,
        cgroup
    );
    same!(
        Rusage,
        libc::rusage,
        ru_utime,
        ru_stime,
        ru_maxrss,
        ru_ixrss,
        ru_idrss,
        ru_isrss,
        ru_minflt,
        ru_majflt,
        ru_nswap,
        ru_inblock,
        ru_oublock,
        ru_msgsnd,
        ru_msgrcv,
        ru_nsignals,
        ru_nvcsw,
        ru_nivcsw
    );
    same!(Rlimit, libc::rlimit64, rlim_cur, rlim_max);
    same!(SchedParam, libc::sched_param, sched_priority);
    is!(SchedAttr, 56, sched_policy @ 4, sched_nice @ 16, sched_period @ 40, sched_util_min @ 48, sched_util_max @ 52);
    is!(Rseq, 32, cpu_id @ 4, rseq_cs @ 8, flags @ 16, node_id @ 20, mm_cid @ 24);
    is!(RseqCs, 32, start_ip @ 8, abort_ip @ 24);
    same!(Utsname, libc::utsname, sysname, nodename, release, version, machine, domainname);
    same!(
        Sysinfo,
        libc::sysinfo,
        uptime,
        loads,
        totalram,
        freeram,
        sharedram,
        bufferram,
        totalswap,
        freeswap,
        procs,
        totalhigh,
        freehigh,
        mem_unit
    );
    is!(FutexWaitv, 24, uaddr @ 8, flags @ 16);
    is!(RobustListHead, 24, futex_offset @ 8, list_op_pending @ 16);
    is!(KcmpEpollSlot, 12, toff @ 8);
    is!(PrctlMmMap, 104, auxv @ 88, auxv_size @ 96, exe_fd @ 100);
    is!(AcctV3, 64, ac_btime @ 24, ac_utime @ 32, ac_comm @ 48);
    is!(CapUserHeader, 8, pid @ 4);
    is!(CapUserData, 12, inheritable @ 8);
    is!(VfsCapDataV2, 20, permitted_high @ 12);
    is!(VfsCapDataV3, 24, rootid @ 20);
}

#[test]
fn tracing_and_filters() {
    is!(PtracePeeksiginfoArgs, 16, flags @ 8, nr @ 12);
    same!(
        PtraceSyscallInfo,
        libc::ptrace_syscall_info,
        op,
        arch,
        instruction_pointer,
        stack_pointer,
        data = u
    );
    is!(PtraceRseqConfiguration, 24, signature @ 12);
    same!(SeccompData, libc::seccomp_data, nr, arch, instruction_pointer, args);
    same!(SockFilter, libc::sock_filter, code, jt, jf, k);
    same!(SockFprog, libc::sock_fprog, len, filter);
    same!(SeccompNotifSizes, libc::seccomp_notif_sizes, seccomp_notif, seccomp_notif_resp, seccomp_data);
    same!(SeccompNotif, libc::seccomp_notif, id, pid, flags, data);
    same!(SeccompNotifResp, libc::seccomp_notif_resp, id, val, error, flags);
    same!(SeccompNotifAddfd, libc::seccomp_notif_addfd, id, flags, srcfd, newfd, newfd_flags);
}

#[test]
fn mounts() {
    same!(MountAttr, libc::mount_attr, attr_set, attr_clr, propagation, userns_fd);
    is!(MntIdReq, 32, mnt_id @ 8, param @ 16, mnt_ns_id @ 24);
    is!(Statmount, 512, mask @ 8, sb_magic @ 24, mnt_id @ 40, mnt_attr @ 64, mnt_root @ 104, mnt_ns_id @ 112);
}

#[test]
fn ipc() {
    same!(IpcPerm, libc::ipc_perm, key = __key, uid, gid, cuid, cgid, mode);
    same!(
        ShmidDs,
        libc::shmid_ds,
        shm_perm,
        shm_segsz,
        shm_atime,
        shm_dtime,
        shm_ctime,
        shm_cpid,
        shm_lpid,
        shm_nattch
    );
    same!(SemidDs, libc::semid_ds, sem_perm, sem_otime, sem_ctime, sem_nsems);
    same!(
        MsqidDs,
        libc::msqid_ds,
        msg_perm,
        msg_stime,
        msg_rtime,
        msg_ctime,
        msg_cbytes = __msg_cbytes,
        msg_qnum,
        msg_qbytes,
        msg_lspid,
        msg_lrpid
    );
    same!(Sembuf, libc::sembuf, sem_num, sem_op, sem_flg);
    same!(Seminfo, libc::seminfo, semmap, semmni, semmns, semopm, semvmx, semaem);
    same!(Msginfo, libc::msginfo, msgpool, msgmax, msgmnb, msgmni, msgseg);
    same!(MqAttr, libc::mq_attr, mq_flags, mq_maxmsg, mq_msgsize, mq_curmsgs);
    is!(Shminfo, 72, shmall @ 32);
    is!(ShmInfo, 48, shm_tot @ 8);
}

#[test]
fn sockets() {
    same!(
        MsgHdr,
        libc::msghdr,
        msg_name,
        msg_namelen,
        msg_iov,
        msg_iovlen,
        msg_control,
        msg_controllen,
        msg_flags
    );
    same!(MMsgHdr, libc::mmsghdr, msg_hdr, msg_len);
    same!(Cmsghdr, libc::cmsghdr, cmsg_len, cmsg_level, cmsg_type);
    same!(Iovec, libc::iovec, iov_base, iov_len);
    same!(Linger, libc::linger, l_onoff, l_linger);
    same!(Ucred, libc::ucred, pid, uid, gid);
    same!(SockaddrIn, libc::sockaddr_in, sin_family, sin_port, sin_addr, sin_zero);
    same!(SockaddrIn6, libc::sockaddr_in6, sin6_family, sin6_port, sin6_flowinfo, sin6_addr, sin6_scope_id);
    same!(SockaddrUn, libc::sockaddr_un, sun_family, sun_path);
    same!(SockaddrNl, libc::sockaddr_nl, nl_family, nl_pid, nl_groups);
    same!(
        SockaddrLl,
        libc::sockaddr_ll,
        sll_family,
        sll_protocol,
        sll_ifindex,
        sll_hatype,
        sll_pkttype,
        sll_halen,
        sll_addr
    );
    same!(SockaddrVm, libc::sockaddr_vm, svm_family, svm_port, svm_cid);
    same!(IpMreqn, libc::ip_mreqn, imr_multiaddr, imr_address, imr_ifindex);
    same!(IpMreqSource, libc::ip_mreq_source, imr_multiaddr, imr_interface, imr_sourceaddr);
    same!(Ipv6Mreq, libc::ipv6_mreq, ipv6mr_multiaddr, ipv6mr_ifindex = ipv6mr_interface);
    same!(PacketMreq, libc::packet_mreq, mr_ifindex, mr_type, mr_alen, mr_address);
    same!(InPktinfo, libc::in_pktinfo, ipi_ifindex, ipi_spec_dst, ipi_addr);
    same!(In6Pktinfo, libc::in6_pktinfo, ipi6_addr, ipi6_ifindex);
    same!(SockExtendedErr, libc::sock_extended_err, ee_errno, ee_origin, ee_type, ee_code, ee_info, ee_data);
    is!(TcpInfo, 248, tcpi_rto @ 8, tcpi_total_retrans @ 100, tcpi_pacing_rate @ 104, tcpi_segs_out @ 136,
        tcpi_delivery_rate @ 160, tcpi_delivered @ 192, tcpi_bytes_sent @ 200, tcpi_snd_wnd @ 228, tcpi_total_rto @ 240);
    same!(Ifreq, libc::ifreq, ifr_name, ifr_data = ifr_ifru);
    same!(Ifconf, libc::ifconf, ifc_len, ifc_buf = ifc_ifcu);
}

#[test]
fn netlink() {
    same!(Nlmsghdr, libc::nlmsghdr, nlmsg_len, nlmsg_type, nlmsg_flags, nlmsg_seq, nlmsg_pid);
    same!(Nlmsgerr, libc::nlmsgerr, error, msg);
    same!(Nlattr, libc::nlattr, nla_len, nla_type);
    same!(Genlmsghdr, libc::genlmsghdr, cmd, version);
    is!(Rtgenmsg, 1);
    is!(Ifinfomsg, 16, ifi_type @ 2, ifi_index @ 4, ifi_change @ 12);
    is!(Ifaddrmsg, 8, ifa_index @ 4);
    is!(Rtmsg, 12, rtm_type @ 7, rtm_flags @ 8);
    is!(Ndmsg, 12, ndm_ifindex @ 4, ndm_state @ 8, ndm_type @ 11);
    is!(IfaCacheinfo, 16);
    is!(RtaCacheinfo, 32);
    is!(RtnlLinkStats64, 200);
    is!(Tcmsg, 20, tcm_ifindex @ 4, tcm_info @ 16);
    is!(InetDiagSockid, 48, idiag_if @ 36);
    is!(InetDiagReqV2, 56, id @ 8);
    is!(InetDiagMsg, 72, id @ 4, idiag_inode @ 68);
    is!(UnixDiagReq, 24, udiag_states @ 4, udiag_cookie @ 16);
    is!(UnixDiagMsg, 16, udiag_ino @ 4, udiag_cookie @ 8);
}

#[test]
fn terminals() {
    is!(Termios, 36, c_line @ 16, c_cc @ 17);
    same!(Termios2, libc::termios2, c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc, c_ispeed, c_ospeed);
    is!(Termio, 18, c_line @ 8, c_cc @ 9);
    same!(Winsize, libc::winsize, ws_row, ws_col, ws_xpixel, ws_ypixel);
}

#[test]
fn elf() {
    same!(
        Elf64Ehdr,
        libc::Elf64_Ehdr,
        e_ident,
        e_type,
        e_machine,
        e_version,
        e_entry,
        e_phoff,
        e_shoff,
        e_flags,
        e_ehsize,
        e_phentsize,
        e_phnum,
        e_shentsize,
        e_shnum,
        e_shstrndx
    );
    same!(
        Elf64Phdr,
        libc::Elf64_Phdr,
        p_type,
        p_flags,
        p_offset,
        p_vaddr,
        p_paddr,
        p_filesz,
        p_memsz,
        p_align
    );
    same!(
        Elf64Shdr,
        libc::Elf64_Shdr,
        sh_name,
        sh_type,
        sh_flags,
        sh_addr,
        sh_offset,
        sh_size,
        sh_link,
        sh_info,
        sh_addralign,
        sh_entsize
    );
    same!(Elf64Sym, libc::Elf64_Sym, st_name, st_info, st_other, st_shndx, st_value, st_size);
    is!(Elf64Dyn, 16, d_val @ 8);
    is!(Elf64Nhdr, 12, n_type @ 8);
    is!(Auxv, 16, a_val @ 8);
    assert_eq!(usize::from(ELF64_PHENTSIZE), Elf64Phdr::SIZE);
}
