pub fn main(_args: &[&str]) -> i32 { 0 }
