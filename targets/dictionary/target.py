"""Dictionary-encoded columns: the rows of a batch from keys and items.

One call is one batch of rows against the dictionary of its page, as Lance's reader decodes a
column whose type is not a dictionary. The batches of a pool share their dictionary and have keys
of their own, because a decoder that has seen 8,192 rows before is up to 1.6x faster on them.
Every expected output, failures included, is upstream's.
"""

import numpy as np

from lance_autoresearch.targets.space import Range, Space
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Op, Out, Target

from .fixtures import (
    LENGTHS,
    SLACK,
    Batch,
    count_bytes,
    draw_any_keys,
    draw_any_lengths,
    draw_bits,
    draw_uniform_keys,
    draw_zipf_keys,
    hand_made,
    join_items,
    mutated,
    patched,
    widened,
)

OPS = {"decode_i32": np.int32, "decode_i64": np.int64, "decode_fixed": None}
KEY, OFF, DAT, CNT, ALL = "keys", "off", "data", "count", slice(None)
# Places of the hand-made batch that are changed, each list one call (fixtures.py): 8 items, the
# offsets 0 0 3 10 11 11 43 83 83, and 16 rows.
BROKEN = {
    "keys": [[(KEY, 0, 8)], [(KEY, 15, 8)], [(KEY, 7, 2**32 - 1)], [(KEY, 7, 2**31)],
             [(KEY, ALL, 7)], [(KEY, ALL, 0)], [(KEY, None, 1)], [(KEY, None, 0)],
             [(KEY, None, 0), (OFF, 4, 90)], [(KEY, None, 0), (CNT, ..., 0)],
             [(KEY, None, 0), (OFF, None, 0)], [(KEY, ALL, 5)], [(KEY, 3, 8), (OFF, 8, 84)]],
    "key-widths": [[("bits", ..., bits), *more] for bits in (8, 16, 32, 64)
                   for more in ([], [(KEY, 9, 8)], [(KEY, 15, 2**bits - 1)],
                                [(KEY, 0, 2 ** (bits - 1))], [(KEY, None, 0)])],
    "offsets": [[(OFF, 4, 9)], [(OFF, 3, -1)], [(OFF, 0, -1)], [(OFF, 8, 84)], [(OFF, 8, 2**30)],
                [(OFF, 8, 2**31 - 1)], [(OFF, np.s_[7:], 2**31 - 1)], [(OFF, np.s_[:2], 2)],
                [(OFF, ALL, 83)], [(OFF, ALL, 0)], [(OFF, ALL, 84)], [(OFF, np.s_[:3], 7)],
                [(OFF, None, 8)], [(OFF, None, 1)], [(OFF, None, 0)], [(OFF, 1, 83)],
                [(OFF, np.s_[7:], 50)], [(OFF, 8, 82)], [(DAT, None, 82)], [(DAT, None, 0)],
                [(DAT, None, 0), (OFF, ALL, 0)], [(OFF, 8, -1)]],
    "unused-items": [[(KEY, ALL, key), *more] for key in (0, 2, 7)
                     for more in ([], [(OFF, 4, 9)], [(OFF, 5, 44)], [(OFF, np.s_[4:6], 90)])]
                  + [[(KEY, ALL, 2), patch] for patch in ((OFF, 8, 84), (OFF, 0, -1), (OFF, 8, 82),
                     (DAT, None, 82), (OFF, None, 8), (CNT, ..., 9), (OFF, 8, 2**31 - 1))],
    "counts": [[(CNT, ..., 7), (KEY, ALL, 6)], [(CNT, ..., 7)], [(CNT, ..., 9)],
               [(CNT, ..., 1), (KEY, ALL, 0)], [(CNT, ..., 7), (KEY, ALL, 6), (OFF, 8, 0)],
               [(CNT, ..., 2**32)], [(CNT, ..., 2**63)], [(CNT, ..., 2**64 - 1)],
               [(CNT, ..., 4), (KEY, ALL, 3), (OFF, np.s_[5:], -5)]],
}  # fmt: skip
# More than offsets of 32 bits can say: rows of 1 MiB, 2,048 of them just too many; (row, key) are
# rows that cannot be decoded before, at and behind that row.
MIB = 1 << 20
OVERFLOW = [(2048, None), (2100, None), (2100, 2046), (2100, 2047), (2100, 2048), (4200, None)]
TIMED = [  # op, rows, at confirmation, items, distribution, calls
    ("decode_i32", 8192, 7950, 20, "equal", 32), ("decode_i32", 8192, 7950, 100, "short", 32),
    ("decode_i32", 8192, 7950, 1000, "words", 16), ("decode_i32", 8192, 7950, 300, "empty", 32),
    ("decode_i32", 8192, 7950, 200, "long", 8), ("decode_i32", 8192, 7950, 50_000, "many", 8),
    ("decode_i32", 8192, 7950, 250, "words-8", 16), ("decode_i32", 64, 61, 1000, "words", 1024),
    ("decode_i64", 8192, 7950, 1000, "words", 16), ("decode_i64", 8192, 7950, 200, "long-64", 8),
    ("decode_fixed", 8192, 7950, 1000, "eight", 16),
    ("decode_fixed", 8192, 7950, 1000, "sixteen", 16),
]  # fmt: skip
FIXED = {"eight": 8, "sixteen": 16}
SOUND = [(1, 1, "short"), (2, 1, "empty"), (7, 3, "long"), (33, 9, "words"), (255, 250, "short-8"),
         (333, 300, "empty-16"), (70_001, 70_001, "short"), (70_001, 17, "empty-64"),
         (1000, 500, "long-16"), (20, 5, "huge")]  # fmt: skip


def call(op, batch, width=0, room=None):
    keys = batch.keys.astype(f"u{batch.bits // 8}")
    head = (np.array([batch.bits], np.uint64), keys, np.array([batch.count], np.uint64))
    if op == "decode_fixed":
        room = len(keys) * width + SLACK if room is None else room
        return Call((*head, np.array([width], np.uint64), batch.data), (room,))
    off = batch.off.astype(OPS[op])
    if room is None:
        room = count_bytes(batch._replace(off=off.astype(np.int64)), 128) + SLACK
    return Call((*head, off, batch.data), (room, off.itemsize * (len(keys) + 1)))


def inputs(op, shape, dist, rng, calls, make):
    """`calls` batches of one column, each broken where the distribution says so."""
    del make
    if dist.startswith(DRAWN):
        yield from drawn_calls(op, shape, dist.removeprefix(DRAWN), rng, calls)
    elif dist in BROKEN:
        yield from (call(op, patched(hand_made(rng), p), 7) for p in BROKEN[dist])
    elif dist == "overflow":
        yield from (overflow(op, rng, *each) for each in OVERFLOW)
    else:
        name, _, bits = dist.partition("-")
        if op == "decode_fixed":
            items = fixed_items(rng, shape["items"], name)
        else:
            items = join_items(rng, LENGTHS[name].draw(rng, shape["items"]))
        for _ in range(calls):
            keys = find_keys(name)(rng, shape["items"], shape["rows"])
            batch = Batch(keys, int(bits or 32), shape["items"], *items)
            yield call(op, batch, FIXED.get(name, 0))


def find_keys(name):
    """Keys of a timed distribution: even ones of codes and of long dictionaries, else skewed."""
    return draw_uniform_keys if name in ("equal", "many") else draw_zipf_keys


def fixed_items(rng, count, name):
    """Random numbers of one width."""
    data = rng.integers(0, 256, count * FIXED[name], np.uint8)
    return np.arange(count + 1, dtype=np.int64) * FIXED[name], data


def overflow(op, rng, rows, bad):
    """Rows of one item of 1 MiB; nothing of them need be kept."""
    keys = np.zeros(rows, np.uint64)
    if bad is not None:
        keys[bad] = 1
    batch = Batch(keys, 32, 1, np.array([0, MIB], np.int64), rng.integers(0, 256, MIB, np.uint8))
    return call(op, batch, room=SLACK)


def drawn_calls(op, shape, dist, rng, calls):
    """Items of drawn lengths, keys of drawn width, skew and order; changed as the name says."""
    kind, *changes = dist.split("-")
    count, rows = shape["items"], shape["rows"]
    width = FIXED.get(kind) or shape.get("length", 0)
    if op == "decode_fixed":
        lengths = np.full(count, width, np.int64)
    elif "length" in shape:
        lengths = draw_any_lengths(rng, count, shape["length"])
    else:
        lengths = LENGTHS[kind].vary(rng).draw(rng, count)
    items = join_items(rng, lengths)
    for _ in range(calls):
        timed = [int(change) for change in changes if change.isdigit()]
        bits = timed[0] if timed else draw_bits(rng, count)
        draw = draw_any_keys if "length" in shape else find_keys(kind)
        batch = Batch(draw(rng, count, rows), bits, count, *items)
        if "moved" in changes:  # items begin behind the start of their data
            front = int(rng.integers(1, 99))
            data = np.concatenate(
                [rng.integers(0, 256, front, np.uint8), items.data, items.data[:9]]
            )
            batch = batch._replace(off=items.off + front, data=data)
        if "mutated" in changes:
            batch = mutated(rng, batch)
        if "wide" in changes:
            batch = widened(rng, batch)
        yield call(op, batch, width)


MANY = (65_535, 65_536, 65_537, 1 << 17)
"""Items of calls that are too large for the draw of each trial."""


def space(op, bound):
    """Any number of rows and items, of drawn lengths."""
    size = np.dtype(OPS[op] or np.uint8).itemsize
    families = ("any", "any-moved", "any-mutated", "any-wide") if OPS[op] else ("any",)
    return Space(
        op,
        {"rows": Range(0, 1 << 18), "items": Range(1, 60_000, borders=MANY),
         "length": Range(0 if OPS[op] else 1, 1 << 12)},
        tuple(DRAWN + family for family in families),
        max_bytes=16 << 20,
        bound=bound,
        call_bytes=lambda shape: 512 + SLACK + (shape["rows"] + shape["items"] + 1)
        * (8 + size + (2 if OPS[op] else 1) * shape["length"]),
    )  # fmt: skip


def list_checks():
    """Small numbers of rows, all kinds of items, rows past 65,536, and what Lance refuses."""
    for op in ("decode_i32", "decode_i64"):
        for rows, items, dist in SOUND:
            yield Combo(op, {"rows": rows, "items": items}, dist, 2)
        for dist, patches in BROKEN.items():
            yield Combo(op, {"rows": 16, "items": 8}, dist, len(patches))
    yield Combo("decode_i32", {"rows": 2100, "items": 1}, "overflow", len(OVERFLOW))
    for rows, items, dist in ((0, 3, "eight"), (1, 1, "sixteen"), (31, 7, "eight-8"),
                              (1000, 300, "sixteen-16"), (70_001, 70_001, "eight-64")):  # fmt: skip
        yield Combo("decode_fixed", {"rows": rows, "items": items}, dist, 2)


MEMORY = (
    "; here a call is at most 16 MiB, since memory ends there, and larger offsets are broken ones"
)
TARGET = Target(
    name="dictionary",
    summary="rows of a dictionary-encoded column: strings with 32- and 64-bit offsets, fixed items",
    call_site="lance-encoding/src/data.rs:1093",
    cost="nearly all CPU of decoding such a column: 11-12 ns a row against 0.1-0.2 for its keys",
    ops=tuple(
        # Keys of all widths are one argument: `borrow_to_typed_slice` of lance-encoding's buffer.rs
        # copies those that are not aligned to their own width, and a buffer begins at 8 bytes.
        Op(o, (Out("u8"), *([Out(f"i{8 * np.dtype(t).itemsize}")] if t else [])), arg_align=(8, 8))
        for o, t in OPS.items()
    ),
    timed=tuple(
        Combo(op, {"rows": n, "items": m}, dist, k, {"rows": c, "items": m},
              window_kib=2048 if m > 1000 else 512)
        for op, n, c, m, dist, k in TIMED
    ),
    checks=tuple(list_checks()),
    inputs=inputs,
    spaces=(
        space("decode_i32", "offsets have 32 bits in Lance, keys up to 64" + MEMORY),
        space("decode_i64", "offsets and keys have up to 64 bits in Lance" + MEMORY),
        space("decode_fixed", "keys have up to 64 bits in Lance, and items any number of bytes"
              "; here a call is at most 16 MiB, since memory ends there"),
    ),
)  # fmt: skip
