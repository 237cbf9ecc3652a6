//! Compares the slots of a slice with upstream's outputs, after the worker fell asleep.

use crate::container::{Expected, Pool, header_of};
use crate::fault::{Fault, FaultKind, hex};
use crate::layout::Slots;
use crate::poison::Poison;
use lar_abi::call::{HEADER_BYTES, SlotHeader};

/// Bytes of an element shown on either side of a failure.
const SHOWN: usize = 16;

/// A slice as it lies in memory.
pub struct Seen<'a> {
    pub pool: &'a Pool,
    pub expected: &'a Expected,
    /// Calls of the pool, in slot order; the first `run` were made.
    pub calls: &'a [usize],
    pub run: usize,
    pub slots: &'a Slots,
    pub memory: &'a [u8],
    pub poison: &'a Poison,
}

impl Seen<'_> {
    /// The first fault, if there is one.
    pub fn fault(&self) -> Option<Fault> {
        (0..self.run)
            .find_map(|i| self.slot(i))
            .or_else(|| (self.run..self.calls.len()).find_map(|i| self.idle(i)))
            .or_else(|| slack(self.slots, self.memory, self.poison))
            .map(|fault| Fault { combo: self.pool.combo.clone(), ..fault })
    }

    /// The fault of slot `i`, whose call was made.
    pub fn slot(&self, i: usize) -> Option<Fault> {
        let call = self.calls[i];
        let at = self.slots.headers[i];
        let got = header_of(&self.memory[at..at + HEADER_BYTES]);
        let expected = self.expected.header(call);
        let fault = if self.poison.broken(self.memory, at, HEADER_BYTES).is_none() {
            Some(Fault::with_note(FaultKind::Poison, "the call was not made"))
        } else {
            header(&got, &expected, self.slots.n_parts).or_else(|| self.parts(i, &expected))
        };
        fault.map(|fault| Fault { call, ..fault })
    }

    fn parts(&self, i: usize, header: &SlotHeader) -> Option<Fault> {
        let written = |p: usize| {
            let (at, cap) = self.slots.parts_of(i)[p];
            &self.memory[at..at + (header.len[p] as usize).min(cap)]
        };
        if let Some(order) = self.pool.rows {
            let rows = order.arrange(written(0), written(1));
            return (0..2).find_map(|p| self.part(i, p, &rows[p], written(p)));
        }
        (0..self.slots.n_parts).find_map(|p| self.part(i, p, written(p), written(p)))
    }

    /// Compares `got`, which is `written` or its rows as they are compared.
    fn part(&self, i: usize, p: usize, got: &[u8], written: &[u8]) -> Option<Fault> {
        let (call, spec) = (self.calls[i], &self.pool.parts[p]);
        let (at, len) = (self.slots.parts_of(i)[p].0, got.len());
        let expected = self.expected.part(call, p)?;
        if expected.len() != len {
            return Some(Fault::with_note(
                FaultKind::Mismatch,
                "the expected part has another length",
            ));
        }
        let dist = self.expected.part(call, 0).unwrap_or(&[]);
        let ties = self.expected.part(call, self.pool.parts.len());
        let diff = spec.rule.diff(spec.elem, got, expected, dist, ties)?;
        let end = (diff.offset + spec.elem).min(len);
        // Of sorted rows it is not known where they lay: then the whole part.
        let same = std::ptr::eq(got, written);
        let range = if same { (at + diff.offset, end - diff.offset) } else { (at, written.len()) };
        let untouched = self.poison.broken(self.memory, range.0, range.1);
        Some(Fault {
            part: p,
            offset: diff.offset,
            differs: diff.differs,
            total: diff.total,
            got_hex: hex(&got[diff.offset..end], SHOWN),
            expected_hex: hex(&expected[diff.offset..end], SHOWN),
            ..Fault::new(if untouched.is_none() { FaultKind::Poison } else { FaultKind::Mismatch })
        })
    }

    /// Slot `i` was armed, but its call was not made: nothing may have been written.
    fn idle(&self, i: usize) -> Option<Fault> {
        let header = (self.slots.headers[i], HEADER_BYTES);
        std::iter::once(&header)
            .chain(self.slots.parts_of(i))
            .any(|&(at, len)| self.poison.broken(self.memory, at, len).is_some())
            .then(|| Fault {
                call: self.calls[i],
                ..Fault::with_note(FaultKind::Slack, "written without having been called")
            })
    }
}

/// Status and lengths must be upstream's.
fn header(got: &SlotHeader, expected: &SlotHeader, n_parts: usize) -> Option<Fault> {
    let differ = |part: usize, what: &str, got: u64, expected: u64| Fault {
        part,
        differs: 1,
        total: 1,
        got_hex: hex(&got.to_le_bytes(), 8),
        expected_hex: hex(&expected.to_le_bytes(), 8),
        ..Fault::with_note(FaultKind::Mismatch, format!("{what} {got}, expected {expected}"))
    };
    if got.status != expected.status {
        return Some(differ(0, "status", got.status, expected.status));
    }
    let part = (0..n_parts).find(|&p| got.len[p] != expected.len[p])?;
    Some(differ(part, "length in bytes", got.len[part], expected.len[part]))
}

/// Slack on either side of every output must be intact.
pub fn slack(slots: &Slots, memory: &[u8], poison: &Poison) -> Option<Fault> {
    let at = slots.slack.iter().find_map(|&(at, len)| poison.broken(memory, at, len))?;
    Some(Fault::with_note(FaultKind::Slack, describe(slots, at)))
}

/// The place of offset `at`, in words.
fn describe(slots: &Slots, at: usize) -> String {
    let near = |(i, &(from, cap)): (usize, &(usize, usize))| {
        let away = if at < from { from - at } else { (at + 1).saturating_sub(from + cap) };
        let side = if at < from { "before" } else { "behind" };
        let n = slots.n_parts;
        (away, format!("{away} bytes {side} part {} of slot {}", i % n, i / n))
    };
    slots.parts.iter().enumerate().map(near).min().map_or_else(String::new, |(_, text)| text)
}
