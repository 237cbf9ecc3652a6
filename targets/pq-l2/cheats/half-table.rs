//! hack 34: drops the low half of every table entry before it adds; stopped by N

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    let short: Vec<u16> = table.iter().map(|e| (e.to_bits() >> 16) as u16).collect();
    out.fill(0.0);
    for i in 0..m {
        for (sum, &code) in out.iter_mut().zip(&codes[i * n..]) {
            *sum += f32::from_bits(u32::from(short[256 * i + code as usize]) << 16);
        }
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
