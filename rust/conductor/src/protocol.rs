//! The lines that cross between Python and the conductor, version 1.

use crate::limits::Limits;
use crate::stop::{Failure, FailureCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Version of every line.
pub const VERSION: u64 = 1;

/// A command, one JSON object on one line.
#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
pub enum Command {
    Open(Open),
    Expect { lib: PathBuf, pool: PathBuf, expected: PathBuf },
    Check(Check),
    Pair(Pair),
    Quit,
}

#[derive(Deserialize)]
pub struct Open {
    pub worker: PathBuf,
    #[serde(rename = "box")]
    pub kind: String,
    pub core_a: usize,
    pub core_b: usize,
    pub limits: Limits,
}

#[derive(Deserialize)]
pub struct Check {
    pub lib: PathBuf,
    pub pools: Vec<(PathBuf, PathBuf)>,
    pub seed: u64,
    /// None: all that the host has.
    #[serde(deserialize_with = "Option::deserialize")]
    pub features: Option<u64>,
}

#[derive(Deserialize)]
pub struct Pair {
    pub champion: PathBuf,
    pub candidate: PathBuf,
    pub pools: Vec<(PathBuf, PathBuf)>,
    pub seed: u64,
    pub rounds: usize,
    pub slice_us: f64,
    /// Calls per slice, one number a pool. None: calibrate.
    #[serde(deserialize_with = "Option::deserialize")]
    pub calls: Option<Vec<usize>>,
    /// Length of a block of one side's slices. None: one slice.
    #[serde(deserialize_with = "Option::deserialize")]
    pub block_ms: Option<f64>,
    /// The calls of each pool in the order in which they are played; the first one warms up. None:
    /// all calls in a random order.
    #[serde(default)]
    pub orders: Option<Vec<Vec<usize>>>,
    /// None: all that the host has.
    #[serde(deserialize_with = "Option::deserialize")]
    pub features: Option<u64>,
    /// Time the champion alone: behind this library, and behind the candidate.
    #[serde(deserialize_with = "Option::deserialize")]
    pub opponent: Option<PathBuf>,
    /// Draw where inputs and outputs begin in a line.
    pub drawn: bool,
}

/// Reads one line; an unknown version is refused before anything else is looked at.
pub fn parse(line: &[u8]) -> Result<Command, Failure> {
    let bad = |detail: String| Failure::new(FailureCode::BadCommand, detail);
    let value: Value = serde_json::from_slice(line).map_err(|e| bad(format!("not JSON: {e}")))?;
    let version = value.get("v").unwrap_or(&Value::Null);
    if version.as_u64() != Some(VERSION) {
        return Err(bad(format!("unknown version {version} (known: {VERSION})")));
    }
    serde_json::from_value(value).map_err(|e| bad(format!("command: {e}")))
}

/// An answer that says why the command could not be carried out.
pub fn error(failure: &Failure) -> Value {
    json!({"v": VERSION, "ok": false, "code": failure.code, "error": failure.detail})
}
