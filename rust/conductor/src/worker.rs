//! The conductor's handle of one worker process: start, arm, fire, proof of sleep, end.

use crate::clock::ticks;
use crate::fault::{Fault, FaultKind};
use crate::limits::Limits;
use crate::machine;
use crate::sandbox::Sandbox;
use crate::shm::{Frozen, Shared};
use crate::stop::{Stop, Void, VoidCause};
use crate::window::Tables;
use lar_abi::call::*;
use lar_abi::wire::*;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// All that the start of a worker needs.
pub struct Start<'a> {
    /// `champion` or `candidate`.
    pub side: &'static str,
    pub core: usize,
    pub limits: Limits,
    pub setup: Setup,
    pub plan: &'a Shared,
    pub inputs: &'a Frozen,
    pub outputs: &'a Shared,
    /// Its own stacks, heap and arena.
    pub scratch: Shared,
    /// None: only empty slices.
    pub library: Option<&'a Frozen>,
}

/// Stack of a worker's own set-up: loading a library happens there, no kernel runs on it.
const SETUP_STACK: u64 = 8 << 20;
const GETTING_READY: &str = "getting ready";

/// One worker.
pub struct Worker {
    pub side: &'static str,
    limits: Limits,
    id: u32,
    control: Shared,
    scratch: Shared,
    pidfd: Option<OwnedFd>,
    turn: u32,
    killed: bool,
    gone: bool,
    /// CPU time it used, once it has ended.
    pub cpu_us: u64,
    /// Peak resident memory, once it has ended.
    pub peak_kib: u64,
}

/// The times of one slice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shots {
    /// Ticks from arm to ready.
    pub arm: u64,
    /// Ticks from go to done.
    pub run: u64,
    /// Ticks between the last two looks at *done*: how late it may have been seen.
    pub look: u64,
}

impl Worker {
    /// Asks for the process; `settle` waits for it.
    pub fn start(sandbox: &mut Sandbox, start: Start) -> Result<Self, Stop> {
        let mut control = Shared::new(CONTROL_BYTES, false)?;
        // SAFETY: page 1 of the control memory is the Setup.
        unsafe {
            control.bytes_mut().as_mut_ptr().add(SETUP_AT).cast::<Setup>().write(start.setup)
        };
        // Without a library any descriptor fills its place.
        let library = start.library.map_or(start.plan.fd(), Frozen::fd);
        let (inputs, outputs) = (start.inputs.fd(), start.outputs.fd());
        let scratch = start.scratch.fd();
        let fds = [control.fd(), start.plan.fd(), inputs, outputs, library, scratch];
        let stack = SETUP_STACK;
        let request = SpawnRequest { id: 0, core: start.core as u32, stack };
        let id = sandbox.request(request, fds)?;
        Ok(Worker {
            side: start.side,
            limits: start.limits,
            id,
            control,
            scratch: start.scratch,
            pidfd: None,
            turn: 0,
            killed: false,
            gone: false,
            cpu_us: 0,
            peak_kib: 0,
        })
    }

    /// Waits until it sleeps for the first time, both fences up.
    pub fn settle(&mut self, sandbox: &mut Sandbox, patience: Duration) -> Result<(), Stop> {
        self.pidfd = Some(sandbox.born(self.id)?);
        let end = Instant::now() + patience;
        while !self.asleep() {
            if self.is_dead() {
                return Err(self.autopsy(sandbox));
            }
            if Instant::now() > end {
                return Err(self.overdue(sandbox, "loading the library"));
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        self.check_fences()
    }

    /// The worker's own report is not enough: the system's kernel says which fences are up.
    fn check_fences(&self) -> Result<(), Stop> {
        let Some(pid) = self.pidfd.as_ref().and_then(machine::pid_of) else { return Ok(()) };
        let (theirs, ours) = (machine::status(&pid), machine::status("self"));
        let filters = machine::field(&theirs, "Seccomp_filters:");
        let own = machine::field(&ours, "Seccomp_filters:").unwrap_or(0);
        let threads = machine::field(&theirs, "Threads:");
        let fenced = filters.is_none_or(|n| n >= own + 2) || cfg!(feature = "test-no-fence");
        if !fenced || threads.is_some_and(|n| n != 1) {
            let note = "the worker runs without its fences";
            return Err(self.blame(Fault::with_note(FaultKind::Sandbox, note)).into());
        }
        Ok(())
    }

    /// Its stacks, heap and arena.
    pub fn scratch(&self) -> &Shared {
        &self.scratch
    }

    fn page(&self) -> &Control {
        // SAFETY: page 0 of the control memory is the Control; it is all atomics.
        unsafe { &*self.control.ptr().cast::<Control>() }
    }

    /// Whether it is asleep: moving its wait to the `parked` word succeeds for a sleeper only.
    pub fn asleep(&self) -> bool {
        let words = &self.page().turn.0;
        // SAFETY: two words of our own mapping.
        let moved = unsafe {
            libc::syscall(
                libc::SYS_futex,
                words.turn.as_ptr(),
                libc::FUTEX_CMP_REQUEUE,
                0,
                1usize,
                words.parked.as_ptr(),
                self.turn,
            )
        };
        moved == 1
    }

    /// Clears what no word of the control memory uses: nothing may outlive a slice there. It must be
    /// asleep.
    fn clear_unused(&mut self) {
        const LINE: usize = size_of::<Line<u32>>();
        // The words of each line that say something, in bytes; `parked` is none of them.
        let words = [4, size_of::<Shot>(), 4, size_of::<Command>(), 8];
        let bytes = self.control.bytes_mut();
        for (line, used) in words.into_iter().enumerate() {
            bytes[line * LINE + used..(line + 1) * LINE].fill(0);
        }
        bytes[size_of::<Control>()..PAGE].fill(0);
        bytes[NOTE_AT..NOTE_AT + PAGE].fill(0);
    }

    /// Wakes it with a command. It must be asleep.
    /// `watched`: the processor's state is compared after each call.
    pub fn arm(&mut self, op: u32, tables: &Tables, watched: bool) -> u64 {
        self.clear_unused();
        let page = self.page();
        page.state.0.store(0, Ordering::Relaxed);
        let command = &page.command.0;
        command.watched.store(u32::from(watched), Ordering::Relaxed);
        command.op.store(op, Ordering::Relaxed);
        command.calls.store(tables.calls, Ordering::Relaxed);
        command.armed.store(tables.armed, Ordering::Relaxed);
        command.ins.store(tables.ins.0, Ordering::Relaxed);
        command.n_in.store(tables.ins.1, Ordering::Relaxed);
        command.outs.store(tables.outs.0, Ordering::Relaxed);
        command.n_out.store(tables.outs.1, Ordering::Relaxed);
        command.wipes.store(tables.wipes.0, Ordering::Relaxed);
        command.n_wipe.store(tables.wipes.1, Ordering::Relaxed);
        command.fill.store(u32::from(tables.fill), Ordering::Relaxed);
        let next = self.turn.wrapping_add(1);
        let t = ticks();
        page.turn.0.turn.store(next, Ordering::Release);
        let words = &page.turn.0;
        let wake = |word: &AtomicU32| {
            // SAFETY: a word of our own mapping.
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) }
        };
        // A wait that the kernel restarts (rare, never seen by the process) is back on `turn`.
        if wake(&words.parked) != 1 {
            wake(&words.turn);
        }
        self.turn = next;
        t
    }

    /// Spins until `ready`; returns the tick it was seen.
    pub fn wait_ready(&mut self, sandbox: &mut Sandbox, limit: u64) -> Result<u64, Stop> {
        let ready = &raw const self.page().ready.0;
        let turn = self.turn;
        // SAFETY: the control page is mapped for the life of `self`.
        self.spin(sandbox, limit, GETTING_READY, || unsafe {
            (*ready).load(Ordering::Acquire) == turn
        })
        .map(|(t, _)| t)
    }

    /// *go* to *done*: the timed part.
    pub fn fire(
        &mut self,
        sandbox: &mut Sandbox,
        calls: u32,
        limit: u64,
    ) -> Result<(u64, u64), Stop> {
        let shot = &raw const self.page().shot.0;
        let turn = self.turn;
        let t0 = ticks();
        // SAFETY: the control page is mapped for the life of `self`.
        unsafe { (*shot).go.store(u64::from(turn) << 32 | u64::from(calls), Ordering::Release) };
        // SAFETY: as above.
        let (t1, look) = self.spin(sandbox, limit, "its calls", || unsafe {
            (*shot).done.load(Ordering::Acquire) == turn
        })?;
        Ok((t1.wrapping_sub(t0), look))
    }

    /// What the slice changed of the processor's state: the call in its window, and the changes.
    /// It must be asleep.
    pub fn changed_state(&self) -> Option<(usize, u32)> {
        let word = self.page().state.0.load(Ordering::Acquire);
        (word != 0).then(|| (((word >> 32) as usize).saturating_sub(1), word as u32))
    }

    /// Spins until it sleeps again.
    pub fn wait_asleep(&mut self, sandbox: &mut Sandbox, limit: u64) -> Result<(), Stop> {
        let this: *const Worker = self;
        // SAFETY: `asleep` reads what `spin` does not change.
        self.spin(sandbox, limit, "ending its slice", || unsafe { (*this).asleep() }).map(|_| ())
    }

    /// Spins until `seen`; a death ends it, looked for once a millisecond after five.
    /// Returns the tick after the last look and the ticks since the look before.
    fn spin(
        &mut self,
        sandbox: &mut Sandbox,
        limit: u64,
        doing: &str,
        seen: impl Fn() -> bool,
    ) -> Result<(u64, u64), Stop> {
        let stall = (limit as f64 * self.limits.stall_share) as u64;
        let mut start = ticks();
        let (mut last, mut next_look) = (start, limit / 400);
        loop {
            for _ in 0..16 {
                if seen() {
                    let now = ticks();
                    return Ok((now, now.wrapping_sub(last)));
                }
            }
            let before = last;
            last = ticks();
            // This process itself was stopped or kept away: that time does not count.
            let gap = last.wrapping_sub(before);
            if gap > stall {
                start = start.wrapping_add(gap);
            }
            let passed = last.wrapping_sub(start);
            if passed > next_look {
                next_look = passed + limit / 2000;
                if self.is_dead() {
                    return Err(self.autopsy(sandbox));
                }
                if passed > limit {
                    return Err(self.overdue(sandbox, doing));
                }
            }
        }
    }

    fn is_dead(&self) -> bool {
        let Some(fd) = &self.pidfd else { return true };
        let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` lives across the call.
        unsafe { libc::poll(&mut poll, 1, 0) > 0 }
    }

    /// Too late: the machine's fault if it was kept from its core, or never woke up for a
    /// slice (none of the kernel's code runs before it is ready); else the kernel's.
    fn overdue(&mut self, sandbox: &mut Sandbox, doing: &str) -> Stop {
        let pid = self.pidfd.as_ref().and_then(machine::pid_of);
        let (ran, queued) = pid.as_deref().and_then(machine::scheduled_ns).unwrap_or((0, 0));
        self.end(sandbox);
        let starved = self.limits.starved_ms * 1_000_000;
        // It waited in the run queue for longer than this, and ran for less.
        if queued > starved && ran < starved {
            let detail = format!("other processes kept the {} from its core", self.side);
            return Void::new(VoidCause::KeptFromCore, detail).into();
        }
        if doing == GETTING_READY {
            let detail = format!("the {} did not wake up for its slice", self.side);
            return Void::new(VoidCause::NotWoken, detail).into();
        }
        self.blame(Fault::with_note(FaultKind::Timeout, format!("not done with {doing} in time")))
            .into()
    }

    /// Kills it, waits for its end and records its use of the machine.
    pub fn end(&mut self, sandbox: &mut Sandbox) {
        if self.gone {
            return;
        }
        self.killed = true;
        if self.pidfd.is_none() {
            self.pidfd = sandbox.born(self.id).ok();
        }
        if let Some(fd) = &self.pidfd {
            // SAFETY: a plain system call on a pidfd we hold.
            unsafe {
                let null = std::ptr::null::<libc::siginfo_t>();
                libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), libc::SIGKILL, null, 0);
            }
        }
        if let Ok(event) = sandbox.ended(self.id) {
            self.note_end(&event);
        }
        self.gone = true;
    }

    fn note_end(&mut self, event: &Event) {
        self.gone = true;
        self.cpu_us = event.cpu_us;
        self.peak_kib = event.peak_kib;
    }

    /// Why it died. The status is the spawner's word; the note is the dead process's own.
    fn autopsy(&mut self, sandbox: &mut Sandbox) -> Stop {
        let event = match sandbox.ended(self.id) {
            Ok(event) => event,
            Err(stop) => return stop,
        };
        self.note_end(&event);
        crate::autopsy::verdict(event.status, self.note())
            .map_or_else(Stop::Void, |fault| self.blame(fault).into())
    }

    /// A fault on this side.
    pub fn blame(&self, fault: Fault) -> Fault {
        Fault { side: self.side.into(), ..fault }
    }

    /// The note page, copied; read after its writer's death.
    fn note(&self) -> Note {
        // SAFETY: page 2 of the control memory is the Note; any bit pattern is one.
        unsafe { self.control.ptr().add(NOTE_AT).cast::<Note>().read_volatile() }
    }
}
