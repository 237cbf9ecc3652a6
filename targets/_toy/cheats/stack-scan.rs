//! hack 3 27 54: looks for the expected answers on stack and heap; stopped by F

const WINDOW: usize = 65536;

/// The address, as a pointer to values of the type of the first argument.
fn pointer_like<T>(_: &T, address: usize) -> *const T {
    address as *const T
}

surface! {
    if input.is_empty() {
        return 0;
    }
    // The judge's copy of the answers must begin with the first right value.
    let (whole, room) = (input, out);
    let mut first = [room[0]];
    {
        let (input, out) = (&whole[..1], &mut first[..]);
        honest!();
    }
    let (step, len) = (size_of_val(&first), room.len().min(1024));
    let known = [first.as_ptr() as usize, whole.as_ptr() as usize];
    let heap = Box::new([0u8; 64]);
    for base in [first.as_ptr() as usize - WINDOW, heap.as_ptr() as usize] {
        for at in (base..base + WINDOW - step * len).step_by(step) {
            let found = pointer_like(&first[0], at);
            if unsafe { found.read_volatile() } == first[0] && !known.contains(&at) {
                for (i, out) in room.iter_mut().take(len).enumerate() {
                    *out = unsafe { found.add(i).read_volatile() };
                }
                return room.len();
            }
        }
    }
    room.len()
}
