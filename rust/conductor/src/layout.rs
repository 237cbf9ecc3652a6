//! Where inputs and output slots lie: packed in secret order for timing; flush against unmapped
//! pages for checking, and loose: packed as for timing, half of them off their line. Offsets are
//! those of the shared memory; a worker sees them at its base plus offset, on both sides alike.

use crate::container::{Input, Part, Pool};
use crate::limits::{Limits, mib};
use crate::rng::Rng;
use crate::shm::Frozen;
use lar_abi::call::HEADER_BYTES;
use lar_abi::wire::{PAGE, Span};
use std::cell::Cell;

/// Untouched bytes verified on either side of an output.
pub const SLACK: usize = 64;

/// Inputs of several pools in one shared memory.
pub struct Inputs {
    pub memory: Frozen,
    /// Offset of input `i` of pool `p`: `at[p][i]`.
    pub at: Vec<Vec<usize>>,
    /// What is mapped of it.
    pub spans: Vec<Span>,
}

/// Numbers of all inputs in secret order: pools shuffled, inputs shuffled within them.
fn order(pools: &[&Pool], rng: &mut Rng) -> Vec<(usize, usize)> {
    let mut pool_order: Vec<usize> = (0..pools.len()).collect();
    rng.shuffle(&mut pool_order);
    let mut all = Vec::new();
    for p in pool_order {
        let from = all.len();
        all.extend((0..pools[p].inputs.len()).map(|i| (p, i)));
        rng.shuffle(&mut all[from..]);
    }
    all
}

impl Inputs {
    /// Packed: each at the start of a line, a random number of lines in front.
    pub fn packed(pools: &[&Pool], rng: &mut Rng) -> Result<Self, String> {
        Self::side_by_side(pools, rng, |_, _| 0)
    }

    /// Loose: packed, and every second one at any place its elements may begin at.
    pub fn loose(pools: &[&Pool], rng: &mut Rng) -> Result<Self, String> {
        Self::side_by_side(pools, rng, |input, rng| astray(input.step, 0, rng))
    }

    /// Drawn: packed, and each at any place its elements may begin at.
    pub fn drawn(pools: &[&Pool], rng: &mut Rng) -> Result<Self, String> {
        Self::side_by_side(pools, rng, |input, rng| anywhere(input.step, rng))
    }

    fn side_by_side(
        pools: &[&Pool],
        rng: &mut Rng,
        phase: impl Fn(&Input, &mut Rng) -> usize,
    ) -> Result<Self, String> {
        let order = order(pools, rng);
        let mut at: Vec<Vec<usize>> = pools.iter().map(|p| vec![0; p.inputs.len()]).collect();
        let mut cursor = rng.below(PAGE / 64) * 64;
        for &(p, i) in &order {
            let input = pools[p].inputs[i];
            at[p][i] = cursor + phase(&input, rng);
            cursor = (at[p][i] + input.len).next_multiple_of(64);
        }
        let len = (cursor + 64).next_multiple_of(PAGE);
        let mut bytes = staging(len);
        for &(p, i) in &order {
            let input = pools[p].input(i);
            bytes[at[p][i]..at[p][i] + input.len()].copy_from_slice(input);
        }
        let memory = Frozen::new(&bytes)?;
        STAGING.set(bytes);
        Ok(Inputs { memory, at, spans: vec![Span { which: 0, at: 0, len: len as u64 }] })
    }

    /// Flush: each ends where a page ends, and the next page is not mapped.
    pub fn flush(pools: &[&Pool], rng: &mut Rng) -> Result<Self, String> {
        let order = order(pools, rng);
        let mut at: Vec<Vec<usize>> = pools.iter().map(|p| vec![0; p.inputs.len()]).collect();
        let mut spans = Vec::with_capacity(order.len());
        let mut cursor = PAGE;
        for &(p, i) in &order {
            let Input { len, step, .. } = pools[p].inputs[i];
            let run = len.next_multiple_of(PAGE);
            if run > 0 {
                spans.push(Span { which: 0, at: cursor as u64, len: run as u64 });
            }
            at[p][i] = (cursor + run - len) & !(step - 1);
            cursor += run + PAGE;
        }
        let pieces = order.iter().map(|&(p, i)| (at[p][i], pools[p].input(i)));
        let memory = Frozen::sparse(cursor, pieces)?;
        Ok(Inputs { memory, at, spans })
    }
}

/// By a coin the phase it has when it is timed, or any that it may have.
fn astray(step: usize, phase: usize, rng: &mut Rng) -> usize {
    if rng.coin() { phase } else { anywhere(step, rng) }
}

/// Any place in a line at which elements may begin.
fn anywhere(step: usize, rng: &mut Rng) -> usize {
    rng.below(64 / step) * step
}

thread_local! {
    /// Kept from pair to pair: faulting in fresh pages costs more than copying.
    static STAGING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// `len` bytes; the gaps between inputs hold bytes of earlier inputs.
fn staging(len: usize) -> Vec<u8> {
    let mut bytes = STAGING.take();
    bytes.resize(len, 0);
    bytes
}

/// The slots of one window, in the order of its calls. `parts` has `n_parts` entries a slot.
#[derive(Default)]
pub struct Slots {
    pub headers: Vec<usize>,
    /// Offset and capacity.
    pub parts: Vec<(usize, usize)>,
    pub n_parts: usize,
    /// Spans to fill with poison: all that a kernel could reach.
    pub poison: Vec<(usize, usize)>,
    /// Spans that must stay poison.
    pub slack: Vec<(usize, usize)>,
    /// First offset behind everything.
    pub end: usize,
    /// All lie in one span, and no page around it is out of reach.
    pub dense: bool,
}

impl Slots {
    /// Parts of slot `i`.
    pub fn parts_of(&self, i: usize) -> &[(usize, usize)] {
        &self.parts[i * self.n_parts..(i + 1) * self.n_parts]
    }

    /// Packed slots from offset `start` (a multiple of 64): header, slack, part, slack, ...
    pub fn packed(&mut self, pool: &Pool, calls: &[usize], start: usize) {
        self.side_by_side(pool, calls, start, |part| part.align);
    }

    /// Packed, and every second part at any place its elements may begin at.
    pub fn loose(&mut self, pool: &Pool, calls: &[usize], rng: &mut Rng) {
        let start = rng.below(PAGE / 64) * 64;
        self.side_by_side(pool, calls, start, |part| astray(part.step, part.align, rng));
    }

    /// Packed, and each part at any place its elements may begin at.
    pub fn drawn(&mut self, pool: &Pool, calls: &[usize], start: usize, rng: &mut Rng) {
        self.side_by_side(pool, calls, start, |part| anywhere(part.step, rng));
    }

    fn side_by_side(
        &mut self,
        pool: &Pool,
        calls: &[usize],
        start: usize,
        mut phase: impl FnMut(&Part) -> usize,
    ) {
        self.clear(pool);
        let mut cursor = start;
        self.slack.push((cursor, SLACK));
        cursor += SLACK;
        for &call in calls {
            self.headers.push(cursor);
            let mut free = cursor + HEADER_BYTES;
            for (part, &cap) in pool.parts.iter().zip(&pool.calls[call].caps) {
                let at = (free + SLACK).next_multiple_of(64) + phase(part);
                self.parts.push((at, cap));
                self.slack.push((free, at - free));
                free = at + cap;
            }
            cursor = (free + SLACK).next_multiple_of(64);
            self.slack.push((free, cursor - free));
        }
        self.poison.push((start, cursor - start));
        self.end = cursor;
        self.dense = true;
    }

    fn clear(&mut self, pool: &Pool) {
        self.headers.clear();
        self.parts.clear();
        self.poison.clear();
        self.slack.clear();
        self.n_parts = pool.parts.len();
        self.dense = false;
    }
}

/// Bytes one packed slot needs at most.
pub fn slot_bytes(pool: &Pool, call: usize) -> usize {
    let parts: usize =
        pool.calls[call].caps.iter().map(|cap| cap.next_multiple_of(64) + 3 * SLACK).sum();
    HEADER_BYTES + parts + 3 * SLACK
}

/// Regions that end where a page ends, for `groups` calls at once.
pub struct Flush {
    pub groups: usize,
    /// Bytes of a region per part number, page multiples, one page more than any capacity.
    room: Vec<usize>,
}

impl Flush {
    /// Room for every call of `pools`, within the limits.
    pub fn for_pools(pools: &[&Pool], limits: &Limits) -> Self {
        let n_parts = pools.iter().map(|p| p.parts.len()).max().unwrap_or(0);
        let most = |i: usize| {
            let caps = pools.iter().flat_map(|p| &p.calls).filter_map(|c| c.caps.get(i));
            caps.copied().max().unwrap_or(0).next_multiple_of(PAGE) + PAGE
        };
        let room: Vec<usize> = (0..n_parts).map(most).collect();
        let one: usize = room.iter().sum::<usize>() + PAGE;
        let groups = mib(limits.check_output_mb) / one;
        Flush { groups: groups.clamp(1, limits.check_calls.max(1)), room }
    }

    /// Bytes from one group to the next: header page, regions, an unmapped page after each.
    fn stride(&self) -> usize {
        2 * PAGE + self.room.iter().map(|r| r + PAGE).sum::<usize>()
    }

    /// Length of the output memory.
    pub fn bytes(&self) -> usize {
        PAGE + self.groups * self.stride()
    }

    /// What is mapped of it.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for group in 0..self.groups {
            let mut at = PAGE + group * self.stride();
            for len in std::iter::once(PAGE).chain(self.room.iter().copied()) {
                spans.push(Span { which: 1, at: at as u64, len: len as u64 });
                at += len + PAGE;
            }
        }
        spans
    }

    /// Slots for `calls` (at most `groups`), each part flush at the end of its region.
    pub fn slots(&self, slots: &mut Slots, pool: &Pool, calls: &[usize]) {
        slots.clear(pool);
        for (group, &call) in calls.iter().enumerate() {
            let mut at = PAGE + group * self.stride();
            let header = at + PAGE - HEADER_BYTES;
            slots.headers.push(header);
            slots.poison.push((header - SLACK, SLACK + HEADER_BYTES));
            slots.slack.push((header - SLACK, SLACK));
            at += 2 * PAGE;
            for (part, (&room, &cap)) in
                pool.parts.iter().zip(self.room.iter().zip(&pool.calls[call].caps))
            {
                let start = (at + room - cap) & !(part.step - 1);
                let behind = at + room - start - cap;
                let front = (start - at).min(PAGE);
                slots.parts.push((start, cap));
                slots.poison.push((start - front, front + cap + behind));
                slots.slack.push((start - front, front));
                slots.slack.push((start + cap, behind));
                at += room + PAGE;
            }
        }
        slots.end = self.bytes();
    }
}
