//! pq-l2: the scan looks 64 codes up at once in byte planes (AVX-512 VBMI).
//!
//! One sub-vector's table is 256 floats. Split into four planes of 256 bytes it fits in sixteen
//! registers, and `vpermi2b` looks 64 codes up in 128 bytes of a plane; two of them and a blend
//! on the code's top bit serve the whole plane. Unpacking four planes gives 64 floats, whole:
//! no bit of a table entry is rounded or lost.
//!
//! Unpacking works inside 128-bit lanes, so the rows of a group of 64 come out in a fixed shuffle.
//! The sums stay in that order while sub-vectors are added, and are put right once at the end.
//! Each row starts at +0.0 and adds its sub-vectors in ascending order: the bits are upstream's.
//!
//! Rows are taken in tiles so that the sums stay in the first-level cache; the planes of a
//! sub-vector are rebuilt for every tile. Without VBMI: four columns at a time, as before.

use lar_shim::{Feature, has};
use prelude::l2_distance_batch_into;

const CENTROIDS: usize = 256;

/// Rows of one tile: their sums must fit in the first-level cache beside the codes.
const TILE: usize = 512; // tune: 256 512 1024 2048 4096

/// Fewer rows than this do not pay for building the planes.
const FEW: usize = 64;

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
    if n >= FEW && has(Feature::Avx512vbmi) {
        // SAFETY: the processor has VBMI.
        return unsafe { planes::scan(tables, codes, n, out) };
    }
    by_four(tables, codes, n, out);
}

/// Four sub-vectors for one read and write of a row's sum.
fn by_four(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
    let m = tables.len();
    let columns = |first: usize, i: usize| &codes[(first + i) * n..][..n];
    let mut first = 0;
    while first + 4 <= m {
        let t: &[[f32; CENTROIDS]; 4] = tables[first..first + 4].try_into().unwrap();
        let (c0, c1) = (columns(first, 0), columns(first, 1));
        let (c2, c3) = (columns(first, 2), columns(first, 3));
        for ((((sum, &a), &b), &c), &d) in out.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
            // Left to right: the order of the additions is part of the result.
            *sum = *sum + t[0][a as usize] + t[1][b as usize] + t[2][c as usize] + t[3][d as usize];
        }
        first += 4;
    }
    for (i, t) in tables.iter().enumerate().skip(first) {
        for (sum, &code) in out.iter_mut().zip(columns(i, 0)) {
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
        match dsub {
            8 => tree::sub_vector_8(key.try_into().unwrap(), centroids, distances),
            16 => tree::sub_vector_16(key.try_into().unwrap(), centroids, distances),
            _ => l2_distance_batch_into(key, centroids, dsub, distances),
        }
        #[cfg(not(target_arch = "x86_64"))]
        l2_distance_batch_into(key, centroids, dsub, distances);
    }
}

#[cfg(target_arch = "x86_64")]
mod planes {
    use super::{CENTROIDS, TILE};
    use std::arch::x86_64::*;

    /// Rows looked up by one instruction.
    const GROUP: usize = 64;

    /// `planes[p][q]` = byte `p` of entries `64 q .. 64 q + 64`.
    type Planes = [[__m512i; 4]; 4];

    /// # Safety
    /// The processor has AVX-512 VBMI; `codes` holds `tables.len()` columns of `n` rows.
    #[target_feature(enable = "avx512vbmi,avx512bw,avx512f")]
    pub unsafe fn scan(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
        for (tile, sums) in out.chunks_mut(TILE).enumerate() {
            let (groups, rest) = sums.as_chunks_mut::<GROUP>();
            // Sums of the last, incomplete group; a masked load gives its codes.
            let mut last = [0.0; GROUP];
            let mask = (1u64 << rest.len()) - 1;
            for (i, table) in tables.iter().enumerate() {
                let planes = split(table);
                let column = &codes[i * n + tile * TILE..(i + 1) * n];
                let (full, tail) = column[..groups.len() * GROUP + rest.len()].as_chunks::<GROUP>();
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
    }

    /// The four byte planes of one table.
    #[inline]
    #[target_feature(enable = "avx512vbmi,avx512bw,avx512f")]
    fn split(table: &[f32; CENTROIDS]) -> Planes {
        // SAFETY: the array covers 64 bytes.
        let load = |b: [u8; 64]| unsafe { _mm512_loadu_epi8(b.as_ptr().cast()) };
        // Bytes 0 | 1, and 2 | 3, of 32 entries in two registers.
        let (low, high) = (load(const { index(0) }), load(const { index(2) }));
        let mut planes = [[_mm512_setzero_si512(); 4]; 4];
        for (q, entries) in table.as_chunks::<64>().0.iter().enumerate() {
            // SAFETY: sixteen floats from each start inside the 64 entries.
            let at = |i: usize| unsafe { _mm512_loadu_epi8(entries.as_ptr().add(16 * i).cast()) };
            let (a, b, c, d) = (at(0), at(1), at(2), at(3));
            let (x, y) = (
                _mm512_permutex2var_epi8(a, low, b),
                _mm512_permutex2var_epi8(c, low, d),
            );
            planes[0][q] = _mm512_shuffle_i64x2::<0x44>(x, y);
            planes[1][q] = _mm512_shuffle_i64x2::<0xee>(x, y);
            let (x, y) = (
                _mm512_permutex2var_epi8(a, high, b),
                _mm512_permutex2var_epi8(c, high, d),
            );
            planes[2][q] = _mm512_shuffle_i64x2::<0x44>(x, y);
            planes[3][q] = _mm512_shuffle_i64x2::<0xee>(x, y);
        }
        planes
    }

    /// Picks byte `p` of 32 floats, then byte `p + 1` of the same floats.
    const fn index(p: u8) -> [u8; 64] {
        let mut at = [0; 64];
        let mut i = 0;
        while i < 64 {
            at[i] = p + (i / 32) as u8 + 4 * (i % 32) as u8;
            i += 1;
        }
        at
    }

    /// Looks 64 codes up and adds the entries to the sums, in the order that unpacking leaves.
    #[inline]
    #[target_feature(enable = "avx512vbmi,avx512bw,avx512f")]
    fn add(planes: &Planes, codes: __m512i, sums: &mut [f32; GROUP]) {
        let upper = _mm512_movepi8_mask(codes);
        let [p0, p1, p2, p3] = [0, 1, 2, 3].map(|p| {
            let [a, b, c, d] = planes[p];
            let low = _mm512_permutex2var_epi8(a, codes, b);
            let high = _mm512_permutex2var_epi8(c, codes, d);
            _mm512_mask_blend_epi8(upper, low, high)
        });
        let (lo, hi) = (_mm512_unpacklo_epi8(p0, p1), _mm512_unpackhi_epi8(p0, p1));
        let (lo2, hi2) = (_mm512_unpacklo_epi8(p2, p3), _mm512_unpackhi_epi8(p2, p3));
        let entries = [
            _mm512_unpacklo_epi16(lo, lo2),
            _mm512_unpackhi_epi16(lo, lo2),
            _mm512_unpacklo_epi16(hi, hi2),
            _mm512_unpackhi_epi16(hi, hi2),
        ];
        for (sums, entries) in sums.as_chunks_mut::<16>().0.iter_mut().zip(entries) {
            // SAFETY: `sums` covers 64 bytes.
            unsafe {
                let sum = _mm512_loadu_ps(sums.as_ptr());
                _mm512_storeu_ps(
                    sums.as_mut_ptr(),
                    _mm512_add_ps(sum, _mm512_castsi512_ps(entries)),
                );
            }
        }
    }

    /// Register `j`, lane `l` holds rows `16 l + 4 j ..+ 4`: transpose the 4 x 4 lanes.
    #[inline]
    #[target_feature(enable = "avx512f")]
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

    /// Floats at `p` in the low half, at `q` in the high half.
    #[inline(always)]
    fn pair(p: &[f32; 4], q: &[f32; 4]) -> __m256 {
        // SAFETY: both references cover 16 bytes; AVX is in every build of this crate.
        unsafe { _mm256_loadu2_m128(q.as_ptr(), p.as_ptr()) }
    }

    /// Eight sums in centroid order from `s[j]` = [four partial sums of j | of j + 4].
    #[inline(always)]
    fn fold(s: [__m256; 4]) -> __m256 {
        // SAFETY: register arithmetic only; AVX is in every build of this crate.
        unsafe {
            let d = s.map(|v| _mm256_castps_pd(v));
            let half = |lo: __m256d, hi: __m256d| {
                let low = _mm256_castpd_ps(_mm256_unpacklo_pd(lo, hi));
                let high = _mm256_castpd_ps(_mm256_unpackhi_pd(lo, hi));
                _mm256_add_ps(low, high)
            };
            let (a, b) = (half(d[0], d[1]), half(d[2], d[3]));
            _mm256_add_ps(
                _mm256_shuffle_ps::<0x88>(a, b),
                _mm256_shuffle_ps::<0xdd>(a, b),
            )
        }
    }

    /// Squared differences of dimensions `i..i + 4`, of centroid `c` and of `c + 4`.
    #[inline(always)]
    fn diff(key: &[__m256], y: &[&[f32]; 8], j: usize, i: usize) -> __m256 {
        let at = |c: usize| y[c][i..i + 4].try_into().unwrap();
        // SAFETY: as above.
        unsafe { _mm256_sub_ps(key[i / 4], pair(at(j), at(j + 4))) }
    }

    #[inline(always)]
    fn twice(key: &[f32], i: usize) -> __m256 {
        let four: &[f32; 4] = key[4 * i..4 * i + 4].try_into().unwrap();
        pair(four, four)
    }

    pub fn sub_vector_8(key: &[f32; 8], centroids: &[f32], out: &mut [f32]) {
        let key = [twice(key, 0), twice(key, 1)];
        for (rows, out) in centroids
            .as_chunks::<64>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<8>().0)
        {
            let y: [&[f32]; 8] = std::array::from_fn(|c| &rows[8 * c..8 * c + 8]);
            let s = std::array::from_fn(|j| {
                let (lo, hi) = (diff(&key, &y, j, 0), diff(&key, &y, j, 4));
                // SAFETY: as above. mul, then add: upstream uses no FMA at this length.
                unsafe { _mm256_add_ps(_mm256_mul_ps(lo, lo), _mm256_mul_ps(hi, hi)) }
            });
            // SAFETY: `out` covers 32 bytes.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), fold(s)) };
        }
    }

    pub fn sub_vector_16(key: &[f32; 16], centroids: &[f32], out: &mut [f32]) {
        let key = [twice(key, 0), twice(key, 1), twice(key, 2), twice(key, 3)];
        for (rows, out) in centroids
            .as_chunks::<128>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<8>().0)
        {
            let y: [&[f32]; 8] = std::array::from_fn(|c| &rows[16 * c..16 * c + 16]);
            let s = std::array::from_fn(|j| {
                let square = |i: usize| {
                    let (lo, hi) = (diff(&key, &y, j, i), diff(&key, &y, j, i + 8));
                    // SAFETY: FMA is in every build of this crate. Upstream fuses the upper half.
                    unsafe { _mm256_fmadd_ps(hi, hi, _mm256_mul_ps(lo, lo)) }
                };
                // SAFETY: as above.
                unsafe { _mm256_add_ps(square(0), square(4)) }
            });
            // SAFETY: `out` covers 32 bytes.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), fold(s)) };
        }
    }
}
