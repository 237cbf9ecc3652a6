//! Answers of queries, in the form in which the controller compares them.

/// One query's answer.
pub enum Answer {
    /// Rows with the bits of their score, in the order of the answer.
    Rows(Vec<(u64, u32)>),
    /// Digest and number of values.
    Values(Hasher),
}

impl Answer {
    /// `rows 17:3f800000,4:3f900000` or `values 0123456789abcdef0123456789abcdef 50000`.
    pub fn describe(&self) -> String {
        match self {
            Self::Rows(rows) => {
                let rows: Vec<_> =
                    rows.iter().map(|(id, bits)| format!("{id}:{bits:08x}")).collect();
                format!("rows {}", rows.join(","))
            }
            Self::Values(hash) => format!("values {} {}", hash.finish(), hash.count),
        }
    }
}

/// Two independent multiplicative digests of 64 bits over values with their lengths. It keeps
/// accidents apart, not attacks: a kernel shares its process (SECURITY.md).
#[derive(Clone, Copy)]
pub struct Hasher {
    state: [u64; 2],
    /// Values taken in.
    pub count: u64,
}

const PRIMES: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

impl Default for Hasher {
    fn default() -> Self {
        Self { state: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344], count: 0 }
    }
}

impl Hasher {
    /// Takes in one value.
    pub fn add(&mut self, value: &[u8]) {
        self.count += 1;
        self.mix(value.len() as u64);
        let (words, rest) = value.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }

    fn mix(&mut self, word: u64) {
        for (state, prime) in self.state.iter_mut().zip(PRIMES) {
            *state = (*state ^ word).wrapping_mul(prime).rotate_left(29);
        }
    }

    fn finish(&self) -> String {
        let [a, b] = self.state.map(|s| (s ^ (s >> 31)).wrapping_mul(PRIMES[0]));
        format!("{a:016x}{b:016x}")
    }
}
