//! Stands in for the two traits of the num-traits crate that sliced items of Lance name, for f32.

use core::ops::{Add, Mul, Sub};

/// A number with a zero; Lance needs no more of it here.
pub trait Num: Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Sized {
    /// The additive identity.
    fn zero() -> Self;
}

impl Num for f32 {
    #[inline]
    fn zero() -> Self {
        0.0
    }
}

/// `as` between primitive types.
pub trait AsPrimitive<T: 'static + Copy>: 'static + Copy {
    /// `self as T`.
    fn as_(self) -> T;
}

impl AsPrimitive<f32> for f32 {
    #[inline]
    fn as_(self) -> f32 {
        self
    }
}
