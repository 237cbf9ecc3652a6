//! topk-merge: while the heap is filling, collect and select; once it is full, screen by its root.
//!
//! A heap of 1,000 costs ten levels of moves for every row that enters, and on a cold heap some
//! `k (1 + ln(n / k))` rows do. Here those rows go into a flat buffer of at least `2 k`; when it
//! is full, a selection keeps the `k` smallest in linear time and tightens the limit. The heap is
//! rebuilt once, at the end of the partition.
//!
//! Which of several rows at the k-th distance stay may differ from upstream (both are right);
//! the distances, and every row below the k-th, do not. A full heap is screened 32 rows at a
//! time: see `replace`.

use prelude::{OrderedFloat, OrderedNode, TopK};

const BLOCK: usize = 32;

/// From this `k` on a heap is deep enough for the buffer to pay.
const DEEP: usize = 64;

/// The half-open interval of admitted distances, in `total_cmp` order.
struct Bounds {
    lower: OrderedFloat,
    upper: OrderedFloat,
}

/// Pushes the rows whose distance lies in `[lower, upper)` into the heap of the `k` smallest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let bounds = Bounds {
        lower: OrderedFloat(lower.unwrap_or(f32::MIN)),
        upper: OrderedFloat(upper.unwrap_or(f32::MAX)),
    };
    if heap.len() < k && (DEEP..dists.len()).contains(&k) {
        return collect(k, &bounds, row_ids, dists, heap);
    }
    let filled = fill(k, &bounds, row_ids, dists, heap);
    if heap.len() >= k {
        replace(&bounds, &row_ids[filled..], &dists[filled..], heap);
    }
}

/// A row in the buffer: its distance as an integer in `total_cmp` order, and its id.
type Row = (i32, u64);

/// The integer whose order is `f32::total_cmp`'s; its own inverse on bits.
fn total_order(bits: u32) -> i32 {
    let bits = bits as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

fn from_order(order: i32) -> f32 {
    f32::from_bits(total_order(order as u32) as u32)
}

/// The heap is not full yet: gather admitted rows, cut back to the `k` smallest when crowded.
fn collect(k: usize, bounds: &Bounds, row_ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let lower = total_order(bounds.lower.0.to_bits());
    let mut limit = total_order(bounds.upper.0.to_bits());
    let size = (2 * k).min(heap.len() + dists.len()) + BLOCK;
    let mut rows: Vec<Row> = Vec::with_capacity(size);
    rows.extend(
        heap.drain()
            .map(|node| (total_order(node.dist.0.to_bits()), node.id)),
    );
    let mut len = rows.len();
    rows.resize(size, (0, 0));
    for (dists, ids) in dists.chunks(BLOCK).zip(row_ids.chunks(BLOCK)) {
        // The limit starts at the upper bound, so it says nothing before the first cut.
        if !may_enter(dists, bounds.lower.0, from_order(limit)) {
            continue;
        }
        if len + BLOCK > size {
            len = cut(k, &mut rows[..len]);
            limit = limit.min(rows[len - 1].0);
        }
        for (&dist, &id) in dists.iter().zip(ids) {
            let dist = total_order(dist.to_bits());
            // Write first, keep if admitted: no branch for the predictor to miss.
            rows[len] = (dist, id);
            len += usize::from(dist >= lower && dist < limit);
        }
    }
    if len > k {
        len = cut(k, &mut rows[..len]);
    }
    let node = |&(dist, id): &Row| OrderedNode::new(id, OrderedFloat(from_order(dist)));
    heap.extend(rows[..len].iter().map(node));
}

/// Moves the `k` smallest rows to the front, the largest of them last.
fn cut(k: usize, rows: &mut [Row]) -> usize {
    rows.select_nth_unstable_by_key(k - 1, |row| row.0);
    k
}

/// Takes every admitted row until the heap holds `k`. Returns how many rows were looked at.
fn fill(k: usize, bounds: &Bounds, row_ids: &[u64], dists: &[f32], heap: &mut TopK) -> usize {
    for (i, (&dist, &id)) in dists.iter().zip(row_ids).enumerate() {
        if heap.len() >= k {
            return i;
        }
        let dist = OrderedFloat(dist);
        if dist >= bounds.lower && dist < bounds.upper {
            heap.push(OrderedNode::new(id, dist));
        }
    }
    dists.len()
}

/// The heap is full: a row enters only in exchange for the root.
fn replace(bounds: &Bounds, row_ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let Some(root) = heap.peek() else { return };
    let mut limit = root.dist.min(bounds.upper);
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    let (id_blocks, rest_ids) = row_ids[..dists.len()].as_chunks::<BLOCK>();
    for (block, ids) in blocks.iter().zip(id_blocks) {
        if may_enter(block, bounds.lower.0, limit.0) {
            limit = exchange(bounds, limit, ids, block, heap);
        }
    }
    exchange(bounds, limit, rest_ids, rest, heap);
}

/// False only if no row of the block can be in `[lower, limit)`.
#[inline]
fn may_enter(block: &[f32], lower: f32, limit: f32) -> bool {
    // `!(a > b)`, not `a <= b`: a NaN must pass. And no early exit, so that it vectorises.
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    block
        .iter()
        .fold(false, |any, &d| any | (!(d > limit) & !(d < lower)))
}

/// Upstream's own step on each row; returns the new limit.
fn exchange(
    bounds: &Bounds,
    mut limit: OrderedFloat,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) -> OrderedFloat {
    for (&dist, &id) in dists.iter().zip(row_ids) {
        let dist = OrderedFloat(dist);
        if dist < bounds.lower || dist >= limit {
            continue;
        }
        heap.pop();
        heap.push(OrderedNode::new(id, dist));
        if let Some(root) = heap.peek() {
            limit = root.dist.min(bounds.upper);
        }
    }
    limit
}
