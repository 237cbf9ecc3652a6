//! `expect`: upstream's own outputs for one pool, written as the file others compare with.

use crate::container::{ExpectedWriter, Pool, header_of};
use crate::fault::{Fault, FaultKind};
use crate::layout::{Inputs, slot_bytes};
use crate::rng::Rng;
use crate::sandbox::Sandbox;
use crate::slice_runner::{Play, Side, SliceRunner, Terms};
use crate::stop::Stop;
use crate::window::table_bytes;
use crate::worker::Worker;
use lar_abi::call::HEADER_BYTES;
use std::path::Path;

/// Runs every call once, in order; returns nanoseconds per call (rough: one run each).
pub fn expect(
    sandbox: &mut Sandbox,
    terms: Terms,
    lib: &Path,
    pool: &Pool,
    expected: &Path,
) -> Result<Vec<f64>, Stop> {
    let mut rng = Rng::new(0, 3);
    let inputs = Inputs::packed(&[pool], &mut rng)?;
    let most = (0..pool.calls.len()).map(|i| slot_bytes(pool, i)).max().unwrap_or(0) + 4096;
    let mut runner = SliceRunner::new(terms, inputs, table_bytes(pool, 1), most, None, rng)?;
    let features = crate::cpu::features();
    let side = Side { name: "champion", library: Some(lib), features };
    let mut worker = runner.start(sandbox, &side)?;
    let outcome = all(sandbox, &mut runner, &mut worker, pool);
    worker.end(sandbox);
    let (writer, times) = outcome?;
    writer.write(expected)?;
    Ok(times)
}

fn all(
    sandbox: &mut Sandbox,
    runner: &mut SliceRunner,
    worker: &mut Worker,
    pool: &Pool,
) -> Result<(ExpectedWriter, Vec<f64>), Stop> {
    worker.settle(sandbox, runner.patience())?;
    let mut writer = ExpectedWriter::new(&pool.combo);
    let mut times = Vec::with_capacity(pool.calls.len());
    for call in 0..pool.calls.len() {
        runner.slots.packed(pool, &[call], 0);
        let tables = runner.tables([&*worker], pool, 0, &[call]);
        let shots = runner.slice(
            sandbox,
            worker,
            Play {
                pool,
                expected: None,
                calls: &[call],
                run: 1,
                tables,
                watched: true,
                stale: false,
            },
        )?;
        times.push(runner.terms.rate.ns(shots.run));
        record(runner, pool, call, &mut writer).map_err(|fault| worker.blame(*fault))?;
    }
    Ok((writer, times))
}

fn record(
    runner: &SliceRunner,
    pool: &Pool,
    call: usize,
    writer: &mut ExpectedWriter,
) -> Result<(), Box<Fault>> {
    let (memory, at) = (runner.outputs(), runner.slots.headers[0]);
    let bytes = &memory[at..at + HEADER_BYTES];
    let header = header_of(bytes);
    let parts = runner.slots.parts_of(0);
    for (p, &(_, cap)) in parts.iter().enumerate() {
        if header.len[p] as usize > cap {
            let note = format!("wrote {} bytes, capacity {cap}", header.len[p]);
            let combo = pool.combo.clone();
            let fault = Fault::with_note(FaultKind::Mismatch, note);
            return Err(Box::new(Fault { combo, call, part: p, ..fault }));
        }
    }
    let part = |(p, &(at, _)): (usize, &(usize, usize))| &memory[at..at + header.len[p] as usize];
    let written: Vec<&[u8]> = parts.iter().enumerate().map(part).collect();
    let sorted = pool.rows.map(|order| order.arrange(written[0], written[1]));
    let shown = sorted.as_ref().map_or(written, |rows| rows.iter().map(Vec::as_slice).collect());
    let ties = pool.calls[call].ties.as_deref();
    writer.push(bytes, shown.into_iter().chain(ties));
    Ok(())
}
