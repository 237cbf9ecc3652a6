"""fsst: real chunks, a maker that repeats itself, and Lance's answers explained in 40 lines."""

from __future__ import annotations

import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from in_process import Library

from lance_autoresearch.bench import pools
from lance_autoresearch.build import builder
from lance_autoresearch.build import kit as kits
from lance_autoresearch.fixtures.textgen import CORPORA
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Call, Combo, Maker

ROOT = Path(__file__).resolve().parents[2]
TARGET = catalogue.load_target(ROOT, "fsst")
FIXTURES = catalogue.load_fixtures(ROOT, "fsst")
encoded, mini_block = FIXTURES.encoded, FIXTURES.mini_block
LINEAGE = ROOT / "records" / "ideas" / "fsst"
INVALID_DATA, INVALID_INPUT = 1, 2
CHUNK = 4096
"""Bytes Lance aims at for a mini-block chunk of strings (binary.rs)."""


@pytest.fixture(scope="module")
def make() -> Maker:
    program = kits.compile_maker(ROOT, "fsst")
    return lambda request: subprocess.run(
        [program], input=request, stdout=subprocess.PIPE, check=True
    ).stdout


@pytest.fixture(scope="module")
def upstream() -> Library:
    return Library.load(builder.build_upstream(ROOT, "fsst").so)


def calls_of(combo: Combo, make: Maker, seed: int = 5, *, confirm: bool = False) -> list[Call]:
    return list(pools.generate_calls(TARGET, combo, (seed, 0), make, confirm=confirm))


def label(combo: Combo) -> str:
    return f"{combo.op} {combo.name}"


class Refused(Exception):
    """A call that Lance answers with an error; its kind."""


def refuse(when: bool, kind: int) -> None:
    if when:
        raise Refused(kind)


def decoded(
    table: bytes, codes: bytes, off: list[int], room: int, room_for: int = 1 << 30
) -> tuple[bytes, list[int]]:
    """FSST by its definition. Raises Refused in the order in which Lance looks."""
    refuse(len(table) != 2312, INVALID_INPUT)
    refuse(any(b & m != m for b, m in zip(table[4:8], b"TSSF", strict=True)), INVALID_DATA)
    on, n = table[3] & 1, table[0]
    refuse(len(codes) * (8 if on else 1) > room or len(off) > room_for, INVALID_INPUT)
    lens = table[8 + 8 * n : 8 + 9 * n]
    refuse(not all(1 <= size <= 8 for size in lens), INVALID_DATA)
    falls = any(b < a for a, b in pairwise(off))
    refuse(bool(off) and (falls or off[0] < 0 or off[-1] > len(codes)), INVALID_DATA)
    if not on:
        return codes, off
    symbols = [table[8 + 8 * i :][:size] for i, size in enumerate(lens)]
    out, ends = bytearray(), [0] * bool(off)
    for start, end in pairwise(off):
        value = iter(codes[start:end])
        for code in value:
            literal = next(value, None) if code == 255 else 0
            refuse(literal is None, INVALID_DATA)
            out += bytes([literal]) if code == 255 else symbols[code] if code < n else b""
        ends.append(len(out))
    return bytes(out), ends


def expected(op: str, call: Call) -> tuple[int, bytes, list[int]]:
    """Status, bytes and offsets by definition."""
    table, data, last = call.args
    try:
        if op == "decode_chunk":
            return 0, *chunk_decoded(table.tobytes(), data.tobytes(), int(last[0]), call.caps)
        room, room_for = call.caps[0], call.caps[1] // last.itemsize
        return 0, *decoded(table.tobytes(), data.tobytes(), last.tolist(), room, room_for)
    except Refused as refused:
        return refused.args[0], b"", []


def chunk_decoded(
    table: bytes, chunk: bytes, n: int, caps: tuple[int, ...]
) -> tuple[bytes, list[int]]:
    refuse(caps[0] < 8 * len(chunk) or caps[1] < 4 * (n + 1), INVALID_INPUT)
    refuse(len(chunk) % 4 != 0 or len(chunk) < 4 * (n + 1), INVALID_DATA)
    ends = np.frombuffer(chunk, np.uint32, n + 1).tolist()
    falls = any(b < a for a, b in pairwise(ends))
    refuse(ends[0] < 4 * (n + 1) or falls or ends[-1] > len(chunk), INVALID_DATA)
    codes = chunk[ends[0] : ends[-1]]
    return decoded(table, codes, [e - ends[0] for e in ends], 8 * len(codes))


def answered(library: Library, combo: Combo, call: Call) -> tuple[int, bytes, list[int]]:
    kind = np.int64 if combo.op == "decompress_i64" else np.int32
    status, (data, ends) = library.answer(TARGET.find_op_index(combo.op), call)
    return status, data, np.frombuffer(ends, kind).tolist()


def strings_in(combo: Combo, call: Call) -> int:
    return int(call.args[2][0]) if combo.op == "decode_chunk" else call.args[2].size - 1


@pytest.mark.parametrize("combo", TARGET.timed, ids=label)
def test_a_timed_pool_is_a_column_of_chunks_as_lance_cuts_them(combo: Combo, make: Maker) -> None:
    for confirm in (False, True):
        calls = calls_of(combo, make, confirm=confirm)
        counts = [strings_in(combo, c) for c in calls]
        assert sum(counts) >= (1 << 18 if combo.dist == "sparse" else 1 << 16)
        assert len({id(c.args[0]) for c in calls}) == 1  # one table a page
    # Twice the values would not fit, these do; a chunk too long now and then is cut in Lance.
    headers = 0 if combo.op == "decode_chunk" else 4 * (combo.shape["values"] + 1)
    sizes = np.array([c.args[1].nbytes + headers for c in calls_of(combo, make)])
    assert (sizes <= CHUNK).mean() > 0.99
    assert combo.shape["values"].bit_count() == 1
    assert 2 * sizes.mean() > CHUNK


@pytest.mark.parametrize("name", CORPORA)
def test_the_maker_repeats_itself_and_its_codes_are_the_text(name: str, make: Maker) -> None:
    text = CORPORA[name](np.random.default_rng(9), 700)
    first, again = encoded(text, make), encoded(text, make)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))
    codes = first.codes.tobytes()
    data, ends = decoded(first.table.tobytes(), codes, first.off.tolist(), 8 * len(codes))
    assert (data, ends) == (text.data.tobytes(), text.offsets.tolist())


def test_noise_is_mostly_escapes_and_text_is_not(make: Maker) -> None:
    share = {}
    for combo in TARGET.timed[:6]:
        codes = calls_of(combo, make)[0].args[1]
        share[combo.dist] = float((codes == 255).mean())
    assert share.pop("noise") > 0.4
    assert max(share.values()) < 0.01


@pytest.mark.parametrize("combo", TARGET.checks, ids=label)
def test_lance_answers_as_the_definition_says(
    upstream: Library, combo: Combo, make: Maker
) -> None:
    for i, call in enumerate(calls_of(combo, make)):
        assert answered(upstream, combo, call) == expected(combo.op, call), f"call {i}"


def test_checks_reach_every_answer(make: Maker) -> None:
    seen = Counter(
        (c.op, expected(c.op, call)[0])
        for c in TARGET.checks if c.dist not in ("words", "few") for call in calls_of(c, make)
    )  # fmt: skip
    for op in TARGET.ops:
        assert all(seen[op.name, status] >= 5 for status in (0, INVALID_DATA, INVALID_INPUT))


def test_a_chunk_is_its_codes_decoded(upstream: Library, make: Maker) -> None:
    page = encoded(CORPORA["lognormal"](np.random.default_rng(3), 60), make)
    room = 8 * len(page.codes)
    alone = Call((page.table, page.codes, page.off.astype(np.int32)), (room, 4 * len(page.off)))
    chunk = mini_block(page.codes, page.off)
    count = np.array([60], np.uint64)
    whole = Call((page.table, chunk, count), (8 * len(chunk), 4 * len(page.off)))
    assert upstream.call(0, alone) == upstream.call(2, whole)


@pytest.mark.deep
@pytest.mark.parametrize("features", [None, 0], ids=["native", "scalar"])
@pytest.mark.parametrize("name", ["01-swar8", "02-stream"])
def test_our_kernels_agree_on_every_check(
    upstream: Library, make: Maker, name: str, features: int | None
) -> None:
    text = (LINEAGE / f"{name}.rs").read_bytes()
    kernel = Library.load(builder.build_kernel(ROOT, "fsst", text).so, features)
    for seed in (21, 22):
        for combo in TARGET.checks:
            for i, call in enumerate(calls_of(combo, make, seed)):
                want = answered(upstream, combo, call)
                assert answered(kernel, combo, call) == want, f"{label(combo)} call {i}"


def test_an_escape_that_takes_its_byte_from_the_next_value_is_noticed(
    upstream: Library, make: Maker
) -> None:
    text = (LINEAGE / "02-stream.rs").read_bytes()
    blind = text.replace(b"if seen & PAYLOAD != 0 ||", b"if")
    assert blind != text
    kernel = Library.load(builder.build_kernel(ROOT, "fsst", blind).so)
    combo = next(c for c in TARGET.checks if label(c) == "decompress_i32 8 escapes")
    calls = calls_of(combo, make)
    differ = [answered(kernel, combo, c) != answered(upstream, combo, c) for c in calls]
    assert any(differ) and not all(differ)
