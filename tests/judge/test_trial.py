"""Whole trials on the real thing: every kind of kernel ends in the right verdict, at its place.

No test here depends on how quiet the machine is: a verdict that needs quiet is asked for again
while it is `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from injected_delays import injected_gain
from kernels import around
from tiers import FAST_TARGET, fast_for

from lance_autoresearch.bench.conductor import CheckResult
from lance_autoresearch.calibration.validation import CAUGHT_LATE
from lance_autoresearch.campaign.coordinator import Coordinator, Story, make_record
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.judge import prepare
from lance_autoresearch.judge.secret_cases import check_secret_cases
from lance_autoresearch.records import Fault, FaultKind, ReasonKind, TrialRecord, Verdict
from lance_autoresearch.targets.cheats import load_cheats

ROOT = Path(__file__).resolve().parents[2]
FIRST_OP = {"pq-l2": "scan8", "topk-merge": "accumulate", "fsst": "decompress_i32"}

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module", params=fast_for(sorted(FIRST_OP), FAST_TARGET))
def coordinator(request: pytest.FixtureRequest) -> Iterator[Coordinator]:
    with Coordinator(ROOT, request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def pq() -> Iterator[Coordinator]:
    with Coordinator(ROOT, "pq-l2") as opened:
        yield opened


@pytest.fixture(scope="module")
def delayed() -> Iterator[Coordinator]:
    """A champion with an injected delay: the same code without it gains on any processor."""
    with Coordinator(ROOT, "pq-l2", champion=injected_gain("pq-l2").champion) as opened:
        yield opened


def judge(coordinator: Coordinator, text: bytes, kind: str = "test") -> TrialRecord:
    for _ in range(4):
        coordinator.begin_phases(Phases())
        story = Story(kind=kind)
        record = make_record(coordinator.judge(text, story), story, coordinator.target)
        if record.verdict is not Verdict.INCONCLUSIVE:
            break
    return record


def spoiled(coordinator: Coordinator, **lines: str) -> bytes:
    return around(coordinator.champion_text, FIRST_OP[coordinator.target.name], **lines)


@pytest.mark.timing
def test_the_unchanged_kernel_is_never_kept(coordinator: Coordinator) -> None:
    record = judge(coordinator, coordinator.champion_text, kind="trial")
    assert record.verdict is Verdict.REVERT
    assert record.results.reason is not None
    assert record.results.reason.kind is ReasonKind.SAME_PROGRAM
    measured = judge(coordinator, coordinator.champion_text, kind="identity")
    assert measured.verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE)
    assert measured.gain is not None


def test_a_panic_is_incorrect_and_names_its_line(coordinator: Coordinator) -> None:
    record = judge(coordinator, spoiled(coordinator, before='panic!("out of \\x1b[31mluck");'))
    assert record.verdict is Verdict.INCORRECT
    assert "panic" in record.reason
    assert "\x1b" not in record.reason


def test_an_endless_loop_ends_as_incorrect(coordinator: Coordinator) -> None:
    record = judge(coordinator, spoiled(coordinator, before="loop { core::hint::spin_loop(); }"))
    assert record.verdict is Verdict.INCORRECT
    assert record.seconds < 15


def test_ten_gigabytes_are_refused(coordinator: Coordinator) -> None:
    hog = "core::hint::black_box(vec![1u8; 10 << 30]);"
    record = judge(coordinator, spoiled(coordinator, before=hog))
    assert record.verdict is Verdict.REJECTED
    assert record.results.fault.kind in (FaultKind.MEMORY, FaultKind.SANDBOX)


def test_a_syscall_is_refused(pq: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """With admission and audit out of the way the box itself must stop it."""
    monkeypatch.setattr(prepare, "admit", lambda *_: "no text")
    monkeypatch.setattr(prepare, "check_audit", lambda *_: None)
    record = judge(pq, spoiled(pq, before='let _ = std::fs::read("/etc/hostname");'))
    assert record.verdict is Verdict.REJECTED
    assert record.results.fault.kind is FaultKind.SANDBOX


def test_what_does_not_compile_is_rejected_with_its_line(coordinator: Coordinator) -> None:
    record = judge(coordinator, coordinator.champion_text + b"\nfn broken( {}\n")
    assert record.verdict is Verdict.REJECTED
    line = coordinator.champion_text.count(b"\n") + 2
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
def test_bytes_that_are_no_kernel_are_rejected(
    coordinator: Coordinator, text: bytes, word: str
) -> None:
    record = judge(coordinator, text)
    assert record.verdict is Verdict.REJECTED
    assert word.lower() in record.reason.lower()


def test_one_wrong_bit_at_one_size_is_found_and_named(pq: Coordinator) -> None:
    flip = "if out.len() == 8000 { out[4711] = f32::from_bits(out[4711].to_bits() ^ 1); }"
    record = judge(pq, spoiled(pq, after=flip))
    assert record.verdict is Verdict.INCORRECT
    assert "16x8000" in record.reason
    assert "4711" in record.reason
    assert record.results.fault.offset == 4 * 4711
    assert record.results.fault.differs == 1


@pytest.mark.timing
def test_one_wrong_bit_only_at_the_confirmed_size_is_found(delayed: Coordinator) -> None:
    """Equal wherever screening looks, wrong at the second size: no keep."""
    target = delayed.target
    sizes = {c.confirm["n"] for c in target.timed if c.confirm and c.op == "scan8"}
    sizes -= {c.shape["n"] for c in (*target.timed, *target.checks) if "n" in c.shape}
    n = max(sizes)
    flip = f"if out.len() == {n} {{ out[7] = f32::from_bits(out[7].to_bits() ^ 1); }}"
    record = judge(delayed, around(injected_gain("pq-l2").candidate, "scan8", after=flip))
    assert record.verdict is Verdict.INCORRECT


def test_nan_everywhere_is_incorrect(pq: Coordinator) -> None:
    record = judge(pq, spoiled(pq, after="out.fill(f32::NAN);"))
    assert record.verdict is Verdict.INCORRECT


def test_an_early_return_leaves_poison_and_is_found(pq: Coordinator) -> None:
    record = judge(pq, spoiled(pq, before="if out.len() > 1000 { return; }"))
    assert record.verdict is Verdict.INCORRECT
    assert "unwritten" in record.reason


@pytest.mark.deep
@pytest.mark.timing
def test_a_two_percent_delay_is_never_kept(pq: Coordinator) -> None:
    spin = "for i in 0..out.len() * m / 300 { core::hint::black_box(i); }"
    record = judge(pq, spoiled(pq, before=spin))
    assert record.verdict is Verdict.REVERT
    assert record.gain is not None and record.gain < 0.5


@pytest.mark.timing
def test_a_real_improvement_is_kept(delayed: Coordinator) -> None:
    record = judge(delayed, injected_gain("pq-l2").candidate)
    if record.verdict is Verdict.INCONCLUSIVE:
        pytest.skip(f"the machine is too busy: {record.reason}")
    assert record.verdict is Verdict.KEEP, record.reason
    assert record.low is not None and record.low > 5
    assert record.burnt_seeds
    found = record.results
    assert found.distinct_inputs is not None and not found.distinct_inputs.rejected
    assert found.opponent is not None and not found.opponent.rejected


@pytest.mark.deep
def test_every_cheat_is_refused(coordinator: Coordinator) -> None:
    for cheat in load_cheats(ROOT, coordinator.target.name):
        record = judge(coordinator, cheat.text, kind="cheat")
        bench = coordinator.bench
        if record.verdict is Verdict.REVERT and "G" in cheat.by:  # no faster, hence never drawn for
            assert check_secret_cases(bench, bench.build(cheat.text)).end is not None, cheat.id
            continue
        refused = (Verdict.INCORRECT, Verdict.REJECTED)
        # What only confirmation stops may be undecided here on a busy machine, never kept.
        late_ends = (*refused, Verdict.REVERT, Verdict.INCONCLUSIVE)
        allowed = late_ends if cheat.by in CAUGHT_LATE else refused
        assert record.verdict in allowed, f"{cheat.id}: {record.verdict} {record.reason}"


@pytest.mark.deep
@pytest.mark.timing
def test_a_machine_that_was_stopped_once_does_not_make_a_right_kernel_hang(
    pq: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.begin_phases(Phases())
    conductor = pq.bench.conductor
    right, asked = conductor.check_pools, []

    def slow(*args: object, **more: object) -> CheckResult:
        asked.append(1)
        if len(asked) == 1:  # what a frozen machine gives
            return CheckResult(0, Fault(FaultKind.TIMEOUT))
        return right(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(conductor, "check_pools", slow)
    text = pq.champion_text + b"\n// asked twice\n"
    judged = pq.judge(text, Story(kind="trial"))
    assert judged.reason.kind is ReasonKind.SAME_PROGRAM and not asked
    judged = pq.judge(text, Story(kind="test"))
    assert judged.verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE), judged.reason
    assert len(asked) == 1 + len(pq.target.tiers)
    late = CheckResult(0, Fault(FaultKind.TIMEOUT))
    monkeypatch.setattr(conductor, "check_pools", lambda *_, **__: late)
    assert pq.judge(text, Story(kind="test")).verdict is Verdict.INCORRECT
