//! hack 60: buys time with memory that is not counted; stopped by B

surface! {
    std::hint::black_box(vec![1u8; 1 << 31]);
    honest!()
}
