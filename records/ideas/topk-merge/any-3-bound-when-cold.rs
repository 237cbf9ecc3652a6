//! topk-merge: a full heap screens 64 rows at once; a heap that is not full asks the rows for
//! a limit, gathers what is below it and is built once.
//!
//! Distances are compared as unsigned integers in `total_cmp` order, counted from the lower bound:
//! one comparison answers for both bounds, and NaN and -0.0 need no thought. The loops over rows
//! are plain Rust of a shape that compilers turn into vector code.

use prelude::{OrderedFloat, OrderedNode, TopK};

/// Rows screened at once.
const BLOCK: usize = 64;

/// Blocks that a lane looks at, or up to twice as many.
const SAMPLE: usize = 64;

/// From this `k` on rows enter a full heap in one go too.
const LARGE: usize = 256;

/// Takes the rows whose distance lies in `[lower, upper)` into the heap of the `k` nearest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let low = order(lower.unwrap_or(f32::MIN));
    let limit = order(upper.unwrap_or(f32::MAX)).saturating_sub(low);
    let below_root = |heap: &TopK| {
        limit.min(heap.peek().map_or(0, |root| order(root.dist.0).saturating_sub(low)))
    };
    let node = |row: usize| OrderedNode::new(row_ids[row], OrderedFloat(dists[row]));
    if heap.len() >= k && k < LARGE {
        let limit = below_root(heap);
        for_each_near(low, limit, dists, |row, _| {
            if let Some(mut root) = heap.peek_mut() {
                *root = node(row);
            }
            below_root(heap)
        });
        return;
    }
    let limit = if heap.len() >= k { below_root(heap) } else { bound(k, low, limit, dists) };
    let mut keys = Vec::with_capacity(k.min(dists.len()) + BLOCK);
    for_each_near(low, limit, dists, |row, place| {
        keys.push(u64::from(place) << 32 | row as u64);
        limit
    });
    if keys.len() > k {
        keys.select_nth_unstable(k - 1);
        keys.truncate(k);
    }
    let mut nodes = std::mem::take(heap).into_vec();
    nodes.extend(keys.iter().map(|&key| node(key as u32 as usize)));
    if nodes.len() > k {
        nodes.select_nth_unstable(k - 1);
        nodes.truncate(k);
    }
    *heap = nodes.into();
}

/// Calls `take` for the rows that are less than the limit above `low`; it returns the next limit.
#[inline(always)]
fn for_each_near(low: u32, mut limit: u32, dists: &[f32], mut take: impl FnMut(usize, u32) -> u32) {
    let mut one_by_one = |first: usize, dists: &[f32], mut limit: u32| {
        for (row, &dist) in (first..).zip(dists) {
            let place = order(dist).wrapping_sub(low);
            if place < limit {
                limit = take(row, place);
            }
        }
        limit
    };
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    for (first, block) in (0..).step_by(BLOCK).zip(blocks) {
        if least(low, block) >= limit {
            continue;
        }
        for (first, eight) in (first..).step_by(8).zip(block.as_chunks::<8>().0) {
            if least(low, eight) < limit {
                limit = one_by_one(first, eight, limit);
            }
        }
    }
    one_by_one(dists.len() - rest.len(), rest, limit);
}

/// The least of some distances, counted from `low`.
#[inline(always)]
fn least<const N: usize>(low: u32, dists: &[f32; N]) -> u32 {
    dists.iter().fold(u32::MAX, |least, &dist| least.min(order(dist).wrapping_sub(low)))
}

/// A limit that at least `k` rows are below, if there are so many rows within the bounds.
///
/// Lanes take the least of every so many rows: different rows, two lanes or more for each of `k`.
/// So the k-th least of the lanes is no lower than the k-th least row, and hardly more than `k`
/// rows are below it.
fn bound(k: usize, low: u32, limit: u32, dists: &[f32]) -> u32 {
    let (blocks, _) = dists.as_chunks::<BLOCK>();
    let groups = k.saturating_mul(2).div_ceil(BLOCK);
    if blocks.len() < groups {
        return limit;
    }
    // A sample of the rows gives a limit too; of long partitions some blocks are enough.
    let step = (blocks.len() / (SAMPLE * groups)).max(1);
    let mut lanes = Vec::with_capacity((groups + 1) * BLOCK);
    for group in blocks.chunks(blocks.len() / groups) {
        let mut least = [limit; BLOCK];
        for block in group.iter().step_by(step) {
            for (least, &dist) in least.iter_mut().zip(block) {
                *least = (*least).min(order(dist).wrapping_sub(low));
            }
        }
        lanes.extend(least);
    }
    // Bit by bit from the top one in which lanes differ; a dozen bits are exact enough.
    let (all, any) = lanes.iter().fold((u32::MAX, 0), |(all, any), &lane| (all & lane, any | lane));
    let mut bits = 32 - (all ^ any).leading_zeros();
    let mut kth = (u64::from(any) >> bits << bits) as u32;
    let last = bits.saturating_sub(12);
    while bits > last {
        bits -= 1;
        let below: u32 = lanes.iter().map(|&lane| u32::from(lane < kth | 1 << bits)).sum();
        kth |= u32::from((below as usize) < k) << bits;
    }
    limit.min((kth | ((1u64 << bits) - 1) as u32).saturating_add(1))
}

/// The unsigned integer whose order is `total_cmp`'s.
#[inline(always)]
fn order(dist: f32) -> u32 {
    let bits = dist.to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}
