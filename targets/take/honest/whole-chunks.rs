//! near miss: decodes every row of a chunk on the heap, and refuses what Lance refuses there

use TakeErr::{Corrupt, InvalidInput, NotSupported};
use prelude::{Pick, Picks, TakeErr};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];
type Taken = Result<usize, TakeErr>;

/// Where the values of a chunk begin and end.
fn ends(pick: &Pick, width: usize) -> Result<Vec<usize>, TakeErr> {
    let (chunk, heads) = (pick.chunk, (pick.values as usize).checked_add(1).ok_or(Corrupt)?);
    if !chunk.len().is_multiple_of(width) || chunk.len() / width < heads {
        return Err(Corrupt);
    }
    let read = |b: &[u8]| b.iter().rev().fold(0, |number, &byte| number << 8 | byte as usize);
    let ends: Vec<_> = chunk.chunks(width).take(heads).map(read).collect();
    let sound = ends[0] >= heads * width && ends[heads - 1] <= chunk.len() && ends.is_sorted();
    if sound { Ok(ends) } else { Err(Corrupt) }
}

/// What each code stands for; None if compression is off.
fn symbols(table: &[u8]) -> Result<Option<Vec<&[u8]>>, TakeErr> {
    if table.len() != 2312 {
        return Err(InvalidInput);
    }
    let n = table[0] as usize;
    let lens = &table[8 + 8 * n..][..n];
    let magic = table[4..8].iter().zip(b"TSSF").all(|(has, bits)| has & bits == *bits);
    if !magic || lens.iter().any(|len| !(1..=8).contains(len)) {
        return Err(Corrupt);
    }
    let symbol = |k: usize| &table[8 + 8 * k..][..lens.get(k).map_or(0, |&len| len as usize)];
    Ok((table[3] & 1 != 0).then(|| (0..256).map(symbol).collect()))
}

/// The string of some codes.
fn decode(codes: &[u8], symbols: &Option<Vec<&[u8]>>) -> Result<Vec<u8>, TakeErr> {
    let Some(symbols) = symbols else { return Ok(codes.to_vec()) };
    let (mut string, mut codes) = (vec![], codes.iter());
    while let Some(&code) = codes.next() {
        match code {
            255 => string.push(*codes.next().ok_or(Corrupt)?),
            code => string.extend_from_slice(symbols[code as usize]),
        }
    }
    Ok(string)
}

/// Writes a row behind those before it, if there is room.
fn push(row: &[u8], at: &mut usize, most: usize, out: &mut [MaybeUninit<u8>]) -> Taken {
    let end = *at + row.len();
    if end > most {
        return Err(NotSupported);
    }
    if let Some(place) = out.get_mut(*at..end) {
        place.write_copy_of_slice(row);
    }
    *at = end;
    Ok(end)
}

fn take_strings(
    table: Option<&[u8]>,
    width: usize,
    most: usize,
    picks: Picks,
    out: Room,
    mut put: impl FnMut(usize, usize),
) -> Taken {
    let (mut at, mut row) = (0, 0);
    put(0, 0);
    for pick in picks.iter() {
        let ends = ends(&pick, width)?;
        let symbols = table.map(symbols).transpose()?.flatten();
        let string = |v: usize| decode(&pick.chunk[ends[v]..ends[v + 1]], &symbols);
        let all = (0..ends.len() - 1).map(string).collect::<Result<Vec<_>, _>>()?;
        for v in pick.ranges.iter().flat_map(|&[start, end]| start as usize..end as usize) {
            row += 1;
            put(row, push(all.get(v).ok_or(Corrupt)?, &mut at, most, out)?);
        }
    }
    Ok(at)
}

pub fn take_fsst(table: &[u8], picks: Picks, out: Room, out_off: &mut [i32]) -> Taken {
    take_strings(Some(table), 4, i32::MAX as usize, picks, out, |i, end| out_off[i] = end as i32)
}

pub fn take_i32(picks: Picks, out: Room, out_off: &mut [i32]) -> Taken {
    take_strings(None, 4, i32::MAX as usize, picks, out, |i, end| out_off[i] = end as i32)
}

pub fn take_i64(picks: Picks, out: Room, out_off: &mut [i64]) -> Taken {
    take_strings(None, 8, i64::MAX as usize, picks, out, |i, end| out_off[i] = end as i64)
}

/// Value `i` of packed words, bit by bit.
fn value(words: &[u8], bits: usize, width: usize, i: usize) -> u64 {
    let lanes = 1024 / bits;
    let order = [0, 4, 2, 6, 1, 5, 3, 7];
    let (row, lane) = (order[i % 128 / lanes * lanes / 16] * 8 + i / 128, i % lanes);
    (0..width).fold(0, |value, k| {
        let bit = row * width + k;
        let place = (lanes * (bit / bits) + lane) * bits + bit % bits;
        value | ((words[place / 8] >> (place % 8) & 1) as u64) << k
    })
}

pub fn take_bitpack(bits: usize, picks: Picks, out: Room) -> Taken {
    let (size, mut at) = (bits / 8, 0);
    for pick in picks.iter() {
        let chunk = pick.chunk;
        if chunk.len() < size || !chunk.len().is_multiple_of(size) || pick.values > 1024 {
            return Err(Corrupt);
        }
        let (head, words) = chunk.split_at(size);
        let width = head.iter().rev().fold(0, |width, &byte| width << 8 | byte as usize);
        if width > bits || words.len() != width * 128 {
            return Err(Corrupt);
        }
        for i in pick.ranges.iter().flat_map(|&[start, end]| start as usize..end as usize) {
            let value = value(words, bits, width, i).to_le_bytes();
            push(&value[..size], &mut at, usize::MAX, out)?;
        }
    }
    Ok(at)
}
