//! near miss: candidates gathered in uninitialised scratch on the stack; a match on the length

use std::mem::MaybeUninit;

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

const ROOM: usize = 256;

/// A `const` table of how many rows to gather before the heap is asked.
const STEPS: [u16; 4] = [32, 64, 128, ROOM as u16];

fn gather<const N: usize>(
    scratch: &mut [MaybeUninit<(u64, OrderedFloat)>; N], ids: &[u64], dists: &[f32], low: OrderedFloat, high: OrderedFloat,
) -> usize {
    let mut found = 0;
    for (&id, &dist) in ids.iter().zip(dists) {
        scratch[found].write((id, OrderedFloat(dist)));
        found += usize::from(OrderedFloat(dist) >= low && OrderedFloat(dist) < high);
    }
    found
}

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let (low, high) = (OrderedFloat(lo.unwrap_or(f32::MIN)), OrderedFloat(hi.unwrap_or(f32::MAX)));
    debug_assert_eq!(ids.len(), dists.len());
    let step = match dists.len() {
        0 => return,
        1..=512 => STEPS[0],
        513..=4096 => STEPS[1],
        4097..=65536 => STEPS[2],
        _ => STEPS[3],
    };
    let mut scratch = [const { MaybeUninit::uninit() }; ROOM + 1];
    for (ids, dists) in ids.chunks(step.into()).zip(dists.chunks(step.into())) {
        let found = gather(&mut scratch, ids, dists, low, high);
        for row in &scratch[..found] {
            // SAFETY: `gather` wrote this number.
            let &(id, dist) = unsafe { row.assume_init_ref() };
            if heap.len() < k {
                heap.push(OrderedNode::new(id, dist));
            } else if heap.peek().is_some_and(|worst| worst.dist > dist) {
                heap.pop();
                heap.push(OrderedNode::new(id, dist));
            }
        }
    }
}
