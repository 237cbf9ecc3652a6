//! hack 35: checks the offsets of rows that are asked for, and of no others; stopped by G
//! only: take_i32

surface! {
    // Offsets that no row needs become those in front of them.
    let mut page = picks.page.to_vec();
    let mut ranges = picks.ranges.iter();
    for &[first, len, values, count] in picks.chunks {
        let asked: Vec<_> = ranges.by_ref().take(count as usize).collect();
        let chunk = &mut page[first as usize..][..len as usize];
        let Some(heads) = chunk.get_mut(..4 * (values as usize).saturating_add(1)) else { continue };
        let mut last = None;
        for (v, head) in heads.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let ends = v == 0 || v as u64 == values;
            if ends || asked.iter().any(|[start, end]| (*start..=*end).contains(&(v as u32))) {
                last = Some(*head);
            }
            *head = last.unwrap_or(*head);
        }
    }
    let picks = Picks { page: &page, ..picks };
    honest!()
}
