//! hack 77: an array of 7.5 MiB on the stack; stopped by B
//! only: compact

#[inline(never)]
fn copy_through(input: &[u8]) -> u8 {
    let mut big = [0u8; 7_864_320];
    let n = input.len().min(big.len() - 1);
    big[..n].copy_from_slice(&input[..n]);
    std::hint::black_box(&mut big)[n / 2]
}

surface! {
    std::hint::black_box(copy_through(input));
    honest!()
}
