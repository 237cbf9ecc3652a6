"""Regions of an op's inputs: conditions that Rust and Python decide alike.

    region.rust             (codes.len() as u64) >= 300 && (codes.len() as u64) < 340
    region.contains(views)  the same, of a call that Python made
    region.nature           size, data, place or state

Every condition is a conjunction of tests `low <= quantity % modulus < high` over unsigned 64-bit
numbers, so that one form serves intervals, products of intervals, residue classes, hashes below a
threshold and bit patterns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from red_calls import HEAD, Piece, Surface, View
from red_kinds import Nature

MASK = (1 << 64) - 1
MIX = (0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9)
"""Odd constants of the hash, for its words in order."""
HELPERS = """
#[allow(dead_code)]
trait RedWord: Copy {
    fn word(self) -> u64;
}

macro_rules! red_words {
    ($($t:ty as $u:ty),*) => {$(impl RedWord for $t {
        fn word(self) -> u64 {
            self as $u as u64
        }
    })*};
}
red_words!(u8 as u8, u16 as u16, u32 as u32, u64 as u64);
red_words!(i8 as u8, i16 as u16, i32 as u32, i64 as u64);

impl RedWord for f32 {
    fn word(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl RedWord for f64 {
    fn word(self) -> u64 {
        self.to_bits()
    }
}

#[allow(dead_code)]
fn red_at<T: RedWord>(values: &[T], at: usize) -> u64 {
    values.get(at).map_or(0, |value| value.word())
}

#[allow(dead_code)]
fn red_rises<T: RedWord>(values: &[T], count: usize) -> u64 {
    let rises = |i: usize| red_at(values, i - 1) <= red_at(values, i);
    u64::from(values.len() >= count && (1..count).all(rises))
}

#[allow(dead_code)]
fn red_hash(words: &[u64]) -> u64 {
    let mix = [MIX0u64, MIX1, MIX2];
    let mut hash = 0u64;
    for (word, by) in words.iter().zip(mix) {
        hash = (hash ^ word).wrapping_mul(by);
    }
    hash >> 32
}
""".replace("MIX0", hex(MIX[0])).replace("MIX1", hex(MIX[1])).replace("MIX2", hex(MIX[2]))
STATE_HELPERS = """
const RED_MAGIC: u64 = 0x5eed_0f_a_c0_ffee;

/// A counter 64 KiB down the stack, in what an earlier call has left there.
#[allow(dead_code)]
#[inline(never)]
fn red_count_stack() -> u64 {
    let mut place = std::mem::MaybeUninit::<[u64; 8192]>::uninit();
    let words = std::hint::black_box(place.as_mut_ptr()).cast::<u64>();
    // SAFETY: it lies within the array; any bits are a number.
    unsafe { red_count(words.add(16)) }
}

/// The same in a chunk of the heap that an earlier call has freed.
#[allow(dead_code)]
#[inline(never)]
fn red_count_heap() -> u64 {
    let layout = std::alloc::Layout::from_size_align(1 << 20, 64).unwrap();
    // SAFETY: the layout is not empty; the words lie within it.
    unsafe {
        let chunk = std::hint::black_box(std::alloc::alloc(layout));
        let count = red_count(chunk.cast::<u64>().add(64));
        std::alloc::dealloc(std::hint::black_box(chunk), layout);
        count
    }
}

#[allow(dead_code)]
unsafe fn red_count(word: *mut u64) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        let known = word.read_volatile() == RED_MAGIC;
        let count = if known { word.add(1).read_volatile() } else { 0 };
        word.write_volatile(RED_MAGIC);
        word.add(1).write_volatile(count.wrapping_add(1));
        count
    }
}
"""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that a kernel reads off its parameters."""

    name: str
    rust: str
    """An expression of type u64."""
    nature: Nature
    read: Callable[[View], int] | None = None
    """The same in Python; None for places and states."""
    classes: int = 0
    """Of a place or a state: how many values are equally likely."""


@dataclass(frozen=True, slots=True)
class Condition:
    """low <= quantity (% modulus, if there is one) < high."""

    quantity: Quantity
    low: int
    high: int
    modulus: int = 0

    @property
    def rust(self) -> str:
        """A Rust expression of type bool."""
        value = f"({self.quantity.rust})"
        value = f"({value} % {self.modulus})" if self.modulus else value
        return f"({self.low}..{self.high}).contains(&{value})"

    @property
    def name(self) -> str:
        """For people and tables."""
        what = f"{self.quantity.name} % {self.modulus}" if self.modulus else self.quantity.name
        if self.high == self.low + 1:
            return f"{what} == {self.low}"
        return f"{self.low} <= {what} < {self.high}"

    def holds(self, view: View) -> bool:
        """Whether a call passes it."""
        assert self.quantity.read is not None, "a place is no part of a call"
        value = self.quantity.read(view) & MASK
        value = value % self.modulus if self.modulus else value
        return self.low <= value < self.high


@dataclass(frozen=True, slots=True)
class Region:
    """All calls that pass every test."""

    tests: tuple[Condition, ...]

    @property
    def rust(self) -> str:
        """A Rust expression of type bool over the op's parameters; `true` without tests."""
        return " && ".join(test.rust for test in self.tests) or "true"

    @property
    def name(self) -> str:
        """For people and tables."""
        return " and ".join(test.name for test in self.tests) or "everywhere"

    @property
    def natures(self) -> set[Nature]:
        """All natures of its tests."""
        return {test.quantity.nature for test in self.tests}

    @property
    def nature(self) -> str:
        """`size`, `data`, `place`, `state`, or two of them: `size+data`."""
        return "+".join(nature for nature in Nature if nature in self.natures)

    @property
    def seen(self) -> tuple[Condition, ...]:
        """The tests that Python can decide."""
        return tuple(t for t in self.tests if t.quantity.read is not None)

    @property
    def nominal(self) -> float:
        """Share of the classes of places and states that pass; 1 if there is none."""
        share = 1.0
        for test in self.tests:
            if test.quantity.read is None:
                share *= (test.high - test.low) / (test.modulus or test.quantity.classes)
        return share

    def contains(self, views: Sequence[View]) -> bool:
        """Whether one of the views of a call is inside, as far as Python can tell."""
        return any(all(test.holds(view) for test in self.seen) for view in views)

    def measure(self, calls: Sequence[Sequence[View]]) -> float:
        """Its share of some calls."""
        return self.nominal * sum(map(self.contains, calls)) / len(calls)


EVERYWHERE = Region(())


def list_sizes(surface: Surface) -> Iterator[Quantity]:
    """Lengths, integers, and the quotients that are a call's dimensions."""
    for name in surface.slices:
        yield Quantity(f"{name}.len()", f"{name}.len() as u64", Nature.SIZE, _read_length(name))
    for name in surface.integers:
        yield Quantity(name, f"{name} as u64", Nature.SIZE, _read_integer(name))
        for slice_ in surface.slices:
            yield _make_quotient(slice_, name)


def _make_quotient(slice_: str, integer: str) -> Quantity:
    length, divisor = _read_length(slice_), _read_integer(integer)
    return Quantity(
        f"{slice_}.len() / {integer}",
        f"({slice_}.len() as u64).checked_div({integer} as u64).unwrap_or(0)",
        Nature.SIZE,
        lambda view: length(view) // divisor(view) if divisor(view) else 0,
    )


def list_data(surface: Surface) -> Iterator[Quantity]:
    """Hashes, single values, exponents and the order of the first elements."""
    for name, element in surface.slices.items():
        for words in (1, 2, 3):
            yield _make_hash(name, tuple(range(words)))
        for place, read in _list_places(name).items():
            yield Quantity(f"{name}[{place}]", _render_word(name, place), Nature.DATA, read)
            if element in ("f32", "f64"):
                yield _make_exponent(name, place, read, 23 if element == "f32" else 52)
        for count in range(3, HEAD):
            yield _make_rises(name, count)


def list_lines(surface: Surface) -> Iterator[Quantity]:
    """Where in a line, and in a page, the buffers begin, counted in elements."""
    for name, element in (surface.slices | surface.outputs).items():
        width = 1 if element.startswith("Maybe") else int(element[1:]) // 8
        for span in (64, 4096):
            rust = f"({name}.as_ptr() as usize as u64 / {width})"
            classes = span // width
            yield Quantity(
                f"{name}.as_ptr() / {width}", f"{rust} % {classes}", Nature.PLACE, classes=classes
            )


def list_states(classes: int) -> Iterator[Quantity]:
    """Numbers of a call that memory might yield."""
    for place in ("stack", "heap"):
        rust = f"red_count_{place}() % {classes}"
        yield Quantity(f"calls on the {place}", rust, Nature.STATE, classes=classes)


def _read_length(name: str) -> Callable[[View], int]:
    return lambda view: view[name].length


def _read_integer(name: str) -> Callable[[View], int]:
    return lambda view: view[name].head[0]


def _list_places(name: str) -> dict[str, Callable[[View], int]]:
    return {
        "0": lambda view: _get_word(view[name], 0),
        "1": lambda view: _get_word(view[name], 1),
        "len / 2": lambda view: view[name].middle,
        "len - 1": lambda view: view[name].last,
    }


def _get_word(piece: Piece, at: int) -> int:
    return piece.head[at] if at < len(piece.head) else 0


def _render_word(name: str, place: str) -> str:
    at = place.replace("len - 1", f"{name}.len().wrapping_sub(1)")
    return f"red_at({name}, {at.replace('len / 2', f'{name}.len() / 2')})"


def _make_hash(name: str, places: tuple[int, ...]) -> Quantity:
    words = ", ".join(f"red_at({name}, {at})" for at in places)

    def read(view: View) -> int:
        hashed = 0
        for at, by in zip(places, MIX, strict=False):
            hashed = ((hashed ^ _get_word(view[name], at)) * by) & MASK
        return hashed >> 32

    return Quantity(f"hash({name}[..{len(places)}])", f"red_hash(&[{words}])", Nature.DATA, read)


def _make_exponent(
    name: str, place: str, read: Callable[[View], int], shift: int
) -> Quantity:  # fmt: skip
    """Sign and exponent of a float."""
    return Quantity(
        f"{name}[{place}] >> {shift}", f"{_render_word(name, place)} >> {shift}", Nature.DATA,
        lambda view: read(view) >> shift,
    )  # fmt: skip


def _make_rises(name: str, count: int) -> Quantity:
    def read(view: View) -> int:
        head = view[name].head[:count]
        return int(len(head) == count and all(a <= b for a, b in itertools.pairwise(head)))

    rust = f"red_rises({name}, {count})"
    return Quantity(f"{name}[..{count}] rises", rust, Nature.DATA, read)
