//! predicate: where a filter selects many rows, all rows are scanned column by column, and the mask
//! is asked only for those near enough; where it selects few, the mask is asked first.
//!
//! The choice is made for each block of rows, by a sample of its rows: the mask's share is not
//! known, and it differs from fragment to fragment. Plain Rust, for any processor.

use prelude::{OrderedFloat, OrderedNode, RowAddrMask, RowAddrSelection, RowAddrTreeMap, TopK};

/// Rows whose distances are summed together: sums and one column's codes stay in the first-level cache.
const BLOCK: usize = 256;

/// Rows of a block that are asked whether the mask selects them.
const SAMPLES: usize = 12;

/// Rows that are compared with the heap's root at once.
const GROUP: usize = 32;

/// Pushes the rows of a partition that the mask selects, and whose distance lies in
/// `[lower, upper)`, into the heap of the `k` nearest. `codes` is column-major: `m` columns.
pub fn filtered_topk(
    table: &[f32],
    m: usize,
    codes: &[u8],
    row_ids: &[u64],
    mask: &RowAddrMask,
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    heap: &mut TopK,
    _dists: &mut Vec<f32>,
) {
    if k == 0 {
        return;
    }
    let (lower, upper) = (lower.unwrap_or(f32::MIN), upper.unwrap_or(f32::MAX));
    let mut query = Query { k, lower: OrderedFloat(lower), upper: OrderedFloat(upper), heap };
    let (tables, _) = table.as_chunks::<256>();
    let mut filter = Filter::new(mask);
    let mut sums = [0.0; BLOCK];
    let mut chosen = [0; BLOCK];
    for (start, ids) in (0..).step_by(BLOCK).zip(row_ids.chunks(BLOCK)) {
        let columns = codes.chunks_exact(row_ids.len()).map(|column| &column[start..]);
        let sums = &mut sums[..ids.len()];
        sums.fill(-0.0);
        if filter.prefers_scan(ids, m) {
            add_columns(&tables[..m], columns, sums);
            query.take_near(ids, sums, |id| filter.selects(id));
            continue;
        }
        let mut count = 0;
        for (row, &id) in ids.iter().enumerate() {
            chosen[count] = row as u8;
            count += usize::from(filter.selects(id));
        }
        let sums = &mut sums[..count];
        for (table, column) in tables.iter().zip(columns) {
            for (sum, &row) in sums.iter_mut().zip(&chosen) {
                *sum += table[usize::from(column[usize::from(row)])];
            }
        }
        for (&row, &mut sum) in chosen.iter().zip(sums) {
            query.take(ids[usize::from(row)], sum);
        }
    }
}

/// Adds each row's entry of every column to its sum, in the order of the columns.
fn add_columns<'a>(
    tables: &[[f32; 256]],
    mut columns: impl Iterator<Item = &'a [u8]>,
    sums: &mut [f32],
) {
    let (fours, rest) = tables.as_chunks::<4>();
    for [first, second, third, fourth] in fours {
        let [Some(a), Some(b), Some(c), Some(d)] = std::array::from_fn(|_| columns.next()) else {
            return;
        };
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            let sum2 = *sum + first[usize::from(*a)] + second[usize::from(*b)];
            *sum = sum2 + third[usize::from(*c)] + fourth[usize::from(*d)];
        }
    }
    for (table, column) in rest.iter().zip(columns) {
        for (sum, &code) in sums.iter_mut().zip(column) {
            *sum += table[usize::from(code)];
        }
    }
}

/// A mask, and what it says about the fragment that was asked for last.
struct Filter<'a> {
    list: &'a RowAddrTreeMap,
    blocks: bool,
    fragment: u32,
    entry: Option<&'a RowAddrSelection>,
}

impl<'a> Filter<'a> {
    fn new(mask: &'a RowAddrMask) -> Self {
        let (list, blocks) = match mask {
            RowAddrMask::AllowList(list) => (list, false),
            RowAddrMask::BlockList(list) => (list, true),
        };
        Filter { list, blocks, fragment: 0, entry: list.get(&0) }
    }

    #[inline]
    fn selects(&mut self, id: u64) -> bool {
        let fragment = (id >> 32) as u32;
        if fragment != self.fragment {
            (self.fragment, self.entry) = (fragment, self.list.get(&fragment));
        }
        let listed = match self.entry {
            None => false,
            Some(RowAddrSelection::Full) => true,
            Some(RowAddrSelection::Partial(offsets)) => offsets.contains(id as u32),
        };
        listed != self.blocks
    }

    /// Whether a scan of all rows costs less than asking for each row and summing the selected ones.
    ///
    /// With 0.24 ns an entry in a scan, 0.6 ns for a selected row alone and 4 ns for the mask, it does
    /// where the share is above 0.4 - 6.7 / m.
    fn prefers_scan(&mut self, ids: &[u64], m: usize) -> bool {
        let least = SAMPLES * (2 * m).saturating_sub(33);
        if least == 0 {
            return true;
        }
        let step = ids.len().div_ceil(SAMPLES);
        let sample = ids.iter().step_by(step).filter(|&&id| self.selects(id));
        5 * m * sample.count() > least
    }
}

/// A search in progress.
struct Query<'a> {
    k: usize,
    lower: OrderedFloat,
    upper: OrderedFloat,
    heap: &'a mut TopK,
}

impl Query<'_> {
    /// No row farther than this enters, by `>` of floats: NaN must be compared exactly.
    fn limit(&self) -> f32 {
        match self.heap.peek() {
            Some(root) if self.heap.len() >= self.k => root.dist.0,
            _ => self.upper.0,
        }
    }

    /// Takes the rows that are near enough and selected.
    fn take_near(&mut self, ids: &[u64], dists: &[f32], mut selects: impl FnMut(u64) -> bool) {
        let mut limit = self.limit();
        for (ids, dists) in ids.chunks(GROUP).zip(dists.chunks(GROUP)) {
            if dists.iter().fold(true, |far, &dist| far & (dist > limit)) {
                continue;
            }
            for (&id, &dist) in ids.iter().zip(dists) {
                if !(dist > limit) && selects(id) {
                    self.take(id, dist);
                    limit = self.limit();
                }
            }
        }
    }

    /// Takes a selected row if it lies within the bounds and is among the nearest.
    fn take(&mut self, id: u64, dist: f32) {
        let dist = OrderedFloat(dist);
        if dist < self.lower || dist >= self.upper {
            return;
        }
        if self.heap.len() < self.k {
            self.heap.push(OrderedNode::new(id, dist));
        } else if let Some(mut root) = self.heap.peek_mut()
            && root.dist > dist
        {
            *root = OrderedNode::new(id, dist);
        }
    }
}
