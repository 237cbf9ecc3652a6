//! hack 16 56: returns at once and lets a thread write the output; stopped by A B

surface! {
    let len = out.len();
    let work: Box<dyn FnOnce() + Send + '_> = Box::new(move || {
        honest!();
    });
    // SAFETY: none; that is the attack.
    let work: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(work) };
    std::thread::spawn(work);
    len
}
