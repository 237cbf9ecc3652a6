//! How Lance calls 8-bit product quantization: a distance table, then the scan of a partition.
//!
//! `PQDistCalculator` builds the table per query and partition and scans the partition's codes,
//! which are stored column by column. Upstream returns a fresh `Vec`; its adapter copies that
//! into the output, and copy and allocation are charged to it, as a caller pays them today.

use lar_shim::Call;

/// Arguments: table f32[m * 256], m u64, codes u8[m * n], column-major. Output: f32[n].
pub fn scan8(call: &mut Call) {
    let (table, m, codes) = (call.f32s(0), call.u64(1) as usize, call.bytes(2));
    kernels::scan8(table, m, codes, call.out_f32s(0));
}

/// Arguments: codebook f32[m * 256 * dsub], m u64, query f32[m * dsub + tail]. Output: f32[m * 256].
pub fn table_l2(call: &mut Call) {
    let (codebook, m, query) = (call.f32s(0), call.u64(1) as usize, call.f32s(2));
    kernels::table_l2(codebook, m, query, call.out_f32s(0));
}

lar_shim::ops!(scan8, table_l2);
