"""dictionary: Lance's answers explained in 20 lines, hostile batches, what a pool is."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from in_process import Library

from lance_autoresearch.bench import pools
from lance_autoresearch.build import builder
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Call, Combo

ROOT = Path(__file__).resolve().parents[2]
TARGET = catalogue.load_target(ROOT, "dictionary")
FIXTURES = catalogue.load_fixtures(ROOT, "dictionary")
CORRUPT, NOT_SUPPORTED = 1, 2


@pytest.fixture(scope="module")
def upstream() -> Library:
    return Library.load(builder.build_upstream(ROOT, "dictionary").so)


@pytest.fixture(scope="module")
def champion() -> Library:
    text = (ROOT / "targets/dictionary/kernel/kernels.rs").read_bytes()
    return Library.load(builder.build_kernel(ROOT, "dictionary", text).so)


def list_calls(combo: Combo, seed: int = 5) -> list[Call]:
    return list(pools.generate_calls(TARGET, combo, (seed, 0), None, confirm=False))


def label(combo: Combo) -> str:
    return f"{combo.op} {combo.name}"


def decode(op: str, call: Call) -> tuple[int, bytes, list[int]]:
    """Status, bytes and offsets by definition."""
    keys, count = call.args[1].tolist(), int(call.args[2][0])
    if not keys:
        return 0, b"", []
    data = call.args[4].tobytes()
    if op == "decode_fixed":
        width = int(call.args[3][0])
        off = [width * i for i in range(count + 1)]
    else:
        off = call.args[3].tolist()[: count + 1]
        if len(off) <= count or any(b < a for a, b in pairwise(off)):
            return CORRUPT, b"", []
        if off[0] < 0 or off[-1] > len(data):
            return CORRUPT, b"", []
    most = 2**31 - 1 if op == "decode_i32" else 2**63 - 1
    ends, parts = [0], []
    for key in keys:
        if key >= count:
            return CORRUPT, b"", []
        parts.append(data[off[key] : off[key + 1]])
        ends.append(ends[-1] + len(parts[-1]))
        if ends[-1] > most:
            return NOT_SUPPORTED, b"", []
    return 0, b"".join(parts), [] if op == "decode_fixed" else ends


def answer(library: Library, combo: Combo, call: Call) -> tuple[int, bytes, list[int]]:
    status, (data, *ends) = library.answer(TARGET.find_op_index(combo.op), call)
    kind = np.int64 if combo.op == "decode_i64" else np.int32
    return status, data, np.frombuffer(ends[0], kind).tolist() if ends else []


@pytest.mark.parametrize("combo", TARGET.checks, ids=label)
def test_lance_and_the_champion_answer_as_the_definition_says(
    upstream: Library, champion: Library, combo: Combo
) -> None:
    for i, call in enumerate(list_calls(combo)):
        want = decode(combo.op, call)
        assert answer(upstream, combo, call) == want, f"call {i}"
        assert answer(champion, combo, call) == want, f"call {i}"


def test_checks_reach_every_answer() -> None:
    seen = Counter((c.op, decode(c.op, call)[0]) for c in TARGET.checks for call in list_calls(c))
    for op in ("decode_i32", "decode_i64"):
        assert seen[op, 0] >= 10 and seen[op, CORRUPT] >= 10
    assert seen["decode_i32", NOT_SUPPORTED] >= 3
    rows = [call.args[1].size for c in TARGET.checks for call in list_calls(c)]
    assert max(rows) > 65_536


def test_an_item_without_bytes_stands_at_the_end_of_the_data_and_rows_name_it() -> None:
    batch = FIXTURES.hand_made(np.random.default_rng(3))
    last = batch.count - 1
    assert batch.off[last] == batch.off[last + 1] == batch.data.size
    assert batch.keys[-1] == last


@pytest.mark.parametrize("combo", TARGET.timed, ids=label)
def test_the_batches_of_a_pool_share_their_dictionary_and_not_their_keys(combo: Combo) -> None:
    calls = list_calls(combo)
    assert sum(call.args[1].size for call in calls) >= 1 << 16
    assert len({call.args[1].tobytes() for call in calls}) == len(calls)
    assert len({call.args[4].tobytes() for call in calls}) == 1
    for call in calls:
        status, data, _ = decode(combo.op, call)
        assert status == 0 and call.caps[0] == len(data) + FIXTURES.SLACK


def test_drawn_batches_are_sound_and_refused() -> None:
    """Of broken families both kinds must be among them, else they test one thing only."""
    rng = np.random.default_rng(1)
    for family, least in (("any", 40), ("any-moved", 40), ("any-mutated", 5), ("any-wide", 0)):
        shape = {"rows": 50, "items": 20, "length": 9}
        calls = [
            call
            for _ in range(40)
            for call in TARGET.inputs("decode_i64", shape, f"drawn {family}", rng, 1, None)
        ]
        sound = sum(decode("decode_i64", call)[0] == 0 for call in calls)
        assert sound >= least and (family in ("any", "any-moved") or sound < 40), family
