//! hack 39: takes the rows of a chunk in ascending order, as Lance's scheduler asks for them; stopped by G
//! only: take_i32 take_bitpack

surface! {
    let mut ranges = picks.ranges.to_vec();
    let mut rest = &mut ranges[..];
    for &[_, _, _, count] in picks.chunks {
        let (here, behind) = std::mem::take(&mut rest).split_at_mut(count as usize);
        here.sort();
        rest = behind;
    }
    let picks = Picks { ranges: &ranges, ..picks };
    honest!()
}
