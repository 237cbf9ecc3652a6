//! `expect`: upstream's own outputs for one pool, written as the file others compare with.

use crate::container::{Pool, WantWriter, header_of};
use crate::fault::{Fault, FaultKind};
use crate::jail::Jail;
use crate::place::{Inputs, slot_bytes};
use crate::rng::Rng;
use crate::stage::{Play, Side, Stage, Terms};
use crate::stop::Stop;
use crate::window::table_bytes;
use crate::worker::Worker;
use lar_abi::call::HEADER_BYTES;
use std::path::Path;

/// Runs every call once, in order; returns nanoseconds per call (rough: one run each).
pub fn expect(
    jail: &mut Jail,
    terms: Terms,
    lib: &Path,
    pool: &Pool,
    want: &Path,
) -> Result<Vec<f64>, Stop> {
    let mut rng = Rng::new(0, 3);
    let inputs = Inputs::packed(&[pool], &mut rng)?;
    let most = (0..pool.calls.len()).map(|i| slot_bytes(pool, i)).max().unwrap_or(0) + 4096;
    let mut stage = Stage::new(terms, inputs, table_bytes(pool, 1), most, None, rng)?;
    let features = crate::cpu::features();
    let side = Side { name: "champion", library: Some(lib), features };
    let mut worker = stage.start(jail, &side)?;
    let outcome = all(jail, &mut stage, &mut worker, pool);
    worker.end(jail);
    let (writer, times) = outcome?;
    writer.write(want)?;
    Ok(times)
}

fn all(
    jail: &mut Jail,
    stage: &mut Stage,
    worker: &mut Worker,
    pool: &Pool,
) -> Result<(WantWriter, Vec<f64>), Stop> {
    worker.settle(jail, stage.patience())?;
    let mut writer = WantWriter::new(&pool.combo);
    let mut times = Vec::with_capacity(pool.calls.len());
    for call in 0..pool.calls.len() {
        stage.slots.packed(pool, &[call], 0);
        let tables = stage.tables(pool, 0, &[call]);
        let shots =
            stage.slice(jail, worker, Play { pool, want: None, calls: &[call], run: 1, tables })?;
        times.push(stage.terms.rate.ns(shots.run));
        record(stage, pool, call, &mut writer).map_err(|fault| worker.blame(*fault))?;
    }
    Ok((writer, times))
}

fn record(
    stage: &Stage,
    pool: &Pool,
    call: usize,
    writer: &mut WantWriter,
) -> Result<(), Box<Fault>> {
    let (memory, at) = (stage.outputs(), stage.slots.headers[0]);
    let bytes = &memory[at..at + HEADER_BYTES];
    let header = header_of(bytes);
    let parts = stage.slots.parts_of(0);
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
