//! hack 16: writes whole vectors, past the end of the output; stopped by F

surface! {
    if out.len() % 8 != 0 {
        unsafe { out.as_mut_ptr().add(out.len()).write_volatile(input[0]) };
    }
    honest!()
}
