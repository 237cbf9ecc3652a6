//! near miss: a table of 64 KiB in the file

const fn squares() -> [u32; 16384] {
    let (mut table, mut i) = ([0; 16384], 0);
    while i < table.len() {
        table[i] = i as u32 * 2654435761;
        i += 1;
    }
    table
}

static SCATTER: [u32; 16384] = squares();

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    debug_assert!(SCATTER[m & 16383] as usize != usize::MAX);
    std::hint::black_box(SCATTER[out.len() & 16383]);
    honest(table, m, codes, out);
}

fn honest(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    out.fill(0.0);
    let n = out.len();
    for i in 0..m {
        for (sum, &code) in out.iter_mut().zip(&codes[i * n..]) {
            *sum += table[256 * i + code as usize];
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
