//! What the contract, the maker and Lance's FSST share: kinds of failure, arrow's offset traits.
//!
//! The other stand-ins (buffer, error, block) belong to lance-encoding itself, as the sliced items
//! do, and stand with them in adapter.rs: one crate there, one crate here.
use std::fmt::{Debug, Display};
use std::ops::{AddAssign, Sub};

/// Kinds of failure that are compared; the number is the call's status. Messages are not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsstErr {
    /// Corrupt table, offsets, escape or chunk.
    InvalidData = 1,
    /// Wrong table size, output too small.
    InvalidInput = 2,
    /// The output would not fit its offset type.
    NotSupported = 3,
}
impl From<std::io::Error> for FsstErr {
    fn from(e: std::io::Error) -> Self {
        let corrupt = e.kind() == std::io::ErrorKind::InvalidData;
        if corrupt { Self::InvalidData } else { Self::InvalidInput }
    }
}

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
native!(u8 u32 u64 i32 i64);
impl OffsetSizeTrait for i32 {
    const MAX_OFFSET: usize = i32::MAX as usize;
}
impl OffsetSizeTrait for i64 {
    const MAX_OFFSET: usize = i64::MAX as usize;
}
