//! What the filtered top-k calls elsewhere in Lance: the row mask, the ordered node, its heap.
//!
//! Stand-ins replace arrow's array of codes, Lance's error, and the scan of 4-bit codes, which the
//! surface cannot reach. The crates roaring, bytemuck and byteorder are the real ones.

pub extern crate roaring;

mod graph {
    extract!("lance-index/vector/graph.rs");
}

mod mask {
    use super::{Error, Result};
    use byteorder::ReadBytesExt;
    use roaring::RoaringBitmap;
    use std::collections::BTreeMap;
    use std::io::Read;
    extract!("lance-select/mask.rs");
}

mod utils {
    extract!("lance-table/utils.rs");
}

pub use graph::{OrderedFloat, OrderedNode};
pub use mask::{RowAddrMask, RowAddrSelection, RowAddrTreeMap, RowSetOps};
pub use std::collections::BinaryHeap;
pub use utils::{ExactSize, LanceIteratorExtension};

/// The state of a query: a max-heap of its `k` nearest rows, the farthest on top.
pub type TopK = BinaryHeap<OrderedNode<u64>>;

/// Lance's error, of which the mask's reader has two kinds.
#[derive(Debug)]
pub struct Error(String);
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn invalid_input(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// arrow's array of codes, lent.
#[derive(Clone, Copy)]
pub struct UInt8Array<'a>(pub &'a [u8]);

impl<'a> UInt8Array<'a> {
    #[inline]
    pub fn values(&self) -> &'a [u8] {
        self.0
    }
}

/// The distances that a product quantizer knows; on this surface all are L2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum DistanceType {
    L2,
    Dot,
}

pub fn compute_pq_distance_4bit_row(_table: &[f32], _code: &[u8], _id: usize) -> f32 {
    unreachable!("num_bits is 8 on this surface")
}

/// What exists before a partition of a filtered query is searched. Runs before the clock starts.
pub mod prepare {
    use super::{OrderedFloat, OrderedNode, RowAddrMask, RowAddrTreeMap, TopK};

    /// The heap as earlier partitions left it, and the query's scratch with room for a partition.
    pub fn query(inputs: &lar_shim::Inputs) -> (TopK, Vec<f32>) {
        let rows = inputs.u64s(3).iter().zip(inputs.f32s(4));
        let node = |(&id, &dist): (&u64, &f32)| OrderedNode::new(id, OrderedFloat(dist));
        let heap = TopK::from(rows.map(node).collect::<Vec<_>>());
        (heap, Vec::with_capacity(inputs.u64s(7).len()))
    }

    /// The mask of a query: one byte (0: allow list, 1: block list), then the set of rows as Lance
    /// serializes it.
    pub fn mask(bytes: &[u8]) -> RowAddrMask {
        let rows = RowAddrTreeMap::deserialize_from(&bytes[1..]).expect("contract: a set of rows");
        match bytes[0] {
            0 => RowAddrMask::from_allowed(rows),
            _ => RowAddrMask::from_block(rows),
        }
    }
}
