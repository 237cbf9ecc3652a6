//! The two seccomp fences: a loose one while the library loads, then futex and exit alone.
//!
//! A refused call is never executed: SIGSYS runs `note::on_refused`, which names it on the
//! note page and ends the process. Nothing can undo that: installing handlers and masking
//! signals are refused too, and a masked SIGSYS kills. The conductor checks from outside
//! that both filters stand before it arms the first slice.

use crate::memory::Memory;
use lar_abi::wire::SIGNAL_STACK;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The system calls that the dynamic loader, the limits and the heap's set-up need.
fn loading() -> Rules {
    let plain = [
        libc::SYS_openat,
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_readlinkat,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_munmap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_prctl,
        libc::SYS_seccomp,
        libc::SYS_prlimit64,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        libc::SYS_getrandom,
        libc::SYS_lseek,
        libc::SYS_getcwd,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    #[allow(unused_mut)]
    let mut rules: Rules = plain.into_iter().map(|nr| (nr, vec![])).collect();
    #[cfg(target_arch = "x86_64")]
    for nr in [libc::SYS_readlink, libc::SYS_access, libc::SYS_setrlimit] {
        rules.insert(nr, vec![]);
    }
    rules
}

/// FUTEX_WAIT without a timeout (so that only the conductor can wake it), and the end.
fn running() -> Rules {
    let equal = |arg, value| {
        SeccompCondition::new(arg, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, value)
            .expect("argument numbers below 6")
    };
    let wait = SeccompRule::new(vec![equal(1, libc::FUTEX_WAIT as u64), equal(3, 0)])
        .expect("a rule with conditions");
    BTreeMap::from([
        (libc::SYS_futex, vec![wait]),
        (libc::SYS_exit, vec![]),
        (libc::SYS_exit_group, vec![]),
    ])
}

/// Compiles rules, for which it allocates.
fn compile(rules: Rules) -> BpfProgram {
    let arch = std::env::consts::ARCH.try_into().expect("an architecture seccomp knows");
    let filter = SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch)
        .expect("a valid rule set");
    filter.try_into().expect("a filter below the size limit")
}

/// Puts up a fence. Allocates and frees nothing.
fn install(program: &BpfProgram) {
    if cfg!(feature = "test-no-fence") {
        return;
    }
    let fprog = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr() as *mut libc::sock_filter,
    };
    // SAFETY: both programs live across the calls; SPEC_ALLOW leaves speculation settings be.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                &fprog,
            ) != 0
    };
    if failed {
        crate::note::die("seccomp cannot be installed");
    }
}

/// Handlers of refused calls and of faults, on a stack of their own.
fn handlers(memory: &Memory) {
    let (ss_sp, ss_size) = (memory.signal_stack.cast(), SIGNAL_STACK);
    // SAFETY: the stack is mapped for good, the handlers are async-signal-safe.
    unsafe {
        let alt = libc::stack_t { ss_sp, ss_flags: 0, ss_size };
        libc::sigaltstack(&alt, std::ptr::null_mut());
        let on = |signal: i32, handler: *const ()| {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        };
        on(libc::SIGSYS, crate::note::on_refused as *const ());
        on(libc::SIGSEGV, crate::note::on_fault as *const ());
    }
}

/// While constructors of an unknown library may run: no processes, sockets, signals, writes.
pub fn while_loading(memory: &Memory) {
    handlers(memory);
    install(&compile(loading()));
}

/// The fence of `while_running`, made ready.
pub struct Running(BpfProgram);

impl Running {
    /// While memory can still be allocated.
    pub fn compile() -> Self {
        Running(compile(running()))
    }
}

/// Before any kernel code.
pub fn while_running(fence: &Running) {
    install(&fence.0);
}
