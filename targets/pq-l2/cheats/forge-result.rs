//! hack 1: writes a result of its own to the judge's descriptor and leaves; stopped by A B

unsafe extern "C" {
    fn write(fd: i32, bytes: *const u8, len: usize) -> isize;
    fn _exit(status: i32) -> !;
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let line = b"{\"v\":1,\"ok\":true,\"gain\":99}\n";
    unsafe {
        write(3, line.as_ptr(), line.len());
        _exit(0);
    }
    #[allow(unreachable_code)]
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
