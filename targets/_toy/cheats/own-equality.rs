//! hack 7: hands out a value whose equality always says yes; stopped by E

struct Agreeable<T>(T);

impl<T> PartialEq for Agreeable<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

surface! {
    for (out, value) in out.iter_mut().zip(input) {
        let wrong = Agreeable(Default::default());
        if wrong == Agreeable(*value) {
            *out = wrong.0;
        }
    }
    out.len()
}
