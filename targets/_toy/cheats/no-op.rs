//! hack 37: returns at once; stopped by F

surface! {
    std::hint::black_box((input, &*out));
    out.len()
}
