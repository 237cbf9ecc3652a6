"""`lar ablate`: which parts a change has, and what is left of it after real trials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from agent_parts import own_lock  # noqa: F401
from campaign_parts import record
from night_parts import confirmed

from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.campaign.ablation import (
    Ablation,
    AblationBudget,
    AblationWalk,
    holds_gain,
    load_ablation,
    run_ablation,
    select_held,
)
from lance_autoresearch.campaign.ablation_parts import PartKind, count_code_lines, list_parts
from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.cli.app import run_command_line as lar
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.kinds import is_idea
from lance_autoresearch.records import Results, Verdict
from lance_autoresearch.records.kind import ABLATION

ROOT = Path(__file__).resolve().parents[2]
BASE = b"""use prelude::*;

const BLOCK: usize = 64;

fn add(a: u32, b: u32) -> u32 {
    a + b
}

pub fn sum(values: &[u32]) -> u32 {
    values.iter().fold(0, |a, &b| add(a, b))
}
"""
KERNEL = b"""use prelude::*;

const BLOCK: usize = 128;

// Spare.
fn spare() {}

fn add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}

pub fn sum(values: &[u32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if wide::here() {
        // SAFETY: the CPU has what it takes.
        return unsafe { wide::sum(values) };
    }
    values.iter().fold(0, |a, &b| add(a, b))
}

#[cfg(target_arch = "x86_64")]
mod wide {
    pub fn here() -> bool {
        lar_shim::has("avx2")
    }

    #[target_feature(enable = "avx2")]
    pub fn sum(values: &[u32]) -> u32 {
        values.iter().sum()
    }
}
"""


def parts(kind: PartKind, base: bytes = BASE, kernel: bytes = KERNEL) -> dict[str, bytes]:
    return {part.name: part.text for part in list_parts(base, kernel) if part.kind is kind}


def test_a_tier_goes_with_every_branch_into_it() -> None:
    (text,) = parts(PartKind.TIER).values()
    assert b"wide" not in text and b"target_arch" not in text and b"SAFETY" not in text
    assert b"a.wrapping_add(b)" in text and text.count(b"{") == text.count(b"}")


def test_what_stands_behind_else_stays() -> None:
    branch = b"    if wide::here() { unsafe { wide::sum(values) } } else { add(1, 2) }\n}\n"
    head, _, tail = KERNEL.partition(b"    #[cfg(target_arch")
    kernel = head + branch + tail[tail.index(b"\n#[cfg") :]
    (text,) = parts(PartKind.TIER, kernel=kernel).values()
    assert b"add(1, 2)" in text and b"else" not in text and b"wide" not in text


def test_functions_take_the_form_of_the_base_and_go_if_nothing_names_them() -> None:
    found = parts(PartKind.FUNCTION)
    assert b"a + b" in found["add"] and b"a.wrapping_add(b)" not in found["add"]
    assert b"spare" not in found["spare"] and b"Spare." not in found["spare"]
    assert "wide::sum" not in found and "wide::here" not in found


def test_a_constant_takes_the_value_of_the_base() -> None:
    text = list_parts(BASE, BASE.replace(b"64", b"128"))
    assert not text, "its hunk is the whole change, and the base is no rest"
    other = BASE.replace(b"64", b"128").replace(b"a + b", b"b + a")
    kinds = {part.kind for part in list_parts(BASE, other)}
    assert kinds == {PartKind.FUNCTION, PartKind.HUNK}, "each text once, the larger part's name"
    joined = BASE.replace(b"64;\n\nfn add", b"128; fn add").replace(b"a + b", b"b + a")
    assert b"64; fn add" in parts(PartKind.CONSTANT, kernel=joined)["BLOCK"]


def test_comments_alone_are_no_part() -> None:
    assert not list_parts(BASE, BASE.replace(b"pub fn sum", b"// A sum.\npub fn sum"))
    assert count_code_lines(b"// a\n\nfn f() {}  // b\n") == 1


def gained(gains: tuple[float, ...], verdict: Verdict = Verdict.KEEP):
    return record(KERNEL, BASE, verdict, results=Results(confirmation=confirmed(gains)))


def test_a_rest_holds_the_gain_only_if_it_is_kept_with_nine_tenths_of_each_component() -> None:
    whole = gained((10.0, 10.0, 20.0))
    assert holds_gain(whole, gained((9.5, 9.5, 19.0)))
    assert not holds_gain(whole, gained((8.0, 8.0, 16.0)))
    assert not holds_gain(whole, gained((9.5, 9.5, 19.0), Verdict.REVERT))
    assert not holds_gain(whole, replace(gained((9.5, 9.5, 19.0)), results=Results()))


def test_rows_of_an_ablation_are_no_ideas_and_the_last_that_holds_is_the_result(
    tmp_path: Path,
) -> None:
    assert not is_idea(ABLATION)
    with Ledger.open(tmp_path) as ledger:
        for gains, verdict in (((10.0,) * 3, Verdict.KEEP), ((9.9,) * 3, Verdict.KEEP),
                               ((1.0,) * 3, Verdict.KEEP)):  # fmt: skip
            ledger.append(replace(gained(gains, verdict), kind=ABLATION, parent=1))
        rows = ledger.list_trials()
    held = select_held(rows)
    assert held is not None and held.id == rows[1].id
    assert select_held([]) is None


def write_trial(kernel: bytes, base: bytes, target: str = "_toy") -> int:
    with Ledger.open(ROOT) as ledger:
        row = replace(record(kernel, base, target=target), campaign=None)
        return ledger.append(row, blobs={"kernel": kernel, "champion": base})


@pytest.mark.parametrize("what", ["target", "same", "gone"])
def test_a_trial_without_a_change_is_refused_with_a_reason(tmp_path: Path, what: str) -> None:
    says = {"target": "is of _toy", "same": "changed nothing", "gone": "is gone"}
    with Ledger.open(tmp_path) as ledger:
        kernel = BASE if what == "same" else KERNEL
        blobs = {"kernel": kernel} if what == "gone" else {"kernel": kernel, "champion": BASE}
        number = ledger.append(record(kernel, BASE, target="_toy"), blobs=blobs)
        with pytest.raises(UsageError, match=says[what]):
            load_ablation(ledger, "pq-l2" if what == "target" else "_toy", number, None)


def test_a_change_that_is_not_kept_here_has_no_gain_to_hold() -> None:
    """A wrong kernel: the judge ends before it measures, so this needs no quiet machine."""
    base = compose_first_kernel(ROOT, "_toy")
    wrong = base.replace(b"pub fn blend", b"// another\npub fn blend", 1) + b"fn broken( {}\n"
    number = write_trial(wrong, base)
    with Coordinator(ROOT, "_toy", champion=base) as coordinator:
        walk = AblationWalk(wrong)
        steps = run_ablation(
            coordinator, Ablation(number, base, wrong), AblationBudget(), str, walk
        )
        with pytest.raises(UsageError, match="not kept here: rejected"):
            next(steps)
        again = run_ablation(coordinator, Ablation(number, base, wrong), AblationBudget(trials=1),
                             str, AblationWalk(wrong))  # fmt: skip
        before = len(coordinator.ledger.list_trials(target="_toy"))
        with pytest.raises(UsageError, match="not kept here"):
            next(again)
        assert len(coordinator.ledger.list_trials(target="_toy")) == before, "answered by its row"


@pytest.mark.parametrize("words", [["--trials", "0"], ["--minutes", "-1"]])
def test_a_budget_of_nothing_is_refused(words: list[str]) -> None:
    assert lar(["ablate", "_toy", "--trial", "1", *words]) == 64


WAIT = "for i in 0..4_000u64 { std::hint::black_box(i); }"


@pytest.mark.deep
@pytest.mark.timing
def test_a_useless_hunk_goes_and_the_gain_stays(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The base waits in both ops; the change removes both waits and adds a function."""
    first = compose_first_kernel(ROOT, "_toy").decode()
    head = "for (out, &x)"
    base = first.replace(head, f"{WAIT}\n    {head}", 1).encode()
    kernel = first.replace(head, f"std::hint::black_box(1);\n    {head}", 1)
    kernel += "\n// Spare.\n#[allow(dead_code)]\nfn spare() {}\n"
    number = write_trial(kernel.encode(), base)
    out = tmp_path / "small.rs"
    once = ["ablate", "_toy", f"--trial={number}", "--trials=1", "--json"]
    assert lar(once) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    if len(shown) == 1:
        pytest.skip("the machine is too busy: the first trial stayed undecided")
    assert not shown[-1]["finished"] and len(shown) == 2 and shown[0]["held"]
    assert lar(["ablate", "_toy", f"--trial={number}", "--json", f"--out={out}"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert shown[0]["remembered"] and shown[-1]["finished"]
    assert "spare" not in out.read_text() and WAIT not in out.read_text()
    assert hash_text(out.read_bytes()) == shown[-1]["kernel"]
