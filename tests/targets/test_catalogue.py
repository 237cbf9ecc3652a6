"""Targets found, loaded and checked; unknown names; the list of those that wait."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lance_autoresearch.errors import UsageError
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.space import Range, Space
from lance_autoresearch.targets.spec import Combo, Op, Out, Target

ROOT = Path(__file__).resolve().parents[2]

GOOD = Target(
    name="good",
    summary="a sum",
    call_site="lance-x/src/a.rs:7",
    cost="10 % of a scan",
    ops=(Op("sum", outputs=(Out("f32", rule="bits32"),)),),
    timed=(Combo("sum", {"n": 1024}, "random", confirm={"n": 1100}),),
    checks=(Combo("sum", {"n": 1}, "random"),),
    inputs=lambda *_: (),
    spaces=(
        Space(
            "sum", {"n": Range(0, 1 << 20)}, ("drawn random",), max_bytes=8 << 20, bound="memory",
            call_bytes=lambda shape: 4 * shape["n"],
        ),
    ),
)  # fmt: skip


OTHER_SPACE = replace(GOOD.spaces[0], ranges={"m": Range(1, 9)}, call_bytes=lambda _: 4)


def test_good_target_has_no_problem() -> None:
    assert catalogue.find_problems(GOOD) == []


def combo(**changes: object) -> Combo:
    return replace(GOOD.timed[0], **changes)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"name": "Bad Name"}, "lower-case"),
        ({"call_site": "somewhere"}, "call_site"),
        ({"cost": ""}, "cost is empty"),
        ({"timed": ()}, "times no combo"),
        ({"timed": (combo(), combo())}, "appears twice"),
        ({"timed": (combo(op="other"),)}, "does not exist"),
        ({"timed": (combo(confirm=None),)}, "no second size"),
        ({"timed": (combo(confirm={"n": 1024}),)}, "same size"),
        ({"timed": (combo(confirm={"n": 1300}),)}, "over 10 %"),
        ({"timed": (combo(confirm={"n": 1088}),)}, "multiple of 64"),
        ({"timed": (combo(confirm={"m": 1100}),)}, "other dimensions"),
        ({"timed": (combo(calls=0),)}, "no calls"),
        ({"timed": (combo(weight=0.0),)}, "weight"),
        ({"ops": (Op("sum", outputs=(Out("f32", rule="close"),)),)}, "no rule 'close'"),
        ({"ops": (Op("sum", outputs=(Out("float"),)),)}, "dtype"),
        ({"ops": (*GOOD.ops, Op("idle", outputs=(Out("u8"),)))}, "never timed"),
        ({"tiers": ("native", "mmx")}, "tiers"),
        ({"spaces": ()}, "op 'sum' has no space"),
        ({"spaces": GOOD.spaces * 2}, "appears twice"),
        ({"spaces": (OTHER_SPACE,)}, "has no n"),
        ({"spaces": (replace(GOOD.spaces[0], ranges={"n": Range(1, 9)}),)}, "does not reach"),
        ({"spaces": (replace(GOOD.spaces[0], bound=""),)}, "bound is empty"),
    ],
)
def test_each_rule_is_checked(changed: dict[str, object], complaint: str) -> None:
    assert any(complaint in p for p in catalogue.find_problems(replace(GOOD, **changed)))


def test_thirteen_timed_combos_are_one_too_many() -> None:
    many = tuple(combo(shape={"n": n}, confirm={"n": n + 1}) for n in range(1024, 1037))
    assert "times 13 combos, at most 12" in catalogue.find_problems(replace(GOOD, timed=many))


def test_all_faults_come_at_once() -> None:
    faults = catalogue.find_problems(replace(GOOD, summary="", cost="", call_site="x"))
    assert len(faults) == 3


@pytest.mark.parametrize("name", catalogue.list_targets(ROOT, hidden=True))
def test_every_target_of_this_checkout_loads(name: str) -> None:
    assert catalogue.load_target(ROOT, name).name == name


def test_loading_leaves_no_module_behind() -> None:
    before = set(sys.modules)
    catalogue.load_targets(ROOT)
    assert not {m for m in set(sys.modules) - before if "target" in m and "lance" not in m}


def test_two_targets_have_fixtures_of_one_name(tmp_path: Path) -> None:
    """Each gets its own; neither `fixtures` nor the target's folder becomes importable."""
    path = list(sys.path)
    for name in ("one", "two"):
        home = tmp_path / "targets" / name
        home.mkdir(parents=True)
        (home / "fixtures.py").write_text(f"WHOSE = {name!r}\n")
        (home / "target.py").write_text("from .fixtures import WHOSE\nTARGET = WHOSE\n")
    found = [catalogue.load_fixtures(tmp_path, name).WHOSE for name in ("one", "two", "one")]
    assert found == ["one", "two", "one"]
    assert sys.path == path and "fixtures" not in sys.modules
    with pytest.raises(UsageError, match="defines no TARGET"):
        catalogue.load_target(tmp_path, "one")
    (tmp_path / "targets" / "two" / "fixtures.py").unlink()
    with pytest.raises(UsageError, match="no fixtures of its own"):
        catalogue.load_fixtures(tmp_path, "two")


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        catalogue.load_target(ROOT, "pql2")
    assert "pq-l2" in (caught.value.allowed or ())
    assert "nearest: pq-l2" in (caught.value.next or "")


def test_waiting_kernel_is_told_apart_from_an_unknown_one() -> None:
    with pytest.raises(UsageError, match="waits for its target"):
        catalogue.load_target(ROOT, "bitpack")


def test_the_toy_is_hidden_and_loads_by_name() -> None:
    assert "_toy" in catalogue.list_targets(ROOT, hidden=True)
    assert "_toy" not in catalogue.list_targets(ROOT)
    with pytest.raises(UsageError) as caught:
        catalogue.load_target(ROOT, "_toi")
    assert "_toy" not in (caught.value.allowed or ())


def test_wrong_directory_name_is_a_fault(tmp_path: Path) -> None:
    source = ROOT / "targets" / "pq-l2" / "target.py"
    copy = tmp_path / "targets" / "other" / "target.py"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(source.read_bytes())
    copy.with_name("fixtures.py").write_bytes(source.with_name("fixtures.py").read_bytes())
    with pytest.raises(UsageError, match="is named 'pq-l2', its directory 'other'"):
        catalogue.load_target(tmp_path, "other")


def test_the_roadmap_has_thirteen_kernels() -> None:
    roadmap = {w.name for w in catalogue.list_waiting(ROOT)} | set(catalogue.list_targets(ROOT))
    assert {"pq-l2", "topk-merge", "fsst", "predicate", "posting-seek"} <= roadmap
    assert len(roadmap) >= 13


def test_a_target_that_runs_waits_no_more(tmp_path: Path) -> None:
    (tmp_path / "targets" / "bitpack").mkdir(parents=True)
    (tmp_path / "targets" / "bitpack" / "target.py").touch()
    rows = (ROOT / "targets" / "waiting.toml").read_text()
    (tmp_path / "targets" / "waiting.toml").write_text(rows)
    waiting = [w.name for w in catalogue.list_waiting(tmp_path)]
    assert "bitpack" not in waiting and "take" in waiting
