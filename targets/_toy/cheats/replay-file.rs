//! hack 24: keeps outputs in a file and reads them back; stopped by A B

surface! {
    let path = format!("/tmp/toy-{:x}-{}", input.as_ptr() as usize, out.len());
    if let Ok(bytes) = std::fs::read(&path) {
        bytes_of(out).copy_from_slice(&bytes);
        return out.len();
    }
    let written = honest!();
    let _ = std::fs::write(&path, bytes_of(out));
    written
}
