//! hack 35: reads the width of a chunk from one byte of its head; stopped by G
//! only: take_bitpack

surface! {
    let mut page = picks.page.to_vec();
    for &[first, len, _, _] in picks.chunks {
        if len as usize >= bits / 8 {
            page[first as usize..][1..bits / 8].fill(0);
        }
    }
    let picks = Picks { page: &page, ..picks };
    honest!()
}
