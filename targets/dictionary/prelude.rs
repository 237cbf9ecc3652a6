//! What the contract and Lance's dictionary decoder share: kinds of failure, keys, arrow's traits.
//!
//! The other stand-ins (buffer, error, block) belong to lance-encoding itself, as the sliced items
//! do, and stand with them in adapter.rs.
use std::fmt::Debug;

/// Kinds of failure that are compared; the number is the call's status. Messages are not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DictErr {
    /// Offsets that fall, are negative or lie beyond the data; a key that has no item.
    Corrupt = 1,
    /// The output would not fit its offset type.
    NotSupported = 2,
    /// A key width that Lance does not know.
    Internal = 3,
}

/// A row's keys, as wide as the page has them.
#[derive(Clone, Copy, Debug)]
pub enum Keys<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}
impl Keys<'_> {
    /// Number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(keys) => keys.len(),
            Self::U16(keys) => keys.len(),
            Self::U32(keys) => keys.len(),
            Self::U64(keys) => keys.len(),
        }
    }
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes of room behind the last one that a row needs: whole vectors may be stored.
pub const SLACK: usize = 128;

pub trait ArrowNativeType: Copy + Debug + Ord + Send + Sync + 'static {
    fn from_usize(v: usize) -> Option<Self>;
    fn usize_as(v: usize) -> Self;
    fn as_usize(self) -> usize;
    fn to_usize(self) -> Option<usize>;
}
pub trait OffsetSizeTrait: ArrowNativeType {
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
impl OffsetSizeTrait for i32 {}
impl OffsetSizeTrait for i64 {}
