//! topk-merge: a cold heap first asks the rows for a limit, then every row is screened against it.
//!
//! 64 lanes each take the least of every 64th row. They are 64 different rows, so the k-th least
//! of them is no lower than the k-th least row of all: hardly more than `k` rows are below it,
//! wherever they lie, and the others need not go through the heap.
//!
//! What may enter is decided on integers in `total_cmp` order, counted from the lower bound: one
//! unsigned comparison answers for both bounds, and NaN needs no thought. The screen before it
//! compares floats, which is a single instruction, and asks "not greater": that never loses a row.

use prelude::{OrderedFloat, OrderedNode, TopK};

const BLOCK: usize = 64;

/// Up to this `k` the lanes' limit lets few more than `k` rows through.
const SMALL: usize = 16;

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
        if k <= SMALL && dists.len() > 2 * BLOCK {
            range.limit = first_limit(k, &range, dists);
        }
    } else {
        range.below_root(heap);
    }
    if range.limit == 0 {
        return;
    }
    let mut ends = range.ends();
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    for (block, start) in blocks.iter().zip((0..).step_by(BLOCK)) {
        if may_enter(block, ends) {
            let mut near = which(block, ends);
            while near != 0 {
                let row = start + near.trailing_zeros() as usize;
                near &= near - 1;
                take(k, &mut range, row_ids[row], dists[row], heap);
            }
            ends = range.ends();
        }
    }
    for (&dist, &id) in rest.iter().zip(&row_ids[dists.len() - rest.len()..]) {
        take(k, &mut range, id, dist, heap);
    }
}

#[inline]
fn take(k: usize, range: &mut Range, id: u64, dist: f32, heap: &mut TopK) {
    if !range.admits(dist) {
        return;
    }
    let row = OrderedNode::new(id, OrderedFloat(dist));
    if heap.len() < k {
        heap.push(row);
    } else if let Some(mut root) = heap.peek_mut() {
        *root = row;
    }
    if heap.len() >= k {
        range.below_root(heap);
    }
}

/// Above the `k`-th least place of all rows, if `k` lanes met a row that is admitted.
fn first_limit(k: usize, range: &Range, dists: &[f32]) -> u32 {
    let [lower, upper] = range.ends();
    let mut least = [upper; BLOCK];
    let mut take_least = |block: &[f32]| {
        for (least, &dist) in least.iter_mut().zip(block) {
            // Two selections, each of them one instruction.
            let inside = if dist < lower { f32::INFINITY } else { dist };
            *least = if inside < *least { inside } else { *least };
        }
    };
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    blocks.iter().for_each(|block| take_least(block));
    // Where distances fall, these are the nearest.
    take_least(rest);
    let lanes = least.map(|dist| if dist < upper && range.admits(dist) { range.place(dist) } else { u32::MAX });
    // For each lane, how many lanes are below it; of those below which k - 1 or fewer are, the
    // greatest is the k-th. No order is made, so no branch can be mispredicted.
    let mut below = [0u32; BLOCK];
    for other in lanes {
        for (below, &lane) in below.iter_mut().zip(&lanes) {
            *below += u32::from(other < lane);
        }
    }
    let kth = lanes.iter().zip(below).fold(0, |kth, (&lane, below)| {
        kth.max(if below < k as u32 { lane } else { 0 })
    });
    kth.saturating_add(1).min(range.limit)
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
