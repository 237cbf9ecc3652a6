"""FSST: strings from symbol codes. The decompressor alone, and a mini-block chunk end to end.

One call is one chunk as Lance writes it: a power of two of values with offsets and codes within
4 KiB. Tables and codes come from Lance's own encoder (maker.rs); a pool is one column of at least
64 Ki strings cut into chunks, because a decoder that has seen 6,000 is 2x faster than on 600,000.
Every expected output, failures included, is upstream's.
"""

from itertools import cycle, islice

import numpy as np

from lance_autoresearch.target import Call, Combo, Op, Out, Target
from lance_autoresearch.textgen import CORPORA, Text, prose

TABLE = 2312
OFFSETS = {"decompress_i32": np.int32, "decompress_i64": np.int64, "decode_chunk": np.int32}
# A page made by hand, 8 values. Header: symbol count, terminator, suffix limit, on; then the magic.
SYMBOLS = (b"a", b"bc", b"def", b"ghijklmn", b"opqr ")
HAND = np.array([0, 3, 3, 10, 17, 18, 40, 40, 61])
# Edges: (array, index, new value), or (array, None, new length), each list one call.
TAB, COD, OFF = "table", "codes", "off"
EDGES = {
    "tables": [[(TAB, 5, 0)], [(TAB, np.s_[4:8], 255)], [(TAB, 50, 0)], [(TAB, 50, 9)],
               [(TAB, 52, 255)], [(TAB, 53, 9)], [(TAB, 0, 0)], [(TAB, 0, 3)], [(TAB, 0, 255)],
               [(TAB, None, TABLE - 1)], [(TAB, None, 0)], [(TAB, 5, 0), ("less", 0, 1)],
               [(TAB, 50, 9), ("less", 0, 1)], [(TAB, 50, 9), (OFF, 4, 9)]],
    "offsets": [[(OFF, 4, 9)], [(OFF, 3, -1)], [(OFF, 0, -1)], [(OFF, 8, 62)], [(OFF, 8, 2**30)],
                [(OFF, 0, 62)], [(OFF, 0, 2)], [(OFF, np.s_[:3], 7)], [(OFF, 8, 50)],
                [(OFF, slice(None), 61)], [(OFF, None, 1)], [(OFF, None, 0)], [(COD, None, 60)],
                [(COD, None, 0)], [(COD, None, 0), (OFF, slice(None), 0)]],
    "escapes": [[(COD, 60, 255)], [(COD, 9, 255)], [(COD, 2, 255)], [(COD, 39, 255)],
                [(COD, 8, 255)], [(COD, np.s_[10:12], 255)], [(COD, np.s_[10:17], 255)],
                [(COD, np.s_[18:40], 255)], [(COD, np.s_[19:40], 255)], [(COD, 17, 255)],
                [(COD, 20, 200)], [(COD, np.s_[40:61:2], 255)], [(COD, np.s_[41:61:2], 255)]],
    "rooms": [[("less", 0, 1)], [("less", 1, 8)], [("less", 0, 500)], [("count", 0, 1)],
              [("count", 0, -3)], [("count", 0, 40)], [("trim", 0, 1)], [("trim", 0, 4)],
              [("trim", 0, 8)], [("base", 0, -4)], [("base", 0, 4)], [("base", 0, 1)]],
    "switched-off": [[(TAB, 3, 0), *more] for more in ([], [(OFF, 0, 2)], [(OFF, 4, 9)],
                     [(TAB, 50, 9)], [(COD, 9, 255)], [(OFF, 8, 50)], [("less", 0, 430)],
                     [(OFF, None, 0)], [(OFF, 0, -1)])],
}  # fmt: skip


def call(op, table, codes, off, less=(0, 0), count=(0,), trim=(0,), base=(0,)):
    """One chunk; `less` room, another `count`, a `trim`med end, a shifted `base` are faults."""
    if op != "decode_chunk":
        off = off.astype(OFFSETS[op])
        caps = (max(0, 8 * len(codes) - less[0]), max(0, off.nbytes - less[1]))
        return Call((table, codes, off), tuple(int(c) for c in caps))
    head = (off + 4 * len(off) + base[0]).astype(np.uint32).view(np.uint8)
    pad = np.full(-(len(head) + len(codes)) % 8, 72, np.uint8)
    chunk = np.concatenate([head, codes, pad])
    chunk = chunk[: len(chunk) - trim[0]]
    n = max(0, len(off) - 1 + count[0])
    caps = (max(0, 8 * len(chunk) - less[0]), max(0, 4 * (n + 1) - less[1]))
    return Call((table, chunk, np.array([n], np.uint64)), tuple(int(c) for c in caps))


def column(dist, rng, n, make):
    """Table, codes and offsets of `n` values; noise is coded by a table trained on prose."""
    lead = prose(rng, 256 if dist == "noise" else 0)
    text = CORPORA[dist](rng, n)
    text = Text(np.append(lead.data, text.data), np.append(lead.offsets[:-1], text.offsets + lead.offsets[-1]))
    size = np.array([len(text.offsets) - 1], np.uint64)
    answer = make(size.tobytes() + text.offsets.astype(np.uint32).tobytes() + text.data.tobytes())
    raw = np.frombuffer(answer, np.uint8)
    ends = TABLE + 8 + 4 * len(text.offsets)
    off = raw[TABLE + 8 : ends].view(np.int32)[len(lead.offsets) - 1 :].astype(np.int64)
    return raw[:TABLE], raw[ends:], off


def edges(op, rng, cases):
    """The hand-made page with each fault of `cases`."""
    for patches in cases:
        table = np.zeros(TABLE, np.uint8)
        table[:8] = (len(SYMBOLS), 0, 0, 1, *b"TSSF")
        symbols = b"".join(s.ljust(8, b"\0") for s in SYMBOLS) + bytes(map(len, SYMBOLS))
        table[8 : 8 + len(symbols)] = np.frombuffer(symbols, np.uint8)
        parts = {TAB: table, COD: rng.integers(0, 5, 61).astype(np.uint8), OFF: HAND.copy(), "less": [0, 0]}
        parts |= {"count": [0], "trim": [0], "base": [0]}
        for what, at, value in patches:
            if at is None:
                parts[what] = parts[what][:value]
            else:
                parts[what][at] = value
        yield call(op, **parts)


def mutated(rng, table, codes, off):
    """A few bytes of a sound chunk replaced: most are failures, the rest must still agree."""
    table, codes, off = table.copy(), codes.copy(), off.copy()
    for kind in rng.integers(0, 6, rng.integers(1, 4)):
        if kind < 4:
            codes[rng.integers(0, len(codes))] = 255 if kind else rng.integers(0, 256)
        elif kind == 4:
            off[rng.integers(0, len(off))] = rng.integers(-1, len(codes) + 2)
        else:
            table[rng.integers(0, TABLE)] = rng.integers(0, 256)
    return table, codes, off


def inputs(op, shape, dist, rng, calls, make):
    """`calls` chunks of one column, or the edges in turn."""
    if dist in EDGES:
        yield from edges(op, rng, islice(cycle(EDGES[dist]), calls))
        return
    n = shape["values"]
    table, codes, off = column(dist.removesuffix("-mutated"), rng, n * calls, make)
    for i in range(0, n * calls, n):
        ends = off[i : i + n + 1]
        chunk = (table, codes[ends[0] : ends[-1]], ends - ends[0])
        yield call(op, *(mutated(rng, *chunk) if dist.endswith("-mutated") else chunk))


def timed(op, dist, values, confirm, strings=1 << 16):
    return Combo(op, {"values": values}, dist, strings // values, confirm={"values": confirm})


def check(op, dist, values, calls):
    return Combo(op, {"values": values}, dist, calls)


TARGET = Target(
    name="fsst",
    summary="FSST strings: the decompressor, and a mini-block chunk to the block builder",
    call_site="lance-encoding/src/encodings/physical/fsst.rs:322",
    cost="66 % (names) to 82 % (prose) of decoding a string chunk is the decompressor; decode_chunk is all of it",
    ops=tuple(Op(name, (Out("u8"), Out(f"i{8 * np.dtype(t).itemsize}"))) for name, t in OFFSETS.items()),
    timed=(
        timed("decompress_i32", "names", 256, 247), timed("decompress_i32", "urls", 128, 121),
        timed("decompress_i32", "prose", 64, 61), timed("decompress_i32", "hex", 128, 121),
        timed("decompress_i32", "sparse", 512, 487, 1 << 18), timed("decompress_i32", "noise", 128, 121),
        timed("decompress_i64", "names", 256, 247),
        timed("decode_chunk", "names", 256, 247), timed("decode_chunk", "urls", 128, 121),
        timed("decode_chunk", "prose", 64, 61),
    ),
    checks=(
        *(check(op, dist, 8, 2 * len(cases)) for op in OFFSETS for dist, cases in EDGES.items()),
        *(check(op, dist, values, 8) for op in OFFSETS for dist, values in (
            ("words", 333), ("few", 1000), ("accents", 100), ("lognormal", 50), ("noise", 300), ("prose", 1))),
        *(check(op, dist, values, 64) for op in OFFSETS for dist, values in (
            ("names-mutated", 40), ("noise-mutated", 20))),
    ),
    inputs=inputs,
    values="strings",
    archetype="capacity",
)  # fmt: skip
