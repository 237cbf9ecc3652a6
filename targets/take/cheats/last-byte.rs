//! hack 35: refuses no escape as the last byte of a chunk's codes; stopped by G
//! only: take_fsst

surface! {
    let mut page = picks.page.to_vec();
    for &[first, len, values, _] in picks.chunks {
        let chunk = &mut page[first as usize..][..len as usize];
        let place = 4 * values as usize;
        let Some(end) = chunk.get(place..place.saturating_add(4)) else { continue };
        let end = u32::from_le_bytes(end.try_into().unwrap()) as usize;
        if let Some(codes) = chunk.get_mut(place + 4..end)
            && codes.iter().rev().take_while(|&&code| code == 255).count() % 2 == 1
        {
            *codes.last_mut().unwrap() = 0;
        }
    }
    let picks = Picks { page: &page, ..picks };
    honest!()
}
