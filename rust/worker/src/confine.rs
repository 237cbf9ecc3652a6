//! Limits of the process: no new privileges, no core dumps, no counter instruction.

fn limit(what: libc::__rlimit_resource_t, value: u64) {
    if cfg!(feature = "test-no-fence") {
        return;
    }
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: a plain system call.
    unsafe { libc::setrlimit(what, &limit) };
}

/// Before the exec: the stack of the set-up, in bytes, the same for every worker.
pub fn before_exec(stack: u64) {
    limit(libc::RLIMIT_STACK, stack);
    limit(libc::RLIMIT_CORE, 0);
}

/// After loading and before any kernel code. Heap and arena are shared memory, and no part of the data.
pub fn process() {
    limit(libc::RLIMIT_DATA, 64 << 20);
    limit(libc::RLIMIT_FSIZE, 0);
    limit(libc::RLIMIT_NPROC, 0);
    limit(libc::RLIMIT_NOFILE, 0);
    limit(libc::RLIMIT_MEMLOCK, 0);
    limit(libc::RLIMIT_MSGQUEUE, 0);
    // SAFETY: plain system calls on this process alone.
    unsafe {
        libc::close(lar_abi::wire::FD_LIBRARY);
        for signal in [libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
    }
    if !cfg!(feature = "test-counter") {
        counter_off();
    }
}

/// The counter instruction faults from here on.
#[cfg(target_arch = "x86_64")]
fn counter_off() {
    // SAFETY: a plain system call on this thread.
    if unsafe { libc::prctl(libc::PR_SET_TSC, libc::PR_TSC_SIGSEGV) } != 0 {
        crate::note::die("the time-stamp counter cannot be switched off");
    }
}

/// Elsewhere the counter cannot be trapped; `lar doctor` says so.
#[cfg(not(target_arch = "x86_64"))]
fn counter_off() {}
