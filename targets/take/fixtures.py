"""Mini-block chunks of a page, and rows to take from them, sound or broken on purpose.

    column = encode(CORPORA["names"](rng, 4096), make)      # FSST codes; `Column.plain` for bytes
    chunk = column.cut_chunk(512, 768, 4)                   # 256 values, offsets of 4 bytes
    ranges = draw_ranges(rng, 256, 8, "sorted")             # u32[m, 2], 8 rows of 256
    page = join_chunks(rng, [chunk], [ranges])              # what the contract takes apart

    chunks = pack_chunks(rng.integers(0, 4096, (64, 1024)), 32, 12)    # bit-packed, 12 of 32 bits
    repair(page)        # the page without bad escapes in rows that nobody asked for

`make` runs the maker program; maker.rs describes request and answer. No value of a corpus may
contain NUL: Lance's trainer breaks ties between symbols that differ only in trailing NULs by the
order of a hash set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lance_autoresearch.fixtures.drawn import draw_log_integer
from lance_autoresearch.fixtures.textgen import Text
from lance_autoresearch.targets.spec import Maker

TABLE = 2312
"""Bytes of a symbol table: header, 256 symbols of 8, 256 lengths (fsst.rs, 46)."""
ESCAPE = 255
PAD = 72
"""What Lance fills a mini-block chunk with, up to a multiple of 8 bytes (binary.rs)."""
SLACK = 64
"""Room behind the last byte of a call (prelude.rs)."""
PACKED = 1024
"""Values of a bit-packed chunk."""
ORDER = (0, 4, 2, 6, 1, 5, 3, 7)
"""FastLanes' order of groups of eight rows (lance-bitpacking's lib.rs, 23)."""
SYMBOLS = (b"a", b"bc", b"def", b"ghijklmn", b"opqr ")
WIDE = (8, 15, 16, 24, 31)
"""Bits whose change a kernel with narrower offsets would not notice."""
HAND = (0, 0, 3, 3, 10, 17, 18, 40, 61, 61)
"""Offsets of the hand-made chunk: empty values at its front, inside it and at its end."""

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Ranges = NDArray[np.uint32]


class Chunk(NamedTuple):
    """The value buffer of a mini-block chunk."""

    data: Bytes
    values: int
    """As the page says."""


class Page(NamedTuple):
    """Chunks in one piece of memory, and the rows to take: what a call holds."""

    data: Bytes
    chunks: NDArray[np.uint64]
    """u64[n, 4]: first byte, length, values, number of ranges."""
    ranges: Ranges
    """u32[m, 2]: of all chunks."""

    @property
    def rows(self) -> int:
        """Rows that are asked for."""
        return int((self.ranges[:, 1].astype(np.int64) - self.ranges[:, 0]).sum())

    def list_picks(self) -> Iterable[tuple[Chunk, Ranges]]:
        """The chunks and the ranges of each."""
        at = 0
        for first, size, values, count in self.chunks.astype(np.int64).tolist():
            yield Chunk(self.data[first : first + size], values), self.ranges[at : at + count]
            at += count


class Column(NamedTuple):
    """Strings: bytes as they are, or FSST codes and their symbol table."""

    table: Bytes
    """u8[2312], or empty."""
    codes: Bytes
    off: Ints
    """Value `i` is `codes[off[i]:off[i + 1]]`."""

    @classmethod
    def plain(cls, text: Text) -> Column:
        """Bytes as they are."""
        return cls(np.zeros(0, np.uint8), text.data, text.offsets.astype(np.int64))

    @classmethod
    def plain_bytes(cls, data: Bytes, ends: Sequence[int]) -> Column:
        """Values of these bytes."""
        return cls(np.zeros(0, np.uint8), data, np.array(ends, np.int64))

    def cut_chunk(self, first: int, last: int, width: int, base: int | None = None) -> Chunk:
        """Values `first` to `last` (exclusive) as Lance stores them: offsets from the chunk's own
        start in `width` bytes, codes, padding.

        Args:
            base: where the codes are said to begin; default where they do.
        """
        ends = self.off[first : last + 1]
        kind, size = f"u{width}", width * len(ends)
        head = (ends - ends[0] + (size if base is None else base)).astype(kind).view(np.uint8)
        codes = self.codes[ends[0] : ends[-1]]
        pad = np.full(-(size + len(codes)) % 8, PAD, np.uint8)
        return Chunk(np.concatenate([head, codes, pad]), last - first)


def encode(text: Text, make: Maker | None, lead: Text | None = None) -> Column:
    """The column coded by Lance's encoder, whose table is trained on its first 16 KiB.

    Args:
        text: the values.
        make: runs the maker program.
        lead: values to train on instead; they are not part of the column.
    """
    assert make is not None
    data, ends, n = text.data, text.offsets, len(text.offsets)
    if lead is not None:
        data = np.append(lead.data, data)
        ends = np.append(lead.offsets[:-1], ends + lead.offsets[-1])
    size = np.array([len(ends) - 1], np.uint64)
    answer = make(size.tobytes() + ends.astype(np.uint32).tobytes() + data.tobytes())
    raw, start = np.frombuffer(answer, np.uint8), TABLE + 8 + 4 * len(ends)
    off = raw[TABLE + 8 : start].view(np.int32)[-n:].astype(np.int64)
    return Column(raw[:TABLE], raw[start:], off)


def make_hand(rng: np.random.Generator) -> Column:
    """9 values of random codes over 5 symbols: small enough to know each index of."""
    table = np.zeros(TABLE, np.uint8)
    # Symbol count, terminator, suffix limit, compression on; then the magic, low byte first.
    table[:8] = (len(SYMBOLS), 0, 0, 1, *b"TSSF")
    symbols = b"".join(s.ljust(8, b"\0") for s in SYMBOLS) + bytes(map(len, SYMBOLS))
    table[8 : 8 + len(symbols)] = np.frombuffer(symbols, np.uint8)
    codes = rng.integers(0, len(SYMBOLS), HAND[-1]).astype(np.uint8)
    return Column(table, codes, np.array(HAND, np.int64))


def pack_chunks(values: NDArray[np.uint64], bits: int, width: int, count: int) -> list[Chunk]:
    """Bit-packed chunks as Lance writes them: the width as a word of its own, then the values.

    Args:
        values: u64[n, 1024], each below 2^width.
        bits: of an unpacked value: 8, 16, 32, 64.
        width: bits of a packed value.
        count: values that the page says a chunk has.
    """
    kind, lanes, n = np.dtype(f"u{bits // 8}"), PACKED // bits, len(values)
    words = np.zeros((n, lanes * (width + 1)), kind)
    source = values.astype(kind)
    for row in range(bits if width else 0):
        first = ORDER[row // 8] * 16 + row % 8 * 128
        part, (word, shift) = source[:, first : first + lanes], divmod(row * width, bits)
        words[:, lanes * word : lanes * (word + 1)] |= part << kind.type(shift)
        if shift + width > bits:
            words[:, lanes * (word + 1) : lanes * (word + 2)] |= part >> kind.type(bits - shift)
    head = np.full((n, 1), width, kind)
    packed = np.hstack([head, words[:, : lanes * width]])
    return [Chunk(np.ascontiguousarray(each).view(np.uint8), count) for each in packed]


def join_rows(rows: Ints) -> Ranges:
    """Ranges of these rows in their order; neighbours that follow each other share one."""
    if not rows.size:
        return np.zeros((1, 2), np.uint32)
    starts = np.append(0, np.flatnonzero(np.diff(rows) != 1) + 1)
    ends = np.append(starts[1:], rows.size) - 1
    return np.stack([rows[starts], rows[ends] + 1], 1).astype(np.uint32)


def draw_sorted(rng: np.random.Generator, values: int, rows: int) -> Ints:
    """Different rows, ascending."""
    return np.sort(rng.choice(values, min(rows, values), replace=False)).astype(np.int64)


def draw_clusters(rng: np.random.Generator, values: int, rows: int, run: int = 8) -> Ints:
    """Runs of neighbours, ascending, about `rows` in all."""
    run = min(run, rows, values)
    starts = rng.choice(max(1, values // run), max(1, min(rows, values) // run), replace=False)
    return (np.sort(starts)[:, None] * run + np.arange(run)).reshape(-1).astype(np.int64)


def draw_any_rows(rng: np.random.Generator, values: int, rows: int) -> Ints:
    """Rows in a drawn order: ascending, in runs, the ends of the chunk, any order, some twice."""
    rows = min(rows, values)
    kind = rng.integers(0, 6)
    if kind == 0:
        return draw_clusters(rng, values, rows, draw_log_integer(rng, 1, 64))
    if kind == 1:
        return np.arange(values - rows, values)
    if kind == 2:
        return np.arange(rows)
    picked = draw_sorted(rng, values, rows)
    if kind == 3:
        return rng.permutation(picked)
    if kind == 4:
        return np.append(picked, rng.permutation(picked)[: 1 + rows // 2])
    return picked


def keep_within(rows: Ints, lengths: Ints) -> Ints:
    """As many of the rows as have no more bytes together than all values of the chunk have."""
    sums = np.cumsum(lengths[rows])
    return rows[: max(1, int(np.searchsorted(sums, lengths.sum(), "right")))]


def join_chunks(
    rng: np.random.Generator, chunks: Sequence[Chunk], ranges: Sequence[Ranges]
) -> Page:
    """Chunks behind each other at multiples of 8 bytes, each behind 8 bytes of a header."""
    pieces: list[Bytes] = []
    rows, at = [], 0
    for chunk, wanted in zip(chunks, ranges, strict=True):
        pieces += [rng.integers(0, 256, 8, np.uint8), chunk.data]
        rows.append((at + 8, len(chunk.data), chunk.values, len(wanted)))
        gap = -len(chunk.data) % 8
        pieces.append(np.zeros(gap, np.uint8))
        at += 8 + len(chunk.data) + gap
    return Page(np.concatenate(pieces), np.array(rows, np.uint64), np.concatenate(ranges))


def read_ends(chunk: Chunk, width: int) -> Ints | None:
    """Where the values of a chunk of strings begin and end in it, or None if Lance refuses it."""
    data, n = chunk.data, chunk.values + 1
    if len(data) % width or len(data) < width * n:
        return None
    ends = data[: width * n].view(f"u{width}")
    if ends[0] < width * n or ends[-1] > len(data) or (ends[1:] < ends[:-1]).any():
        return None
    return ends.astype(np.int64)


def mark_rows(values: int, ranges: Ranges) -> NDArray[np.bool_]:
    """Which values are asked for."""
    marks = np.zeros(values, bool)
    for start, end in ranges.tolist():
        marks[start:end] = True
    return marks


def find_bad_escapes(data: Bytes, ends: Ints) -> Ints:
    """Values that end with an escape whose byte is missing: an odd number of 255 at their end."""
    last = np.flatnonzero((ends[1:] > ends[:-1]) & (data[np.maximum(ends[1:], 1) - 1] == ESCAPE))
    bad = []
    for value in last.tolist():
        codes = data[ends[value] : ends[value + 1]]
        other = np.flatnonzero(codes != ESCAPE)
        run = len(codes) - (int(other[-1]) + 1 if other.size else 0)
        if run % 2:
            bad.append(value)
    return np.array(bad, np.int64)


def repair(page: Page) -> Bytes:
    """The memory of a page of FSST codes in which no row that nobody asked for ends with a bad
    escape: its last code is 0. Empty if there is none. Rows that are asked for stay as they are.
    """
    data, found = page.data, False
    asked: dict[int, NDArray[np.bool_]] = {}  # A chunk may be picked twice.
    picks = list(zip(page.chunks[:, 0].tolist(), page.list_picks(), strict=True))
    for first, (chunk, ranges) in picks:
        marks = mark_rows(chunk.values, ranges) if chunk.values < len(data) else None
        if marks is not None:
            asked[first] = marks | asked.get(first, np.zeros_like(marks))
    for first, (chunk, _) in picks:
        ends = read_ends(chunk, 4)
        if ends is None:
            continue
        for value in find_bad_escapes(chunk.data, ends).tolist():
            if not asked[first][value]:
                data = data if found else data.copy()
                data[first + ends[value + 1] - 1] = 0
                found = True
    return data if found else np.zeros(0, np.uint8)


def count_room(page: Page, width: int) -> int:
    """Bytes or codes of the rows that come before a chunk which Lance refuses."""
    total = 0
    for chunk, ranges in page.list_picks():
        ends = read_ends(chunk, width)
        if ends is None:
            break
        total += int((ends[ranges[:, 1]] - ends[ranges[:, 0]]).sum())
    return total


def break_escapes(rng: np.random.Generator, page: Page, *, asked: bool) -> Page:
    """A copy in which one to three values end with a bad escape: of those that are asked for, or of
    the others. The same page if there is no such value."""
    data = page.data.copy()
    places = []
    for first, (chunk, ranges) in zip(page.chunks[:, 0].tolist(), page.list_picks(), strict=True):
        ends = read_ends(chunk, 4)
        if ends is None:
            continue
        marks = mark_rows(chunk.values, ranges)
        for value in np.flatnonzero((ends[1:] > ends[:-1]) & (marks == asked)).tolist():
            places.append((first + int(ends[value]), first + int(ends[value + 1])))
    for at in rng.permutation(len(places))[: rng.integers(1, 4)].tolist():
        begin, end = places[at]
        data[end - 1] = ESCAPE
        if end - begin > 1:
            data[end - 2] = 0
    return page._replace(data=data)


def mutate_strings(rng: np.random.Generator, chunk: Chunk, width: int) -> Chunk:
    """A copy with one to three random places changed, or another length or number of values."""
    data, values = chunk.data.copy(), chunk.values
    for kind in rng.integers(0, 6, rng.integers(1, 4)).tolist():
        heads = data[: len(data) // width * width].view(f"u{width}")
        if kind == 0 and len(data) > width * (values + 1):
            data[rng.integers(width * (values + 1), len(data))] = rng.choice([ESCAPE, 0, 7, 254])
        elif kind <= 2 and heads.size:
            at = int(rng.integers(0, min(values + 1, heads.size)))
            near = int(heads[at]) + int(rng.integers(-2, 3))
            heads[at] = max(0, near) if rng.random() < 0.6 else rng.integers(0, len(data) + 9)
        elif kind == 3 and heads.size:
            at = int(rng.integers(0, min(values + 1, heads.size)))
            bit = int(rng.choice([*WIDE, 32, 63] if width == 8 else WIDE))
            heads[at] ^= heads.dtype.type(1 << bit)
        elif kind == 4:
            data = data[: max(0, len(data) - int(rng.integers(1, 10)))].copy()
        else:
            values = max(1, values + int(rng.integers(0, 3)))
    return Chunk(data, values)


def mutate_packed(rng: np.random.Generator, chunk: Chunk, bits: int) -> Chunk:
    """A copy with another width in its head, another length, or another number of values."""
    data, values = chunk.data.copy(), chunk.values
    kind, head = rng.integers(0, 5), data.view(f"u{bits // 8}")
    if kind == 4 and bits > 8:  # a width that its low byte alone does not show
        head[0] |= head.dtype.type(1 << int(rng.integers(8, bits)))
    elif kind == 0:
        head[0] = rng.integers(0, min(255, bits + 9))
    elif kind == 1:
        data = data[: max(0, len(data) - int(rng.integers(1, 10)))]
    elif kind == 2:
        data = np.append(data, np.zeros(int(rng.integers(1, 2 * bits // 8 + 1)), np.uint8))
    else:
        values = int(rng.choice([PACKED + 1, 1 << 16, 1 << 32, values]))
    return Chunk(data, values)


def patch_chunk(chunk: Chunk, width: int, patches: Iterable[tuple[str, Any, Any]]) -> Chunk:
    """A copy with places changed: ("off", index, value) counted from where the codes begin,
    ("code", index, value), ("size", ..., bytes less), ("values", ..., number)."""
    data, values, head = chunk.data.copy(), chunk.values, width * (chunk.values + 1)
    for name, index, value in patches:
        if name == "off":
            data[:head].view(f"u{width}")[index] = np.array(head + value).astype(f"u{width}")
        elif name == "code":
            data[head:][index] = value
        elif name == "size":
            data = data[: max(0, len(data) - value)]
        else:
            values = value
    return Chunk(data, values)
