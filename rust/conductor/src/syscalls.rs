//! Names of the system calls a kernel might try.

#[cfg(target_arch = "x86_64")]
#[path = "syscalls_x86_64.rs"]
mod own;
#[cfg(not(target_arch = "x86_64"))]
mod own {
    //! No calls beyond the common ones.
    pub const NAMES: &[(i64, &str)] = &[];
}

macro_rules! names {
    ($($syscall:ident),+ $(,)?) => { &[$((libc::$syscall, stringify!($syscall))),+] };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use names;

const NAMES: &[(i64, &str)] = names![
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_openat,
    SYS_close,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_lseek,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_ioctl,
    SYS_sched_yield,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_tgkill,
    SYS_tkill,
    SYS_kill,
    SYS_clone,
    SYS_clone3,
    SYS_execve,
    SYS_execveat,
    SYS_wait4,
    SYS_exit,
    SYS_exit_group,
    SYS_socket,
    SYS_connect,
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_futex,
    SYS_sched_setaffinity,
    SYS_sched_getaffinity,
    SYS_getcpu,
    SYS_getrandom,
    SYS_memfd_create,
    SYS_ptrace,
    SYS_prctl,
    SYS_seccomp,
    SYS_prlimit64,
    SYS_getrusage,
    SYS_perf_event_open,
    SYS_bpf,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_timer_create,
    SYS_setitimer,
    SYS_timerfd_create,
    SYS_eventfd2,
    SYS_epoll_create1,
    SYS_pipe2,
    SYS_dup,
    SYS_dup3,
    SYS_fcntl,
    SYS_unlinkat,
    SYS_mkdirat,
    SYS_getdents64,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_uname,
    SYS_sigaltstack,
    SYS_mlock,
    SYS_munlock,
    SYS_mincore,
    SYS_msync,
    SYS_shmget,
    SYS_shmat,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_membarrier,
    SYS_rseq,
    SYS_getuid,
    SYS_sysinfo,
    SYS_times,
    SYS_set_tid_address,
    SYS_set_robust_list,
];

/// The call's name, or its number in words.
pub fn name(number: i64) -> String {
    NAMES
        .iter()
        .chain(own::NAMES)
        .find(|(n, _)| *n == number)
        .map_or_else(|| format!("number {number}"), |(_, name)| name[4..].to_string())
}
