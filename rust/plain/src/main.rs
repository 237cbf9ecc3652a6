//! lar-plain: plays every call of a kernel library and compares the outputs, without a clock.
//!
//! ```text
//! lar-plain expect LIBRARY --limits JSON [--features WORD]   writes the library's outputs
//! lar-plain check  LIBRARY --limits JSON [--features WORD]   compares with those of the files
//! ```
//!
//! Standard input names the cases, one a line: pool file, tab, file of expected outputs. Each case
//! gives one JSON line: `{"combo":..., "outcome":"equal", "calls":2, "detail":""}`; the outcomes are
//! in `outcome.rs`. WORD is the features word that kernels see, or `all` that the processor has;
//! without it they see none. With `--first` nothing is played after a case that is not equal.
//!
//! It is for emulators, in which the conductor's sandbox, clock and futexes do not work: it says
//! whether the bits are right on another processor, and never how long that took. Containers,
//! placement, fill and equality are the conductor's own source. Nothing protects it from the
//! kernel: it is no judge, and what it runs has been through `lar try` or belongs to the tests.

#![allow(dead_code)] // The modules below are shared; each program uses a part of them.

#[path = "../../conductor/src/container.rs"]
mod container;
#[path = "../../conductor/src/cpu.rs"]
mod cpu;
#[path = "../../conductor/src/equality.rs"]
mod equality;
#[path = "../../conductor/src/fault.rs"]
mod fault;
#[path = "../../conductor/src/layout.rs"]
mod layout;
#[path = "../../conductor/src/limits.rs"]
mod limits;
#[path = "../../conductor/src/poison.rs"]
mod poison;
#[path = "../../conductor/src/rng.rs"]
mod rng;
#[path = "../../conductor/src/scratch.rs"]
mod scratch;
#[path = "../../conductor/src/shm.rs"]
mod shm;
#[path = "../../conductor/src/verify.rs"]
mod verify;
#[path = "../../conductor/src/window.rs"]
mod window;

mod case;
mod library;
mod memory;
mod outcome;
mod separate;

use case::{Case, Mode};
use limits::Limits;
use std::io::{BufRead, Write};
use std::path::PathBuf;

const USAGE: &str =
    "usage: lar-plain expect|check LIBRARY --limits JSON [--features WORD|all] [--first]";

/// What the command line says.
struct Arguments {
    mode: Mode,
    library: PathBuf,
    limits: Limits,
    features: u64,
    /// Stop after the first case that is not equal.
    first: bool,
}

fn parse(args: &[String]) -> Option<Arguments> {
    let (mode, library) = match args {
        [mode, library, ..] if mode == "expect" => (Mode::Expect, library),
        [mode, library, ..] if mode == "check" => (Mode::Check, library),
        _ => return None,
    };
    let (mut limits, mut features, mut first) = (None, Some(0), false);
    let mut rest = args[2..].iter();
    while let Some(option) = rest.next() {
        if option == "--first" {
            first = true;
            continue;
        }
        let value = rest.next()?;
        match option.as_str() {
            "--limits" => limits = serde_json::from_str(value).ok(),
            "--features" if value == "all" => features = Some(cpu::features()),
            "--features" => features = value.parse().ok(),
            _ => return None,
        }
    }
    Some(Arguments { mode, library: library.into(), limits: limits?, features: features?, first })
}

/// One line for each case, in order; a case that ends its process does not end the others.
fn play(arguments: &Arguments) -> Result<(), String> {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let (pool, expected) =
            line.split_once('\t').ok_or_else(|| format!("no tab in `{line}`"))?;
        let case = Case {
            mode: arguments.mode,
            library: &arguments.library,
            limits: arguments.limits,
            features: arguments.features,
            expected: expected.as_ref(),
        };
        let (outcome, report) = separate::run(pool.as_ref(), &case)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{report}").and_then(|()| out.flush()).map_err(|e| e.to_string())?;
        if arguments.first && !outcome.is_good() {
            break;
        }
    }
    Ok(())
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(arguments) = parse(&args) else {
        eprintln!("{USAGE}");
        std::process::exit(64);
    };
    if let Err(text) = play(&arguments) {
        eprintln!("lar-plain: {text}");
        std::process::exit(70);
    }
}
