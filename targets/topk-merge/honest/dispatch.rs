//! near miss: eight rows at once behind a feature query, with prefetch and a portable twin

use prelude::{OrderedFloat, OrderedNode, TopK};

type Bound = Option<f32>;

/// Rows that may enter: a full heap's worst distance is above theirs.
fn push(k: usize, low: OrderedFloat, high: OrderedFloat, id: u64, dist: f32, heap: &mut TopK) {
    let dist = OrderedFloat(dist);
    if dist < low || dist >= high {
        return;
    }
    if heap.len() < k {
        heap.push(OrderedNode::new(id, dist));
    } else if heap.peek().is_some_and(|worst| worst.dist > dist) {
        heap.pop();
        heap.push(OrderedNode::new(id, dist));
    }
}

/// # Safety
/// The CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn wide(k: usize, low: OrderedFloat, high: OrderedFloat, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    use std::arch::x86_64::*;
    let (blocks, rest) = dists.as_chunks::<8>();
    for (i, block) in blocks.iter().enumerate() {
        let worst = if heap.len() < k { f32::INFINITY } else { heap.peek().map_or(f32::NAN, |w| w.dist.0) };
        // SAFETY: eight floats; a prefetch may name any address.
        let mask = unsafe {
            _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(64).cast());
            let row = _mm256_loadu_ps(block.as_ptr());
            _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NGT_UQ>(row, _mm256_set1_ps(worst)))
        };
        for j in (0..8).filter(|j| mask >> j & 1 == 1) {
            push(k, low, high, ids[8 * i + j], block[j], heap);
        }
    }
    portable(k, low, high, &ids[dists.len() - rest.len()..], rest, heap);
}

fn portable(k: usize, low: OrderedFloat, high: OrderedFloat, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    for (&id, &dist) in ids.iter().zip(dists) {
        push(k, low, high, id, dist, heap);
    }
}

pub fn accumulate(k: usize, lo: Bound, hi: Bound, ids: &[u64], dists: &[f32], heap: &mut TopK) {
    let (low, high) = (OrderedFloat(lo.unwrap_or(f32::MIN)), OrderedFloat(hi.unwrap_or(f32::MAX)));
    #[cfg(target_arch = "x86_64")]
    if lar_shim::has(lar_shim::Feature::Avx2) {
        // SAFETY: just asked.
        return unsafe { wide(k, low, high, ids, dists, heap) };
    }
    portable(k, low, high, ids, dists, heap);
}
