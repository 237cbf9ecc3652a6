"""One line of `lar doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "weak", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `lar doctor`."""

    name: str
    state: State
    found: str
    """The state of this machine."""
    weaker: str = ""
    """The function that does not work, or is weaker, because of it; empty without a fault."""
    fix: str = ""
    """The line to type, or the setting to change."""
