//! System calls that newer architectures left out.

pub const NAMES: &[(i64, &str)] = super::names![
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_fork, SYS_vfork, SYS_pipe, SYS_dup2,
    SYS_select, SYS_poll, SYS_pause, SYS_alarm, SYS_time, SYS_arch_prctl, SYS_readlink,
    SYS_unlink, SYS_getrlimit, SYS_setrlimit, SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_creat,
    SYS_eventfd, SYS_epoll_create,
];
