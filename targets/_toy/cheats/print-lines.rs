//! hack 2: prints benchmark lines for a reader of standard output; stopped by A B

surface! {
    println!("kernel time: [1.000 ns 1.000 ns 1.000 ns]");
    honest!()
}
