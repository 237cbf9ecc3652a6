"""take: Lance's answers explained by a definition, the one difference, hostile chunks, pools."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Library

from lance_autoresearch.bench import pools
from lance_autoresearch.build import builder
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Call, Combo

ROOT = Path(__file__).resolve().parents[2]
TARGET = catalogue.load_target(ROOT, "take")
FIXTURES = catalogue.load_fixtures(ROOT, "take")
CORRUPT, INVALID_INPUT, NOT_SUPPORTED = 1, 2, 3
WIDTHS = {"take_i32": 4, "take_i64": 8}
PLAIN = [c for c in TARGET.checks if c.op in WIDTHS and c.shape["values"] < 1000]
HAND = [
    c
    for c in TARGET.checks
    if c.op == "take_fsst" and c.dist in ("offsets", "escapes", "tables")
]
PACKED = [c for c in TARGET.checks if c.op == "take_bitpack" and c.shape["chunks"] < 10]


@pytest.fixture(scope="module")
def upstream() -> Library:
    return Library.load(builder.build_upstream(ROOT, "take").so)


@pytest.fixture(scope="module")
def champion() -> Library:
    text = (ROOT / "targets/take/kernel/kernels.rs").read_bytes()
    return Library.load(builder.build_kernel(ROOT, "take", text).so)


def list_calls(combo: Combo, seed: int = 5) -> list[Call]:
    return list(pools.generate_calls(TARGET, combo, (seed, 0), None, confirm=False))


def label(combo: Combo) -> str:
    return f"{combo.op} {combo.name}"


def page_of(call: Call, first: int) -> Any:
    return FIXTURES.Page(*call.args[first : first + 3])


def take_strings(op: str, call: Call) -> tuple[int, bytes]:
    """Status and bytes of plain strings by definition."""
    out, most = bytearray(), 2**31 - 1 if op == "take_i32" else 2**63 - 1
    size = 0
    for chunk, ranges in page_of(call, 0).list_picks():
        ends = FIXTURES.read_ends(chunk, WIDTHS[op])
        if ends is None:
            return CORRUPT, b""
        for start, end in ranges.tolist():
            if end > chunk.values:
                return CORRUPT, b""
            size += int(ends[end] - ends[start])
            if size > most:
                return NOT_SUPPORTED, b""
            if size <= call.caps[0]:
                out += chunk.data[ends[start] : ends[end]].tobytes()
    return 0, bytes(out)


def answer(library: Library, op: str, call: Call) -> tuple[int, list[bytes]]:
    return library.answer(TARGET.find_op_index(op), call)


@pytest.mark.deep
@pytest.mark.parametrize("combo", PLAIN, ids=label)
def test_plain_strings_are_as_the_definition_says(
    upstream: Library, champion: Library, combo: Combo
) -> None:
    for i, call in enumerate(list_calls(combo)):
        want = take_strings(combo.op, call)
        given = answer(upstream, combo.op, call)
        assert given == answer(champion, combo.op, call), f"call {i}"
        assert (given[0], given[1][0]) == want, f"call {i}"


@pytest.mark.deep
@pytest.mark.parametrize("combo", [*HAND, *PACKED], ids=label)
def test_the_champion_answers_as_lance(
    upstream: Library, champion: Library, combo: Combo
) -> None:
    for i, call in enumerate(list_calls(combo)):
        want = answer(upstream, combo.op, call)
        assert answer(champion, combo.op, call) == want, f"call {i}"


@pytest.mark.deep
def test_checks_reach_every_answer(upstream: Library) -> None:
    seen = Counter(
        (combo.op, answer(upstream, combo.op, call)[0])
        for combo in [*PLAIN, *HAND, *PACKED]
        for call in list_calls(combo)
    )
    for op in ("take_fsst", "take_i32", "take_i64", "take_bitpack"):
        assert seen[op, 0] >= 10 and seen[op, CORRUPT] >= 10, op
    assert seen["take_fsst", INVALID_INPUT] >= 2
    assert seen["take_i32", NOT_SUPPORTED] >= 3


@pytest.mark.deep
@pytest.mark.parametrize(
    ("asked", "status"), [([2, 6], 0), ([7], CORRUPT), ([8], 0), ([0, 1, 7, 8], CORRUPT)]
)
def test_a_bad_escape_counts_only_in_rows_that_are_asked_for(
    upstream: Library, champion: Library, asked: list[int], status: int
) -> None:
    """Value 7 ends with the chunk's last code, an escape; an empty value stands behind it."""
    rng = np.random.default_rng(4)
    column = FIXTURES.make_hand(rng)
    chunk = column.cut_chunk(0, 9, 4)
    broken = FIXTURES.patch_chunk(chunk, 4, [("code", 60, 255)])
    ranges = FIXTURES.join_rows(np.array(asked, np.int64))
    page = FIXTURES.join_chunks(rng, [broken], [ranges])
    repaired = FIXTURES.repair(page)
    assert (repaired.size > 0) == (7 not in asked)
    args = (column.table, page.data, page.chunks, page.ranges)
    caps = (8 * 61 + FIXTURES.SLACK, 4 * (page.rows + 1))
    with_rule, without = Call((*args, repaired), caps), Call((*args, repaired[:0]), caps)
    for library in (upstream, champion):
        assert answer(library, "take_fsst", with_rule)[0] == status
    assert answer(upstream, "take_fsst", with_rule) == answer(champion, "take_fsst", with_rule)
    # Without the second page Lance refuses all of them: that is the difference.
    assert answer(upstream, "take_fsst", without)[0] == CORRUPT
    assert answer(champion, "take_fsst", without)[0] == status


@pytest.mark.deep
def test_a_bit_packed_chunk_unpacks_to_its_values(upstream: Library) -> None:
    rng = np.random.default_rng(2)
    for bits in (8, 16, 32, 64):
        for width in (1, bits // 2 + 1, bits):
            top = (1 << width) - 1
            values = rng.integers(0, top, (1, 1024), np.uint64, endpoint=True)
            chunk = FIXTURES.pack_chunks(values, bits, width, 1024)
            rows = rng.permutation(1024)[:90]
            page = FIXTURES.join_chunks(rng, chunk, [FIXTURES.join_rows(rows)])
            head = np.array([bits], np.uint64)
            call = Call((head, *page), (90 * bits // 8 + FIXTURES.SLACK,))
            status, parts = answer(upstream, "take_bitpack", call)
            assert status == 0
            assert np.frombuffer(parts[0], f"u{bits // 8}").tolist() == values[0, rows].tolist()


def test_rows_in_runs_any_order_and_twice_are_drawn() -> None:
    rng = np.random.default_rng(1)
    kinds: Counter[str] = Counter()
    for _ in range(200):
        rows = FIXTURES.draw_any_rows(rng, 300, 40)
        assert rows.size and rows.min() >= 0 and rows.max() < 300
        kinds["twice"] += len(set(rows.tolist())) < rows.size
        kinds["falling"] += bool((np.diff(rows) < 0).any())
        kinds["last"] += int(rows.max()) == 299
    assert all(kinds[kind] >= 10 for kind in ("twice", "falling", "last"))
