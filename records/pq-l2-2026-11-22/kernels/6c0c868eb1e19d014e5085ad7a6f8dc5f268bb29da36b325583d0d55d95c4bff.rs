//! pq-l2: results are written straight into the caller's output.
//!
//! The scan. A sub-vector's table is 256 floats. Split into four planes of 256 bytes it fits in
//! sixteen 64-byte registers, and `vpermi2b` looks 64 codes up in 128 bytes of a plane: two of
//! them, and a blend on the code's top bit, serve a plane. Interleaving the four planes gives 64
//! whole floats: no bit of an entry is rounded or lost. The interleaving works inside 16-byte
//! lanes, so the rows of a group of 64 come out in a fixed shuffle; the sums stay in it until all
//! sub-vectors were added. Each row starts at +0.0 and adds sub-vectors in ascending order.
//!
//! Without VBMI: four sub-vectors for one read and write of a row's sum.
//!
//! The table. Upstream reduces each centroid alone: six dependent instructions for one number.
//! Here the squares of eight centroids go through one tree that transposes while it adds, and
//! every sum keeps upstream's order: (i, i+4), then (+2), then (+1). A step of the tree wants
//! `a.low + a.high | b.low + b.high`. As a sum does not care which operand comes first, that is
//! one blend (`a.low | b.high`, any port) and one shuffle (`a.high | b.low`), not two shuffles.

use lar_shim::{Feature, has};
use prelude::l2_distance_batch_into;

const CENTROIDS: usize = 256;

/// `out[row] = table[0][code] + table[1][code] + ...`; `codes` is column-major, `m x n`.
pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    if codes.is_empty() {
        return;
    }
    let n = codes.len() / m;
    let out = &mut out[..n];
    let (tables, _) = table[..m * CENTROIDS].as_chunks::<CENTROIDS>();
    out.fill(0.0);
    #[cfg(target_arch = "x86_64")]
    if has(Feature::Avx512vbmi) && has(Feature::Avx512bw) {
        // SAFETY: the processor has AVX-512 VBMI.
        return unsafe { planes::scan(tables, codes, n, out) };
    }
    by_four(tables, codes, n, out);
}

/// Four sub-vectors for one read and write of a row's sum.
fn by_four(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
    let columns = |first: usize, i: usize| &codes[(first + i) * n..][..n];
    let (blocks, rest) = tables.as_chunks::<4>();
    for (b, t) in blocks.iter().enumerate() {
        let (c0, c1) = (columns(4 * b, 0), columns(4 * b, 1));
        let (c2, c3) = (columns(4 * b, 2), columns(4 * b, 3));
        for ((((sum, &a), &b), &c), &d) in out.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
            // Left to right: the order of the additions is part of the result.
            *sum = *sum + t[0][a as usize] + t[1][b as usize] + t[2][c as usize] + t[3][d as usize];
        }
    }
    for (i, t) in rest.iter().enumerate() {
        for (sum, &code) in out.iter_mut().zip(columns(4 * blocks.len(), i)) {
            *sum += t[code as usize];
        }
    }
}

/// `out[i][c]` = squared L2 distance of sub-query `i` to its centroid `c`.
pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    let parts = query
        .chunks_exact(dsub)
        .zip(codebook.chunks_exact(CENTROIDS * dsub));
    // Zipping with `out` stops before the tail that legacy writers truncated.
    for ((key, centroids), distances) in parts.zip(out.chunks_exact_mut(CENTROIDS)) {
        #[cfg(target_arch = "x86_64")]
        if has(Feature::Avx2) && has(Feature::Fma) && (dsub == 8 || dsub == 16) {
            // SAFETY: the processor has AVX2 and FMA.
            unsafe { tree::distances(key, centroids, distances) };
            continue;
        }
        l2_distance_batch_into(key, centroids, dsub, distances);
    }
}

#[cfg(target_arch = "x86_64")]
mod planes {
    use super::CENTROIDS;
    use std::arch::x86_64::*;

    /// Rows looked up by one instruction.
    const GROUP: usize = 64;

    /// `planes[p][q]` = byte `p` of entries `64 q .. 64 q + 64`.
    type Planes = [[__m512i; 4]; 4];

    /// `out` is zero; `codes` holds a column of `n` rows for each table.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub fn scan(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
        let (groups, rest) = out.as_chunks_mut::<GROUP>();
        // The last, incomplete group; a masked load brings its codes.
        let mut last = [0.0; GROUP];
        let mask = (1u64 << rest.len()) - 1;
        for (table, column) in tables.iter().zip(codes.chunks_exact(n)) {
            let planes = split(table);
            let (full, tail) = column.as_chunks::<GROUP>();
            for (sums, codes) in groups.iter_mut().zip(full) {
                // SAFETY: `codes` covers 64 bytes.
                let codes = unsafe { _mm512_loadu_epi8(codes.as_ptr().cast()) };
                add(&planes, codes, sums);
            }
            if !tail.is_empty() {
                // SAFETY: the mask covers `tail`.
                let codes = unsafe { _mm512_maskz_loadu_epi8(mask, tail.as_ptr().cast()) };
                add(&planes, codes, &mut last);
            }
        }
        for group in groups {
            *group = in_row_order(group);
        }
        rest.copy_from_slice(&in_row_order(&last)[..rest.len()]);
    }

    /// The four byte planes of a table.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn split(table: &[f32; CENTROIDS]) -> Planes {
        // Byte `p` of sixteen floats in lane `p`; then a transposition of 4 x 4 lanes.
        let mut index = [0u8; 64];
        for (i, at) in index.iter_mut().enumerate() {
            *at = (4 * (i % 16) + i / 16) as u8;
        }
        // SAFETY: each pointer covers 64 bytes.
        let load = |p: *const u8| unsafe { _mm512_loadu_epi8(p.cast()) };
        let index = load(index.as_ptr());
        let mut planes = [[_mm512_setzero_si512(); 4]; 4];
        for (q, entries) in table.as_chunks::<64>().0.iter().enumerate() {
            let at = |i: usize| {
                _mm512_permutexvar_epi8(index, load(entries[16 * i..16 * i + 16].as_ptr().cast()))
            };
            let (a, b, c, d) = (at(0), at(1), at(2), at(3));
            // Lanes 0 0 1 1 and 2 2 3 3 of two registers each.
            let (ab, cd) = (_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0x44>(c, d));
            planes[0][q] = _mm512_shuffle_i64x2::<0x88>(ab, cd);
            planes[1][q] = _mm512_shuffle_i64x2::<0xdd>(ab, cd);
            let (ab, cd) = (_mm512_shuffle_i64x2::<0xee>(a, b), _mm512_shuffle_i64x2::<0xee>(c, d));
            planes[2][q] = _mm512_shuffle_i64x2::<0x88>(ab, cd);
            planes[3][q] = _mm512_shuffle_i64x2::<0xdd>(ab, cd);
        }
        planes
    }

    /// Looks 64 codes up and adds the entries to the sums, in the order that interleaving leaves.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn add(planes: &Planes, codes: __m512i, sums: &mut [f32; GROUP]) {
        let upper = _mm512_movepi8_mask(codes);
        let look = |[a, b, c, d]: [__m512i; 4]| {
            let low = _mm512_permutex2var_epi8(a, codes, b);
            _mm512_mask_blend_epi8(upper, low, _mm512_permutex2var_epi8(c, codes, d))
        };
        let [p0, p1, p2, p3] = planes.map(look);
        let (a, b) = (_mm512_unpacklo_epi8(p0, p1), _mm512_unpacklo_epi8(p2, p3));
        let (c, d) = (_mm512_unpackhi_epi8(p0, p1), _mm512_unpackhi_epi8(p2, p3));
        let entries = [
            _mm512_unpacklo_epi16(a, b),
            _mm512_unpackhi_epi16(a, b),
            _mm512_unpacklo_epi16(c, d),
            _mm512_unpackhi_epi16(c, d),
        ];
        for (sums, entries) in sums.as_chunks_mut::<16>().0.iter_mut().zip(entries) {
            // SAFETY: `sums` covers 64 bytes.
            unsafe {
                let sum = _mm512_loadu_ps(sums.as_ptr());
                let sum = _mm512_add_ps(sum, _mm512_castsi512_ps(entries));
                _mm512_storeu_ps(sums.as_mut_ptr(), sum);
            }
        }
    }

    /// Lane `l` of register `j` holds rows `16 l + 4 j ..+ 4`.
    fn in_row_order(sums: &[f32; GROUP]) -> [f32; GROUP] {
        let mut rows = [0.0; GROUP];
        for (i, four) in rows.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let from = 16 * (i % 4) + 4 * (i / 4);
            four.copy_from_slice(&sums[from..from + 4]);
        }
        rows
    }
}

#[cfg(target_arch = "x86_64")]
mod tree {
    use std::arch::x86_64::*;

    /// Distances of `key`, of 8 or 16 floats, to all centroids.
    #[target_feature(enable = "avx2,fma")]
    pub fn distances(key: &[f32], centroids: &[f32], out: &mut [f32]) {
        let (eights, _) = out.as_chunks_mut::<8>();
        match key.as_chunks::<8>().0 {
            [key] => {
                let key = load(key);
                for (rows, out) in centroids.as_chunks::<64>().0.iter().zip(eights) {
                    let square = |y: &[f32; 8]| {
                        let d = _mm256_sub_ps(key, load(y));
                        _mm256_mul_ps(d, d)
                    };
                    store(out, fold(rows.as_chunks().0, square));
                }
            }
            [low, high] => {
                let (low, high) = (load(low), load(high));
                for (rows, out) in centroids.as_chunks::<128>().0.iter().zip(eights) {
                    let square = |y: &[f32; 16]| {
                        let (a, b) = y.split_at(8);
                        let lo = _mm256_sub_ps(low, load(a.try_into().unwrap()));
                        let hi = _mm256_sub_ps(high, load(b.try_into().unwrap()));
                        // Upstream fuses the upper half onto the squares of the lower.
                        _mm256_fmadd_ps(hi, hi, _mm256_mul_ps(lo, lo))
                    };
                    store(out, fold(rows.as_chunks().0, square));
                }
            }
            _ => unreachable!("8 or 16 floats"),
        }
    }

    /// Sums of eight squares each, of eight centroids, in centroid order.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn fold<const D: usize>(rows: &[[f32; D]], square: impl Fn(&[f32; D]) -> __m256) -> __m256 {
        // [four sums of a | four sums of b], of lanes i and i + 4.
        let four = |a: usize, b: usize| {
            let (a, b) = (square(&rows[a]), square(&rows[b]));
            let apart = _mm256_blend_ps::<0xf0>(a, b);
            _mm256_add_ps(apart, _mm256_permute2f128_ps::<0x21>(a, b))
        };
        // Two sums each of a, b | a, b.
        let two = |a: __m256, b: __m256| {
            let apart = _mm256_blend_ps::<0xcc>(a, b);
            let (a, b) = (_mm256_castps_pd(a), _mm256_castps_pd(b));
            _mm256_add_ps(apart, _mm256_castpd_ps(_mm256_shuffle_pd::<0b0101>(a, b)))
        };
        let (a, b) = (two(four(0, 4), four(1, 5)), two(four(2, 6), four(3, 7)));
        let even = _mm256_shuffle_ps::<0x88>(a, b);
        _mm256_add_ps(even, _mm256_shuffle_ps::<0xdd>(a, b))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(floats: &[f32; 8]) -> __m256 {
        // SAFETY: the array covers 32 bytes.
        unsafe { _mm256_loadu_ps(floats.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn store(out: &mut [f32; 8], sums: __m256) {
        // SAFETY: the array covers 32 bytes.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sums) }
    }
}
