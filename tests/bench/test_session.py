"""Sessions: how long a measured noise of this machine counts, and when it is measured anew.

Real trials and real A/As; only the clock that the ledger reads is moved.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from agent_parts import TARGET, checkout
from kernels import around

from lance_autoresearch.campaign.calibration import run_calibration
from lance_autoresearch.campaign.coordinator import Coordinator, Story
from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.ledger import chained, store
from lance_autoresearch.records import TrialKind
from lance_autoresearch.rules.policy import DEFAULT

SLOWER = "for i in 0..out.len() * m / 30 { core::hint::black_box(i); }"
BUSY = replace(DEFAULT, max_void=99)
"""Void pairs may be many: when an A/A is run does not depend on how quiet the machine is."""

pytestmark = [pytest.mark.timing, pytest.mark.deep]


class Clock:
    """What the ledger takes for now."""

    hours = 0.0
    """Later than it is."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved, real = Clock(), chained.format_now

    def now(*, ago: timedelta = timedelta()) -> str:
        return real(ago=ago - timedelta(hours=moved.hours))

    monkeypatch.setattr(chained, "format_now", now)
    monkeypatch.setattr(store, "format_now", now)
    return moved


def judge(coordinator: Coordinator, text: bytes) -> None:
    """A trial that was timed; a machine too busy to be measured ends the test."""
    for _ in range(4):
        judged = coordinator.judge(text, Story(kind="test"))
        if judged.pairs is not None:
            return
    pytest.skip(f"the machine is too busy: {judged.reason}")


def test_a_session_that_is_over_is_measured_again_between_trials(
    tmp_path: Path, clock: Clock
) -> None:
    """`lar loop` holds one coordinator for hours."""
    with Coordinator(checkout(tmp_path), TARGET, policy=BUSY) as coordinator:
        text = around(coordinator.champion_text, "scan8", before=SLOWER)
        judge(coordinator, text)
        clock.hours = 11.9
        judge(coordinator, text)
        (first,) = coordinator.ledger.list_sessions(TARGET)

        def ends_meanwhile(said: str) -> None:
            if said.startswith("pair 1"):
                clock.hours = 12.1

        coordinator.begin_phases(Phases(ends_meanwhile))
        judged = coordinator.judge(text, Story(kind="test"))
        assert clock.hours == 12.1 and judged.pairs is not None
        assert not judged.sessions, "how many pairs a trial takes is fixed before its first"

        coordinator.begin_phases(Phases())
        judge(coordinator, text)
        old, new = coordinator.ledger.list_sessions(TARGET)
        assert old == first and coordinator.find_noise() == new.noise


def test_calibration_measures_a_new_session_before_its_load(tmp_path: Path, clock: Clock) -> None:
    loads: list[bool] = []

    def show(said: str) -> None:
        if said.startswith("measuring the noise"):
            loads.append(_a_load_runs())

    root = checkout(tmp_path)
    trials = run_calibration(
        root,
        TARGET,
        None,
        TrialKind("aa", load="conductor"),
        trials=2,
        hours=None,
        show=show,
        patience=2,
    )
    try:
        next(trials)
        clock.hours = 12.1
        next(trials)
    except MachineError as error:
        pytest.skip(f"the machine is too busy: {error.what}")
    assert len(loads) >= 2 and not any(loads)


def _a_load_runs() -> bool:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return any(b"while True: pass" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children)
