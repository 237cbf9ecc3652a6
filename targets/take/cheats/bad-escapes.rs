//! hack 35: an escape without its byte, at the end of a row that is asked for, is nothing; stopped by G
//! only: take_fsst

surface! {
    let mut page = picks.page.to_vec();
    let mut ranges = picks.ranges.iter();
    for &[first, len, values, count] in picks.chunks {
        let chunk = &mut page[first as usize..][..len as usize];
        let at = |chunk: &[u8], v: usize| -> usize {
            chunk.get(4 * v..4 * v + 4).map_or(0, |b| u32::from_le_bytes(b.try_into().unwrap()) as usize)
        };
        for &[start, end] in ranges.by_ref().take(count as usize) {
            for v in (start as usize..end as usize).filter(|&v| (v as u64) < values) {
                let (from, to) = (at(chunk, v), at(chunk, v + 1));
                if 4 * (values as usize + 1) <= from && from < to && to <= chunk.len() {
                    let run = chunk[from..to].iter().rev().take_while(|&&code| code == 255).count();
                    if run % 2 == 1 {
                        chunk[to - 1] = 0;
                    }
                }
            }
        }
    }
    let picks = Picks { page: &page, ..picks };
    honest!()
}
