"""FSST: strings from symbol codes. The decompressor alone, and a mini-block chunk end to end.

One call is one chunk as Lance writes it: a power of two of values with offsets and codes within
4 KiB. Tables and codes come from Lance's own encoder (maker.rs); a pool is one column of at least
64 Ki strings cut into chunks, because a decoder that has seen 6,000 is 2x faster than on 600,000.
Every expected output, failures included, is upstream's.
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

from .fixtures import encoded, hand_made, mini_block, mutated, patched, widened

OPS = {"decompress_i32": np.int32, "decompress_i64": np.int64, "decode_chunk": np.int32}
TAB, COD, OFF, ALL = "table", "codes", "off", slice(None)
# Places of the hand-made page that are broken, each list one call (fixtures.py). Byte 0: symbols
# declared; 3: compression on; 4-8: magic; 48-53: lengths. Values end at 3, 3, 10, 17, 18, 40, 40.
BROKEN = {
    "tables": [[(TAB, 5, 0)], [(TAB, np.s_[4:8], 255)], [(TAB, 50, 0)], [(TAB, 50, 9)],
               [(TAB, 52, 255)], [(TAB, 53, 9)], [(TAB, 0, 0)], [(TAB, 0, 3)], [(TAB, 0, 255)],
               [(TAB, None, 2311)], [(TAB, None, 0)], [(TAB, 50, 9), (OFF, 4, 9)]],
    "offsets": [[(OFF, 4, 9)], [(OFF, 3, -1)], [(OFF, 0, -1)], [(OFF, 8, 62)], [(OFF, 8, 2**30)],
                [(OFF, 0, 62)], [(OFF, 0, 2)], [(OFF, np.s_[:3], 7)], [(OFF, 8, 50)],
                [(OFF, ALL, 61)], [(OFF, None, 1)], [(OFF, None, 0)], [(COD, None, 60)],
                [(COD, None, 0)], [(COD, None, 0), (OFF, ALL, 0)]],
    "escapes": [[(COD, 60, 255)], [(COD, 9, 255)], [(COD, 2, 255)], [(COD, 39, 255)],
                [(COD, 8, 255)], [(COD, np.s_[10:12], 255)], [(COD, np.s_[10:17], 255)],
                [(COD, np.s_[18:40], 255)], [(COD, np.s_[19:40], 255)], [(COD, 17, 255)],
                [(COD, 20, 200)], [(COD, np.s_[40:61:2], 255)], [(COD, np.s_[41:61:2], 255)]],
    "switched-off": [[(TAB, 3, 0), *more] for more in ([], [(OFF, 0, 2)], [(OFF, 4, 9)],
                     [(TAB, 50, 9)], [(COD, 9, 255)], [(OFF, 8, 50)], [(OFF, None, 0)],
                     [(OFF, 0, -1)])],
}  # fmt: skip
# A page, sound or broken, in too little room, or said to be other than it is: see `call`.
ROOM = [{"less": 1}, {"less": 500}, {"fewer": 8}, {"more": 1}, {"more": -3}, {"more": 40},
        {"cut": 1}, {"cut": 4}, {"cut": 8}, {"base": 32}, {"base": 37}, {"base": 40}]  # fmt: skip
IN_ROOM = [[], [(TAB, 5, 0)], [(TAB, 50, 9)], [(TAB, 3, 0)], [(OFF, 4, 9)]]
HELD_OUT = [("words", 333, 8), ("few", 1000, 8), ("accents", 100, 8), ("lognormal", 50, 8),
            ("noise", 300, 8), ("prose", 1, 8), ("names-mutated", 40, 64),
            ("noise-mutated", 20, 64), ("few", 70_001, 1), ("names", 70_001, 1),
            *((k, 8, len(v)) for k, v in BROKEN.items()),
            ("rooms", 8, len(ROOM) * len(IN_ROOM))]  # fmt: skip
CHANGES = {"mutated": mutated, "wide": widened}
TIMED = [("decompress_i32", d, *n) for d, *n in (("names", 256, 247), ("urls", 128, 121),
         ("prose", 64, 61), ("hex", 128, 121), ("sparse", 512, 487), ("noise", 128, 121))] + [
         ("decompress_i64", "names", 256, 247), ("decode_chunk", "names", 256, 247),
         ("decode_chunk", "urls", 128, 121), ("decode_chunk", "prose", 64, 61)]  # fmt: skip


def call(op, page, less=0, fewer=0, more=0, cut=0, base=None):
    table, codes, off = page
    if op != "decode_chunk":
        off = off.astype(OPS[op])
        return Call((table, codes, off), (max(0, 8 * len(codes) - less), off.nbytes - fewer))
    chunk, n = mini_block(codes, off, base), max(0, len(off) - 1 + more)
    chunk = chunk[: len(chunk) - cut]
    caps = (8 * len(chunk) - less, 4 * (n + 1) - fewer)
    return Call((table, chunk, np.array([n], np.uint64)), caps)


def inputs(op, shape, dist, rng, calls, make):
    """`calls` chunks of one column, each broken where the distribution says so."""
    n = shape["values"]
    if dist.startswith(DRAWN):
        yield from drawn_calls(op, shape, dist.removeprefix(DRAWN), rng, calls, make)
    elif dist in BROKEN:
        yield from (call(op, patched(hand_made(rng), p)) for p in BROKEN[dist])
    elif dist == "rooms":
        yield from (call(op, patched(hand_made(rng), p), **r) for p in IN_ROOM for r in ROOM)
    else:
        corpus, broken = dist.removesuffix("-mutated"), dist.endswith("-mutated")
        lead = draw_prose(rng, 256) if corpus == "noise" else None  # nearly every byte an escape
        column = encoded(CORPORA[corpus](rng, n * calls), make, lead)
        for i in range(0, n * calls, n):
            page = column.values(i, i + n)
            yield call(op, mutated(rng, page) if broken else page)


def drawn_calls(op, shape, dist, rng, calls, make):
    """Text of drawn alphabets, vocabularies and lengths; pages changed as the name says."""
    kind, *changes = dist.split("-")
    n, lead = shape["values"], None
    if "length" in shape:
        text = cut_text(rng, DRAWN_STREAMS[kind], n * calls, shape["length"])
    else:
        text = substitute(rng, DRAWN_CORPORA[kind](rng, n * calls))
    if kind == "noise" and ("length" not in shape or rng.random() < 0.5):
        lead = cut_text(rng, DRAWN_STREAMS["words"], 256, 64)
    column = encoded(text, make, lead)
    for i in range(0, n * calls, n):
        page = column.values(i, i + n)
        for change in changes:
            page = CHANGES[change](rng, page)
        yield call(op, page)


def space(op, bound):
    """Values of drawn lengths; codes may be as many bytes as the text, twice as many if escaped."""
    offsets = 2 * np.dtype(OPS[op]).itemsize
    streams = [f"{DRAWN}{kind}" for kind in (*DRAWN_STREAMS, "words", "mixed", "noise")]
    broken = [f"{DRAWN}mixed-mutated", f"{DRAWN}words-mutated", f"{DRAWN}mixed-wide"]
    return Space(
        op,
        {"values": Range(1, 1 << 17), "length": Range(0, 1 << 16)},
        (*streams, *broken),
        max_bytes=8 << 20,
        bound=bound,
        call_bytes=lambda shape: 2400 + (shape["values"] + 1) * (3 * shape["length"] + offsets),
    )


NARROW = ("offsets have 32 bits in Lance; here the values of a call are at most 8 MiB, since "
          "memory ends there, and offsets beyond the codes come from changed pages")  # fmt: skip
TARGET = Target(
    name="fsst",
    summary="FSST strings: the decompressor, and a mini-block chunk to the block builder",
    call_site="lance-encoding/src/encodings/physical/fsst.rs:322",
    cost="decompress is 66 % (names) to 82 % (prose) of decoding a string chunk, decode_chunk all",
    ops=tuple(Op(o, (Out("u8"), Out(f"i{8 * np.dtype(t).itemsize}"))) for o, t in OPS.items()),
    timed=tuple(
        Combo(op, {"values": n}, dist, (1 << (18 if n == 512 else 16)) // c + 1, {"values": c})
        for op, dist, n, c in TIMED
    ),
    checks=tuple(Combo(op, {"values": n}, dist, k) for op in OPS for dist, n, k in HELD_OUT),
    inputs=inputs,
    spaces=(
        space("decompress_i32", NARROW),
        space("decompress_i64", "offsets have 64 bits in Lance, and 2^31 bytes of codes exceed "
              "memory here: offsets from 2^31 to 2^63 come from changed pages, which Lance "
              "refuses; sound values of a call are at most 8 MiB"),
        space("decode_chunk", NARROW),
    ),
)
