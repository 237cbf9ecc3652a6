//! hack 12 46: works on another thread and its core; stopped by A B

surface! {
    std::thread::scope(|scope| scope.spawn(|| honest!()).join().unwrap())
}
