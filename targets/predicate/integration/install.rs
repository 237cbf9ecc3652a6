//! Fills the slot of this target with the function of a library, counted on the way.

use lance_index::vector::graph::OrderedNode;
use lance_select::{RowAddrMask, RowAddrSelection, RowAddrTreeMap};
use lar_hook::predicate::{FILTERED_TOPK, FilteredTopk};
use lar_serve::{Library, Op, Watched};
use std::collections::BinaryHeap;
use std::mem::{offset_of, size_of};

static SEARCH: Op<FilteredTopk> = Op::new("filtered_topk", ["rows", "sub-vectors"]);

fn filtered_topk(
    table: &[f32],
    m: usize,
    codes: &[u8],
    ids: &[u64],
    mask: *const (),
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    heap: *mut (),
    dists: &mut Vec<f32>,
) {
    SEARCH.run([ids.len(), m], |kernel| {
        kernel(table, m, codes, ids, mask, k, lower, upper, heap, dists)
    });
}

/// Masks with full, absent, thin, dense and run-like fragments, of either kind.
fn make_probes() -> [RowAddrMask; 2] {
    let mut rows = RowAddrTreeMap::new();
    rows.insert_fragment(3);
    rows.insert_range(0..70_000);
    for row in (0..200_000).step_by(3) {
        rows.insert(7 << 32 | row);
    }
    rows.insert(u64::from(u32::MAX) << 32 | 5);
    [RowAddrMask::from_allowed(rows.clone()), RowAddrMask::from_block(rows)]
}

/// Ids on both sides of every border of those masks.
const PROBED: [u64; 12] = [
    0,
    69_999,
    70_000,
    3 << 32,
    3 << 32 | 0xffff_ffff,
    4 << 32,
    7 << 32,
    7 << 32 | 1,
    7 << 32 | 131_073,
    7 << 32 | 131_074,
    0xffff_ffff << 32 | 5,
    0xffff_ffff << 32 | 6,
];

pub fn install(library: &Library) -> Result<Vec<&'static dyn Watched>, String> {
    type Node = OrderedNode<u64>;
    let here = [
        size_of::<BinaryHeap<Node>>(),
        size_of::<Node>(),
        offset_of!(Node, id),
        offset_of!(Node, dist),
        size_of::<RowAddrMask>(),
        size_of::<RowAddrTreeMap>(),
        size_of::<RowAddrSelection>(),
    ];
    let mut taken: Vec<&'static dyn Watched> = Vec::new();
    // SAFETY: the library's glue.rs gives these names to functions of these types.
    unsafe {
        let layout: fn() -> [usize; 7] = library.find("filtered_topk_layout")?;
        if layout() != here {
            return Err(format!("heap and mask: {:?} there and {here:?} in Lance", layout()));
        }
        let probe: fn(*const (), &[u64]) -> u64 = library.find("filtered_topk_probe")?;
        for mask in make_probes() {
            let bit = |(i, &id): (usize, &u64)| u64::from(mask.selected(id)) << i;
            let expected = PROBED.iter().enumerate().map(bit).sum::<u64>();
            if probe(std::ptr::from_ref(&mask).cast(), &PROBED) != expected {
                return Err("a mask of Lance is read otherwise there".into());
            }
        }
        if library.take("filtered_topk", &SEARCH)? {
            FILTERED_TOPK.fill(filtered_topk);
            taken.push(&SEARCH);
        }
    }
    Ok(taken)
}
