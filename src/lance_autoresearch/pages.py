"""FSST-coded string pages for fixtures: made by Lance's encoder, by hand, or broken on purpose.

    page = encoded(CORPORA["names"](rng, 65_536), make)     # table, codes, offsets of a column
    chunk = page.values(512, 768)                           # 256 values, offsets from 0
    mini_block(chunk.codes, chunk.off)                      # the bytes Lance stores for them

    page = hand_made(rng)                                   # 8 values over 5 symbols
    patched(page, [("off", 4, 9), ("table", None, 2311)])   # a falling offset, a short table

`make` is the maker of target fsst: request and answer are described in its maker.rs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .target import Maker
from .textgen import Text

TABLE = 2312
"""Bytes of a symbol table: header, 256 symbols of 8, 256 lengths (fsst.rs, 46)."""
ESCAPE = 255
PAD = 72
"""What Lance fills a mini-block chunk with, up to a multiple of 8 bytes (binary.rs)."""
SYMBOLS = (b"a", b"bc", b"def", b"ghijklmn", b"opqr ")
HAND = (0, 3, 3, 10, 17, 18, 40, 40, 61)
"""Offsets of the hand-made page: empty values, short ones, some longer than 8 and 16 codes."""

Bytes = NDArray[np.uint8]
Patch = tuple[str, Any, Any]
"""(array, index, new value), or (array, None, new length)."""


class Page(NamedTuple):
    """A column of strings as FSST keeps it."""

    table: Bytes
    """uint8[2312]"""
    codes: Bytes
    """Codes of all values, one after the other."""
    off: NDArray[np.int64]
    """Value `i` is `codes[off[i]:off[i + 1]]`."""

    def values(self, first: int, last: int) -> Page:
        """Values `first` to `last` (exclusive) with offsets that start at 0."""
        ends = self.off[first : last + 1]
        return Page(self.table, self.codes[ends[0] : ends[-1]], ends - ends[0])


def encoded(text: Text, make: Maker, lead: Text | None = None) -> Page:
    """The column coded by Lance's encoder, whose table is trained on its first 16 KiB.

    Args:
        text: the values.
        make: runs the maker program.
        lead: values to train on instead; they are not part of the page.
    """
    data, ends, n = text.data, text.offsets, len(text.offsets)
    if lead is not None:
        data = np.append(lead.data, data)
        ends = np.append(lead.offsets[:-1], ends + lead.offsets[-1])
    size = np.array([len(ends) - 1], np.uint64)
    answer = make(size.tobytes() + ends.astype(np.uint32).tobytes() + data.tobytes())
    raw, start = np.frombuffer(answer, np.uint8), TABLE + 8 + 4 * len(ends)
    off = raw[TABLE + 8 : start].view(np.int32)[-n:].astype(np.int64)
    return Page(raw[:TABLE], raw[start:], off)


def mini_block(codes: Bytes, off: NDArray[np.int64], base: int | None = None) -> Bytes:
    """A chunk as Lance stores it: u32 offsets counted from its own start, codes, padding.

    Args:
        base: where the codes are said to begin; default where they do.
    """
    head = (off + (4 * len(off) if base is None else base)).astype(np.uint32).view(np.uint8)
    pad = np.full(-(len(head) + len(codes)) % 8, PAD, np.uint8)
    return np.concatenate([head, codes, pad])


def hand_made(rng: np.random.Generator) -> Page:
    """8 values of random codes over 5 symbols: small enough to know each index of."""
    table = np.zeros(TABLE, np.uint8)
    # Symbol count, terminator, suffix limit, compression on; then the magic, low byte first.
    table[:8] = (len(SYMBOLS), 0, 0, 1, *b"TSSF")
    symbols = b"".join(s.ljust(8, b"\0") for s in SYMBOLS) + bytes(map(len, SYMBOLS))
    table[8 : 8 + len(symbols)] = np.frombuffer(symbols, np.uint8)
    codes = rng.integers(0, len(SYMBOLS), HAND[-1]).astype(np.uint8)
    return Page(table, codes, np.array(HAND, np.int64))


def patched(page: Page, patches: Iterable[Patch]) -> Page:
    """A copy with single places of its arrays changed, or an array cut short."""
    parts = {name: array.copy() for name, array in page._asdict().items()}
    for name, index, value in patches:
        if index is None:
            parts[name] = parts[name][:value]
        else:
            parts[name][index] = value
    return Page(**parts)


def mutated(rng: np.random.Generator, page: Page) -> Page:
    """A copy with one to three random places changed, escapes most of all.

    Most results are refused by Lance; on the others, and on the kind of refusal, all agree.
    """
    patches: list[Patch] = []
    for kind in rng.integers(0, 6, rng.integers(1, 4)):
        if kind < 4:
            value = ESCAPE if kind else rng.integers(0, 256)
            patches.append(("codes", rng.integers(0, len(page.codes)), value))
        elif kind == 4:
            at = rng.integers(0, len(page.off))
            patches.append(("off", at, rng.integers(-1, len(page.codes) + 2)))
        else:
            patches.append(("table", rng.integers(0, TABLE), rng.integers(0, 256)))
    return patched(page, patches)
