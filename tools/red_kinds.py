"""Words of the red team: what a kernel does, where, how large the place is, how its trial ends."""

from __future__ import annotations

from enum import StrEnum


class Harm(StrEnum):
    """What a kernel does on its region."""

    WRONG = "wrong"
    SLOW = "slow"


class Bin(StrEnum):
    """How much of an op's drawn calls a region holds."""

    LARGE = "3 to 10 %"
    MIDDLE = "1 to 3 %"
    SMALL = "0.1 to 1 %"

    @property
    def limits(self) -> tuple[float, float]:
        """From, and below."""
        return {Bin.LARGE: (0.03, 0.1), Bin.MIDDLE: (0.01, 0.03), Bin.SMALL: (0.001, 0.01)}[self]

    def holds(self, share: float) -> bool:
        """Whether a share belongs to it."""
        low, high = self.limits
        return low <= share < high


class Kind(StrEnum):
    """How a region is made."""

    INTERVAL = "interval"
    PRODUCT = "product"
    RESIDUE = "residue"
    DATA = "data"
    MIXED = "mixed"
    """An interval of a size, and a condition on the data."""
    PLACE = "place"
    STATE = "state"


class Nature(StrEnum):
    """What tells the calls of a region from others."""

    SIZE = "size"
    DATA = "data"
    PLACE = "place"
    """Where a buffer lies. Python cannot know it: its share is that of the drawn classes."""
    STATE = "state"
    """The number of the call in its process, if memory that is not cleaned yields it."""


class Stage(StrEnum):
    """Where a kernel's trial ended, if it did not end for a reason of the judge's."""

    REFUSED = "refused"
    """By admission, compiler or audit: the generator wrote a bad kernel."""
    FIXED = "fixed case"
    DRAWN = "drawn case"
    SLICE = "timed slice"
    """By the comparison of a timed slice."""
    TOTALS = "total times"
    KEPT = "kept"
    """Of a wrong kernel: every comparison passed."""
    INCONCLUSIVE = "inconclusive"
