"""The kind of a row of the ledger: an idea, a null, an injected effect, or another.

    TrialKind.parse("regress 5 +load conductor")
        TrialKind(name="regress", effect=5.0, load="conductor")

The ledger stores a kind by its label; only this module reads and writes labels.
"""

from __future__ import annotations

from dataclasses import dataclass

NULLS = ("aa", "padding", "identity")
"""A comparison of a program with itself."""
EFFECTS = ("delay", "regress")
"""An injected effect of known size."""
QUERIES = "queries"
"""What whole queries showed of a keep: it confirms the keep, or demotes it."""
ABLATION = "ablate"
"""A part of a change was left out; its parent is the trial that made the change."""
OTHERS = ("quote", "cheat", QUERIES, ABLATION)
LOAD = " +load "


@dataclass(frozen=True, slots=True)
class TrialKind:
    """The kind of a trial."""

    name: str
    effect: float = 0.0
    """Injected effect in %; 0 for all but `delay` and `regress`."""
    load: str | None = None
    """Load on the machine: `measuring`, a busy process on the workers' core; `conductor`."""

    @classmethod
    def parse(cls, label: str) -> TrialKind:
        """A kind from its label. An effect that is no number belongs to the name."""
        plain, _, load = label.partition(LOAD)
        name, _, effect = plain.partition(" ")
        try:
            return cls(name, float(effect) if effect else 0.0, load or None)
        except ValueError:
            return cls(plain, load=load or None)

    @property
    def label(self) -> str:
        """`aa`, `delay 1.5`, `regress 5 +load conductor`."""
        plain = f"{self.name} {self.effect:g}" if self.effect else self.name
        return plain + (f"{LOAD}{self.load}" if self.load else "")

    @property
    def is_null(self) -> bool:
        """Whether the kind has no true gain: it must not be kept."""
        return self.name in NULLS

    @property
    def is_idea(self) -> bool:
        """A kernel that was proposed to be kept."""
        return self.name not in (*NULLS, *EFFECTS, *OTHERS)

    @property
    def needs_dose(self) -> bool:
        """An effect is injected, so a dose must have been measured."""
        return self.name in EFFECTS
