//! One pool and one library: every call is played, and its outputs are written or compared.
//!
//! Compared twice, as the conductor's `check` does: with inputs and outputs that end where mapped
//! pages end, and loose, packed as for timing or anywhere their elements may begin.

use crate::container::{Expected, ExpectedWriter, Pool, header_of};
use crate::layout::{Flush, Inputs, SLACK, Slots, slot_bytes};
use crate::library::Library;
use crate::limits::{Limits, mib};
use crate::memory;
use crate::poison::Poison;
use crate::rng::Rng;
use crate::shm::Shared;
use crate::verify::Seen;
use crate::window::{Bases, Writer, table_bytes};
use lar_abi::call::{HEADER_BYTES, Note, RawCall};
use lar_abi::processor;
use lar_abi::wire::{Layout, PAGE, Span};
use std::path::Path;

/// What is done with the outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// They are written to a file.
    Expect,
    /// They are compared with those of a file.
    Check,
}

/// What one process plays, beside the pool.
pub struct Case<'a> {
    pub mode: Mode,
    pub library: &'a Path,
    pub limits: Limits,
    /// The features word that the kernel sees.
    pub features: u64,
    /// The file of expected outputs.
    pub expected: &'a Path,
}

impl Case<'_> {
    /// Plays all calls. What differs, if anything; an error says nothing about the kernel.
    pub fn play(&self, pool: &Pool, note: *mut Note) -> Result<Option<String>, String> {
        let library = Library::open(self.library)?;
        let arena = mib(self.limits.arena_mb as usize);
        let start = memory::fresh(arena, false)?;
        let room = mib(self.limits.heap_mb as usize);
        let heap = (memory::fresh(room, false)?, room);
        library.init(Box::leak(Box::new(self.features)), note, (start, arena), heap);
        match self.mode {
            Mode::Expect => self.record(pool, &library, start),
            Mode::Check => self.compare(pool, &library, start),
        }
    }

    fn record(
        &self,
        pool: &Pool,
        library: &Library,
        arena: *mut u8,
    ) -> Result<Option<String>, String> {
        let most = (0..pool.calls.len()).map(|i| slot_bytes(pool, i)).max().unwrap_or(0) + PAGE;
        let mut rng = Rng::new(0, 3);
        let inputs = Inputs::packed(&[pool], &mut rng)?;
        let mut field = Field::new(pool, inputs, most, None, 1, arena, rng)?;
        let mut writer = ExpectedWriter::new(&pool.combo);
        for call in 0..pool.calls.len() {
            field.slots.packed(pool, &[call], 0);
            let wrong = field.run(pool, library, &[call]);
            if let Some(text) = wrong.or_else(|| field.push(pool, call, &mut writer)) {
                return Ok(Some(text));
            }
        }
        writer.write(self.expected)?;
        Ok(None)
    }

    fn compare(
        &self,
        pool: &Pool,
        library: &Library,
        arena: *mut u8,
    ) -> Result<Option<String>, String> {
        let expected = Expected::open(self.expected, pool)?;
        let flush = Flush::for_pools(&[pool], &self.limits);
        let calls: Vec<usize> = (0..pool.calls.len()).collect();
        for loose in [false, true] {
            let mut rng = Rng::new(1, u64::from(loose));
            let mut places = Rng::new(2, 0);
            let (inputs, spans, bytes) = if loose {
                let most = (0..calls.len()).map(|i| slot_bytes(pool, i)).max().unwrap_or(0);
                let bytes = PAGE + flush.groups * (most + 2 * SLACK);
                (Inputs::loose(&[pool], &mut rng)?, None, bytes)
            } else {
                (Inputs::flush(&[pool], &mut rng)?, Some(flush.spans()), flush.bytes())
            };
            let mut field = Field::new(pool, inputs, bytes, spans, flush.groups, arena, rng)?;
            for group in calls.chunks(flush.groups) {
                if loose {
                    field.slots.loose(pool, group, &mut places);
                } else {
                    flush.slots(&mut field.slots, pool, group);
                }
                let wrong = field.run(pool, library, group);
                if let Some(text) = wrong.or_else(|| field.difference(pool, &expected, group)) {
                    return Ok(Some(text));
                }
            }
        }
        Ok(None)
    }
}

/// The memories of one placement: inputs, outputs, tables, and the fill that outputs start with.
struct Field {
    inputs: Inputs,
    plan: Shared,
    outputs: Shared,
    bases: Bases,
    poison: Poison,
    rng: Rng,
    writer: Writer,
    slots: Slots,
}

impl Field {
    /// `bytes` of outputs, of which `spans` are mapped (None: all), for `groups` calls at once.
    fn new(
        pool: &Pool,
        inputs: Inputs,
        bytes: usize,
        spans: Option<Vec<Span>>,
        groups: usize,
        arena: *mut u8,
        mut rng: Rng,
    ) -> Result<Self, String> {
        let len = bytes.next_multiple_of(PAGE);
        let outputs = Shared::new(len, false)?;
        let plan = Shared::new(table_bytes(pool, groups).next_multiple_of(PAGE), true)?;
        let all = vec![Span { which: 1, at: 0, len: len as u64 }];
        let end = inputs.spans.iter().map(|s| (s.at + s.len) as usize).max().unwrap_or(0) + PAGE;
        let bases = Bases {
            plan: plan.ptr() as u64,
            inputs: memory::view(inputs.memory.fd(), end, &inputs.spans, false)?,
            outputs: memory::view(outputs.fd(), len + PAGE, &spans.unwrap_or(all), true)?,
            arena: arena as u64,
            stack: 0,
            heap: 0,
            layout: Layout::default(),
        };
        let poison = Poison::new(&mut rng);
        let (writer, slots) = (Writer::default(), Slots::default());
        Ok(Field { inputs, plan, outputs, bases, poison, rng, writer, slots })
    }

    /// Fills the outputs, prepares the calls whose slots are laid out, and makes them. What is wrong
    /// with the processor's state afterwards, if anything.
    fn run(&mut self, pool: &Pool, library: &Library, calls: &[usize]) -> Option<String> {
        let Field { plan, inputs, bases, slots, .. } = self;
        let tables = self.writer.write(plan, *bases, pool, &inputs.at[0], calls, slots, (&[], 0));
        self.poison.renew(&mut self.rng);
        for &(at, len) in &self.slots.poison {
            self.poison.fill(self.outputs.bytes_mut(), at, len);
        }
        let table = tables.calls as *const RawCall;
        // SAFETY: the table holds as many valid calls, whose buffers do not overlap.
        unsafe {
            (library.prepare)(pool.op, table, calls.len());
            for (i, call) in calls.iter().enumerate() {
                let changes = processor::call_watched(library.call, pool.op, table.add(i));
                if changes != 0 {
                    let what = processor::describe(changes);
                    return Some(format!("processor_state: {}: call {call}: {what}", pool.combo));
                }
            }
        }
        None
    }

    /// The first fault of the calls just made, in words.
    fn difference(&self, pool: &Pool, expected: &Expected, calls: &[usize]) -> Option<String> {
        let seen = Seen {
            pool,
            expected,
            calls,
            run: calls.len(),
            slots: &self.slots,
            memory: self.outputs.bytes(),
            poison: &self.poison,
        };
        let fault = seen.fault()?;
        let kind = serde_json::to_value(fault.kind).unwrap_or_default();
        let note = fault.note.unwrap_or_default();
        Some(format!(
            "{}: call {}, part {}, byte {}: {} of {} elements, got {}, expected {} {note}",
            kind.as_str().unwrap_or("fault"),
            fault.call,
            fault.part,
            fault.offset,
            fault.differs,
            fault.total,
            fault.got_hex,
            fault.expected_hex
        ))
    }

    /// Adds the outputs of the call just made; what is wrong with them, if anything.
    fn push(&self, pool: &Pool, call: usize, writer: &mut ExpectedWriter) -> Option<String> {
        let (memory, at) = (self.outputs.bytes(), self.slots.headers[0]);
        let bytes = &memory[at..at + HEADER_BYTES];
        let header = header_of(bytes);
        let parts = self.slots.parts_of(0);
        if let Some(p) = (0..parts.len()).find(|&p| header.len[p] as usize > parts[p].1) {
            return Some(format!("call {call}, part {p}: {} bytes do not fit", header.len[p]));
        }
        let part =
            |(p, &(at, _)): (usize, &(usize, usize))| &memory[at..at + header.len[p] as usize];
        let written: Vec<&[u8]> = parts.iter().enumerate().map(part).collect();
        let sorted = pool.rows.map(|order| order.arrange(written[0], written[1]));
        let shown =
            sorted.as_ref().map_or(written, |rows| rows.iter().map(Vec::as_slice).collect());
        let ties = pool.calls[call].ties.as_deref();
        writer.push(bytes, shown.into_iter().chain(ties));
        None
    }
}
