"""Candidates on real kernels: what fires, what rustc accepts, and the oracle's answer. Untimed."""

from __future__ import annotations

import pytest
from rewrite_parts import ROOT

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.build.source_check import does_compile, format_source
from lance_autoresearch.judge.check import check_text
from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites import FINDERS, Facts, apply_edits, list_rewrites
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion


def make(target: str, text: bytes, kind: RewriteKind) -> tuple[str, bytes] | None:
    """The first candidate of a kind that rustc accepts, formatted."""
    for rewrite in list_rewrites(text, Facts(), [kind])[:6]:
        made = format_source(ROOT, apply_edits(text, [rewrite]), text)
        if does_compile(ROOT, target, made):
            return rewrite.step.label, made
    return None


def test_eight_kinds_fire_on_three_targets() -> None:
    """On Lance's own kernels and on the champions together."""
    fired: dict[str, set[str]] = {str(kind): set() for kind in FINDERS}
    for target in catalogue.list_targets(ROOT):
        for text in (compose_first_kernel(ROOT, target), read_champion(ROOT, target)):
            for rewrite in list_rewrites(text or b"", Facts()):
                fired[rewrite.step.kind].add(target)
    wide = [kind for kind, targets in fired.items() if len(targets) >= 3]
    assert len(wide) >= 8, fired


def test_a_candidate_of_the_toy_compiles_and_equals_the_oracle() -> None:
    text = compose_first_kernel(ROOT, "_toy")
    found = make("_toy", text, RewriteKind.UNROLL)
    assert found is not None and b"// rewrite unroll: 2 iterations a round" in found[1]
    with Bench(ROOT, "_toy") as bench:
        calls, end = check_text(bench, found[1])
    assert calls and end is None, end


def test_rustc_refuses_accumulators_of_floats() -> None:
    text = compose_first_kernel(ROOT, "_toy") + b"""
pub fn sum(xs: &[f32]) -> f32 {
    let mut total = 0.0_f32;
    for x in xs {
        total += x;
    }
    total
}
"""
    lanes = [r for r in list_rewrites(text, Facts(), [RewriteKind.UNROLL])
             if r.step.place == "sum" and r.step.change.endswith("lanes")]
    assert lanes and not does_compile(ROOT, "_toy", apply_edits(text, lanes[:1]))
    assert does_compile(ROOT, "_toy", text)


@pytest.mark.deep
@pytest.mark.parametrize("target", ["_toy", "pq-l2", "topk-merge"])
def test_every_kind_that_compiles_equals_the_oracle(target: str) -> None:
    text = compose_first_kernel(ROOT, target)
    seen = 0
    with Bench(ROOT, target) as bench:
        for kind in FINDERS:
            found = make(target, text, kind)
            if found is None:
                continue
            _, end = check_text(bench, found[1])
            assert end is None, (found[0], end)
            seen += 1
    assert seen >= 3
