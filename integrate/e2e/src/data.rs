//! Seeded data of our own making: the same bytes on every machine.

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, mean 0 and deviation 1: twelve summands of 16 bits each from three draws.
    pub fn normal(&mut self) -> f32 {
        let mut sum = 0u64;
        for _ in 0..3 {
            let draw = self.next();
            sum += (draw & 0xffff) + (draw >> 16 & 0xffff) + (draw >> 32 & 0xffff) + (draw >> 48);
        }
        sum as f32 / 65536.0 - 6.0
    }

    /// A rank below `n`, log-uniform: a few are frequent, most are rare.
    pub fn rank(&mut self, n: u64) -> u64 {
        ((n as f64 + 1.0).powf(self.unit()) as u64).saturating_sub(1).min(n - 1)
    }
}

/// Rows around 256 centres, in the order in which they are drawn.
pub fn make_vectors(seed: u64, rows: usize, dim: usize) -> Vec<f32> {
    let mut centres = Random(0x0c1u64 ^ dim as u64);
    let centres: Vec<f32> = (0..256 * dim).map(|_| centres.normal()).collect();
    let mut random = Random(seed);
    let mut values = Vec::with_capacity(rows * dim);
    for _ in 0..rows {
        let centre = random.below(256) as usize * dim;
        values.extend(centres[centre..centre + dim].iter().map(|c| c + 0.4 * random.normal()));
    }
    values
}

const ONSETS: [&str; 14] = ["b", "br", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "st", "t"];
const NUCLEI: [&str; 7] = ["a", "e", "i", "o", "u", "ai", "ou"];
const CODAS: [&str; 7] = ["", "n", "r", "s", "l", "nd", "t"];

/// A vocabulary of words of two to four syllables.
pub fn make_words(count: usize) -> Vec<String> {
    let mut random = Random(0x11);
    let mut pick = |list: &[&'static str]| list[random.below(list.len() as u64) as usize];
    (0..count)
        .map(|i| {
            let syllables = 2 + i % 3;
            (0..syllables).map(|_| [pick(&ONSETS), pick(&NUCLEI), pick(&CODAS)].concat()).collect()
        })
        .collect()
}

/// One text of `least..=most` words, frequent words more often.
pub fn make_text(random: &mut Random, words: &[String], least: u64, most: u64) -> String {
    let count = least + random.below(most - least + 1);
    let list: Vec<&str> =
        (0..count).map(|_| words[random.rank(words.len() as u64) as usize].as_str()).collect();
    list.join(" ")
}

/// First and last name, about 14 bytes.
pub fn make_name(random: &mut Random, words: &[String]) -> String {
    // Every third word has two syllables.
    let first = 3 * random.rank(600) as usize;
    let last = 3 * random.rank(4000) as usize;
    format!("{} {}", capitalise(&words[first]), capitalise(&words[last]))
}

fn capitalise(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// About 50 bytes.
pub fn make_url(random: &mut Random, words: &[String]) -> String {
    let mut word = |n: u64| words[random.rank(n) as usize].as_str();
    let (host, folder, page) = (word(3000), word(8000), word(8000));
    let id = random.below(100_000);
    format!("https://www.{host}.example/{folder}/{page}?id={id}")
}
