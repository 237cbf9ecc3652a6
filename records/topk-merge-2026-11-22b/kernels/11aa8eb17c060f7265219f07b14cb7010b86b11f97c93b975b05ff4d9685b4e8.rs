//! topk-merge: a cold heap asks the rows for a limit, gathers what is below it and selects; a full
//! heap screens 64 rows at once.
//!
//! The limit: lanes take the least of every so many rows. They are as many different rows, so the
//! k-th least of them is no lower than the k-th least row of all: with two lanes or more for each
//! place of the heap, hardly more than `k` rows are below it, wherever they lie.
//!
//! What may enter is decided on integers in `total_cmp` order, counted from the lower bound: one
//! unsigned comparison answers for both bounds, and NaN needs no thought. The screen before it
//! compares floats, which is a single instruction, and asks "not greater": that never loses a row.

use prelude::{OrderedFloat, OrderedNode, TopK};

const BLOCK: usize = 64;

/// Takes the rows whose distance lies in `[lower, upper)` into the heap of the `k` nearest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let mut range = Range::new(lower, upper);
    if heap.len() < k {
        range.lower_limit(k, dists);
        gather(k, range, row_ids, dists, heap);
        return;
    }
    range.below_root(heap);
    for_each_near(&mut range, dists, |range, row| {
        if let Some(mut root) = heap.peek_mut() {
            *root = OrderedNode::new(row_ids[row], OrderedFloat(dists[row]));
        }
        range.below_root(heap);
    });
}

/// The heap is not full: its rows to be are gathered as integers, place above row, and cut back
/// to the `k` least when crowded. The heap is built once.
fn gather(k: usize, mut range: Range, row_ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let crowded = k.saturating_mul(2);
    let mut rows = Vec::with_capacity(crowded.min(dists.len()) + BLOCK);
    for_each_near(&mut range, dists, |range, row| {
        if rows.len() >= crowded {
            cut(k, &mut rows);
            range.limit = range.limit.min((rows[k - 1] >> 32) as u32);
        }
        rows.push(u64::from(range.place(dists[row])) << 32 | row as u64);
    });
    cut(k, &mut rows);
    heap.extend(rows.iter().map(|&row| {
        let row = row as u32 as usize;
        OrderedNode::new(row_ids[row], OrderedFloat(dists[row]))
    }));
    while heap.len() > k {
        heap.pop();
    }
}

/// Keeps the `k` least, the greatest of them last.
fn cut(k: usize, rows: &mut Vec<u64>) {
    if rows.len() > k {
        rows.select_nth_unstable(k - 1);
        rows.truncate(k);
    }
}

/// Calls `take` for every row that `range` admits at that moment.
#[inline]
fn for_each_near(range: &mut Range, dists: &[f32], mut take: impl FnMut(&mut Range, usize)) {
    if range.limit == 0 {
        return;
    }
    let mut ends = range.ends();
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    let mut padded = [f32::NAN; BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    for (block, start) in blocks.iter().chain([&padded]).zip((0..).step_by(BLOCK)) {
        if !may_enter(block, ends) {
            continue;
        }
        let mut near = which(block, ends);
        if start + BLOCK > dists.len() {
            near &= (1 << rest.len()) - 1;
        }
        while near != 0 {
            let row = start + near.trailing_zeros() as usize;
            near &= near - 1;
            if range.admits(dists[row]) {
                take(range, row);
            }
        }
        if range.limit == 0 {
            return;
        }
        ends = range.ends();
    }
}

/// Whether some row of the block may lie between the ends.
#[inline]
fn may_enter(block: &[f32; BLOCK], [lower, most]: [f32; 2]) -> bool {
    // `!(a > b)`, not `a <= b`: a NaN must pass. And no early exit, so that it vectorises.
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    block.iter().fold(false, |any, &d| any | (!(d > most) & !(d < lower)))
}

/// The same as a bit for each row.
#[inline]
fn which(block: &[f32; BLOCK], [lower, most]: [f32; 2]) -> u64 {
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    block.iter().zip(0..).fold(0, |bits, (&d, i)| {
        bits | u64::from(!(d > most) & !(d < lower)) << i
    })
}

/// The distances that may enter: `0..limit` when counted from `low`.
#[derive(Clone, Copy)]
struct Range {
    low: u32,
    limit: u32,
}

impl Range {
    fn new(lower: Option<f32>, upper: Option<f32>) -> Range {
        let low = order(lower.unwrap_or(f32::MIN));
        let high = order(upper.unwrap_or(f32::MAX));
        Range { low, limit: high.saturating_sub(low) }
    }

    #[inline]
    fn admits(&self, dist: f32) -> bool {
        self.place(dist) < self.limit
    }

    #[inline]
    fn place(&self, dist: f32) -> u32 {
        order(dist).wrapping_sub(self.low)
    }

    /// From now on only what is strictly below the heap's root.
    fn below_root(&mut self, heap: &TopK) {
        let root = heap.peek().map_or(0, |root| order(root.dist.0));
        self.limit = self.limit.min(root.saturating_sub(self.low));
    }

    /// The least and the greatest distance that may enter; nothing may if `limit` is 0.
    fn ends(&self) -> [f32; 2] {
        [from_order(self.low), from_order(self.low.wrapping_add(self.limit).wrapping_sub(1))]
    }

    /// From now on only what may be among the `k` nearest of these rows.
    fn lower_limit(&mut self, k: usize, dists: &[f32]) {
        let (blocks, rest) = dists.as_chunks::<BLOCK>();
        let groups = k.saturating_mul(2).div_ceil(BLOCK);
        if self.limit == 0 || blocks.len() < groups {
            return;
        }
        let mut lanes = Vec::with_capacity((2 * groups + 1) * BLOCK);
        let mut groups = blocks.chunks(blocks.len() / groups).peekable();
        while let Some(group) = groups.next() {
            // Where distances fall, the rows past the last block are the nearest.
            let rest = if groups.peek().is_none() { rest } else { &[] };
            lanes.extend(self.least(group, rest));
        }
        self.limit = self.limit.min(kth(k, &mut lanes).saturating_add(1));
    }

    /// For each lane the place of a row that is admitted, the least that float comparison finds.
    #[inline]
    fn least(&self, blocks: &[[f32; BLOCK]], rest: &[f32]) -> [u32; BLOCK] {
        let [lower, upper] = self.ends();
        let mut least = [upper; BLOCK];
        let mut take_least = |block: &[f32]| {
            for (least, &dist) in least.iter_mut().zip(block) {
                // Two selections, each of them one instruction.
                let inside = if dist < lower { f32::INFINITY } else { dist };
                *least = if inside < *least { inside } else { *least };
            }
        };
        blocks.iter().for_each(|block| take_least(block));
        take_least(rest);
        // What is still `upper` may be no row's distance; -0.0 may be below 0.0.
        least.map(|dist| if dist < upper && self.admits(dist) { self.place(dist) } else { u32::MAX })
    }
}

/// The `k`-th least of the lanes.
fn kth(k: usize, lanes: &mut [u32]) -> u32 {
    let Ok(lanes) = <&[u32; BLOCK]>::try_from(&*lanes) else {
        return *lanes.select_nth_unstable(k - 1).1;
    };
    // For each lane, how many lanes are below it; of those below which k - 1 or fewer are, the
    // greatest is the k-th. No order is made, so no branch can be mispredicted.
    let mut below = [0u32; BLOCK];
    for &other in lanes {
        for (below, &lane) in below.iter_mut().zip(lanes) {
            *below += u32::from(other < lane);
        }
    }
    lanes.iter().zip(below).fold(0, |kth, (&lane, below)| {
        kth.max(if below < k as u32 { lane } else { 0 })
    })
}

/// The unsigned integer whose order is `total_cmp`'s.
#[inline]
fn order(dist: f32) -> u32 {
    let bits = dist.to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}

fn from_order(order: u32) -> f32 {
    f32::from_bits(order ^ ((!order as i32 >> 31) as u32 | 1 << 31))
}
