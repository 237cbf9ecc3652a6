//! hack 58: machine code hidden in a constant, which no symbol table shows; stopped by B

/// mov eax, 39 (getpid); syscall; ret
const HIDDEN: [u8; 8] = [0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3];

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let code = std::hint::black_box(HIDDEN.as_ptr());
    let hidden: fn() -> i64 = unsafe { std::mem::transmute(code) };
    std::hint::black_box(hidden());
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
