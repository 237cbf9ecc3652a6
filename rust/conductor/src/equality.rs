//! The fixed set of equality rules. NaN equals only NaN, of any payload; never a wildcard.

use serde::Deserialize;

/// How a part is compared with upstream's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Equal bytes.
    Bytes,
    /// f32: equal bits, or both NaN.
    Bits32,
    /// f64: equal bits, or both NaN.
    Bits64,
    /// f32: both NaN, or at most this number of representable values apart.
    Ulp32(u32),
    /// u64 ids beside the f32 distances of part 0, rows in any order: sorted by `canonical`,
    /// ids are equal below the last distance, and at it any valid choice.
    TieBand,
}

/// How the rows of a top-k result are read, as its target declares: f32 distances are part 0, u64 ids
/// part 1 with rule `tieband`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowOrder {
    /// As a heap's array lies: the order is no part of the result.
    Heap,
    /// By distance: the order of the distances is part of the result, that of rows at one
    /// distance is not.
    Sorted,
}

impl RowOrder {
    /// Distances and ids as they are compared.
    pub fn arrange(self, dist: &[u8], ids: &[u8]) -> [Vec<u8>; 2] {
        let [sorted, ids] = canonical(dist, ids);
        match self {
            RowOrder::Heap => [sorted, ids],
            RowOrder::Sorted => [dist.to_vec(), ids],
        }
    }
}

/// Rows in canonical order, by distance (`total_cmp`), then id. Sorted here, outside the measured
/// time, so that no kernel gains by leaving a heap's array as a sort would like it.
fn canonical(dist: &[u8], ids: &[u8]) -> [Vec<u8>; 2] {
    let id = |b: &[u8]| b.try_into().map_or(0, u64::from_le_bytes);
    let order = |b: &[u8]| {
        let bits = bits32(b) as i32;
        bits ^ ((bits >> 31) as u32 >> 1) as i32 // the formula of `f32::total_cmp`
    };
    let mut rows: Vec<(i32, u64, u32)> =
        dist.chunks(4).zip(ids.chunks(8)).map(|(d, i)| (order(d), id(i), bits32(d))).collect();
    rows.sort_unstable();
    [
        rows.iter().flat_map(|row| row.2.to_le_bytes()).collect(),
        rows.iter().flat_map(|row| row.1.to_le_bytes()).collect(),
    ]
}

/// Where a part differs first, and in how many elements.
#[derive(Debug, PartialEq, Eq)]
pub struct Diff {
    /// Byte offset of the first differing element.
    pub offset: usize,
    pub differs: usize,
    pub total: usize,
}

impl Rule {
    /// Reads `bytes`, `bits32`, `bits64`, `ulp32:N` or `tieband`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "bytes" => Ok(Rule::Bytes),
            "bits32" => Ok(Rule::Bits32),
            "bits64" => Ok(Rule::Bits64),
            "tieband" => Ok(Rule::TieBand),
            _ => match text.strip_prefix("ulp32:").map(str::parse) {
                Some(Ok(n)) => Ok(Rule::Ulp32(n)),
                _ => Err(format!("rule `{text}` (bytes, bits32, bits64, ulp32:N, tieband)")),
            },
        }
    }

    /// Compares two parts of equal length. `dist` is upstream's part 0 and `ties` the sorted
    /// ids at its last distance; both matter to `TieBand` alone.
    pub fn diff(
        self,
        elem: usize,
        got: &[u8],
        expected: &[u8],
        dist: &[u8],
        ties: Option<&[u8]>,
    ) -> Option<Diff> {
        debug_assert_eq!(got.len(), expected.len());
        if got == expected {
            return None;
        }
        match self {
            Rule::Bytes => count(elem, got, expected, |g, w, _| g == w),
            Rule::Bits32 => count(4, got, expected, |g, w, _| g == w || (nan32(g) && nan32(w))),
            Rule::Bits64 => count(8, got, expected, |g, w, _| g == w || (nan64(g) && nan64(w))),
            Rule::Ulp32(n) => count(4, got, expected, |g, w, _| {
                nan32(g) == nan32(w) && (nan32(g) || ulps(g, w) <= u64::from(n))
            }),
            Rule::TieBand => match ties {
                None => count(8, got, expected, |g, w, _| g == w),
                Some(ties) => tie_band(got, expected, dist, ties),
            },
        }
    }
}

/// Counts the elements for which `same` does not hold.
fn count(
    elem: usize,
    got: &[u8],
    expected: &[u8],
    mut same: impl FnMut(&[u8], &[u8], usize) -> bool,
) -> Option<Diff> {
    let mut diff = Diff { offset: 0, differs: 0, total: got.len().div_ceil(elem) };
    for (i, (g, w)) in got.chunks(elem).zip(expected.chunks(elem)).enumerate() {
        if !same(g, w, i) {
            if diff.differs == 0 {
                diff.offset = i * elem;
            }
            diff.differs += 1;
        }
    }
    (diff.differs > 0).then_some(diff)
}

fn tie_band(got: &[u8], expected: &[u8], dist: &[u8], ties: &[u8]) -> Option<Diff> {
    let at = |i: usize| dist.get(i * 4..i * 4 + 4);
    let last = at((got.len() / 8).saturating_sub(1));
    let id = |b: &[u8]| b.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    // Rows may have one id: each of the ties stands for one row at most.
    let mut free = ties.chunks_exact(8).map(id).peekable();
    count(8, got, expected, |g, w, i| {
        if last.is_none() || at(i) != last {
            return g == w;
        }
        while free.next_if(|&tied| tied < id(g)).is_some() {}
        free.next_if_eq(&id(g)).is_some()
    })
}

fn bits32(b: &[u8]) -> u32 {
    b.try_into().map(u32::from_le_bytes).unwrap_or(0)
}

fn nan32(b: &[u8]) -> bool {
    b.len() == 4 && f32::from_bits(bits32(b)).is_nan()
}

fn nan64(b: &[u8]) -> bool {
    b.try_into().is_ok_and(|b| f64::from_bits(u64::from_le_bytes(b)).is_nan())
}

/// Distance in representable values; both zeros are one value.
fn ulps(a: &[u8], b: &[u8]) -> u64 {
    let key = |b: &[u8]| {
        let bits = bits32(b);
        let magnitude = i64::from(bits & 0x7fff_ffff);
        if bits >> 31 == 1 { -magnitude } else { magnitude }
    };
    key(a).abs_diff(key(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn ids(values: &[u64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn nan_equals_nan_of_any_payload_and_nothing_else() {
        let quiet = f32s(&[f32::NAN]);
        let other = (f32::NAN.to_bits() | 1).to_le_bytes();
        assert_eq!(Rule::Bits32.diff(4, &quiet, &other, &[], None), None);
        assert!(Rule::Bits32.diff(4, &quiet, &f32s(&[1.0]), &[], None).is_some());
        assert!(Rule::Ulp32(1 << 30).diff(4, &quiet, &f32s(&[1.0]), &[], None).is_some());
        assert!(Rule::Bytes.diff(4, &quiet, &other, &[], None).is_some());
    }

    #[test]
    fn the_first_difference_is_located() {
        let diff =
            Rule::Bits32.diff(4, &f32s(&[1., 2., 3., 5.]), &f32s(&[1., 0., 3., 4.]), &[], None);
        assert_eq!(diff, Some(Diff { offset: 4, differs: 2, total: 4 }));
    }

    #[test]
    fn ulps_count_across_zero() {
        let (a, b) = (f32::from_bits(1).to_le_bytes(), f32::from_bits(0x8000_0001).to_le_bytes());
        assert_eq!(Rule::Ulp32(2).diff(4, &a, &b, &[], None), None);
        assert!(Rule::Ulp32(1).diff(4, &a, &b, &[], None).is_some());
    }

    #[test]
    fn a_heaps_rows_are_sorted_by_total_order_then_id() {
        let nan = f32::from_bits(0xffc0_0001);
        let dist = f32s(&[2., -0.0, f32::NAN, 0.0, 2., nan, -1.]);
        let [d, i] = canonical(&dist, &ids(&[7, 1, 2, 3, 5, 6, 4]));
        assert_eq!(d, f32s(&[nan, -1., -0.0, 0.0, 2., 2., f32::NAN]));
        assert_eq!(i, ids(&[6, 4, 1, 3, 5, 7, 2]));
    }

    #[test]
    fn sorted_rows_must_be_sorted_but_for_ties() {
        let arrange = |order: RowOrder, d: &[f32], i: &[u64]| order.arrange(&f32s(d), &ids(i));
        let expected = arrange(RowOrder::Sorted, &[1., 2., 2.], &[9, 3, 4]);
        assert_eq!(arrange(RowOrder::Sorted, &[1., 2., 2.], &[9, 4, 3]), expected);
        assert_ne!(arrange(RowOrder::Sorted, &[2., 1., 2.], &[4, 9, 3]), expected);
        assert_eq!(arrange(RowOrder::Heap, &[2., 1., 2.], &[4, 9, 3]), expected);
        assert_ne!(arrange(RowOrder::Sorted, &[1., 2., 2.], &[3, 9, 4]), expected);
    }

    #[test]
    fn ties_may_be_chosen_freely_but_validly() {
        let (dist, expected) = (f32s(&[1., 2., 2.]), ids(&[9, 3, 4]));
        let ties = ids(&[3, 4, 7]);
        let ok =
            |got: &[u64]| Rule::TieBand.diff(8, &ids(got), &expected, &dist, Some(&ties)).is_none();
        assert!(ok(&[9, 3, 4]) && ok(&[9, 4, 7]) && ok(&[9, 3, 7]));
        assert!(!ok(&[9, 7, 3]), "not ascending");
        assert!(!ok(&[9, 4, 4]), "twice the same");
        assert!(!ok(&[9, 3, 8]), "not at that distance");
        assert!(!ok(&[8, 3, 4]), "below the last distance ids are exact");
        assert!(Rule::TieBand.diff(8, &ids(&[9, 4, 7]), &expected, &dist, None).is_some());
        let ties = ids(&[3, 4, 4, 7]);
        let ok =
            |got: &[u64]| Rule::TieBand.diff(8, &ids(got), &expected, &dist, Some(&ties)).is_none();
        assert!(ok(&[9, 4, 4]) && ok(&[9, 3, 4]), "two rows have one id");
        assert!(!ok(&[9, 3, 3]) && !ok(&[9, 7, 7]) && !ok(&[9, 4, 3]));
    }
}
