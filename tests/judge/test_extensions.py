"""Instructions that not every processor has: a kernel asks before it uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiers import FAST_TARGET, fast_for

from lance_autoresearch.bench.conductor import audit_object
from lance_autoresearch.build import builder
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.judge.extensions import check_features_guarded
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion
from lance_autoresearch.targets.cheats import load_cheats

ROOT = Path(__file__).resolve().parents[2]
CHEAT = next(
    c.text.decode() for c in load_cheats(ROOT, "_toy") if c.id == "_toy/unasked@blend"
)
CALL = "    unsafe { wide(&mut lanes) };"


def report(target: str, text: bytes) -> dict[str, object]:
    return dict(audit_object(ROOT, builder.build_bare_object(ROOT, target, text)))


def test_a_feature_that_is_never_asked_for_is_refused_by_name_and_line() -> None:
    with pytest.raises(RejectedKernel) as caught:
        admit(CHEAT.encode())
    assert "`avx512f` is enabled and never asked for" in str(caught.value)
    assert caught.value.where == f"kernels.rs:{line_of('#[target_feature')}"
    assert list(caught.value.allowed) == ["lar_shim::has(lar_shim::Feature::Avx512f)"]


def line_of(word: str) -> int:
    return 1 + next(i for i, line in enumerate(CHEAT.splitlines()) if word in line)


def test_one_feature_does_not_answer_for_another() -> None:
    text = CHEAT.replace('"avx512f"', '"avx512f,avx512vbmi"')
    asks = "    let _ = lar_shim::has(lar_shim::Feature::Avx512f);\n"
    with pytest.raises(RejectedKernel, match="avx512vbmi"):
        admit(text.replace(CALL, asks + CALL).encode())
    admit(text.replace(CALL, asks.replace("512f", "512vbmi") + CALL).encode())


@pytest.mark.parametrize(
    "question",
    ["has({}) || !out.is_empty()", "!has({})", "{{ let _ = has({}); true }}"],
    ids=["or", "not", "unheard"],
)
def test_a_question_in_vain_is_seen_in_the_object(question: str) -> None:
    """Every `has` says no there: what is left of AVX-512 was not guarded by it."""
    ask = question.replace("has({})", "lar_shim::has(lar_shim::Feature::Avx512f)")
    ask = ask.replace("{{", "{").replace("}}", "}")
    text = CHEAT.replace(CALL, f"    if {ask} {{\n    {CALL}\n    }}").encode()
    admit(text)
    with pytest.raises(RejectedKernel, match="AVX512F and is reached without asking"):
        check_features_guarded(report("_toy", text))


@pytest.mark.parametrize("target", fast_for(catalogue.list_targets(ROOT), FAST_TARGET))
def test_champions_and_lance_ask(target: str) -> None:
    champion = read_champion(ROOT, target)
    assert champion is not None
    admit(champion)
    for text in (champion, builder.compose_first_kernel(ROOT, target)):
        assert report(target, text)["extensions"] == []
    whole = builder.build_kernel(ROOT, target, champion)
    assert dict(audit_object(ROOT, whole.obj))["extensions"], "with the answer yes they are there"
