//! What the contract, the maker and Lance share: rows to take, kinds of failure, arrow's traits, and
//! lance-bitpacking, which Lance calls as a crate of its own.
//!
//! The other stand-ins (buffer, error, block) belong to lance-encoding itself, as the sliced items
//! do, and stand with them in adapter.rs.
use std::fmt::{Debug, Display};
use std::ops::{AddAssign, Sub};

/// Kinds of failure that are compared; the number is the call's status. Messages are not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeErr {
    /// Corrupt table, offsets, escape or chunk.
    Corrupt = 1,
    /// A symbol table of the wrong size.
    InvalidInput = 2,
    /// The output would not fit its offset type.
    NotSupported = 3,
}
impl From<std::io::Error> for TakeErr {
    fn from(e: std::io::Error) -> Self {
        let corrupt = e.kind() == std::io::ErrorKind::InvalidData;
        if corrupt { Self::Corrupt } else { Self::InvalidInput }
    }
}

/// Rows to take from one chunk.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// The chunk's value buffer, as the page stores it.
    pub chunk: &'a [u8],
    /// Values of the chunk.
    pub values: u64,
    /// Ranges of its values, `[start, end)`, one or more, each inside the chunk. Lance's scheduler
    /// sorts them, but any order is allowed, and so are repetitions.
    pub ranges: &'a [[u32; 2]],
}

/// The chunks of a page from which rows are taken, one after the other: one or more.
#[derive(Clone, Copy, Debug)]
pub struct Picks<'a> {
    /// Memory that holds the chunks.
    pub page: &'a [u8],
    /// Of each chunk: first byte, length in bytes, values, number of ranges.
    pub chunks: &'a [[u64; 4]],
    /// The ranges of all chunks.
    pub ranges: &'a [[u32; 2]],
}
impl<'a> Picks<'a> {
    /// The chunks and the rows to take from each.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Pick<'a>> + use<'a> {
        let (page, mut ranges) = (self.page, self.ranges);
        self.chunks.iter().map(move |&[first, len, values, count]| {
            let (here, rest) = ranges.split_at(count as usize);
            ranges = rest;
            Pick { chunk: &page[first as usize..][..len as usize], values, ranges: here }
        })
    }
}

/// Bytes of room behind the last one that the rows need: whole vectors may be stored.
pub const SLACK: usize = 64;

pub trait ArrowNativeType: Copy + Debug + Ord + Send + Sync + 'static {
    fn from_usize(v: usize) -> Option<Self>;
    fn usize_as(v: usize) -> Self;
    fn as_usize(self) -> usize;
    fn to_usize(self) -> Option<usize>;
}
pub trait OffsetSizeTrait: ArrowNativeType + AddAssign + Display + Sub<Output = Self> {
    const MAX_OFFSET: usize;
    fn zero() -> Self {
        Self::usize_as(0)
    }
    fn get_byte_width() -> usize {
        size_of::<Self>()
    }
}
macro_rules! native {
    ($($t:ty)*) => {$(impl ArrowNativeType for $t {
        #[inline] fn from_usize(v: usize) -> Option<Self> { v.try_into().ok() }
        #[inline] fn usize_as(v: usize) -> Self { v as $t }
        #[inline] fn as_usize(self) -> usize { self as usize }
        #[inline] fn to_usize(self) -> Option<usize> { self.try_into().ok() }
    })*};
}
native!(u8 u16 u32 u64 i32 i64);
impl OffsetSizeTrait for i32 {
    const MAX_OFFSET: usize = i32::MAX as usize;
}
impl OffsetSizeTrait for i64 {
    const MAX_OFFSET: usize = i64::MAX as usize;
}

pub use bitpacking::BitPackingUninit;

/// lance-bitpacking: the unpacking of 1,024 values, 120 functions of a width each.
pub mod bitpacking {
    use std::mem::MaybeUninit;

    /// The packing half of the crate is not part of the surface.
    pub trait BitPacking: FastLanes {}
    impl BitPacking for u8 {}
    impl BitPacking for u16 {}
    impl BitPacking for u32 {}
    impl BitPacking for u64 {}

    /// The crate `paste`, of which no paste is asked here.
    mod paste {
        macro_rules! paste {
            ($($t:tt)*) => { $($t)* };
        }
        pub(crate) use paste;
    }

    /// The crate `seq-macro`: the body once for each number, which is a constant in it.
    mod seq_macro {
        macro_rules! seq {
            ($i:ident in 0..8 $b:tt) => { $crate::bitpacking::each!($i $b 0 1 2 3 4 5 6 7) };
            ($i:ident in 0..16 $b:tt) => {
                $crate::bitpacking::each!($i $b 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
            };
            ($i:ident in 0..32 $b:tt) => {
                $crate::bitpacking::each!($i $b 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
                    16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
            };
            ($i:ident in 0..64 $b:tt) => {
                $crate::bitpacking::each!($i $b 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
                    16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
                    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
                    48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
            };
        }
        pub(crate) use seq;
    }
    macro_rules! each {
        ($i:ident $body:tt $($n:literal)*) => {{ $({
            #[allow(non_upper_case_globals)]
            const $i: usize = $n;
            $body
        })* }};
    }
    pub(crate) use each;

    macro_rules! array_ref {
        ($a:expr, 0, $n:expr) => {
            <&[_; $n]>::try_from(&$a[..$n]).unwrap()
        };
    }
    macro_rules! array_mut_ref {
        ($a:expr, 0, $n:expr) => {
            <&mut [_; $n]>::try_from(&mut $a[..$n]).unwrap()
        };
    }

    extract!("lance-bitpacking/lib.rs");
}
