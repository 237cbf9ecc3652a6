"""Rows from mini-block chunks: strings in FSST codes, strings as they are, bit-packed integers.

One call takes some rows of each of 64 chunks of a page, as Lance decodes a page for a random take
or after a search. Chunks have the sizes that Lance's writer gives them (4 KiB, a power of two of
values). Tables and codes come from Lance's own encoder (maker.rs). Every expected output, failures
included, is upstream's; contract.rs says which one difference from it is allowed.
"""

import numpy as np

from lance_autoresearch.fixtures.drawn_text import (
    DRAWN_CORPORA,
    DRAWN_STREAMS,
    cut_text,
    substitute,
)
from lance_autoresearch.fixtures.textgen import CORPORA, draw_prose
from lance_autoresearch.targets.space import Range, Space
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Op, Out, Target

from .fixtures import (
    PACKED,
    SLACK,
    Column,
    break_escapes,
    count_room,
    draw_any_rows,
    draw_clusters,
    draw_sorted,
    encode,
    join_chunks,
    join_rows,
    keep_within,
    make_hand,
    mutate_packed,
    mutate_strings,
    pack_chunks,
    patch_chunk,
    repair,
)

WIDTHS = {"take_fsst": 4, "take_i32": 4, "take_i64": 8}
OFF, COD, SIZ, VAL, ALL = "off", "code", "size", "values", slice(None)
# Places of the hand-made chunk that are broken, each list one chunk (fixtures.py): 9 values that
# end at 0, 3, 3, 10, 17, 18, 40, 61, 61 of 61 codes, and 3 bytes of padding.
BROKEN = {
    "offsets": [[(OFF, 4, 11), (OFF, 5, 9)], [(OFF, 1, -1)], [(OFF, 0, -1)], [(OFF, 9, 65)],
                [(OFF, 9, 2**30)], [(OFF, 9, 2**31)], [(OFF, 9, 66)], [(OFF, ALL, 61)],
                [(OFF, ALL, 64)], [(OFF, ALL, 0)], [(OFF, 9, 60)], [(OFF, 9, 0)],
                [(OFF, 0, 3), (OFF, 1, 3)], [(OFF, 8, 64), (OFF, 9, 64)], [(OFF, 5, 2**31)],
                [(SIZ, ..., 4)], [(SIZ, ..., 3)], [(SIZ, ..., 1)], [(SIZ, ..., 8)],
                [(SIZ, ..., 80)], [(SIZ, ..., 200)], [(VAL, ..., 10)], [(VAL, ..., 8)],
                [(VAL, ..., 2**32)], [(VAL, ..., 2**62)]],
    "escapes": [[(COD, 60, 255)], [(COD, 59, 255)], [(COD, np.s_[59:61], 255)], [(COD, 9, 255)],
                [(COD, 2, 255)], [(COD, 39, 255)], [(COD, 8, 255)], [(COD, np.s_[10:17], 255)],
                [(COD, np.s_[18:40], 255)], [(COD, np.s_[19:40], 255)], [(COD, 17, 255)],
                [(COD, 20, 200)], [(COD, 20, 5)], [(COD, np.s_[40:61:2], 255)],
                [(COD, 60, 255), (COD, 17, 255)], [(COD, np.s_[40:61], 255)],
                [(COD, 60, 255), (OFF, 9, 65)]],
}  # fmt: skip
ASKED = [[0], [8], [7], [5], [2, 6], [6, 2, 2], [0, 3, 8], list(range(9)), [3, 4, 5]]
"""Rows of the hand-made chunk that are asked for: each combination of these and of `BROKEN`."""
TABLES = [[(5, 0)], [(slice(4, 8), 255)], [(50, 0)], [(50, 9)], [(52, 255)], [(53, 9)], [(0, 0)],
          [(0, 3)], [(0, 255)], [(3, 0)], [(3, 0), (50, 9)], [(None, 2311)],
          [(None, 0)]]  # fmt: skip
SOUND = [(1, 1, 1, "names"), (3, 333, 40, "accents"), (2, 512, 9, "sparse"),
         (5, 50, 50, "lognormal"), (4, 300, 8, "noise"), (1, 70_001, 70_001, "few"),
         (1, 70_001, 900, "few-clustered")]  # fmt: skip
BITS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64}
MIB = 1 << 20
# More than offsets of 32 bits can say: one row of 1 MiB from each chunk, 2,048 of them just too
# many; the second number is a chunk that Lance refuses, before, at and behind that row.
OVERFLOW = [(2048, None), (2100, None), (2100, 2046), (2100, 2047), (2100, 2048)]
TIMED = [  # op, values of a chunk, rows of it, at confirmation, distribution, calls
    ("take_fsst", 256, 1, 247, 1, "names", 8), ("take_fsst", 256, 8, 247, 8, "names", 8),
    ("take_fsst", 256, 64, 247, 61, "names-clustered", 8),
    ("take_fsst", 256, 256, 247, 247, "names", 4), ("take_fsst", 64, 64, 61, 61, "prose", 16),
    ("take_i32", 128, 1, 121, 1, "names", 16), ("take_i32", 64, 8, 61, 8, "urls-clustered", 16),
    ("take_i32", 32, 32, 31, 31, "prose", 32), ("take_i64", 128, 8, 121, 8, "names", 16),
    ("take_bitpack", 1024, 1, 1001, 1, "u32-12", 4),
    ("take_bitpack", 1024, 64, 1001, 61, "u32-12", 4),
    ("take_bitpack", 1024, 1024, 1001, 1001, "u32-12", 4),
]  # fmt: skip


def call(op, page, column=None, room=None):
    rest = (page.chunks, page.ranges)
    if op == "take_fsst":
        room = 8 * count_room(page, 4) + SLACK if room is None else room
        args = (column.table, page.data, *rest, repair(page))
        return Call(args, (room, 4 * (page.rows + 1)))
    width = WIDTHS[op]
    room = count_room(page, width) + SLACK if room is None else room
    return Call((page.data, *rest), (room, width * (page.rows + 1)))


def call_packed(bits, page):
    head = np.array([bits], np.uint64)
    return Call((head, page.data, page.chunks, page.ranges), (page.rows * bits // 8 + SLACK,))


def inputs(op, shape, dist, rng, calls, make):
    """`calls` pages of one column, each broken where the distribution says so."""
    drawn, kind = dist.startswith(DRAWN), dist.removeprefix(DRAWN)
    if dist in BROKEN:
        yield from hand_calls(op, BROKEN[dist], rng)
    elif dist == "tables":
        yield from table_calls(op, rng)
    elif dist == "overflow":
        yield from (overflow(op, rng, *each) for each in OVERFLOW)
    elif op == "take_bitpack":
        yield from packed_calls(shape, kind, drawn, rng, calls)
    else:
        yield from string_calls(op, shape, kind, drawn, rng, calls, make)


def hand_calls(op, broken, rng):
    """The hand-made chunk, broken, between two that are sound."""
    width = WIDTHS[op]
    for patches in broken:
        for rows in ASKED:
            column = make_hand(rng)
            sound = column.cut_chunk(0, 9, width)
            chunks = [sound, patch_chunk(sound, width, patches), sound]
            if (rows := [row for row in rows if row < chunks[1].values]) == []:
                rows = [0]
            wanted = join_rows(np.array(rows, np.int64))
            yield call(op, join_chunks(rng, chunks, [wanted] * 3), column)


def table_calls(op, rng):
    """A sound chunk, or one that is refused, under tables that Lance refuses or switches off."""
    for patches in TABLES:
        for more in ([], [(OFF, 4, 99)], [(COD, 60, 255)]):
            column = make_hand(rng)
            table = column.table.copy()
            for place, value in patches:
                if place is None:
                    table = table[:value]
                else:
                    table[place] = value
            chunk = patch_chunk(column.cut_chunk(0, 9, 4), 4, more)
            wanted = join_rows(np.array([1, 3, 7], np.int64))
            page = join_chunks(rng, [chunk, chunk], [wanted, wanted])
            yield call(op, page, column._replace(table=table))


def overflow(op, rng, count, bad):
    """One row of 1 MiB from each chunk; nothing of them need be kept."""
    column = Column.plain_bytes(rng.integers(0, 256, MIB, np.uint8), [0, MIB])
    sound = column.cut_chunk(0, 1, WIDTHS[op])
    wanted = join_rows(np.array([0], np.int64))
    page = join_chunks(rng, [sound, patch_chunk(sound, 4, [(OFF, 1, -1)])], [wanted] * 2)
    chunks = np.repeat(page.chunks[:1], count, 0)
    if bad is not None:
        chunks[bad] = page.chunks[1]
    page = page._replace(chunks=chunks, ranges=np.repeat(wanted, count, 0))
    return call(op, page, room=SLACK)


def string_calls(op, shape, kind, drawn, rng, calls, make):
    """Rows of a column of strings; alphabets, vocabularies and lengths may be drawn."""
    corpus, *changes = kind.split("-")
    chunks, values, width = shape["chunks"], shape["values"], WIDTHS[op]
    column = make_column(op, shape, corpus, drawn, rng, calls, make)
    for first in range(0, chunks * values * calls, chunks * values):
        starts = range(first, first + chunks * values, values)
        parts = [column.cut_chunk(i, i + values, width) for i in starts]
        wanted = []
        for i in starts:
            rows = draw_rows(rng, values, shape, changes, "length" in shape)
            wanted.append(join_rows(keep_within(rows, np.diff(column.off[i : i + values + 1]))))
        if "mutated" in changes:
            at = int(rng.integers(0, chunks))
            parts[at] = mutate_strings(rng, parts[at], width)
        page = join_chunks(rng, parts, wanted)
        if "unasked" in changes or "asked" in changes:
            page = break_escapes(rng, page, asked="asked" in changes)
        yield call(op, page, column)


def make_column(op, shape, corpus, drawn, rng, calls, make):
    """The strings of all pages."""
    n, lead = shape["chunks"] * shape["values"] * calls, None
    if "length" in shape:
        text = cut_text(rng, DRAWN_STREAMS[corpus], n, shape["length"])
    elif drawn:
        text = substitute(rng, DRAWN_CORPORA[corpus](rng, n))
    else:
        text = CORPORA[corpus](rng, n)
    if op != "take_fsst":
        return Column.plain(text)
    if corpus == "noise":  # nearly every byte an escape
        lead = cut_text(rng, DRAWN_STREAMS["words"], 256, 64) if drawn else draw_prose(rng, 256)
    return encode(text, make, lead)


def draw_rows(rng, values, shape, changes, any_order):
    if any_order:
        return draw_any_rows(rng, values, shape["rows"])
    draw = draw_clusters if "clustered" in changes else draw_sorted
    return draw(rng, values, shape["rows"])


def packed_calls(shape, kind, drawn, rng, calls):
    """Rows of a column of integers; each chunk is as wide as its widest value."""
    name, *changes = kind.split("-")
    bits, chunks, values = BITS[name], shape["chunks"], shape["values"]
    widths = [int(change) for change in changes if change.isdigit()]
    width = min(bits, shape["width"] if "width" in shape else widths[0])
    for _ in range(calls):
        numbers = draw_numbers(rng, (chunks, PACKED), width)
        numbers[:, 0] = (1 << width) - 1
        numbers[:, values:] = 0
        parts = pack_chunks(numbers, bits, width, values)
        if "width" in shape or drawn:  # a tenth of the chunks is of another width
            for at in np.flatnonzero(rng.random(chunks) < 0.1).tolist():
                other = int(np.clip(width + rng.integers(-1, 2), 0, bits))
                numbers = draw_numbers(rng, (1, PACKED), other)
                parts[at] = pack_chunks(numbers, bits, other, values)[0]
        if "mutated" in changes:
            at = int(rng.integers(0, chunks))
            parts[at] = mutate_packed(rng, parts[at], bits)
        wanted = [
            join_rows(draw_rows(rng, values, shape, changes, "width" in shape)) for _ in parts
        ]
        yield call_packed(bits, join_chunks(rng, parts, wanted))


def draw_numbers(rng, size, width):
    if not width:
        return np.zeros(size, np.uint64)
    return rng.integers(0, (1 << width) - 1, size, np.uint64, endpoint=True)


def space(op, bound):
    """Chunks of any number of values of drawn lengths; any rows of them, in any order."""
    streams = [*DRAWN_STREAMS]
    broken = ["mixed-mutated", "words-mutated"]
    if op == "take_fsst":
        broken += ["mixed-unasked", "words-unasked", "noise-asked"]
    # FSST: twice as many codes as bytes, a repaired copy, and 8 bytes of room a code.
    factor, off = (20, 16) if op == "take_fsst" else (2, 2 * WIDTHS[op])
    return Space(
        op,
        {"chunks": Range(1, 600), "values": Range(1, 1 << 17), "rows": Range(1, 1 << 17),
         "length": Range(0, 1 << 17)},
        tuple(DRAWN + family for family in (*streams, *broken)),
        max_bytes=8 << 20,
        bound=bound,
        call_bytes=lambda shape: 4096 + SLACK + shape["chunks"]
        * (128 + shape["values"] * (off + factor * shape["length"])
           + 20 * min(shape["rows"], 2 * shape["values"])),
    )  # fmt: skip


def packed_space():
    """Chunks of up to 1,024 values of any width."""
    families = [f"{name}{more}" for name in BITS for more in ("", "-mutated")]
    return Space(
        "take_bitpack",
        {"chunks": Range(1, 300), "values": Range(1, PACKED), "rows": Range(1, PACKED),
         "width": Range(0, 64)},
        tuple(DRAWN + family for family in families),
        max_bytes=8 << 20,
        bound="a chunk of Lance's has at most 1,024 values of at most 64 bits",
        call_bytes=lambda shape: 256 + SLACK + shape["chunks"]
        * (128 + 128 * min(64, shape["width"] + 1) + 32 * shape["rows"]),
    )  # fmt: skip


def list_checks():
    """All kinds of strings and widths, few and many rows, and what Lance refuses."""
    for op in WIDTHS:
        for chunks, values, rows, dist in SOUND:
            yield Combo(op, {"chunks": chunks, "values": values, "rows": rows}, dist, 2)
        for dist, patches in BROKEN.items():
            if op == "take_fsst" or dist != "escapes":
                yield Combo(op, {"chunks": 3, "values": 9, "rows": 9}, dist, len(patches))
    for dist in ("names-unasked", "urls-unasked", "names-asked", "noise-unasked"):
        yield Combo("take_fsst", {"chunks": 6, "values": 100, "rows": 9}, dist, 8)
    yield Combo("take_fsst", {"chunks": 2, "values": 9, "rows": 3}, "tables", 1)
    yield Combo("take_i32", {"chunks": 2100, "values": 1, "rows": 1}, "overflow", 1)
    for name, bits in BITS.items():
        for width in (0, 1, 3, bits // 2, bits - 1, bits):
            shape = {"chunks": 5, "values": 1024, "rows": 70}
            yield Combo("take_bitpack", shape, f"{name}-{width}", 2)
        yield Combo("take_bitpack", {"chunks": 70, "values": 1000, "rows": 990}, f"{name}-5", 1)
        yield Combo("take_bitpack", {"chunks": 2, "values": 7, "rows": 3}, f"{name}-6-mutated", 12)


MEMORY = (
    "; here a call is at most 8 MiB, since memory ends there, and larger offsets are broken ones"
)
TARGET = Target(
    name="take",
    summary="rows from mini-block chunks: FSST strings, plain strings, bit-packed integers",
    call_site="lance-encoding/src/encodings/logical/primitive/miniblock_decode.rs:575",
    cost="3.4-4.0 us for a row from an FSST column, 0.15 us from a bit-packed one: nearly all CPU "
         "of decoding it",
    ops=(
        # A chunk of a file begins at 8 bytes, and so does memory that Lance reads it into.
        Op("take_fsst", (Out("u8"), Out("i32")), arg_align=(1, 8, 8, 8, 8)),
        Op("take_i32", (Out("u8"), Out("i32")), arg_align=(8, 8, 8)),
        Op("take_i64", (Out("u8"), Out("i64")), arg_align=(8, 8, 8)),
        Op("take_bitpack", (Out("u8", align_min=8),), arg_align=(8, 8, 8, 8)),
    ),
    timed=tuple(
        Combo(op, {"chunks": 64, "values": n, "rows": k}, dist, calls,
              {"chunks": 61, "values": m, "rows": j}, window_kib=1024)
        for op, n, k, m, j, dist, calls in TIMED
    ),
    checks=tuple(list_checks()),
    inputs=inputs,
    spaces=(
        space("take_fsst", "offsets have 32 bits in Lance" + MEMORY),
        space("take_i32", "offsets have 32 bits in Lance" + MEMORY),
        space("take_i64", "offsets have 64 bits in Lance" + MEMORY),
        packed_space(),
    ),
)  # fmt: skip
