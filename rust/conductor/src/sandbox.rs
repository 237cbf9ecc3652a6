//! The sandbox: bubblewrap (or Landlock, or nothing by explicit wish) around one spawner.

use crate::limits::Limits;
use crate::stop::{Failure, FailureCode, Stop};
use lar_abi::wire::*;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Which fence holds files and network away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SandboxKind {
    Bwrap,
    Landlock,
    None,
}

impl SandboxKind {
    /// Reads `bwrap`, `landlock` or `none`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "bwrap" => Ok(SandboxKind::Bwrap),
            "landlock" => Ok(SandboxKind::Landlock),
            "none" => Ok(SandboxKind::None),
            _ => Err(format!("sandbox `{text}` (bwrap, landlock, none)")),
        }
    }

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            SandboxKind::Bwrap => "bwrap",
            SandboxKind::Landlock => "landlock",
            SandboxKind::None => "none",
        }
    }
}

/// A running spawner.
pub struct Sandbox {
    child: Child,
    socket: OwnedFd,
    next_id: u32,
    born: HashMap<u32, OwnedFd>,
    ended: HashMap<u32, Event>,
    patience: Duration,
    pub kind: SandboxKind,
}

/// Read-only host paths that loading a library needs.
const BIND: [&str; 5] = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache"];

fn command(kind: SandboxKind, worker: &Path) -> Command {
    if kind != SandboxKind::Bwrap {
        let mut command = Command::new(worker);
        command.arg("spawner");
        if kind == SandboxKind::Landlock {
            command.arg("landlock");
        }
        return command;
    }
    let mut command = Command::new("bwrap");
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]);
    command.args(["--cap-drop", "ALL", "--proc", "/proc"]);
    for path in BIND {
        command.args(["--ro-bind-try", path, path]);
    }
    command.arg("--ro-bind").arg(worker).arg("/lar-worker");
    command.args(["--chdir", "/", "/lar-worker", "spawner"]);
    command
}

impl Sandbox {
    /// Starts the spawner in its sandbox and waits until it is up.
    pub fn open(kind: SandboxKind, worker: &Path, limits: &Limits) -> Result<Self, String> {
        let mut ends = [0; 2];
        let flags = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: a plain system call; both descriptors are owned from here on.
        let (ours, theirs) = unsafe {
            if libc::socketpair(libc::AF_UNIX, flags, 0, ends.as_mut_ptr()) != 0 {
                return Err(format!("no socket: {}", io::Error::last_os_error()));
            }
            (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
        };
        let mut command = command(kind, worker);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let raw = theirs.as_raw_fd();
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // dup2 clears close-on-exec; on the same number it must be cleared explicitly.
                if raw == FD_SPAWNER {
                    libc::fcntl(raw, libc::F_SETFD, 0);
                } else {
                    libc::dup2(raw, FD_SPAWNER);
                }
                Ok(())
            });
        }
        let child = command.spawn().map_err(|e| format!("sandbox {}: {e}", kind.name()))?;
        drop(theirs);
        let (born, ended) = (HashMap::new(), HashMap::new());
        let patience = limits.spawner();
        let sandbox = Sandbox { child, socket: ours, next_id: 1, born, ended, patience, kind };
        match sandbox.receive(patience) {
            Ok(Some((event, _))) if event.kind == EVENT_UP && event.status == 0 => Ok(sandbox),
            Ok(Some(_)) => Err(format!("sandbox {}: this kernel cannot enforce it", kind.name())),
            _ => Err(format!("sandbox {}: the spawner did not come up", kind.name())),
        }
    }

    /// Asks for a worker and gives it its id; `fds` are control, plan, inputs, outputs,
    /// library, scratch.
    pub fn request(&mut self, ask: SpawnRequest, fds: [RawFd; 6]) -> Result<u32, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        let request = SpawnRequest { id, ..ask };
        // SAFETY: buffers live across the call; the control buffer is aligned for cmsghdr.
        let sent = unsafe {
            let mut iov = libc::iovec {
                iov_base: (&raw const request as *mut SpawnRequest).cast(),
                iov_len: size_of::<SpawnRequest>(),
            };
            let mut control = [0u64; 16];
            let bytes = size_of_val(&fds) as u32;
            let mut msg: libc::msghdr = std::mem::zeroed();
            msg.msg_iov = &mut iov;
            msg.msg_iovlen = 1;
            msg.msg_control = control.as_mut_ptr().cast();
            msg.msg_controllen = libc::CMSG_SPACE(bytes) as _;
            let head = libc::CMSG_FIRSTHDR(&msg);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(bytes) as _;
            std::ptr::copy_nonoverlapping(
                fds.as_ptr().cast::<u8>(),
                libc::CMSG_DATA(head),
                bytes as usize,
            );
            libc::sendmsg(self.socket.as_raw_fd(), &msg, libc::MSG_NOSIGNAL)
        };
        if sent < 0 {
            return Err(gone(&io::Error::last_os_error().to_string()));
        }
        Ok(id)
    }

    /// Waits until worker `id` is there; returns its pidfd.
    pub fn born(&mut self, id: u32) -> Result<OwnedFd, Stop> {
        let end = Instant::now() + self.patience;
        loop {
            if let Some(fd) = self.born.remove(&id) {
                return Ok(fd);
            }
            self.pump(end)?;
        }
    }

    /// Waits for the end of worker `id`.
    pub fn ended(&mut self, id: u32) -> Result<Event, Stop> {
        let end = Instant::now() + self.patience;
        loop {
            if let Some(event) = self.ended.remove(&id) {
                return Ok(event);
            }
            self.pump(end)?;
        }
    }

    /// Takes in one event.
    fn pump(&mut self, end: Instant) -> Result<(), Stop> {
        let left = end.saturating_duration_since(Instant::now());
        let Some((event, fd)) = self.receive(left)? else {
            return Err("the spawner does not answer".to_string().into());
        };
        match (event.kind, fd) {
            (EVENT_BORN, Some(fd)) => {
                self.born.insert(event.id, fd);
            }
            (EVENT_ENDED, _) => {
                self.ended.insert(event.id, event);
            }
            (EVENT_NO_FORK, _) => {
                let error = io::Error::from_raw_os_error(event.status);
                return Err(format!("the spawner cannot fork: {error}").into());
            }
            _ => return Err("a garbled message from the spawner".to_string().into()),
        }
        Ok(())
    }

    fn receive(&self, wait: Duration) -> Result<Option<(Event, Option<OwnedFd>)>, Failure> {
        let fd = self.socket.as_raw_fd();
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut event = Event::default();
        // SAFETY: buffers live across the calls; the control buffer is aligned for cmsghdr.
        unsafe {
            if libc::poll(&mut poll, 1, wait.as_millis() as i32 + 1) <= 0 {
                return Ok(None);
            }
            let mut iov =
                libc::iovec { iov_base: (&raw mut event).cast(), iov_len: size_of::<Event>() };
            let mut control = [0u64; 8];
            let mut msg: libc::msghdr = std::mem::zeroed();
            msg.msg_iov = &mut iov;
            msg.msg_iovlen = 1;
            msg.msg_control = control.as_mut_ptr().cast();
            msg.msg_controllen = size_of_val(&control) as _;
            let n = libc::recvmsg(fd, &mut msg, libc::MSG_CMSG_CLOEXEC);
            if n != size_of::<Event>() as isize {
                return Err(gone("the spawner has ended"));
            }
            let head = libc::CMSG_FIRSTHDR(&msg);
            let rider = (!head.is_null()).then(|| {
                let raw = std::ptr::read_unaligned(libc::CMSG_DATA(head).cast::<i32>());
                OwnedFd::from_raw_fd(raw)
            });
            Ok(Some((event, rider)))
        }
    }
}

fn gone(detail: &str) -> Failure {
    Failure::new(FailureCode::SandboxGone, format!("the sandbox is gone: {detail}"))
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It dies with its spawner, and all workers with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
