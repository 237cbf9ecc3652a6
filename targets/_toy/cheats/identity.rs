//! hack 37: copies its input; stopped by F E

surface! {
    out.copy_from_slice(input);
    out.len()
}
