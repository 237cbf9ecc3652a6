//! `lar-conductor serve`: one command a line in, one answer a line out, until end of file.

use crate::clock::Rate;
use crate::container::{Expected, Pool};
use crate::pair::{Outcome, Request};
use crate::pool_cache::{Case, PoolCache};
use crate::protocol::{self, Check, Command, Open, Pair, VERSION, error};
use crate::sandbox::{Sandbox, SandboxKind};
use crate::slice_runner::Terms;
use crate::stop::{Failure, FailureCode, Stop};
use crate::{check, cpu, expect, machine, pair};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::Path;

/// Answers commands until end of file or `quit`.
pub fn serve() -> i32 {
    // SAFETY: a plain system call: no other process may read the epoch data here.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    let mut session = Session::default();
    let (stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in stdin.split(b'\n') {
        let Ok(line) = line else { return 1 };
        let answer = match protocol::parse(&line) {
            Ok(Command::Quit) => return 0,
            Ok(command) => session.answer(command).unwrap_or_else(|e| error(&e)),
            Err(failure) => error(&failure),
        };
        if writeln!(stdout, "{answer}").and_then(|()| stdout.flush()).is_err() {
            return 1;
        }
    }
    0
}

/// The state that lives from command to command.
#[derive(Default)]
struct Session {
    open: Option<(Sandbox, Terms)>,
    cache: PoolCache,
}

impl Session {
    fn answer(&mut self, command: Command) -> Result<Value, Failure> {
        match command {
            Command::Open(open) => self.open(&open),
            Command::Expect { lib, pool, expected } => self.expect(&lib, &pool, &expected),
            Command::Check(check) => self.check(&check),
            Command::Pair(pair) => self.pair(&pair),
            Command::Quit => Ok(Value::Null),
        }
    }

    fn open(&mut self, open: &Open) -> Result<Value, Failure> {
        self.open = None;
        let kind = SandboxKind::parse(&open.kind).map_err(bad)?;
        let worker = std::fs::canonicalize(&open.worker).map_err(|e| {
            Failure::new(FailureCode::BadFile, format!("{}: {e}", open.worker.display()))
        })?;
        let mut notes = Vec::new();
        if open.core_a == open.core_b {
            notes.push("one core for clock and kernels: times are weak");
        }
        if !machine::pin(open.core_b) {
            notes.push("the conductor could not be pinned");
        }
        let rate = Rate::measure();
        let sandbox = Sandbox::open(kind, &worker, &open.limits)
            .map_err(|detail| Failure::new(FailureCode::NoSandbox, detail))?;
        let terms = Terms { core_a: open.core_a, rate, limits: open.limits };
        self.open = Some((sandbox, terms));
        Ok(json!({"v": VERSION, "ok": true, "box": kind.name(), "ticks_per_ns": rate.0,
                  "features": cpu::features(), "notes": notes}))
    }

    fn expect(&mut self, lib: &Path, pool: &Path, expected: &Path) -> Result<Value, Failure> {
        let Session { open, cache } = self;
        let (sandbox, terms) = ready(open)?;
        let pool = cache.pool(pool)?;
        match expect::expect(sandbox, terms, lib, &pool, expected) {
            Ok(times) => Ok(json!({"v": VERSION, "ok": true, "calls": times.len(),
                                   "ns_per_call": times})),
            Err(stop) => refuse(stop),
        }
    }

    fn check(&mut self, check: &Check) -> Result<Value, Failure> {
        let Session { open, cache } = self;
        let (sandbox, terms) = ready(open)?;
        let pools = cache.pairs(&check.pools)?;
        let pools: Vec<(&Pool, &Expected)> = pools.iter().map(|p| (&*p.0, &*p.1)).collect();
        let features = check.features.unwrap_or(u64::MAX) & cpu::features();
        match check::check(sandbox, terms, &check.lib, &pools, check.seed, features) {
            Ok(calls) => Ok(json!({"v": VERSION, "ok": true, "calls": calls})),
            Err(stop) => refuse(stop),
        }
    }

    fn pair(&mut self, command: &Pair) -> Result<Value, Failure> {
        let Session { open, cache } = self;
        let (sandbox, terms) = ready(open)?;
        if command.pools.is_empty() || command.rounds == 0 {
            return Err(bad("a pair needs pools and rounds"));
        }
        if command.calls.as_ref().is_some_and(|calls| calls.len() != command.pools.len()) {
            return Err(bad("a pair needs one number of calls per pool"));
        }
        if command.opponent.is_some() && command.block_ms.is_some() {
            return Err(bad("the opponent is timed in single slices"));
        }
        let pools = cache.pairs(&command.pools)?;
        let fits = |(order, pool): (&Vec<usize>, &Case)| {
            !order.is_empty() && order.iter().all(|&call| call < pool.0.calls.len())
        };
        if let Some(orders) = &command.orders
            && (orders.len() != pools.len() || !orders.iter().zip(&pools).all(fits))
        {
            return Err(bad("a pair needs one order per pool, of calls that the pool has"));
        }
        let request = Request {
            champion: &command.champion,
            candidate: &command.candidate,
            pools: pools.iter().map(|p| (&*p.0, &*p.1)).collect(),
            seed: command.seed,
            rounds: command.rounds,
            slice_us: command.slice_us,
            calls: command.calls.clone(),
            block_ms: command.block_ms,
            orders: command.orders.clone(),
            features: command.features.unwrap_or(u64::MAX) & cpu::features(),
            opponent: command.opponent.as_deref(),
            drawn: command.drawn,
        };
        Ok(answer(pair::pair(sandbox, terms, &request)?, terms.rate))
    }
}

fn bad(detail: impl Into<String>) -> Failure {
    Failure::new(FailureCode::BadCommand, detail)
}

fn ready(open: &mut Option<(Sandbox, Terms)>) -> Result<(&mut Sandbox, Terms), Failure> {
    let none = || Failure::new(FailureCode::NotOpen, "not open");
    open.as_mut().map(|(sandbox, terms)| (sandbox, *terms)).ok_or_else(none)
}

/// A fault is an answer; everything else is a failure.
fn refuse(stop: Stop) -> Result<Value, Failure> {
    match stop {
        Stop::Fault(fault) => Ok(json!({"v": VERSION, "ok": false, "fault": fault})),
        Stop::Void(void) => Err(Failure::new(FailureCode::Disturbed, void.detail)),
        Stop::Failure(failure) => Err(failure),
    }
}

fn answer(outcome: Outcome, rate: Rate) -> Value {
    let [champion, candidate] = outcome.times;
    json!({
        "v": VERSION, "ok": true, "void": outcome.void, "fault": outcome.fault,
        "calls": outcome.calls, "champion": champion, "candidate": candidate,
        "empty": outcome.empty, "wall_ms": outcome.wall_ms,
        "foreign_cpu": [outcome.foreign_cpu],
        "arm": outcome.arm.map(|t| rate.ns(t)),
        "overhead": {"start_ms": outcome.start_ms, "ready_ms": outcome.ready_ms,
                     "slices": outcome.slices, "late": outcome.late},
        "peak_kib": outcome.peak_kib,
    })
}
