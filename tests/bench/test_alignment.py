"""Where arguments and outputs begin in a line: declared in screening, drawn at confirmation."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conductor_parts import HONEST, Bench, library, write_pool

from lance_autoresearch.bench.pools import write_pool as write_target_pool
from lance_autoresearch.records import Fault, FaultKind
from lance_autoresearch.targets.spec import Call, Combo, Op, Out, Target

PICKY = """let at = [a.as_ptr() as usize, b.as_ptr() as usize, out.as_ptr() as usize];
    if at.iter().any(|p| p % LINE != 0) { panic!("found") }
    """ + HONEST


def read_header(path: Path) -> dict[str, Any]:
    """The header of a pool."""
    raw = path.read_bytes()
    head: dict[str, Any] = json.loads(raw[16 : 16 + struct.unpack_from("<I", raw, 8)[0]])
    return head


def find(bench: Bench, line: int, *, drawn: bool, pools: list[tuple[Path, Path]]) -> Fault | None:
    """What a pair finds wrong with a kernel that wants its buffers on multiples of `line`."""
    lib = bench.build(f"picky{line}", library(PICKY.replace("LINE", str(line))))
    return bench.conductor.measure_pair(
        bench.honest, lib, pools, seed=6, rounds=2, drawn=drawn
    ).fault


def test_a_kernel_that_relies_on_lines_is_found_where_places_are_drawn(bench: Bench) -> None:
    assert find(bench, 64, drawn=False, pools=bench.pools) is None
    fault = find(bench, 64, drawn=True, pools=bench.pools)
    assert fault is not None and (fault.kind, fault.side) == (FaultKind.PANIC, "candidate")
    assert find(bench, 4, drawn=True, pools=bench.pools) is None, "elements lie as they may"


@pytest.mark.parametrize("line", [16, 64])
def test_what_a_call_site_guarantees_is_kept_everywhere(bench: Bench, line: int) -> None:
    rng = np.random.default_rng(4)
    args = [[rng.random(250, dtype=np.float32) for _ in range(2)] for _ in range(8)]
    pool, expected = bench.dir / f"lines{line}.pool", bench.dir / f"lines{line}.expected"
    part = {"rule": "bits32", "elem": 4, "align_min": line}
    write_pool(pool, args, [[1000]] * 8, [part], arg_align=[line] * 2)
    assert bench.conductor.write_expected(bench.honest, pool, expected).fault is None
    pools = [(pool, expected)]
    assert find(bench, line, drawn=True, pools=pools) is None
    lib = bench.build(f"picky{line}", library(PICKY.replace("LINE", str(line))))
    assert bench.conductor.check_pools(lib, pools, seed=5).fault is None


def test_a_target_hands_its_guarantees_on(tmp_path: Path) -> None:
    calls = [Call((np.zeros(4, np.float32),), (16,))]
    combo = Combo("op", {"n": 4}, "x")
    op = Op("op", (Out("f32", align_min=16),), arg_align=(32,))
    target = Target("t", "", "", "", (op,), (combo,), (), lambda *_: calls)
    write_target_pool(tmp_path / "a.pool", target, combo, calls)
    head = read_header(tmp_path / "a.pool")
    assert head["arg_align"] == [32] and head["parts"][0]["align_min"] == 16
    plain = replace(target, ops=(Op("op", (Out("f32"),)),))
    write_target_pool(tmp_path / "b.pool", plain, combo, calls)
    assert read_header(tmp_path / "b.pool")["arg_align"] == []
