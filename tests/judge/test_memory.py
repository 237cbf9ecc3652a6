"""What is remembered: refusals by their text, timed verdicts by linked code; no failed machine."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from object_parts import find_compilers

from lance_autoresearch.campaign.coordinator import Coordinator, Story
from lance_autoresearch.errors import MachineError
from lance_autoresearch.judge import check as checking
from lance_autoresearch.judge import prepare as preparing
from lance_autoresearch.records import Fault, FaultKind, ReasonKind, Verdict

ROOT = Path(__file__).resolve().parents[2]
HONEST = (ROOT / "targets" / "pq-l2" / "honest" / "macros.rs").read_bytes()
POISON = b"""
pub fn extra() -> usize { std::collections::HashMap::<u8, u8>::new().len() }
"""
WRONG = HONEST.replace(b"*out = sum;", b"*out = sum + 1.0;")


@pytest.fixture(scope="module")
def rig() -> Iterator[Coordinator]:
    with Coordinator(ROOT, "pq-l2") as coordinator:
        yield coordinator


def stamp(text: bytes) -> bytes:
    """A program that no ledger knows: it is wrong by another amount."""
    return text.replace(b"sum + 1.0", f"sum + {1 + time.time_ns() % 10**7}.0".encode())


def test_a_refusal_is_not_the_answer_of_another_text(rig: Coordinator) -> None:
    """Unused code leaves the linked library as it was, and not the object that is audited."""
    honest = stamp(WRONG)
    refused = rig.attempt(honest + POISON, Story("poison"))
    assert refused.record.verdict is Verdict.REJECTED and "random" in refused.record.reason
    done = rig.attempt(honest, Story("honest code, wrong result"))
    assert done.record.verdict is Verdict.INCORRECT and not done.remembered


def test_a_refused_text_is_answered_from_memory(
    rig: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = stamp(WRONG) + b"fn broken( {"
    first = rig.attempt(text, Story("broken"))
    assert first.record.verdict is Verdict.REJECTED and not first.remembered

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was built again")

    monkeypatch.setattr(preparing, "build_both", fail)
    again = rig.attempt(text, Story("broken"))
    assert again.remembered and again.number == first.number
    with pytest.raises(AssertionError, match="built again"):
        rig.attempt(text + b"// another text\n", Story("other"))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"// a thought\n",
        lambda text: b"// a thought\n\n/* of\nlines */\n" + text,
        lambda text: text.replace(b"    let n = ", b"    // why\n    let  n =\n"),
        lambda text: text.replace(b"\n", b"\r\n"),
    ],
    ids=["behind", "before", "between", "line ends"],
)
def test_a_changed_comment_is_not_judged_again(rig: Coordinator, change) -> None:  # type: ignore[no-untyped-def]
    text = stamp(WRONG)
    first = rig.attempt(text, Story("wrong"))
    assert first.record.verdict is Verdict.INCORRECT and not first.remembered
    assert change(text) != text
    again = rig.attempt(change(text), Story("the same with a comment"))
    assert again.remembered and again.number == first.number


def test_a_text_that_names_lines_is_judged_again(rig: Coordinator) -> None:
    text = stamp(WRONG) + b"pub fn place() -> u32 { line!() }\n"
    assert rig.bench is not None
    assert preparing.admit(text, ROOT) == "" != preparing.admit(HONEST, ROOT)


def test_a_failed_machine_is_inconclusive_and_forgotten(rig: Coordinator) -> None:
    """The compiler is killed from outside while it builds; later the text gets its verdict."""
    text = stamp(WRONG)
    stop = threading.Event()
    killer = threading.Thread(target=kill_compilers, args=(stop,))
    killer.start()
    try:
        failed = rig.attempt(text, Story("killed"))
    finally:
        stop.set()
        killer.join()
    assert failed.record.verdict is Verdict.INCONCLUSIVE
    assert failed.record.results.reason.kind is ReasonKind.MACHINE
    later = rig.attempt(text, Story("not killed"))
    assert later.record.verdict is Verdict.INCORRECT and not later.remembered


def kill_compilers(stop: threading.Event) -> None:
    while not stop.is_set():
        for pid in find_compilers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


@pytest.mark.parametrize("kind", sorted(checking.OF_MACHINES))
def test_a_fault_that_the_champion_shows_too_is_the_machines(
    rig: Coordinator, kind: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = rig.bench.build(rig.champion_text)
    fault = Fault(kind)
    blamed = checking.blame_kernel_or_machine(rig.bench, champion, fault)
    assert blamed.verdict in (Verdict.INCORRECT, Verdict.REJECTED), "the champion passes"
    panics = b"let n = out.len(); assert!(n == usize::MAX);"
    failing = rig.bench.build(HONEST.replace(b"let n = out.len();", panics))
    with pytest.raises(MachineError, match="fails here in the same way"):
        checking.blame_kernel_or_machine(rig.bench, failing, fault)
