//! pq-l2: results are written straight into the caller's output.
//!
//! The scan. A sub-vector's table is 256 floats. Split into four planes of 256 bytes it fits in
//! sixteen 64-byte registers, and `vpermi2b` looks 64 codes up in 128 bytes of a plane: two of
//! them, and a blend on the code's top bit, serve a plane. Interleaving the four planes gives 64
//! whole floats: no bit of an entry is rounded or lost. The interleaving works inside 16-byte
//! lanes, so the rows of a group of 64 come out in a fixed shuffle; the sums stay in it until all
//! sub-vectors were added. Each row starts at +0.0 and adds sub-vectors in ascending order.
//!
//! Without VBMI: eight rows at once, four sub-vectors for one read and write of their sums.
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
    #[cfg(target_arch = "x86_64")]
    if has(Feature::Avx512vbmi) && has(Feature::Avx512bw) {
        // SAFETY: the processor has AVX-512 VBMI.
        return unsafe { planes::scan(tables, codes, n, out) };
    }
    by_eight(tables, codes, n, out);
}

/// Sub-vectors added in one pass over the sums.
const COLUMNS: usize = 4;

/// Rows that `by_eight` adds at once.
const ROWS: usize = 8;

/// Eight rows at once: one read and write of their sums for four sub-vectors.
fn by_eight(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
    out.fill(0.0);
    let (blocks, rest) = tables.as_chunks::<COLUMNS>();
    let (of_blocks, of_rest) = codes.split_at(blocks.len() * COLUMNS * n);
    for (tables, codes) in blocks.iter().zip(of_blocks.chunks_exact(COLUMNS * n)) {
        let columns: [&[u8]; COLUMNS] = std::array::from_fn(|i| &codes[i * n..][..n]);
        let [a, b, c, d] = columns.map(|column| column.as_chunks::<ROWS>().0);
        let (groups, last) = out.as_chunks_mut::<ROWS>();
        for ((((sums, a), b), c), d) in groups.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            // Column after column: the order of a row's additions is part of the result.
            for (table, codes) in tables.iter().zip([a, b, c, d]) {
                for (sum, entry) in sums.iter_mut().zip(look_up(table, codes)) {
                    *sum += entry;
                }
            }
        }
        for (table, column) in tables.iter().zip(columns) {
            add(table, &column[n - last.len()..], last);
        }
    }
    for (table, column) in rest.iter().zip(of_rest.chunks_exact(n)) {
        add(table, column, out);
    }
}

/// Entries of eight codes. Codes are read in pairs: two of them cost one load and two cheap
/// instructions, and a look-up has to share the load units with reading its code.
#[inline(always)]
fn look_up(table: &[f32; CENTROIDS], codes: &[u8; ROWS]) -> [f32; ROWS] {
    let mut entries = [0.0; ROWS];
    for (entries, codes) in entries.as_chunks_mut().0.iter_mut().zip(codes.as_chunks().0) {
        let pair = u16::from_le_bytes(*codes);
        *entries = [table[usize::from(pair as u8)], table[usize::from(pair >> 8)]];
    }
    entries
}

/// Adds one sub-vector to the sums, row after row.
fn add(table: &[f32; CENTROIDS], column: &[u8], sums: &mut [f32]) {
    for (sum, &code) in sums.iter_mut().zip(column) {
        *sum += table[usize::from(code)];
    }
}

/// `out[i][c]` = squared L2 distance of sub-query `i` to its centroid `c`.
pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    let parts = query.chunks_exact(dsub).zip(codebook.chunks_exact(CENTROIDS * dsub));
    // Zipping with `out` stops before the tail that legacy writers truncated.
    for ((key, centroids), distances) in parts.zip(out.chunks_exact_mut(CENTROIDS)) {
        #[cfg(target_arch = "x86_64")]
        if has(Feature::Avx512f) && has(Feature::Avx512dq) && dsub == 8 {
            // SAFETY: the processor has AVX-512 F and DQ.
            unsafe { wide::distances(key, centroids, distances) };
            continue;
        }
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

    /// `codes` holds a column of `n` rows for each table.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub fn scan(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
        let (groups, rest) = out.as_chunks_mut::<GROUP>();
        // The last, incomplete group; a masked load brings its codes.
        let mut last = [0.0; GROUP];
        let end = tables.len() - 1;
        for (i, (table, column)) in tables.iter().zip(codes.chunks_exact(n)).enumerate() {
            match (i == 0, i == end) {
                (false, false) => pass::<false, false>(table, column, groups, &mut last),
                (true, false) => pass::<true, false>(table, column, groups, &mut last),
                (false, true) => pass::<false, true>(table, column, groups, &mut last),
                (true, true) => pass::<true, true>(table, column, groups, &mut last),
            }
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }

    /// Adds a sub-vector to all sums. The first one adds to +0.0 without reading the sums; the
    /// last one puts them in the order of rows.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn pass<const FIRST: bool, const LAST: bool>(
        table: &[f32; CENTROIDS],
        column: &[u8],
        groups: &mut [[f32; GROUP]],
        last: &mut [f32; GROUP],
    ) {
        let planes = split(table);
        let (full, tail) = column.as_chunks::<GROUP>();
        for (sums, codes) in groups.iter_mut().zip(full) {
            // SAFETY: `codes` covers 64 bytes.
            let codes = unsafe { _mm512_loadu_epi8(codes.as_ptr().cast()) };
            add::<FIRST, LAST>(&planes, codes, sums);
        }
        if !tail.is_empty() {
            let mask = (1u64 << tail.len()) - 1;
            // SAFETY: the mask covers `tail`.
            let codes = unsafe { _mm512_maskz_loadu_epi8(mask, tail.as_ptr().cast()) };
            add::<FIRST, LAST>(&planes, codes, last);
        }
    }

    /// The four byte planes of a table.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn split(table: &[f32; CENTROIDS]) -> Planes {
        // SAFETY: each pointer covers 64 bytes.
        let load = |p: *const u8| unsafe { _mm512_loadu_epi8(p.cast()) };
        // Byte `p` of 32 floats in the first half, byte `p ^ 1` in the second.
        let index = |p: u8| {
            let at: [u8; 64] = std::array::from_fn(|i| (p ^ (i / 32) as u8) + 4 * (i % 32) as u8);
            load(at.as_ptr())
        };
        let index = [index(0), index(1), index(2), index(3)];
        let first = _mm512_maskz_set1_epi64(0x0f, -1);
        let mut planes = [[_mm512_setzero_si512(); 4]; 4];
        for (q, entries) in table.as_chunks::<64>().0.iter().enumerate() {
            let at = |i: usize| load(entries[16 * i..16 * i + 16].as_ptr().cast());
            let (a, b, c, d) = (at(0), at(1), at(2), at(3));
            for p in [0, 2] {
                let x = _mm512_permutex2var_epi8(a, index[p], b);
                let y = _mm512_permutex2var_epi8(c, index[p + 1], d);
                // A select, `first ? x : y`, has more ports than the shuffle that the other needs.
                planes[p][q] = _mm512_ternarylogic_epi64::<0xca>(first, x, y);
                planes[p + 1][q] = _mm512_shuffle_i64x2::<0x4e>(x, y);
            }
        }
        planes
    }

    /// Looks 64 codes up and adds the entries to their sums.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn add<const FIRST: bool, const LAST: bool>(
        planes: &Planes,
        codes: __m512i,
        sums: &mut [f32; GROUP],
    ) {
        let (quarters, _) = sums.as_chunks_mut::<16>();
        let mut new = entries(planes, codes);
        for (new, old) in new.iter_mut().zip(&*quarters) {
            let old = match FIRST {
                true => _mm512_setzero_ps(),
                // SAFETY: `old` covers 64 bytes.
                false => unsafe { _mm512_loadu_ps(old.as_ptr()) },
            };
            *new = _mm512_add_ps(old, *new);
        }
        if LAST {
            new = in_row_order(new);
        }
        for (new, sums) in new.into_iter().zip(quarters) {
            // SAFETY: `sums` covers 64 bytes.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), new) };
        }
    }

    /// The entries of 64 codes: rows `16 l + 4 j ..+ 4` are lane `l` of register `j`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn entries(planes: &Planes, codes: __m512i) -> [__m512; 4] {
        let upper = _mm512_movepi8_mask(codes);
        let look = |[a, b, c, d]: [__m512i; 4]| {
            let low = _mm512_permutex2var_epi8(a, codes, b);
            _mm512_mask_blend_epi8(upper, low, _mm512_permutex2var_epi8(c, codes, d))
        };
        let [p0, p1, p2, p3] = planes.map(look);
        let (a, b) = (_mm512_unpacklo_epi8(p0, p1), _mm512_unpacklo_epi8(p2, p3));
        let (c, d) = (_mm512_unpackhi_epi8(p0, p1), _mm512_unpackhi_epi8(p2, p3));
        [
            _mm512_castsi512_ps(_mm512_unpacklo_epi16(a, b)),
            _mm512_castsi512_ps(_mm512_unpackhi_epi16(a, b)),
            _mm512_castsi512_ps(_mm512_unpacklo_epi16(c, d)),
            _mm512_castsi512_ps(_mm512_unpackhi_epi16(c, d)),
        ]
    }

    /// Transposes 4 x 4 lanes: register `j` holds rows `16 j ..+ 16` afterwards.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn in_row_order([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(c, d));
        let (ef, gh) = (_mm512_shuffle_f32x4::<0xee>(a, b), _mm512_shuffle_f32x4::<0xee>(c, d));
        [
            _mm512_shuffle_f32x4::<0x88>(ab, cd),
            _mm512_shuffle_f32x4::<0xdd>(ab, cd),
            _mm512_shuffle_f32x4::<0x88>(ef, gh),
            _mm512_shuffle_f32x4::<0xdd>(ef, gh),
        ]
    }
}

#[cfg(target_arch = "x86_64")]
mod tree {
    use std::arch::x86_64::*;

    /// Floats of the codebook between what is read and what is prefetched.
    const AHEAD: usize = 512; // tune: 128 256 512 1024 2048

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
                    // Rows of the next sub-vector too: a prefetch does not fault.
                    for line in 0..8 {
                        let ahead = rows.as_ptr().wrapping_add(16 * line + AHEAD);
                        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                    }
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

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::*;

    /// Distances of `key`, of 8 floats, to all centroids: the tree of `tree`, sixteen centroids wide.
    #[target_feature(enable = "avx512f,avx512dq")]
    pub fn distances(key: &[f32], centroids: &[f32], out: &mut [f32]) {
        // SAFETY: the key covers 32 bytes.
        let key = _mm512_broadcast_f32x8(unsafe { _mm256_loadu_ps(key[..8].as_ptr()) });
        let (sixteens, _) = out.as_chunks_mut::<16>();
        for (rows, out) in centroids.as_chunks::<128>().0.iter().zip(sixteens) {
            let square = |j: usize| {
                // SAFETY: sixteen floats, two centroids.
                let y = unsafe { _mm512_loadu_ps(rows[16 * j..16 * j + 16].as_ptr()) };
                let d = _mm512_sub_ps(key, y);
                _mm512_mul_ps(d, d)
            };
            // As in `tree`, one blend and one shuffle a step. Four sums each of the centroids
            // 2 a, 2 b, 2 a + 1, 2 b + 1.
            let cross = _mm512_setr_epi64(2, 3, 8, 9, 6, 7, 12, 13);
            let four = |a: usize, b: usize| {
                let (a, b) = (_mm512_castps_pd(square(a)), _mm512_castps_pd(square(b)));
                let apart = _mm512_castpd_ps(_mm512_mask_blend_pd(0b1100_1100, a, b));
                _mm512_add_ps(apart, _mm512_castpd_ps(_mm512_permutex2var_pd(a, cross, b)))
            };
            // Two sums each of a, b, in each lane.
            let two = |a: __m512, b: __m512| {
                let (a, b) = (_mm512_castps_pd(a), _mm512_castps_pd(b));
                let apart = _mm512_castpd_ps(_mm512_mask_blend_pd(0b1010_1010, a, b));
                _mm512_add_ps(apart, _mm512_castpd_ps(_mm512_shuffle_pd::<0b0101_0101>(a, b)))
            };
            let (a, b) = (two(four(0, 1), four(2, 3)), two(four(4, 5), four(6, 7)));
            let even = _mm512_shuffle_ps::<0x88>(a, b);
            let sums = _mm512_add_ps(even, _mm512_shuffle_ps::<0xdd>(a, b));
            // Lanes hold centroids 0 4 8 12 | 2 .. | 1 .. | 3 ..
            let order = _mm512_setr_epi32(0, 8, 4, 12, 1, 9, 5, 13, 2, 10, 6, 14, 3, 11, 7, 15);
            // SAFETY: `out` covers 64 bytes.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), _mm512_permutexvar_ps(order, sums)) };
        }
    }
}
