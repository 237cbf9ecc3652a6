//! What `compute_pq_distance` and `build_distance_table_l2` call elsewhere in Lance.
//!
//! Module names are upstream's, so that its own paths resolve without an edit. Stand-ins replace
//! only num-traits, libc, and the 4-bit scan, which the surface cannot reach.
//! A line `extract!("crate/file.rs");` is replaced by the generated extract before compiling.

pub extern crate self as lance_core;
pub extern crate self as lance_linalg;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
extern crate lar_shim as libc;
pub use lar_shim::num_traits;
pub mod utils {
    pub mod assume {
        extract!("lance-core/utils/assume.rs");
    }
    pub mod cpu {
        pub mod dispatch {
            extract!("lance-core/utils/cpu/dispatch.rs");
        }
        extract!("lance-core/utils/cpu.rs");
    }
}

pub mod simd {
    #[cfg(target_arch = "x86_64")]
    pub mod x86 {
        extract!("lance-linalg/simd/x86.rs");
    }
    pub mod dist_table {
        pub fn sum_4bit_dist_table_f32_transposed(
            _n: usize,
            _code_len: usize,
            _codes: &[u8],
            _dist_table: &[f32],
            _dists: &mut [f32],
        ) {
            unreachable!("num_bits is 8 on this surface")
        }
    }
}

pub mod distance {
    extract!("lance-linalg/distance.rs");
    pub mod l2 {
        use super::*;
        use crate::num_traits::{AsPrimitive, Num};
        use std::iter::Sum;
        use std::ops::AddAssign;
        extract!("lance-linalg/distance/l2.rs");
    }
}

pub mod pq {
    use crate::assume;
    extract!("lance-index/vector/pq/utils.rs");
}

pub use distance::l2::{L2, l2_distance_batch_into};
pub use pq::get_sub_vector_centroids;
pub use simd::dist_table::sum_4bit_dist_table_f32_transposed;
