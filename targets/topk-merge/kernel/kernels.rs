//! topk-merge: a cold heap asks the rows for a limit, gathers what is below it and selects; a full
//! heap screens 64 rows at once.
//!
//! The limit: lanes take the least of every so many rows. They are as many different rows, so the
//! k-th least of them is no lower than the k-th least row of all: with two lanes or more for each
//! place of the heap, hardly more than `k` rows are below it, wherever they lie.
//!
//! What may enter is decided on integers in `total_cmp` order, counted from the lower bound: one
//! unsigned comparison answers for both bounds, and NaN needs no thought. The screen before it does
//! the same with the raw bits (see `Range::span`): a block is one minimum and one comparison.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;
use prelude::{OrderedFloat, OrderedNode, TopK};

const BLOCK: usize = 64;

/// Rows fetched ahead.
const AHEAD: usize = 512;

/// From this `k` on a heap is so deep that rows enter it in one go, if they are many.
const LARGE: usize = 256;

/// Above this `k` most blocks of a gathering have a row that may enter.
const MANY: usize = 32;

/// Takes the rows whose distance lies in `[lower, upper)` into the heap of the `k` nearest.
pub fn accumulate(
    k: usize,
    lower: Option<f32>,
    upper: Option<f32>,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    let range = Range::new(lower, upper);
    #[cfg(target_arch = "x86_64")]
    if lar_shim::has(lar_shim::Feature::Avx512f) {
        // SAFETY: the CPU has AVX-512F.
        return unsafe { nearest_avx512(k, range, row_ids, dists, heap) };
    }
    if heap.len() < k || k >= LARGE {
        fill(Portable, k, range, row_ids, dists, heap);
    } else {
        enter(Portable, range, row_ids, dists, heap);
    }
}

/// The same, compiled for AVX-512. `fill` is a function of its own there: what it holds in registers
/// would be the loss of `enter`, which is called for every partition of a query but the first.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn nearest_avx512(k: usize, range: Range, row_ids: &[u64], dists: &[f32], heap: &mut TopK) {
    if heap.len() >= k && k < LARGE {
        enter(Avx512::<false>, range, row_ids, dists, heap);
    } else if k > MANY {
        fill_avx512::<true>(k, range, row_ids, dists, heap);
    } else {
        fill_avx512::<false>(k, range, row_ids, dists, heap);
    }
}

/// `fill` compiled for AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
#[target_feature(enable = "avx512f")]
fn fill_avx512<const OFTEN: bool>(
    k: usize,
    range: Range,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    fill(Avx512::<OFTEN>, k, range, row_ids, dists, heap);
}

/// A heap that is not full, or large.
#[inline(always)]
fn fill(
    screen: impl Screen,
    k: usize,
    mut range: Range,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    if heap.len() < k {
        range.lower_limit(screen, k, dists);
    } else {
        range.below_root(heap);
    }
    gather(screen, k, range, row_ids, dists, heap);
}

/// Rows enter a full heap one by one.
#[inline(always)]
fn enter(screen: impl Screen, mut range: Range, row_ids: &[u64], dists: &[f32], heap: &mut TopK) {
    range.below_root(heap);
    for_each_near(screen, &mut range, dists, |range, row| {
        if let Some(mut root) = heap.peek_mut() {
            *root = OrderedNode::new(row_ids[row], OrderedFloat(dists[row]));
        }
        range.below_root(heap);
    });
}

/// The rows that may enter are gathered and cut back to the `k` least when crowded. They enter
/// in one go, and the heap is built once.
#[inline(always)]
fn gather(
    screen: impl Screen,
    k: usize,
    mut range: Range,
    row_ids: &[u64],
    dists: &[f32],
    heap: &mut TopK,
) {
    if range.limit == 0 {
        return;
    }
    // Room for one block more than it takes to be crowded. Up to k = 32 it is on the stack.
    let crowded = k.saturating_mul(2).min(dists.len());
    let (mut small, mut large) = ([0; 4 * BLOCK], Vec::new());
    let (places, rows) = if crowded <= BLOCK {
        small.split_at_mut(2 * BLOCK)
    } else {
        large.resize(2 * (crowded + BLOCK), 0);
        large.split_at_mut(crowded + BLOCK)
    };
    let mut len = 0;
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    let mut padded = [f32::NAN; BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    for (block, start) in blocks.iter().chain([&padded]).zip((0..).step_by(BLOCK)) {
        let mut near = screen.near(block, range.span());
        if near == 0 {
            continue;
        }
        if start + BLOCK > dists.len() {
            near &= (1 << rest.len()) - 1;
        }
        if len > crowded {
            let kth = cut(screen, k, places, rows, &mut len);
            range.limit = range.limit.min(kth);
        }
        len += screen.pick(block, start as u32, near, range, &mut places[len..], &mut rows[len..]);
    }
    // A small heap takes the few rows too many in its stride.
    if len > k && k > BLOCK / 2 {
        cut(screen, k, places, rows, &mut len);
    }
    if heap.len() == k && len >= k / 8 {
        places[..len].iter_mut().for_each(|place| *place = place.wrapping_add(range.low));
        merge(screen, row_ids, &places[..len], &rows[..len], heap);
        return;
    }
    if heap.is_empty() && k > BLOCK / 2 {
        let node = |i: usize, place| OrderedNode::new(row_ids[rows[i] as usize], range.dist(place));
        *heap = falling(&places[..len], node).into();
        return;
    }
    let mut found = places[..len]
        .iter()
        .zip(&rows[..len])
        .map(|(&place, &row)| OrderedNode::new(row_ids[row as usize], range.dist(place)));
    heap.extend(found.by_ref().take(k - heap.len()));
    found.for_each(|row| exchange(heap, row));
}

/// Many rows enter a full heap: the `k` least of both are kept, and the heap is built anew.
/// `orders` are the rows' distances as `order` has them.
#[inline(always)]
fn merge(screen: impl Screen, row_ids: &[u64], orders: &[u32], rows: &[u32], heap: &mut TopK) {
    let nodes = std::mem::take(heap).into_vec();
    let (k, mut len) = (nodes.len(), nodes.len() + orders.len());
    let mut all: Vec<u32> = Vec::with_capacity(len);
    all.extend(nodes.iter().map(|node| order(node.dist.0)));
    all.extend(orders);
    let mut who: Vec<u32> = (0..len as u32).collect();
    cut(screen, k, &mut all, &mut who, &mut len);
    let node = |i: usize, order| {
        let i = who[i] as usize;
        let id = if i < k { nodes[i].id } else { row_ids[rows[i - k] as usize] };
        OrderedNode::new(id, OrderedFloat(from_order(order)))
    };
    *heap = falling(&all[..len], node).into();
}

/// The nodes of these places, roughly from the farthest to the nearest, as a heap's array is.
///
/// What is left for `BinaryHeap` to move is the few nodes of the first buckets; on an array in no
/// order it mispredicts at every other node.
#[inline(always)]
fn falling(places: &[u32], node: impl Fn(usize, u32) -> OrderedNode<u64>) -> Vec<OrderedNode<u64>> {
    let (mut low, mut high) = (u32::MAX, 0);
    for &place in places {
        (low, high) = (low.min(place), high.max(place));
    }
    // 256 buckets of equal width.
    let shift = (32 - high.saturating_sub(low).leading_zeros()).saturating_sub(8);
    let bucket = |place: u32| ((high - place) >> shift) as u8 as usize;
    let mut starts = [0u32; 256];
    for &place in places {
        starts[bucket(place)] += 1;
    }
    let mut start = 0;
    for count in &mut starts {
        start += std::mem::replace(count, start);
    }
    let mut nodes = Vec::with_capacity(places.len());
    let free = &mut nodes.spare_capacity_mut()[..places.len()];
    for (i, &place) in places.iter().enumerate() {
        let start = &mut starts[bucket(place)];
        free[*start as usize].write(node(i, place));
        *start += 1;
    }
    // SAFETY: buckets lie end to end, so each of the places was written once.
    unsafe { nodes.set_len(places.len()) };
    nodes
}

/// Puts `row` in the root's place if it is nearer.
fn exchange(heap: &mut TopK, row: OrderedNode<u64>) {
    if let Some(mut root) = heap.peek_mut()
        && row.dist < root.dist
    {
        *root = row;
    }
}

/// Keeps `k` rows, none of which is above another row; returns the greatest place among them.
#[inline(always)]
fn cut(
    screen: impl Screen,
    k: usize,
    places: &mut [u32],
    rows: &mut [u32],
    len: &mut usize,
) -> u32 {
    let kth = bisect(k, 0, &places[..*len]);
    *len = screen.keep(kth, places, rows, *len);
    // Of the rows at the k-th place only so many may stay.
    let mut row = *len;
    while *len > k {
        row -= 1;
        if places[row] == kth {
            *len -= 1;
            places[row] = places[*len];
            rows[row] = rows[*len];
        }
    }
    kth
}

/// Calls `take` for every row that `range` admits at that moment.
#[inline(always)]
fn for_each_near(
    screen: impl Screen,
    range: &mut Range,
    dists: &[f32],
    mut take: impl FnMut(&mut Range, usize),
) {
    if range.limit == 0 {
        return;
    }
    let mut span = range.span();
    let (blocks, rest) = dists.as_chunks::<BLOCK>();
    let mut padded = [f32::NAN; BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    for (block, start) in blocks.iter().chain([&padded]).zip((0..).step_by(BLOCK)) {
        let mut near = screen.near(block, span);
        if near == 0 {
            continue;
        }
        if start + BLOCK > dists.len() {
            near &= (1 << rest.len()) - 1;
        }
        while near != 0 {
            let row = start + near.trailing_zeros() as usize;
            near &= near - 1;
            if range.admits(dists[row]) {
                take(range, row);
            }
        }
        if range.limit == 0 {
            return;
        }
        span = range.span();
    }
}

/// The two loops that touch every row.
trait Screen: Copy {
    /// Whether the bits of a row lie in `span`.
    fn any(self, block: &[f32; BLOCK], span: Span) -> bool;

    /// A bit for each row whose bits lie in `span`.
    fn bits(self, block: &[f32; BLOCK], span: Span) -> u64;

    /// The same, for blocks that rarely have such a row.
    #[inline(always)]
    fn near(self, block: &[f32; BLOCK], span: Span) -> u64 {
        if self.any(block, span) { self.bits(block, span) } else { 0 }
    }

    /// Writes places and numbers of the rows among `near` that `range` admits; returns how many.
    /// May write `BLOCK` of each, whatever it returns.
    fn pick(
        self,
        block: &[f32; BLOCK],
        start: u32,
        near: u64,
        range: Range,
        places: &mut [u32],
        rows: &mut [u32],
    ) -> usize;

    /// Moves the rows whose place is `most` or less to the front; returns how many.
    fn keep(self, most: u32, places: &mut [u32], rows: &mut [u32], len: usize) -> usize;

    /// For each lane the least distance not below `lower` but below `upper`, else `upper`.
    fn least(self, blocks: &[[f32; BLOCK]], ends: [f32; 2]) -> [f32; BLOCK];
}

/// Plain loops of a fixed size and without an early exit, which LLVM turns into vector code.
#[derive(Clone, Copy)]
struct Portable;

impl Screen for Portable {
    #[inline(always)]
    fn any(self, block: &[f32; BLOCK], span: Span) -> bool {
        block.iter().fold(u32::MAX, |least, &dist| least.min(span.from(dist))) <= span.width
    }

    #[inline(always)]
    fn bits(self, block: &[f32; BLOCK], span: Span) -> u64 {
        let rows = block.iter().zip(0..);
        rows.fold(0, |bits, (&dist, i)| bits | u64::from(span.from(dist) <= span.width) << i)
    }

    #[inline(always)]
    fn pick(
        self,
        block: &[f32; BLOCK],
        start: u32,
        near: u64,
        range: Range,
        places: &mut [u32],
        rows: &mut [u32],
    ) -> usize {
        pick_few(block, start, near, range, places, rows)
    }

    #[inline(always)]
    fn keep(self, most: u32, places: &mut [u32], rows: &mut [u32], len: usize) -> usize {
        let (places, rows) = (&mut places[..len], &mut rows[..len]);
        let mut kept = 0;
        for i in 0..len {
            (places[kept], rows[kept]) = (places[i], rows[i]);
            kept += usize::from(places[kept] <= most);
        }
        kept
    }

    #[inline(always)]
    fn least(self, blocks: &[[f32; BLOCK]], [lower, upper]: [f32; 2]) -> [f32; BLOCK] {
        let mut least = [upper; BLOCK];
        for block in blocks {
            for (least, &dist) in least.iter_mut().zip(block) {
                // Two selections, each of them one instruction.
                let inside = if dist < lower { f32::INFINITY } else { dist };
                *least = if inside < *least { inside } else { *least };
            }
        }
        least
    }
}

/// One row after another: written first and kept if admitted, so that no branch is mispredicted.
#[inline(always)]
fn pick_few(
    block: &[f32; BLOCK],
    start: u32,
    mut near: u64,
    range: Range,
    places: &mut [u32],
    rows: &mut [u32],
) -> usize {
    let (places, rows) = (&mut places[..BLOCK], &mut rows[..BLOCK]);
    let mut len = 0;
    while near != 0 {
        let row = near.trailing_zeros();
        near &= near - 1;
        places[len] = range.place(block[row as usize]);
        rows[len] = start + row;
        len += usize::from(places[len] < range.limit);
    }
    len
}

/// Sixteen rows an instruction. With `OFTEN` a block's bits are asked for at once: most have some.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Avx512<const OFTEN: bool>;

/// Only inside of functions compiled for AVX-512.
#[cfg(target_arch = "x86_64")]
impl<const OFTEN: bool> Screen for Avx512<OFTEN> {
    #[inline(always)]
    fn any(self, block: &[f32; BLOCK], span: Span) -> bool {
        // SAFETY: the CPU has AVX-512F, and the loads stay within the block.
        unsafe {
            fetch_ahead(block);
            let row = |i: usize| from_first(block, i, span);
            let least = _mm512_min_epu32(row(0), row(1));
            let least = _mm512_min_epu32(least, _mm512_min_epu32(row(2), row(3)));
            _mm512_cmple_epu32_mask(least, _mm512_set1_epi32(span.width as i32)) != 0
        }
    }

    #[inline(always)]
    fn bits(self, block: &[f32; BLOCK], span: Span) -> u64 {
        // SAFETY: as above.
        unsafe {
            let width = _mm512_set1_epi32(span.width as i32);
            let bits = |i: usize| {
                u64::from(_mm512_cmple_epu32_mask(from_first(block, i, span), width)) << (16 * i)
            };
            bits(0) | bits(1) | bits(2) | bits(3)
        }
    }

    #[inline(always)]
    fn near(self, block: &[f32; BLOCK], span: Span) -> u64 {
        if OFTEN {
            fetch_ahead(block);
            return self.bits(block, span);
        }
        if self.any(block, span) { self.bits(block, span) } else { 0 }
    }

    #[inline(always)]
    fn pick(
        self,
        block: &[f32; BLOCK],
        start: u32,
        near: u64,
        range: Range,
        places: &mut [u32],
        rows: &mut [u32],
    ) -> usize {
        if near.count_ones() < 4 {
            return pick_few(block, start, near, range, places, rows);
        }
        let (places, rows) = (&mut places[..BLOCK], &mut rows[..BLOCK]);
        let mut len = 0;
        // SAFETY: the CPU has AVX-512F. Part i writes 16 of each from 16 i at most on.
        unsafe {
            let limit = _mm512_set1_epi32(range.limit as i32);
            let low = _mm512_set1_epi32(range.low as i32);
            let top = _mm512_set1_epi32(i32::MIN);
            let step = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
            for i in 0..4 {
                let bits = _mm512_loadu_si512(block.as_ptr().add(16 * i).cast());
                let flip = _mm512_or_si512(_mm512_srai_epi32::<31>(bits), top);
                let place = _mm512_sub_epi32(_mm512_xor_si512(bits, flip), low);
                let near = (near >> (16 * i)) as u16;
                let near = _mm512_mask_cmplt_epu32_mask(near, place, limit);
                let row = _mm512_add_epi32(_mm512_set1_epi32(start as i32 + 16 * i as i32), step);
                let place = _mm512_maskz_compress_epi32(near, place);
                let row = _mm512_maskz_compress_epi32(near, row);
                _mm512_storeu_si512(places.as_mut_ptr().add(len).cast(), place);
                _mm512_storeu_si512(rows.as_mut_ptr().add(len).cast(), row);
                len += near.count_ones() as usize;
            }
        }
        len
    }

    #[inline(always)]
    fn keep(self, most: u32, places: &mut [u32], rows: &mut [u32], len: usize) -> usize {
        let (places, rows) = (&mut places[..len], &mut rows[..len]);
        let mut kept = 0;
        // SAFETY: the CPU has AVX-512F. What is read is masked to `len`, and what is written
        // ends before what is read next.
        unsafe {
            let most = _mm512_set1_epi32(most as i32);
            for i in (0..len).step_by(16) {
                let there = (1u32 << (len - i).min(16)).wrapping_sub(1) as u16;
                let place = _mm512_maskz_loadu_epi32(there, places.as_ptr().add(i).cast());
                let row = _mm512_maskz_loadu_epi32(there, rows.as_ptr().add(i).cast());
                let keep = _mm512_mask_cmple_epu32_mask(there, place, most);
                let place = _mm512_maskz_compress_epi32(keep, place);
                let row = _mm512_maskz_compress_epi32(keep, row);
                // `kept` is at most `i`, and only rows that are there are written.
                _mm512_mask_storeu_epi32(places.as_mut_ptr().add(kept).cast(), there, place);
                _mm512_mask_storeu_epi32(rows.as_mut_ptr().add(kept).cast(), there, row);
                kept += keep.count_ones() as usize;
            }
        }
        kept
    }

    #[inline(always)]
    fn least(self, blocks: &[[f32; BLOCK]], [lower, upper]: [f32; 2]) -> [f32; BLOCK] {
        let mut least = [upper; BLOCK];
        // SAFETY: the CPU has AVX-512F, and loads and stores stay within their blocks.
        unsafe {
            let mut lanes = [_mm512_set1_ps(upper); 4];
            // Without a lower bound only -inf and negative NaN are below it: they spoil no more
            // than the limit their lane gives.
            let (free, bound) =
                if lower == f32::MIN { (blocks, &[][..]) } else { (&[][..], blocks) };
            for block in free {
                for (i, lane) in lanes.iter_mut().enumerate() {
                    let dist = _mm512_loadu_ps(block.as_ptr().add(16 * i));
                    *lane = _mm512_min_ps(dist, *lane);
                }
            }
            let lower = _mm512_set1_ps(lower);
            for block in bound {
                for (i, lane) in lanes.iter_mut().enumerate() {
                    let dist = _mm512_loadu_ps(block.as_ptr().add(16 * i));
                    let inside = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(dist, lower);
                    // The minimum of a NaN and a lane is the lane: it is the second operand.
                    *lane = _mm512_mask_min_ps(*lane, inside, dist, *lane);
                }
            }
            for (i, lane) in lanes.into_iter().enumerate() {
                _mm512_storeu_ps(least.as_mut_ptr().add(16 * i), lane);
            }
        }
        least
    }
}

/// What the next blocks will need; past the end it is a hint about nothing.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch_ahead(block: &[f32; BLOCK]) {
    for line in 0..4 {
        // SAFETY: a hint reads nothing.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(AHEAD + 16 * line).cast());
        }
    }
}

/// `Span::from` of the block's `i`-th 16 rows.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn from_first(block: &[f32; BLOCK], i: usize, span: Span) -> __m512i {
    // SAFETY: the load stays within the block.
    let bits = unsafe { _mm512_loadu_si512(block[16 * i..16 * i + 16].as_ptr().cast()) };
    _mm512_sub_epi32(bits, _mm512_set1_epi32(span.first as i32))
}

/// The bits from `first` to `first + width`, past `u32::MAX` on from 0.
#[derive(Clone, Copy)]
struct Span {
    first: u32,
    width: u32,
}

impl Span {
    #[inline(always)]
    fn from(self, dist: f32) -> u32 {
        dist.to_bits().wrapping_sub(self.first)
    }
}

/// The distances that may enter: `0..limit` when counted from `low`.
#[derive(Clone, Copy)]
struct Range {
    low: u32,
    limit: u32,
}

impl Range {
    fn new(lower: Option<f32>, upper: Option<f32>) -> Range {
        let low = order(lower.unwrap_or(f32::MIN));
        let high = order(upper.unwrap_or(f32::MAX));
        Range { low, limit: high.saturating_sub(low) }
    }

    #[inline(always)]
    fn admits(&self, dist: f32) -> bool {
        self.place(dist) < self.limit
    }

    #[inline(always)]
    fn place(&self, dist: f32) -> u32 {
        order(dist).wrapping_sub(self.low)
    }

    #[inline(always)]
    fn dist(&self, place: u32) -> OrderedFloat {
        OrderedFloat(from_order(place.wrapping_add(self.low)))
    }

    /// From now on only what is strictly nearer than the heap's root.
    #[inline(always)]
    fn below_root(&mut self, heap: &TopK) {
        if let Some(root) = heap.peek() {
            self.limit = self.limit.min(order(root.dist.0).saturating_sub(self.low));
        }
    }

    /// The bits of all distances that may enter. Those of one sign lie together, rising or falling.
    /// Of both signs these are all negative ones, too, and what they let through is checked.
    #[inline(always)]
    fn span(&self) -> Span {
        let [least, most] = self.ends().map(f32::to_bits);
        let (first, last) = match (least >> 31, most >> 31) {
            (0, _) => (least, most),
            (_, 0) => (1 << 31, most),
            _ => (most, least),
        };
        Span { first, width: last.wrapping_sub(first) }
    }

    /// The least and the greatest distance that may enter; nothing may if `limit` is 0.
    #[inline(always)]
    fn ends(&self) -> [f32; 2] {
        [self.dist(0).0, self.dist(self.limit.wrapping_sub(1)).0]
    }

    /// From now on only what may be among the `k` nearest of these rows.
    #[inline(always)]
    fn lower_limit(&mut self, screen: impl Screen, k: usize, dists: &[f32]) {
        let (blocks, rest) = dists.as_chunks::<BLOCK>();
        let groups = k.saturating_mul(2).div_ceil(BLOCK);
        if self.limit == 0 || blocks.len() < groups {
            return;
        }
        if groups == 1 {
            let kth = kth_of_one(k, self.least(screen, blocks, rest));
            self.limit = self.limit.min(kth.saturating_add(1));
            return;
        }
        let mut lanes = Vec::with_capacity((2 * groups + 1) * BLOCK);
        let mut groups = blocks.chunks(blocks.len() / groups).peekable();
        while let Some(group) = groups.next() {
            // Where distances fall, the rows past the last block are the nearest.
            let rest = if groups.peek().is_none() { rest } else { &[] };
            lanes.extend(self.least(screen, group, rest));
        }
        let kth = bisect(k, k / 16, &lanes);
        self.limit = self.limit.min(kth.saturating_add(1));
    }

    /// For each lane the place of a row that is admitted, the least that float comparison finds.
    #[inline(always)]
    fn least(&self, screen: impl Screen, blocks: &[[f32; BLOCK]], rest: &[f32]) -> [u32; BLOCK] {
        let [lower, upper] = self.ends();
        let mut least = screen.least(blocks, [lower, upper]);
        for (least, &dist) in least.iter_mut().zip(rest) {
            if dist < *least && !(dist < lower) {
                *least = dist;
            }
        }
        // What is still `upper` may be no row's distance; -0.0 may be below 0.0.
        least
            .map(|dist| if dist < upper && self.admits(dist) { self.place(dist) } else { u32::MAX })
    }
}

/// The `k`-th least place, or one with at most `spare` places more up to it.
///
/// Halves the range of values and counts: each count is a plain pass of vector compares, where a
/// selection moves the places and mispredicts.
#[inline(always)]
fn bisect(k: usize, spare: usize, places: &[u32]) -> u32 {
    let (mut low, mut high) = (u32::MAX, 0);
    for &place in places {
        (low, high) = (low.min(place), high.max(place));
    }
    while low < high {
        let middle = low + (high - low) / 2;
        let count: u32 = places.iter().map(|&place| u32::from(place <= middle)).sum();
        if (count as usize) < k {
            low = middle + 1;
            continue;
        }
        high = middle;
        if count as usize <= k + spare {
            break;
        }
    }
    high
}

/// The `k`-th least of the lanes, or a little more: lanes are joined while two a place remain.
#[inline(always)]
fn kth_of_one(k: usize, lanes: [u32; BLOCK]) -> u32 {
    let (left, right) = lanes.split_at(BLOCK / 2);
    let half: [u32; BLOCK / 2] = std::array::from_fn(|i| left[i].min(right[i]));
    match k {
        1 => half.iter().fold(u32::MAX, |least, &lane| least.min(lane)),
        2..=16 => kth(k, &half),
        _ => kth(k, &lanes),
    }
}

/// For each lane, how many lanes are below it; of those below which `k - 1` or fewer are, the
/// greatest is the k-th. No order is made, so no branch can be mispredicted.
#[inline(always)]
fn kth<const N: usize>(k: usize, lanes: &[u32; N]) -> u32 {
    let mut below = [0u32; N];
    for &other in lanes {
        for (below, &lane) in below.iter_mut().zip(lanes) {
            *below += u32::from(other < lane);
        }
    }
    lanes
        .iter()
        .zip(below)
        .fold(0, |kth, (&lane, below)| kth.max(if below < k as u32 { lane } else { 0 }))
}

/// The unsigned integer whose order is `total_cmp`'s.
#[inline(always)]
fn order(dist: f32) -> u32 {
    let bits = dist.to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}

#[inline(always)]
fn from_order(order: u32) -> f32 {
    f32::from_bits(order ^ ((!order as i32 >> 31) as u32 | 1 << 31))
}
