//! `selftest`: what a slice costs when the kernel does nothing, with two alternating workers.
//!
//! It needs the limits of `open` as JSON; Python's `measure_overhead` passes them.

use crate::clock::Rate;
use crate::container::Pool;
use crate::layout::Inputs;
use crate::limits::Limits;
use crate::machine;
use crate::rng::Rng;
use crate::sandbox::{Sandbox, SandboxKind};
use crate::slice_runner::{Side, SliceRunner, Terms};
use crate::stop::{Failure, Stop};
use crate::window::Tables;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CORE_A: usize = 1;
const CORE_B: usize = 0;

const USAGE: &str =
    "usage: lar-conductor selftest --limits JSON [--seconds N] [--load conductor|worker]";

/// Runs `selftest --limits JSON [--seconds N] [--load conductor|worker]`; prints one JSON object.
pub fn main(args: &[&str]) -> i32 {
    let (mut seconds, mut load, mut limits) = (2.0, None, None);
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        match (*option, rest.next().copied()) {
            ("--seconds", Some(n)) if n.parse::<f64>().is_ok() => {
                seconds = n.parse().unwrap_or(2.0);
            }
            ("--load", Some("conductor")) => load = Some(CORE_B),
            ("--load", Some("worker")) => load = Some(CORE_A),
            ("--limits", Some(json)) => limits = serde_json::from_str::<Limits>(json).ok(),
            _ => {
                eprintln!("{USAGE}");
                return 64;
            }
        }
    }
    let Some(limits) = limits else {
        eprintln!("{USAGE}");
        return 64;
    };
    match under_load(seconds, load, limits) {
        Ok(report) => {
            println!("{report}");
            0
        }
        Err(stop) => {
            println!("{}", crate::protocol::error(&Failure::from(format!("{stop:?}"))));
            70
        }
    }
}

fn under_load(seconds: f64, load: Option<usize>, limits: Limits) -> Result<Value, Stop> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if let Some(core) = load {
            let stop = &stop;
            scope.spawn(move || {
                machine::pin(core);
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let report = measure(seconds, load, limits);
        stop.store(true, Ordering::Relaxed);
        report
    })
}

fn measure(seconds: f64, load: Option<usize>, limits: Limits) -> Result<Value, Stop> {
    machine::pin(CORE_B);
    let rate = Rate::measure();
    let terms = Terms { core_a: CORE_A, rate, limits };
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let worker = own.with_file_name("lar-worker");
    let mut sandbox = open(&worker, &limits)?;
    let mut rng = Rng::new(1, 1);
    let none: [&Pool; 0] = [];
    let inputs = Inputs::packed(&none, &mut rng)?;
    let mut runner = SliceRunner::new(terms, inputs, 4096, 4096, None, rng)?;
    let side = |name| Side { name, library: None, features: 0 };
    let mut a = runner.start(&mut sandbox, &side("champion"))?;
    let mut b = runner.start(&mut sandbox, &side("candidate"))?;
    a.settle(&mut sandbox, runner.patience())?;
    b.settle(&mut sandbox, runner.patience())?;
    let (mut runs, mut arms) = (vec![], vec![]);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        for worker in [&mut a, &mut b] {
            let shots = runner.empty(&mut sandbox, worker, Tables::default(), 1)?;
            runs.push(rate.ns(shots.run));
            arms.push(rate.ns(shots.arm));
        }
    }
    a.end(&mut sandbox);
    b.end(&mut sandbox);
    Ok(json!({"v": 1, "ok": true, "slices": runs.len(), "box": sandbox.kind.name(),
              "load": load.map(|core| if core == CORE_A { "worker" } else { "conductor" }),
              "go_done_ns": spread(runs), "arm_ready_ns": spread(arms)}))
}

/// bubblewrap if it runs, else Landlock.
fn open(worker: &Path, limits: &Limits) -> Result<Sandbox, String> {
    Sandbox::open(SandboxKind::Bwrap, worker, limits)
        .or_else(|_| Sandbox::open(SandboxKind::Landlock, worker, limits))
}

fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let at = |q: f64| values[((values.len() - 1) as f64 * q) as usize].round();
    json!({"p1": at(0.01), "p50": at(0.5), "p99": at(0.99), "max": at(1.0)})
}
