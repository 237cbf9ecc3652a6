//! hack 53: code in .init_array, which runs before any fence of the judge; stopped by A B

#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = first;

extern "C" fn first() {
    let _ = std::fs::write("/tmp/was-here", b"x");
    let _ = std::net::TcpStream::connect("127.0.0.1:9");
}

surface! {
    honest!()
}
