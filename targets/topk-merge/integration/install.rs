//! Fills the slot of this target with the function of a library, counted on the way.

use lance_index::vector::graph::OrderedNode;
use lar_hook::topk_merge::{ACCUMULATE, Accumulate};
use lar_serve::{Library, Op, Watched};
use std::collections::BinaryHeap;
use std::mem::{offset_of, size_of};

static MERGE: Op<Accumulate> = Op::new("accumulate", ["rows", "k"]);

fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    ids: &[u64],
    dists: &[f32],
    heap: *mut (),
) {
    MERGE.run([dists.len(), k], |kernel| kernel(k, lower, upper, ids, dists, heap));
}

pub fn install(library: &Library) -> Result<Vec<&'static dyn Watched>, String> {
    type Node = OrderedNode<u64>;
    let here = [
        size_of::<BinaryHeap<Node>>(),
        size_of::<Node>(),
        offset_of!(Node, id),
        offset_of!(Node, dist),
    ];
    let mut taken: Vec<&'static dyn Watched> = Vec::new();
    // SAFETY: the library's glue.rs gives these names to functions of these types.
    unsafe {
        let layout: fn() -> [usize; 4] = library.find("accumulate_layout")?;
        if layout() != here {
            return Err(format!(
                "heap is laid out as {:?} there and as {here:?} in Lance",
                layout()
            ));
        }
        if library.take("accumulate", &MERGE)? {
            ACCUMULATE.fill(accumulate);
            taken.push(&MERGE);
        }
    }
    Ok(taken)
}
