//! CRC-32 (IEEE 802.3, as zlib's): a pool that was damaged on disk must not be measured with.
//!
//! It finds accidents. Whoever can write an epoch's directory can also write a fitting sum.

/// Remainders of a byte followed by 0 to 7 zero bytes: eight bytes a step.
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 };
            bit += 1;
        }
        tables[0][i] = c;
        i += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut i = 0;
        while i < 256 {
            let c = tables[k - 1][i];
            tables[k][i] = tables[0][(c & 0xff) as usize] ^ (c >> 8);
            i += 1;
        }
        k += 1;
    }
    tables
}

/// The checksum of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut chunks = bytes.chunks_exact(8);
    let mut c = !0u32;
    for chunk in &mut chunks {
        let low = c ^ u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        let byte = |word: u32, i: u32| (word >> (8 * i) & 0xff) as usize;
        c = TABLES[7][byte(low, 0)]
            ^ TABLES[6][byte(low, 1)]
            ^ TABLES[5][byte(low, 2)]
            ^ TABLES[4][byte(low, 3)]
            ^ TABLES[3][chunk[4] as usize]
            ^ TABLES[2][chunk[5] as usize]
            ^ TABLES[1][chunk[6] as usize]
            ^ TABLES[0][chunk[7] as usize];
    }
    for &byte in chunks.remainder() {
        c = TABLES[0][((c ^ u32::from(byte)) & 0xff) as usize] ^ (c >> 8);
    }
    !c
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn it_is_the_crc_of_zlib() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let long: Vec<u8> = (0..1003u32).map(|i| (i * 7 % 251) as u8).collect();
        let slow = long.iter().fold(!0u32, |c, &b| {
            (0..8).fold(
                c ^ u32::from(b),
                |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 },
            )
        });
        assert_eq!(crc32(&long), !slow);
    }
}
