//! `check`: every call twice. Flush: inputs and outputs end where mapped pages end. Loose: they lie
//! as in timed slices, or anywhere their elements may begin, so that no kernel can be right only
//! where it detects a check; and outputs hold zeros, ones or a call's answers as often as poison, as
//! a buffer that Lance hands over may.

use crate::container::{Expected, Pool};
use crate::layout::{Flush, Inputs, SLACK, slot_bytes};
use crate::limits::mib;
use crate::rng::Rng;
use crate::sandbox::Sandbox;
use crate::slice_runner::{Play, Side, SliceRunner, Terms};
use crate::stop::Stop;
use crate::window::table_bytes;
use lar_abi::wire::PAGE;
use std::path::Path;

/// Where one worker finds inputs and outputs.
#[derive(Clone, Copy, PartialEq)]
enum Lie {
    Flush,
    Loose,
}

/// Checks `lib` on all pools; returns the number of calls compared, each in both places.
pub fn check(
    sandbox: &mut Sandbox,
    terms: Terms,
    lib: &Path,
    pools: &[(&Pool, &Expected)],
    seed: u64,
    features: u64,
) -> Result<usize, Stop> {
    let mut order: Vec<usize> = (0..pools.len()).collect();
    let mut rng = Rng::new(seed, 1);
    rng.shuffle(&mut order);
    let limits = &terms.limits;
    let few =
        |mappings, bytes| mappings < limits.check_mappings && bytes < mib(limits.check_input_mb);
    let (mut calls, mut from) = (0, 0);
    while from < order.len() {
        let (mut to, mut mappings, mut bytes) = (from, 0, 0);
        while to < order.len() && (to == from || few(mappings, bytes)) {
            let pool = pools[order[to]].0;
            mappings += pool.inputs.len();
            bytes += pool.inputs.iter().map(|i| i.len.next_multiple_of(4096)).sum::<usize>();
            to += 1;
        }
        let batch: Vec<_> = order[from..to].iter().map(|&i| pools[i]).collect();
        let side = Side { name: "candidate", library: Some(lib), features };
        for lie in [Lie::Flush, Lie::Loose] {
            let rng = Rng::new(seed, 2 + 2 * from as u64 + u64::from(lie == Lie::Loose));
            calls += one_worker(sandbox, terms, &side, &batch, lie, rng)?;
        }
        from = to;
    }
    Ok(calls / 2)
}

fn one_worker(
    sandbox: &mut Sandbox,
    terms: Terms,
    side: &Side,
    batch: &[(&Pool, &Expected)],
    lie: Lie,
    mut rng: Rng,
) -> Result<usize, Stop> {
    let pools: Vec<&Pool> = batch.iter().map(|b| b.0).collect();
    let flush = Flush::for_pools(&pools, &terms.limits);
    let tables = pools.iter().map(|p| table_bytes(p, flush.groups)).max().unwrap_or(0);
    let groups = groups(&pools, flush.groups, &mut rng);
    let (inputs, spans, bytes) = match lie {
        Lie::Flush => (Inputs::flush(&pools, &mut rng)?, Some(flush.spans()), flush.bytes()),
        Lie::Loose => (Inputs::loose(&pools, &mut rng)?, None, loose_bytes(&pools, flush.groups)),
    };
    let mut places = Rng::new(rng.next(), 0);
    let mut runner = SliceRunner::new(terms, inputs, tables, bytes, spans, rng)?;
    let mut worker = runner.start(sandbox, side)?;
    let outcome = (|| {
        worker.settle(sandbox, runner.patience())?;
        for (p, calls) in &groups {
            let (pool, expected) = batch[*p];
            match lie {
                Lie::Flush => flush.slots(&mut runner.slots, pool, calls),
                Lie::Loose => runner.slots.loose(pool, calls, &mut places),
            }
            let tables = runner.tables([&worker], pool, *p, calls);
            let (run, expected, stale) = (calls.len(), Some(expected), lie == Lie::Loose);
            runner.slice(
                sandbox,
                &mut worker,
                Play { pool, expected, calls, run, tables, watched: true, stale },
            )?;
        }
        Ok(groups.iter().map(|(_, calls)| calls.len()).sum())
    })();
    worker.end(sandbox);
    outcome
}

/// Output memory that `groups` loose calls of any pool need at most.
fn loose_bytes(pools: &[&Pool], groups: usize) -> usize {
    let calls = pools.iter().flat_map(|p| (0..p.calls.len()).map(|call| slot_bytes(p, call)));
    PAGE + groups * (calls.max().unwrap_or(0) + 2 * SLACK)
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
