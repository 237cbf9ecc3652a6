"""Whole trials on the real thing: every kind of kernel ends in the right verdict, at its place.

No test here depends on how quiet the machine is: a verdict that needs quiet is asked for again
while it is `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels import around

from lance_autoresearch.bench.conductor import CheckResult
from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.calibration.proof import late
from lance_autoresearch.campaign.subject import committed_champion
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.judge.trial import Story, run_trial
from lance_autoresearch.records import Fault, TrialRecord, Verdict

ROOT = Path(__file__).resolve().parents[2]
FIRST_OP = {"pq-l2": "scan8", "topk-merge": "accumulate", "fsst": "decompress_i32"}

CHAMPION = committed_champion(ROOT, "pq-l2") or b""
"""Faster on every machine and in every cache."""


@pytest.fixture(scope="module", params=sorted(FIRST_OP))
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with Rig(ROOT, request.param) as ready:
        yield ready


@pytest.fixture(scope="module")
def pq() -> Iterator[Rig]:
    with Rig(ROOT, "pq-l2") as ready:
        yield ready


def judge(rig: Rig, text: bytes, kind: str = "test") -> TrialRecord:
    for _ in range(4):
        rig.phases = Phases()
        record = run_trial(rig, text, Story(kind=kind)).record
        if record.verdict is not Verdict.INCONCLUSIVE:
            break
    return record


def spoiled(rig: Rig, **lines: str) -> bytes:
    return around(rig.champion_text, FIRST_OP[rig.target.name], **lines)


@pytest.mark.timing
def test_the_unchanged_kernel_is_never_kept(rig: Rig) -> None:
    record = judge(rig, rig.champion_text, kind="trial")
    assert record.verdict is Verdict.REVERT
    assert "same program" in record.reason
    measured = judge(rig, rig.champion_text, kind="identity")
    assert measured.verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE)
    assert measured.gain is not None


def test_a_panic_is_incorrect_and_names_its_line(rig: Rig) -> None:
    record = judge(rig, spoiled(rig, before='panic!("out of \\x1b[31mluck");'))
    assert record.verdict is Verdict.INCORRECT
    assert "panic" in record.reason
    assert "\x1b" not in record.reason


def test_an_endless_loop_ends_as_incorrect(rig: Rig) -> None:
    record = judge(rig, spoiled(rig, before="loop { core::hint::spin_loop(); }"))
    assert record.verdict is Verdict.INCORRECT
    assert record.seconds < 15


def test_ten_gigabytes_are_refused(rig: Rig) -> None:
    hog = "core::hint::black_box(vec![1u8; 10 << 30]);"
    record = judge(rig, spoiled(rig, before=hog))
    assert record.verdict is Verdict.REJECTED
    assert record.numbers["fault"]["kind"] in ("memory", "sandbox")


def test_a_syscall_is_refused(pq: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """With admission and audit out of the way the box itself must stop it."""
    import lance_autoresearch.judge.trial as trial

    monkeypatch.setattr(trial, "admit", lambda _: None)
    monkeypatch.setattr(trial, "audit", lambda *_: None)
    record = judge(pq, spoiled(pq, before='let _ = std::fs::read("/etc/hostname");'))
    assert record.verdict is Verdict.REJECTED
    assert record.numbers["fault"]["kind"] == "sandbox"


def test_what_does_not_compile_is_rejected_with_its_line(rig: Rig) -> None:
    record = judge(rig, rig.champion_text + b"\nfn broken( {}\n")
    assert record.verdict is Verdict.REJECTED
    line = rig.champion_text.count(b"\n") + 2
    assert f"kernels.rs:{line}" in record.reason


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"", "empty"),
        (b"// x\n" * 420_000, "bytes"),
        (b"pub fn scan8() {}\xff\xfe", "UTF-8"),
        (b"\0" * 64, ""),
    ],
    ids=["empty", "2 MB", "not UTF-8", "zeros"],
)
def test_bytes_that_are_no_kernel_are_rejected(rig: Rig, text: bytes, word: str) -> None:
    record = judge(rig, text)
    assert record.verdict is Verdict.REJECTED
    assert word.lower() in record.reason.lower()


def test_one_wrong_bit_at_one_size_is_found_and_named(pq: Rig) -> None:
    flip = "if out.len() == 8000 { out[4711] = f32::from_bits(out[4711].to_bits() ^ 1); }"
    record = judge(pq, spoiled(pq, after=flip))
    assert record.verdict is Verdict.INCORRECT
    assert "16x8000" in record.reason
    assert "4711" in record.reason
    assert record.numbers["fault"]["offset"] == 4 * 4711
    assert record.numbers["fault"]["differs"] == 1


@pytest.mark.timing
def test_one_wrong_bit_only_at_the_confirmed_size_is_found(pq: Rig) -> None:
    """Equal wherever screening looks, wrong at the second size: no keep."""
    sizes = {c.confirm["n"] for c in pq.target.timed if c.confirm and c.op == "scan8"}
    sizes -= {c.shape["n"] for c in (*pq.target.timed, *pq.target.checks) if "n" in c.shape}
    n = max(sizes)
    flip = f"if out.len() == {n} {{ out[7] = f32::from_bits(out[7].to_bits() ^ 1); }}"
    record = judge(pq, around(CHAMPION, "scan8", after=flip))
    assert record.verdict is Verdict.INCORRECT


def test_nan_everywhere_is_incorrect(pq: Rig) -> None:
    record = judge(pq, spoiled(pq, after="out.fill(f32::NAN);"))
    assert record.verdict is Verdict.INCORRECT


def test_an_early_return_leaves_poison_and_is_found(pq: Rig) -> None:
    record = judge(pq, spoiled(pq, before="if out.len() > 1000 { return; }"))
    assert record.verdict is Verdict.INCORRECT
    assert "unwritten" in record.reason


@pytest.mark.timing
def test_a_two_percent_delay_is_never_kept(pq: Rig) -> None:
    spin = "for i in 0..out.len() * m / 300 { core::hint::black_box(i); }"
    record = judge(pq, spoiled(pq, before=spin))
    assert record.verdict is Verdict.REVERT
    assert record.gain is not None and record.gain < 0.5


@pytest.mark.timing
def test_a_real_improvement_is_kept(pq: Rig) -> None:
    record = judge(pq, CHAMPION)
    assert record.verdict is Verdict.KEEP, record.reason
    assert record.low is not None and record.low > 5
    assert record.burnt_seeds
    assert not record.numbers["unseen"]["rejected"] and not record.numbers["opponent"]["rejected"]


def test_every_cheat_is_refused(rig: Rig) -> None:
    folder = ROOT / "targets" / rig.target.name / "cheats"
    for path in sorted(folder.glob("*.rs")):
        text = path.read_bytes()
        record = run_trial(rig, text, Story(kind="cheat")).record
        refused = (Verdict.INCORRECT, Verdict.REJECTED)
        # What only confirmation stops may be undecided here on a busy machine, never kept.
        late_ends = (*refused, Verdict.REVERT, Verdict.INCONCLUSIVE)
        assert record.verdict in (late_ends if late(text) else refused), path.name


@pytest.mark.timing
def test_a_machine_that_was_stopped_once_does_not_make_a_right_kernel_hang(
    pq: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.phases = Phases()
    right, asked = pq.conductor.check, []

    def slow(*args: object, **more: object) -> CheckResult:
        asked.append(1)
        if len(asked) == 1:  # what a frozen machine gives
            return CheckResult(0, Fault("timeout"))
        return right(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pq.conductor, "check", slow)
    text = pq.champion_text + b"\n// asked twice\n"
    record = run_trial(pq, text, Story(kind="trial")).record
    assert "same program" in record.reason and not asked
    record = run_trial(pq, text, Story(kind="test")).record
    assert record.verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE), record.reason
    assert len(asked) == 1 + len(pq.target.tiers)
    monkeypatch.setattr(pq.conductor, "check", lambda *_, **__: CheckResult(0, Fault("timeout")))
    assert run_trial(pq, text, Story(kind="test")).record.verdict is Verdict.INCORRECT
