//! Runs slices: the shared memories, the poison, and one slice from poison to verdict.

use crate::areas;
use crate::clock::Rate;
use crate::container::{Expected, Pool};
use crate::fault::{Fault, FaultKind};
use crate::layout::{Inputs, Slots};
use crate::limits::{Limits, mib};
use crate::poison::Poison;
use crate::rng::Rng;
use crate::sandbox::Sandbox;
use crate::scratch::Pages;
use crate::shm::{Frozen, Shared};
use crate::stop::{Failure, FailureCode, Stop};
use crate::verify::Seen;
use crate::window::{Bases, Tables, Writer};
use crate::worker::{Shots, Start, Worker};
use lar_abi::processor;
use lar_abi::wire::*;
use std::path::Path;
use std::time::Duration;

/// The settings of `open` for all later commands.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub core_a: usize,
    pub rate: Rate,
    pub limits: Limits,
}

/// A library on one side.
pub struct Side<'a> {
    pub name: &'static str,
    pub library: Option<&'a Path>,
    pub features: u64,
}

/// One window, its tables written and its slots laid out.
#[derive(Clone, Copy)]
pub struct Play<'a> {
    pub pool: &'a Pool,
    /// None if there is nothing to compare with yet.
    pub expected: Option<&'a Expected>,
    /// The armed window.
    pub calls: &'a [usize],
    /// How many of them *go* asks for.
    pub run: usize,
    pub tables: Tables,
    /// The processor's state is compared after each call, which takes time.
    pub watched: bool,
    /// Outputs hold what they may hold in production, not only poison: of checks alone.
    pub stale: bool,
}

impl<'a> Play<'a> {
    /// The first `run` of the window's calls, timed.
    pub fn timed(
        pool: &'a Pool,
        expected: &'a Expected,
        calls: &'a [usize],
        run: usize,
        tables: Tables,
    ) -> Self {
        Play { pool, expected: Some(expected), calls, run, tables, watched: false, stale: false }
    }
}

/// The memories of one command and its randomness.
pub struct SliceRunner {
    pub terms: Terms,
    pub inputs: Inputs,
    plan: Shared,
    plan_len: usize,
    outputs: Shared,
    out_spans: Vec<Span>,
    bases: Bases,
    poison: Poison,
    rng: Rng,
    writer: Writer,
    pub slots: Slots,
    pages: Pages,
    out_pages: Pages,
    /// Scratch memory is overwritten with zeros, as memory that was never used reads: no page tells a
    /// timed slice how many there were. Checks overwrite it with other bytes.
    pub wipes_with_zeros: bool,
}

/// Draws where all memories lie, the same for every worker of a command.
fn draw_bases(shared: [u64; 3], limits: &Limits, rng: &mut Rng) -> Bases {
    let [plan, inputs, outputs] = shared;
    let bytes = |count: u64| mib(count as usize) as u64;
    let guard = STACK_GUARD as u64;
    let stack = guard + bytes(limits.stack_mb) + (PAGE + SIGNAL_STACK) as u64;
    let lengths = [plan, inputs, outputs, bytes(limits.arena_mb), stack, bytes(limits.heap_mb)];
    let [plan, inputs, outputs, arena, stack, heap] = areas::draw(lengths, rng);
    let mut some = || rng.below(256) as u16;
    let layout = Layout { stack: some(), library: some(), heap: some(), pad: 0 };
    Bases { plan, inputs, outputs, arena, stack: stack + guard, heap, layout }
}

impl SliceRunner {
    /// `table_bytes` and `out_bytes` are the most any window of this command needs.
    pub fn new(
        terms: Terms,
        inputs: Inputs,
        table_bytes: usize,
        out_bytes: usize,
        out_spans: Option<Vec<Span>>,
        mut rng: Rng,
    ) -> Result<Self, String> {
        let out_len = out_bytes.next_multiple_of(PAGE);
        let out_spans =
            out_spans.unwrap_or_else(|| vec![Span { which: 1, at: 0, len: out_len as u64 }]);
        let n_spans = inputs.spans.len() + out_spans.len();
        let plan_len = table_bytes.max(n_spans * size_of::<Span>()).next_multiple_of(PAGE);
        let mut plan = Shared::new(plan_len, true)?;
        let to = plan.bytes_mut().as_mut_ptr().cast::<Span>();
        for (i, span) in inputs.spans.iter().chain(&out_spans).enumerate() {
            // SAFETY: the plan is sized for all spans.
            unsafe { to.add(i).write(*span) };
        }
        let in_len = inputs.spans.iter().map(|span| span.at + span.len).max().unwrap_or(0);
        let shared = [plan_len as u64, in_len, out_len as u64];
        Ok(SliceRunner {
            bases: draw_bases(shared, &terms.limits, &mut rng),
            terms,
            inputs,
            plan,
            plan_len,
            outputs: Shared::new(out_len, false)?,
            out_spans,
            poison: Poison::new(&mut rng),
            rng,
            writer: Writer::default(),
            slots: Slots::default(),
            pages: Pages::default(),
            out_pages: Pages::default(),
            wipes_with_zeros: false,
        })
    }

    /// What a worker needs to start, with a library or without one.
    fn setup(&self, features: u64, library: bool) -> Setup {
        let limits = &self.terms.limits;
        let bytes = |count: u64| mib(count as usize) as u64;
        Setup {
            version: 4,
            features,
            library: u64::from(library),
            plan_base: self.bases.plan,
            plan_len: self.plan_len as u64,
            in_base: self.bases.inputs,
            out_base: self.bases.outputs,
            arena_base: self.bases.arena,
            arena_len: bytes(limits.arena_mb),
            stack_base: self.bases.stack,
            stack_len: bytes(limits.stack_mb),
            heap_base: self.bases.heap,
            heap_len: bytes(limits.heap_mb),
            n_spans: (self.inputs.spans.len() + self.out_spans.len()) as u64,
            layout: self.bases.layout,
        }
    }

    /// Starts a worker for one side; `settle` it before its first slice.
    pub fn start(&self, sandbox: &mut Sandbox, side: &Side) -> Result<Worker, Stop> {
        let setup = self.setup(side.features, side.library.is_some());
        let library = side.library.map(Frozen::copy_of).transpose();
        let library = library.map_err(|text| Failure::new(FailureCode::BadFile, text))?;
        let [.., (before, _, len)] = scratch_pieces(&setup);
        Worker::start(
            sandbox,
            Start {
                side: side.name,
                core: self.terms.core_a,
                limits: self.terms.limits,
                setup,
                plan: &self.plan,
                inputs: &self.inputs.memory,
                outputs: &self.outputs,
                scratch: Shared::new((before + len) as usize, false)?,
                library: library.as_ref(),
            },
        )
    }

    /// How long a worker may take to load.
    pub fn patience(&self) -> Duration {
        self.terms.limits.loading()
    }

    /// Writes the tables of a window whose `slots` are laid out, for all of these workers alike. They
    /// must sleep.
    pub fn tables<'a>(
        &mut self,
        workers: impl IntoIterator<Item = &'a Worker>,
        pool: &Pool,
        p: usize,
        calls: &[usize],
    ) -> Tables {
        self.pages.survey(workers.into_iter().map(Worker::scratch));
        let wipes = self.pages.ranges(&self.setup(0, true));
        let fill = if self.wipes_with_zeros { 0 } else { 1 + self.rng.below(255) as u8 };
        let (at, wipes) = (&self.inputs.at[p], (&wipes[..], fill));
        self.writer.write(&mut self.plan, self.bases, pool, at, calls, &self.slots, wipes)
    }

    fn limit(&self) -> u64 {
        self.terms.rate.ticks_of_us(self.terms.limits.call_ms as f64 * 1000.0)
    }

    /// An empty slice: `calls` calls of the no-op entry.
    pub fn empty(
        &mut self,
        sandbox: &mut Sandbox,
        worker: &mut Worker,
        tables: Tables,
        calls: usize,
    ) -> Result<Shots, Stop> {
        let limit = self.limit();
        let armed = worker.arm(NOP_OP, &tables, false);
        let ready = worker.wait_ready(sandbox, limit)?;
        let (run, look) = worker.fire(sandbox, calls as u32, limit)?;
        worker.wait_asleep(sandbox, limit)?;
        Ok(Shots { arm: ready.wrapping_sub(armed), run, look })
    }

    /// One slice: poison, arm, ready, go, done, asleep, and the verdict on its outputs.
    pub fn slice(
        &mut self,
        sandbox: &mut Sandbox,
        worker: &mut Worker,
        play: Play,
    ) -> Result<Shots, Stop> {
        let limit = self.limit();
        self.clear_outputs();
        self.poison.renew(&mut self.rng);
        for &(at, len) in &self.slots.poison {
            self.poison.fill(self.outputs.bytes_mut(), at, len);
        }
        if play.stale && !cfg!(feature = "test-plain-memory") {
            self.fill_stale(play);
        }
        let armed = worker.arm(play.pool.op, &play.tables, play.watched);
        let ready = worker.wait_ready(sandbox, limit).map_err(|stop| self.locate(stop, play))?;
        self.still_standing(worker, play)?;
        let fired = worker.fire(sandbox, play.run as u32, limit);
        let sampled = self.sample(play);
        let (run, look) = fired.map_err(|stop| self.locate(stop, play))?;
        worker.wait_asleep(sandbox, limit).map_err(|stop| self.locate(stop, play))?;
        let fault = self.changed(&sampled, play).or_else(|| {
            self.seen(play).map_or_else(
                || crate::verify::slack(&self.slots, self.outputs.bytes(), &self.poison),
                |seen| seen.fault(),
            )
        });
        match fault.or_else(|| state_fault(worker, play)) {
            Some(fault) => Err(worker.blame(fault).into()),
            None => Ok(Shots { arm: ready.wrapping_sub(armed), run, look }),
        }
    }

    /// Clears the pages of the output memory that exist beside this window's slots.
    fn clear_outputs(&mut self) {
        if !self.slots.dense {
            return;
        }
        self.out_pages.survey(std::iter::once(&self.outputs));
        let (start, len) = self.slots.poison[0];
        for (from, to) in self.out_pages.outside(start as u64, (start + len) as u64) {
            self.outputs.bytes_mut()[from as usize..to as usize].fill(0);
        }
    }

    /// The outputs as they lie.
    pub fn outputs(&self) -> &[u8] {
        self.outputs.bytes()
    }

    fn seen<'a>(&'a self, play: Play<'a>) -> Option<Seen<'a>> {
        let Play { pool, expected, calls, run, .. } = play;
        let (slots, memory, poison) = (&self.slots, self.outputs.bytes(), &self.poison);
        expected.map(|expected| Seen { pool, expected, calls, run, slots, memory, poison })
    }

    /// A worker that died: the first call without its right outputs is where.
    fn locate(&self, stop: Stop, play: Play) -> Stop {
        let Stop::Fault(mut fault) = stop else { return stop };
        fault.combo.clone_from(&play.pool.combo);
        let unfinished =
            self.seen(play).and_then(|seen| (0..play.run).find(|&i| seen.slot(i).is_some()));
        fault.call = play.calls[unfinished.unwrap_or(0)];
        Stop::Fault(fault)
    }

    /// Gives each part poison, zeros, ones or the expected bytes of some call, by lot.
    fn fill_stale(&mut self, play: Play) {
        for (i, &(at, cap)) in self.slots.parts.iter().enumerate() {
            let to = &mut self.outputs.bytes_mut()[at..at + cap];
            match self.rng.below(4) {
                0 => to.fill(0),
                1 => to.fill(0xff),
                2 => {
                    let call = self.rng.below(play.pool.calls.len());
                    let known = play.expected.and_then(|e| e.part(call, i % self.slots.n_parts));
                    let known = known.unwrap_or(&[]);
                    let n = known.len().min(cap);
                    to[..n].copy_from_slice(&known[..n]);
                }
                _ => (),
            }
        }
    }

    /// Before *go* the poison must still stand.
    fn still_standing(&mut self, worker: &Worker, play: Play) -> Result<(), Stop> {
        let pool = play.pool;
        for _ in 0..self.terms.limits.early_lines {
            let spans = if play.stale { &self.slots.slack } else { &self.slots.poison };
            let (at, len) = spans[self.rng.below(spans.len())];
            if len == 0 {
                continue;
            }
            let line = at + self.rng.below(len.div_ceil(64)) * 64;
            let n = (at + len - line).min(64);
            if self.poison.broken(self.outputs.bytes(), line, n).is_some() {
                let fault = Fault::with_note(FaultKind::Arm, "outputs were written before go");
                let fault = Fault { combo: pool.combo.clone(), ..fault };
                return Err(worker.blame(fault).into());
            }
        }
        Ok(())
    }

    /// Random output lines, copied now.
    fn sample(&mut self, play: Play) -> Vec<Sample> {
        let Play { expected: Some(expected), calls, run, .. } = play else { return vec![] };
        if run == 0 {
            return vec![];
        }
        let lines = self.terms.limits.late_lines;
        let mut samples = Vec::with_capacity(lines);
        for _ in 0..lines {
            let slot = self.rng.below(run);
            let part = self.rng.below(self.slots.n_parts);
            let (at, cap) = self.slots.parts_of(slot)[part];
            let len = (expected.header(calls[slot]).len[part] as usize).min(cap);
            if len > 0 {
                let from = at + self.rng.below(len.div_ceil(64)) * 64;
                let n = (at + len - from).min(64);
                let mut line = [0; 64];
                line[..n].copy_from_slice(&self.outputs.bytes()[from..from + n]);
                samples.push(Sample { slot, part, at: from, len: n, line });
            }
        }
        samples
    }

    /// A sampled line that changed between *done* and the worker's sleep.
    fn changed(&self, samples: &[Sample], play: Play) -> Option<Fault> {
        let memory = self.outputs.bytes();
        if cfg!(feature = "test-no-late") {
            return None;
        }
        let late = samples.iter().find(|s| memory[s.at..s.at + s.len] != s.line[..s.len])?;
        Some(Fault {
            combo: play.pool.combo.clone(),
            call: play.calls[late.slot],
            part: late.part,
            offset: late.at - self.slots.parts_of(late.slot)[late.part].0,
            ..Fault::with_note(FaultKind::LateWrite, "written after the call had returned")
        })
    }
}

/// What a kernel must keep of the processor's state, and did not.
fn state_fault(worker: &Worker, play: Play) -> Option<Fault> {
    let (i, changes) = worker.changed_state()?;
    let call = play.calls.get(i).or(play.calls.last()).copied().unwrap_or(0);
    let combo = play.pool.combo.clone();
    Some(Fault {
        combo,
        call,
        ..Fault::with_note(FaultKind::ProcessorState, processor::describe(changes))
    })
}

/// One output line as it was at *done*.
struct Sample {
    slot: usize,
    part: usize,
    at: usize,
    len: usize,
    line: [u8; 64],
}
