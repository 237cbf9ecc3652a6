#[unsafe(no_mangle)]
pub fn lar_scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    kernels::scan8(table, m, codes, out);
}

#[unsafe(no_mangle)]
pub fn lar_table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    kernels::table_l2(codebook, m, query, out);
}
