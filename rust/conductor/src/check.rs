//! `check`: every call once, inputs and outputs flush at unmapped pages.

use crate::container::{Pool, Want};
use crate::fault::Stop;
use crate::jail::Jail;
use crate::place::{Flush, Inputs};
use crate::rng::Rng;
use crate::stage::{Play, Side, Stage, Terms};
use crate::window::table_bytes;
use std::path::Path;

/// Inputs of one worker at most: each needs a mapping of its own.
const MAPPINGS: usize = 12_000;
/// Input bytes of one worker at most.
const BYTES: usize = 512 << 20;

/// Checks `lib` on all pools; returns the number of calls made.
pub fn check(
    jail: &mut Jail,
    terms: Terms,
    lib: &Path,
    pools: &[(&Pool, &Want)],
    seed: u64,
    features: u64,
) -> Result<usize, Stop> {
    let mut order: Vec<usize> = (0..pools.len()).collect();
    let mut rng = Rng::new(seed, 1);
    rng.shuffle(&mut order);
    let (mut calls, mut from) = (0, 0);
    while from < order.len() {
        let (mut to, mut mappings, mut bytes) = (from, 0, 0);
        while to < order.len() && (to == from || (mappings < MAPPINGS && bytes < BYTES)) {
            let pool = pools[order[to]].0;
            mappings += pool.inputs.len();
            bytes += pool.inputs.iter().map(|i| i.len.next_multiple_of(4096)).sum::<usize>();
            to += 1;
        }
        let batch: Vec<_> = order[from..to].iter().map(|&i| pools[i]).collect();
        let side = Side { name: "candidate", library: Some(lib), features };
        calls += one_worker(jail, terms, &side, &batch, Rng::new(seed, 2 + from as u64))?;
        from = to;
    }
    Ok(calls)
}

fn one_worker(
    jail: &mut Jail,
    terms: Terms,
    side: &Side,
    batch: &[(&Pool, &Want)],
    mut rng: Rng,
) -> Result<usize, Stop> {
    let pools: Vec<&Pool> = batch.iter().map(|b| b.0).collect();
    let flush = Flush::for_pools(&pools);
    let tables = pools.iter().map(|p| table_bytes(p, flush.groups)).max().unwrap_or(0);
    let groups = groups(&pools, flush.groups, &mut rng);
    let inputs = Inputs::flush(&pools, &mut rng)?;
    let spans = Some(flush.spans());
    let mut stage = Stage::new(terms, inputs, tables, flush.bytes(), spans, rng)?;
    let mut worker = stage.start(jail, side)?;
    let outcome = (|| {
        worker.settle(jail, stage.patience())?;
        for (p, calls) in &groups {
            let (pool, want) = batch[*p];
            flush.slots(&mut stage.slots, pool, calls);
            let tables = stage.tables(pool, *p, calls);
            let run = calls.len();
            stage.slice(jail, &mut worker, Play { pool, want: Some(want), calls, run, tables })?;
        }
        Ok(groups.iter().map(|(_, calls)| calls.len()).sum())
    })();
    worker.end(jail);
    outcome
}

/// All calls in secret order, a few of one pool at a time.
fn groups(pools: &[&Pool], size: usize, rng: &mut Rng) -> Vec<(usize, Vec<usize>)> {
    let mut groups = Vec::new();
    for (p, pool) in pools.iter().enumerate() {
        let mut calls: Vec<usize> = (0..pool.calls.len()).collect();
        rng.shuffle(&mut calls);
        groups.extend(calls.chunks(size).map(|c| (p, c.to_vec())));
    }
    rng.shuffle(&mut groups);
    groups
}
