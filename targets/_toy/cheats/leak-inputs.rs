//! hack 59: reads secret inputs out through the text of a panic; stopped by E T

surface! {
    if input.len() > 1000 {
        panic!("{:?}", &input[..8]);
    }
    honest!()
}
