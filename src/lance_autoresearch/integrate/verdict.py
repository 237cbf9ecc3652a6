"""Is Lance faster with this kernel? One candidate, from its text to an effect per query class.

    report = integrate_kernel(Question(space, {"hamming": text}, classes), say)

    build       the candidate and Lance's own code as libraries
    reach       which classes call the kernel at all, and for how much of their time
    controls    A/A and neutrality, at most an hour old
    pairs       at least 8, then until every class is decided, time or pairs are used up
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.machine_lock import lock_machine
from lance_autoresearch.integrate.class_report import (
    ClassReport,
    IntegrationReport,
    make_effect,
    predict_class,
    weigh_controls,
)
from lance_autoresearch.integrate.controls import Control, ensure_controls
from lance_autoresearch.integrate.library import build_control, build_library
from lance_autoresearch.integrate.meter import CandidateAtFault, QueryMeter
from lance_autoresearch.integrate.pairs import judge_classes, measure_until_decided
from lance_autoresearch.integrate.reach import watch_class
from lance_autoresearch.integrate.server import Hook, ServerFault, find_place
from lance_autoresearch.integrate.setup import hold_workspace, list_classes
from lance_autoresearch.integrate.state import State, require_ready
from lance_autoresearch.integrate.workspace import Workspace
from lance_autoresearch.records import ClassEffect, Effect, KernelCalls

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    space: Workspace
    kernels: Mapping[str, bytes]
    """Target -> kernels.rs; several together are one candidate."""
    classes: tuple[str, ...]
    ops: tuple[str, ...] = ()
    """Only these ops; empty: all."""


def integrate_kernel(question: Question, say: Say) -> IntegrationReport:
    """Measure a candidate in whole queries.

    Raises:
        MachineError: not set up, in use, or Lance itself failed.
        RejectedKernel: the kernel does not compile.
        UsageError: a target without integration.
    """
    space, root = question.space, question.space.root
    known = list_classes(space) if space.binary.is_file() else {}
    datasets = {known[name] for name in question.classes if known.get(name)}
    say("building the kernel and Lance's own code as libraries")
    candidate = tuple(
        Hook(target, build_library(root, target, text), question.ops)
        for target, text in question.kernels.items()
    )
    lance = tuple(
        Hook(target, build_control(root, target), question.ops) for target in question.kernels
    )
    with hold_workspace(space), lock_machine("exclusive"):
        state = require_ready(space, datasets)
        return _Run(question, state, candidate, lance, say).answer()


class _Run:
    """One measurement: what its steps share."""

    def __init__(
        self, question: Question, state: State, candidate: tuple[Hook, ...],
        lance: tuple[Hook, ...], say: Say,
    ) -> None:  # fmt: skip
        self._question, self._state, self._say = question, state, say
        self._candidate, self._lance = candidate, lance
        self._space = question.space
        self._core, self._features = find_place()

    def answer(self) -> IntegrationReport:
        calls = {name: self._watch(name, self._lance) for name in self._question.classes}
        reached = [name for name, found in calls.items() if any(one.calls for one in found)]
        controls = self._ensure_controls(reached)
        effects: dict[str, ClassEffect] = {}
        meter = self._make_meter(reached) if reached else None
        comparison, fault = None, ""
        try:
            if meter is not None:
                comparison = measure_until_decided(meter, self._say)
                effects = {e.name: e for e in judge_classes(comparison)}
        except CandidateAtFault as error:
            fault = str(error)
            effect = Effect.DIFFERS if error.differs else Effect.FAILED
            effects = {name: make_effect(name, effect) for name in reached}
        reports = tuple(
            self._describe(name, effects.get(name), calls[name], controls.get(name, ()), fault)
            for name in self._question.classes
        )
        memory = (0, 0) if meter is None else tuple(f.peak_memory for f in meter.facts)
        return IntegrationReport(
            reports, comparison, self._state.program, (memory[0], memory[1]),
            0 if meter is None else meter.compared, fault,
        )  # fmt: skip

    def _watch(self, name: str, hooks: tuple[Hook, ...]) -> tuple[KernelCalls, ...]:
        try:
            return watch_class(
                self._space, name, hooks, core=self._core, features=self._features
            )
        except ServerFault as fault:
            where = f"Lance's own code behind the hook, {name}"
            raise MachineError(str(fault), where=where) from None

    def _ensure_controls(self, classes: list[str]) -> dict[str, tuple[Control, ...]]:
        """Class -> a control for each target's hook."""
        found: dict[str, tuple[Control, ...]] = dict.fromkeys(classes, ())
        if not classes:
            return found
        for hook in self._lance:
            try:
                one = ensure_controls(
                    self._space, self._state, hook, classes, core=self._core,
                    features=self._features, say=self._say,
                )  # fmt: skip
            except CandidateAtFault as error:
                raise MachineError(
                    f"Lance's own code behind the hook: {error}", where=hook.target
                ) from None
            found = {name: (*found[name], one[name]) for name in classes}
        return found

    def _make_meter(self, classes: list[str]) -> QueryMeter:
        return QueryMeter(
            self._space, classes, a=(), b=self._candidate, core=self._core,
            features=self._features,
        )

    def _describe(
        self, name: str, effect: ClassEffect | None, lance: tuple[KernelCalls, ...],
        controls: tuple[Control, ...], fault: str,
    ) -> ClassReport:  # fmt: skip
        if effect is None:
            return ClassReport(make_effect(name, Effect.NOT_REACHED), lance, (), None, controls)
        if not fault:
            effect = weigh_controls(effect, controls)
        if fault:
            return ClassReport(effect, lance, (), None, controls)
        try:
            mine = watch_class(
                self._space, name, self._candidate, core=self._core, features=self._features
            )
        except ServerFault:
            mine = ()
        return ClassReport(effect, lance, mine, predict_class(lance, mine), controls)
