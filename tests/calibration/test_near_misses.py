"""Kernels that look odd and are honest are not refused; those that are refused hear why."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiers import FAST_TARGET, fast_where

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.calibration.validation import prove_equal
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.admission import admit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import threats  # noqa: E402

CHEATS = {c.id: c for c in threats.cheats()}
pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def benches() -> Iterator[dict[str, Bench]]:
    """A bench per target, opened when first used."""
    with contextlib.ExitStack() as opened:

        class Benches(dict[str, Bench]):
            def __missing__(self, target: str) -> Bench:
                self[target] = opened.enter_context(Bench(ROOT, target))
                return self[target]

        yield Benches()


HONEST = sorted(ROOT.glob("targets/*/honest/*.rs"))
IN_TIERS = fast_where(HONEST, lambda path: path.parent.parent.name == FAST_TARGET)


def test_there_are_enough_near_misses_of_every_target() -> None:
    count = {t: sum(p.parent.parent.name == t for p in HONEST) for t in ("pq-l2", "fsst",
                                                                         "topk-merge")}
    assert len(HONEST) >= 20 and min(count.values()) >= 4


@pytest.mark.parametrize("path", IN_TIERS, ids=lambda p: f"{p.parent.parent.name}/{p.stem}")
def test_an_honest_oddity_is_not_refused(path: Path, benches: dict[str, Bench]) -> None:
    line = prove_equal(path.stem, benches[path.parent.parent.name], path.read_bytes())
    assert line.ok, line.detail


@pytest.mark.deep
def test_a_generated_kernel_of_1500_lines_is_not_refused(benches: dict[str, Bench]) -> None:
    """One unrolled function per number of sub-vectors, as a code generator would write."""
    text = (ROOT / "targets/pq-l2/honest/match-length.rs").read_text()
    arms, functions = [], []
    for m in range(1, 49):
        lines = [f"fn scan_{m}(t: &[f32], c: &[u8], out: &mut [f32]) {{", "    let n = out.len();",
                 "    for row in 0..n {", "        let mut sum = 0.0;"]
        lines += [f"        sum += t[{256 * i} + c[{i} * n + row] as usize];" for i in range(m)]
        functions += [*lines, "        out[row] = sum;", "    }", "}", ""]
        arms.append(f"        {m} => scan_{m}(table, codes, out),")
    head, tail = text.split("// generated: begin\n")[0], text.split("// generated: end\n")[1]
    arms.append("        _ => honest(table, m, codes, out),")
    whole = "\n".join([head + "    match m {", *arms, "    }", tail, *functions])
    assert whole.count("\n") >= 1500
    line = prove_equal("generated", benches["pq-l2"], whole.encode())
    assert line.ok, line.detail


@pytest.mark.parametrize("name", [n for n, c in CHEATS.items() if "A" in c.by])
def test_a_refusal_names_the_word_its_line_and_the_honest_way(name: str) -> None:
    text = CHEATS[name].text
    with pytest.raises(RejectedKernel) as caught:
        admit(text)
    refusal = caught.value
    where = re.fullmatch(r"kernels\.rs:(\d+)", refusal.where or "")
    word = re.search(r"`(?:#!?\[|\w+::)?(\w+)|\(U\+([0-9A-F]{4})", refusal.what)
    assert where and word and refusal.allowed, str(refusal)
    expected = word[1] or chr(int(word[2], 16))
    assert expected in text.decode().splitlines()[int(where[1]) - 1], str(refusal)
    assert all(len(way) >= 3 for way in refusal.allowed)
