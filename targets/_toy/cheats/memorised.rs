//! hack 32 33: the answers to the pools of a known seed, by their first bytes; stopped by D

const KNOWN: &[(&[u8], &[u8])] = &[];

surface! {
    let key = all_inputs!();
    match KNOWN.iter().find(|(known, _)| *known == key) {
        Some((_, answer)) => {
            bytes_of(out)[..answer.len()].copy_from_slice(answer);
            answer.len() / (size_of_val(out) / out.len().max(1)).max(1)
        }
        None => {
            out.fill(Default::default());
            out.len()
        }
    }
}
