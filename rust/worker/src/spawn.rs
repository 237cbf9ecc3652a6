//! The spawner: trusted, inside the sandbox; forks workers on request and reports their ends.
//!
//! It talks over one SOCK_SEQPACKET socket (descriptor 3). A request carries the worker's
//! six descriptors; the child answers `EVENT_BORN` with its own pidfd just before its exec.

use crate::confine;
use lar_abi::wire::*;
use std::mem::{size_of, zeroed};

/// Descriptors that ride along with a request, in the order of their final numbers.
const RIDERS: usize = 6;

/// Serves until the conductor closes the socket.
pub fn serve(landlock: bool) -> ! {
    let confined = !landlock || crate::landlock_sandbox::enter();
    send(Event { kind: EVENT_UP, status: i32::from(!confined), ..Event::default() }, None);
    let mut children: Vec<(i32, u32)> = Vec::new();
    loop {
        let mut polls = vec![libc::pollfd { fd: FD_SPAWNER, events: libc::POLLIN, revents: 0 }];
        polls.extend(children.iter().map(|&(fd, _)| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        }));
        // SAFETY: `polls` lives across the call.
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, -1) };
        reap(&mut children, &polls[1..]);
        if polls[0].revents != 0 {
            match receive() {
                Some((request, fds)) => children.extend(fork(request, fds)),
                None => std::process::exit(0),
            }
        }
    }
}

/// Reports and forgets the children whose pidfd is readable.
fn reap(children: &mut Vec<(i32, u32)>, polls: &[libc::pollfd]) {
    for poll in polls.iter().filter(|p| p.revents != 0) {
        let Some(i) = children.iter().position(|c| c.0 == poll.fd) else { continue };
        let (pidfd, id) = children.swap_remove(i);
        // SAFETY: plain system calls; `info` and `usage` are ours.
        let event = unsafe {
            let mut info: libc::siginfo_t = zeroed();
            let mut usage: libc::rusage = zeroed();
            let flags = libc::WEXITED;
            libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd, &mut info, flags, &mut usage);
            libc::close(pidfd);
            let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
            let value = info.si_status();
            Event {
                kind: EVENT_ENDED,
                id,
                status: if info.si_code == libc::CLD_EXITED { value << 8 } else { value },
                pad: 0,
                cpu_us: us(usage.ru_utime) + us(usage.ru_stime),
                peak_kib: usage.ru_maxrss as u64,
            }
        };
        send(event, None);
    }
}

/// Forks and execs one worker; returns its pidfd and id.
fn fork(request: SpawnRequest, fds: [i32; RIDERS]) -> Option<(i32, u32)> {
    let mut pidfd: i32 = -1;
    // SAFETY: this process has one thread; the child only sets itself up and execs.
    let pid = unsafe { clone_with_pidfd(&mut pidfd) };
    match pid {
        0 => child(request, fds),
        p if p < 0 => {
            let status = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
            let event = Event { kind: EVENT_NO_FORK, id: request.id, status, ..Event::default() };
            send(event, None);
        }
        _ => send(Event { kind: EVENT_BORN, id: request.id, ..Event::default() }, Some(pidfd)),
    }
    for fd in fds {
        // SAFETY: received descriptors, the parent does not use them.
        unsafe { libc::close(fd) };
    }
    (pid > 0).then_some((pidfd, request.id))
}

/// clone3 that returns a pidfd together with the child.
///
/// # Safety
/// As `fork`.
unsafe fn clone_with_pidfd(pidfd: &mut i32) -> libc::c_long {
    // SAFETY: zero is a valid clone_args; promised by the caller otherwise.
    unsafe {
        let mut args: libc::clone_args = zeroed();
        args.flags = libc::CLONE_PIDFD as u64;
        args.pidfd = &raw mut *pidfd as u64;
        args.exit_signal = libc::SIGCHLD as u64;
        libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>())
    }
}

/// In the child: final descriptor numbers, core, limits, exec with fixed bytes.
fn child(request: SpawnRequest, fds: [i32; RIDERS]) -> ! {
    let argv = [c"lar-worker".as_ptr(), c"worker".as_ptr(), std::ptr::null()];
    let env = [c"LC_ALL=C".as_ptr(), std::ptr::null()];
    // SAFETY: only system calls between fork and exec.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Received descriptors lie above the final numbers: high copies first, then down.
        let high = fds.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 64));
        for (i, fd) in high.into_iter().enumerate() {
            libc::dup2(fd, FD_CONTROL + i as i32);
        }
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(request.core as usize, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        confine::before_exec(request.stack);
        // Addresses are `Layout`'s to draw, alike for both sides of a pair.
        libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong);
        libc::execve(c"/proc/self/exe".as_ptr(), argv.as_ptr(), env.as_ptr());
        libc::_exit(127)
    }
}

/// Receives one request; None when the conductor has gone.
fn receive() -> Option<(SpawnRequest, [i32; RIDERS])> {
    let mut request = SpawnRequest { id: 0, core: 0, stack: 0 };
    let mut fds = [-1; RIDERS];
    // SAFETY: buffers live across the call; the control buffer is aligned for cmsghdr.
    unsafe {
        let mut iov =
            libc::iovec { iov_base: (&raw mut request).cast(), iov_len: size_of::<SpawnRequest>() };
        let mut control = [0u64; 16];
        let mut msg: libc::msghdr = zeroed();
        msg.msg_iov = &mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.as_mut_ptr().cast();
        msg.msg_controllen = size_of_val(&control) as _;
        let n = libc::recvmsg(FD_SPAWNER, &mut msg, libc::MSG_CMSG_CLOEXEC);
        let head = libc::CMSG_FIRSTHDR(&msg);
        if n != size_of::<SpawnRequest>() as isize || head.is_null() {
            return None;
        }
        let data = libc::CMSG_DATA(head).cast::<i32>();
        for (i, fd) in fds.iter_mut().enumerate() {
            *fd = std::ptr::read_unaligned(data.add(i));
        }
    }
    Some((request, fds))
}

/// Sends one event, with a descriptor if there is one.
fn send(event: Event, fd: Option<i32>) {
    // SAFETY: buffers live across the call; the control buffer is aligned for cmsghdr.
    unsafe {
        let mut iov = libc::iovec {
            iov_base: (&raw const event as *mut Event).cast(),
            iov_len: size_of::<Event>(),
        };
        let mut control = [0u64; 4];
        let mut msg: libc::msghdr = zeroed();
        msg.msg_iov = &mut iov;
        msg.msg_iovlen = 1;
        if let Some(fd) = fd {
            msg.msg_control = control.as_mut_ptr().cast();
            msg.msg_controllen = libc::CMSG_SPACE(size_of::<i32>() as u32) as _;
            let head = libc::CMSG_FIRSTHDR(&msg);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as _;
            std::ptr::write_unaligned(libc::CMSG_DATA(head).cast::<i32>(), fd);
        }
        libc::sendmsg(FD_SPAWNER, &msg, libc::MSG_NOSIGNAL);
    }
}
