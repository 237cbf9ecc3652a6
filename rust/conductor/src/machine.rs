//! Reads /proc: a process's fences, a core's load. Pins this process to a core.

use std::os::fd::{AsRawFd, OwnedFd};

/// The process id behind a pidfd, in our own namespace.
pub fn pid_of(fd: &OwnedFd) -> Option<String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    field(&info, "Pid:").filter(|&pid| pid > 0).map(|pid| pid.to_string())
}

/// `/proc/<pid>/status`, empty if it cannot be read.
pub fn status(pid: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

/// How long a process ran, and how long it waited in the run queue, nanoseconds.
pub fn scheduled_ns(pid: &str) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let mut words = text.split_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// The number after `name` in a `name: number` text.
pub fn field(text: &str, name: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Pins this thread to one core; false if that is not possible.
pub fn pin(core: usize) -> bool {
    // SAFETY: a zeroed set is valid; a plain system call on this thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if core >= libc::CPU_SETSIZE as usize {
            return false;
        }
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) == 0
    }
}

/// Busy time of one core since boot, microseconds, steal not counted.
pub fn busy_us(core: usize) -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let name = format!("cpu{core} ");
    let line = stat.lines().find_map(|l| l.strip_prefix(&name))?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy = ticks.first()? + ticks.get(1)? + ticks.get(2)? + ticks.get(5)? + ticks.get(6)?;
    // SAFETY: a plain query.
    let hz = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    Some(busy * 1_000_000 / hz)
}
