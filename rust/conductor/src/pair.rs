//! `pair`: two fresh processes, one core, slices in turn.
//!
//! ```text
//! start both (random order) -> empty slices -> calibrate -> rounds:
//!   round r: combos in fresh random order; each AB or BA by a coin, complemented in r + 1;
//!            both sides play the same window of the combo's secret walk, then it moves on
//! ```
//!
//! Asked for the opponent (defence S), the champion alone is timed, in the same process: in a
//! slice behind the candidate and in one behind another library, by turns. That one is the
//! champion's code in another layout: a copy at the same addresses would share lines of code
//! and branch predictions with it, which makes the champion up to 6 % faster behind it than
//! behind any other code.

use crate::calibrate::{self, Bounds};
use crate::clock::Moment;
use crate::container::{Expected, Pool};
use crate::fault::Fault;
use crate::layout::Inputs;
use crate::machine;
use crate::rng::Rng;
use crate::sandbox::Sandbox;
use crate::slice_runner::{Play, Side, SliceRunner, Terms};
use crate::stop::{Failure, Stop, Void};
use crate::voids;
use crate::walk::Walk;
use crate::window::Tables;
use crate::worker::{Shots, Worker};
use std::path::Path;

/// Number of the worker that runs the neutral library.
const NEUTRAL: usize = 2;

/// One `pair` command.
pub struct Request<'a> {
    pub champion: &'a Path,
    pub candidate: &'a Path,
    pub pools: Vec<(&'a Pool, &'a Expected)>,
    pub seed: u64,
    pub rounds: usize,
    pub slice_us: f64,
    /// Calls per slice, one per combo; None: calibrate.
    pub calls: Option<Vec<usize>>,
    /// Length of a block of one side's slices; None: one slice.
    pub block_ms: Option<f64>,
    /// The calls of each pool in the order in which they are played; None: a random order.
    pub orders: Option<Vec<Vec<usize>>>,
    pub features: u64,
    /// The times are the champion's: behind this library (in place of its own), behind the
    /// candidate.
    pub opponent: Option<&'a Path>,
    /// Where inputs and outputs begin in a line is drawn; else each lies at its declared phase.
    pub drawn: bool,
}

/// The results of a pair. Times in ticks, `[side][combo][round]`.
#[derive(Default)]
pub struct Outcome {
    pub void: Option<Void>,
    pub fault: Option<Fault>,
    pub calls: Vec<usize>,
    pub times: [Vec<Vec<u64>>; 2],
    pub empty: [u64; 2],
    /// Median arm to ready, ticks.
    pub arm: [u64; 2],
    /// The same of each combo, if there are rounds enough.
    pub combo_arms: Vec<[u64; 2]>,
    pub foreign_cpu: f64,
    pub wall_ms: f64,
    /// Milliseconds until both workers slept for the first time, and until round 0.
    pub start_ms: f64,
    pub ready_ms: f64,
    pub slices: usize,
    /// Slices whose *done* may have been seen more than `late_us` late.
    pub late: usize,
    pub peak_kib: [u64; 2],
}

/// Runs one pair. A fault or a void cause is part of the outcome; `Err` is a broken machine.
pub fn pair(sandbox: &mut Sandbox, terms: Terms, request: &Request) -> Result<Outcome, Failure> {
    let began = Moment::now();
    let busy = machine::busy_us(terms.core_a);
    let mut outcome = Outcome::default();
    let played = play(sandbox, terms, request, &mut outcome, &began);
    outcome.wall_ms = began.elapsed_ms();
    match played {
        Err(Stop::Failure(failure)) => return Err(failure),
        Err(Stop::Void(void)) => outcome.void = Some(void),
        Err(Stop::Fault(fault)) => outcome.fault = Some(*fault),
        Ok(own_us) => {
            if let (Some(a), Some(b)) = (busy, machine::busy_us(terms.core_a)) {
                let foreign = (b - a).saturating_sub(own_us) as f64;
                outcome.foreign_cpu = foreign / (outcome.wall_ms * 1000.0).max(1.0);
            }
            outcome.void = voids::find_cause(&outcome, &began, terms);
        }
    }
    Ok(outcome)
}

/// Plays the pair; returns the CPU time of both workers in microseconds.
fn play(
    sandbox: &mut Sandbox,
    terms: Terms,
    request: &Request,
    outcome: &mut Outcome,
    began: &Moment,
) -> Result<u64, Stop> {
    let mut rng = Rng::new(request.seed, 10);
    let pools: Vec<&Pool> = request.pools.iter().map(|p| p.0).collect();
    let block = request.block_ms.is_some();
    let bounds: Vec<Bounds> = pools.iter().map(|p| Bounds::of(p, block, &terms.limits)).collect();
    let table_bytes = bounds.iter().map(|b| b.table_bytes).max().unwrap_or(4096);
    let out_bytes = bounds.iter().map(|b| b.out_bytes).max().unwrap_or(4096);
    let inputs = match request.drawn {
        true => Inputs::drawn(&pools, &mut rng)?,
        false => Inputs::packed(&pools, &mut rng)?,
    };
    let mut runner =
        SliceRunner::new(terms, inputs, table_bytes, out_bytes, None, Rng::new(request.seed, 11))?;
    runner.wipes_with_zeros = true;
    let features = request.features;
    let mut sides = vec![
        Side { name: "champion", library: Some(request.champion), features },
        Side { name: "candidate", library: Some(request.candidate), features },
    ];
    if request.opponent.is_some() {
        sides.push(Side { name: "champion", library: request.opponent, features });
    }
    let mut order: Vec<usize> = (0..sides.len()).collect();
    rng.shuffle(&mut order);
    let mut workers = Vec::with_capacity(sides.len());
    let played = (|| {
        for &i in &order {
            workers.push((i, runner.start(sandbox, &sides[i])?));
        }
        for (_, worker) in &mut workers {
            worker.settle(sandbox, runner.patience())?;
        }
        outcome.start_ms = began.elapsed_ms();
        workers.sort_unstable_by_key(|(i, _)| *i);
        let all = workers.iter_mut().map(|(_, worker)| worker).collect();
        let mut match_ = Match::new(sandbox, &mut runner, all, request, bounds, rng);
        match_.empties(outcome)?;
        match_.calibrate()?;
        outcome.ready_ms = began.elapsed_ms();
        match_.rounds(outcome)
    })();
    for (_, worker) in &mut workers {
        worker.end(sandbox);
        let peak = &mut outcome.peak_kib[usize::from(worker.side == "candidate")];
        *peak = worker.peak_kib.max(*peak);
    }
    played.map(|()| workers.iter().map(|(_, worker)| worker.cpu_us).sum())
}

/// Two workers ready to play, or three.
pub struct Match<'a> {
    sandbox: &'a mut Sandbox,
    runner: &'a mut SliceRunner,
    /// Champion, candidate; asked for the opponent also the neutral library.
    workers: Vec<&'a mut Worker>,
    request: &'a Request<'a>,
    bounds: Vec<Bounds>,
    walks: Vec<Walk>,
    /// Calls per slice and slices per block.
    plan: Vec<(usize, usize)>,
    /// First slot of each combo, bytes: drawn once a pair.
    shift: Vec<usize>,
    rng: Rng,
}

impl<'a> Match<'a> {
    fn new(
        sandbox: &'a mut Sandbox,
        runner: &'a mut SliceRunner,
        workers: Vec<&'a mut Worker>,
        request: &'a Request<'a>,
        bounds: Vec<Bounds>,
        mut rng: Rng,
    ) -> Self {
        let walks = match &request.orders {
            Some(orders) => orders.iter().map(|order| Walk::of(order)).collect(),
            None => request.pools.iter().map(|p| Walk::new(p.0.calls.len(), &mut rng)).collect(),
        };
        let shift = bounds.iter().map(|_| rng.below(64) * 64).collect();
        let plan = vec![(1, 1); bounds.len()];
        Match { sandbox, runner, workers, request, bounds, walks, plan, shift, rng }
    }

    /// One slice of combo `c` on each side in turn, over the same window.
    pub fn both(&mut self, c: usize, calls: usize, first: usize) -> Result<[Shots; 2], Stop> {
        let mut shots = [Shots::default(); 2];
        self.play(c, calls, &[first, 1 - first], |side, shot| shots[side] = shot)?;
        Ok(shots)
    }

    /// The champion behind the neutral library and behind the candidate, by turns. The one in front
    /// plays another window. If it had just run the very same inputs, it would have trained branch
    /// predictors on them (up to 10 % in a slice), which no honest candidate does. The worker's
    /// `touch` undoes, before *go*, all that a kernel could do to the champion's own inputs.
    fn behind(&mut self, c: usize, calls: usize, first: usize) -> Result<[Shots; 2], Stop> {
        let mut shots = [Shots::default(); 2];
        for which in [first, 1 - first] {
            let front = if which == 0 { NEUTRAL } else { 1 };
            self.play(c, calls, &[front], |_, _| ())?;
            self.play(c, calls, &[0], |_, shot| shots[which] = shot)?;
        }
        Ok(shots)
    }

    /// The next window of combo `c`, played by these workers in turn.
    fn play(
        &mut self,
        c: usize,
        calls: usize,
        order: &[usize],
        mut seen: impl FnMut(usize, Shots),
    ) -> Result<(), Stop> {
        let spare = self.rng.below(3);
        let armed = self.bounds[c].max_calls.min(calls + spare).max(calls);
        let window = self.walks[c].window(armed);
        self.walks[c].advance(calls);
        let (pool, expected) = self.request.pools[c];
        let places = Rng::new(self.rng.next(), 0);
        self.lay(c, &window, places);
        let tables = self.tables(c, &window);
        for &side in order {
            let timed = Play::timed(pool, expected, &window, calls, tables);
            seen(side, self.runner.slice(self.sandbox, self.workers[side], timed)?);
        }
        Ok(())
    }

    /// Lays out the slots of a window of combo `c`; equal `places` lay them alike.
    fn lay(&mut self, c: usize, window: &[usize], mut places: Rng) {
        let (pool, start) = (self.request.pools[c].0, self.shift[c]);
        match self.request.drawn {
            true => self.runner.slots.drawn(pool, window, start, &mut places),
            false => self.runner.slots.packed(pool, window, start),
        }
    }

    /// The tables of a window of combo `c`, the same for all workers.
    fn tables(&mut self, c: usize, window: &[usize]) -> Tables {
        let workers = self.workers.iter().map(|worker| &**worker);
        self.runner.tables(workers, self.request.pools[c].0, c, window)
    }

    /// Empty slices of both sides in turn; their medians.
    fn empties(&mut self, outcome: &mut Outcome) -> Result<(), Stop> {
        let (pool, _) = self.request.pools[0];
        let window = self.walks[0].window(1);
        self.runner.slots.packed(pool, &window, self.shift[0]);
        let tables = self.tables(0, &window);
        let mut ticks = [vec![], vec![]];
        for i in 0..self.runner.terms.limits.empty_slices.max(1) {
            for side in [i % 2, 1 - i % 2] {
                let worker = &mut *self.workers[side];
                ticks[side].push(self.runner.empty(self.sandbox, worker, tables, 1)?.run);
            }
        }
        outcome.empty = ticks.map(median);
        if self.request.opponent.is_some() {
            outcome.empty[1] = outcome.empty[0];
        }
        Ok(())
    }

    /// Settles the calls of every slice; each combo runs on both sides either way.
    fn calibrate(&mut self) -> Result<(), Stop> {
        let mut order: Vec<usize> = (0..self.plan.len()).collect();
        self.rng.shuffle(&mut order);
        for c in order {
            self.plan[c] = calibrate::combo(self, c)?;
        }
        Ok(())
    }

    /// The data that calibration needs of combo `c`.
    pub fn wishes(&self, c: usize) -> (calibrate::Wishes, &Bounds) {
        let wishes = calibrate::Wishes {
            calls: self.request.calls.as_ref().map(|calls| calls[c]),
            slice_us: self.request.slice_us,
            block_us: self.request.block_ms.map(|ms| ms * 1000.0),
            rate: self.runner.terms.rate,
            limits: self.runner.terms.limits,
        };
        (wishes, &self.bounds[c])
    }

    /// A coin for calibration's own order.
    pub fn coin(&mut self) -> usize {
        usize::from(self.rng.coin())
    }

    /// A number in 0..n for calibration's jitter.
    pub fn below(&mut self, n: usize) -> usize {
        self.rng.below(n)
    }

    fn rounds(&mut self, outcome: &mut Outcome) -> Result<(), Stop> {
        let n = self.plan.len();
        let mut firsts = vec![0; n];
        let mut arms = vec![[vec![], vec![]]; n];
        let mut order: Vec<usize> = (0..n).collect();
        outcome.times = [vec![vec![]; n], vec![vec![]; n]];
        let late = self.runner.terms.rate.ticks_of_us(self.runner.terms.limits.late_us);
        for round in 0..self.request.rounds {
            self.rng.shuffle(&mut order);
            for &c in &order {
                firsts[c] = if round % 2 == 0 { self.coin() } else { 1 - firsts[c] };
                let shots = self.block(c, firsts[c])?;
                for side in 0..2 {
                    outcome.times[side][c].push(shots[side].run);
                    if self.request.opponent.is_none() {
                        arms[c][side].push(shots[side].arm);
                    }
                    outcome.slices += self.plan[c].1;
                    outcome.late += usize::from(shots[side].look > late);
                }
            }
        }
        outcome.calls = self.plan.iter().map(|&(calls, slices)| calls * slices).collect();
        outcome.arm = [0, 1].map(|s| median(arms.iter().flat_map(|c| &c[s]).copied().collect()));
        if self.request.rounds >= self.runner.terms.limits.combo_arm_rounds {
            outcome.combo_arms = arms.into_iter().map(|combo| combo.map(median)).collect();
        }
        Ok(())
    }

    /// One block: one slice a side, or many of one side and then as many of the other.
    fn block(&mut self, c: usize, first: usize) -> Result<[Shots; 2], Stop> {
        let (calls, slices) = self.plan[c];
        if self.request.opponent.is_some() {
            return self.behind(c, calls, first);
        }
        if slices == 1 {
            return self.both(c, calls, first);
        }
        let mut sums = [Shots::default(); 2];
        let start = self.walks[c].position();
        let (pool, expected) = self.request.pools[c];
        let places = self.rng.next();
        for side in [first, 1 - first] {
            self.walks[c].seek(start);
            for i in 0..slices {
                let window = self.walks[c].window(calls);
                self.walks[c].advance(calls);
                self.lay(c, &window, Rng::new(places, i as u64));
                let tables = self.tables(c, &window);
                let worker = &mut *self.workers[side];
                let timed = Play::timed(pool, expected, &window, calls, tables);
                let shots = self.runner.slice(self.sandbox, worker, timed)?;
                sums[side].run += shots.run;
                sums[side].arm = shots.arm;
                sums[side].look = sums[side].look.max(shots.look);
            }
        }
        Ok(sums)
    }
}

/// The middle value (the lower of two).
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}
