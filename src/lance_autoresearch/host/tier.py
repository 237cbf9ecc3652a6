"""A narrower machine on request: `LAR_TIER=avx2` or `LAR_TIER=scalar`.

    read_requested_tier()  None: all that the processor has; else the widest tier kernels may use
    is_narrower(processor)  whether that takes anything away here
    request_tier("avx2")  the same as the variable, for this process and those it starts

It stands for a processor with no more features. A figure under it has a CPU kind of its own
(`zen4@avx2`), so it is never mistaken for one of the whole processor, or of a real narrower one.
`bench.tiers.apply_limit` takes the features away where the conductor opens.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.cpu_kinds import Processor

LOWER_TIERS = ("avx2", "scalar")
"""avx2: no AVX-512. scalar: kernels may ask for nothing beyond the build's baseline."""


def read_requested_tier() -> str | None:
    """The tier in force; None if none was asked for.

    Raises:
        UsageError: LAR_TIER has another value.
    """
    value = os.environ.get("LAR_TIER", "")
    if not value:
        return None
    if value not in LOWER_TIERS:
        raise UsageError(f"LAR_TIER is '{value}'", allowed=[*LOWER_TIERS, "(unset)"],
                         next="unset LAR_TIER, for all that this processor has")
    return value


def request_tier(tier: str | None) -> None:
    """Put a tier in force for this process and the processes it starts; None: no limit."""
    if tier is None:
        os.environ.pop("LAR_TIER", None)
    else:
        os.environ["LAR_TIER"] = tier
        read_requested_tier()


def is_narrower(processor: Processor) -> bool:
    """Whether the tier in force removes a feature that this processor has."""
    tier = read_requested_tier()
    if tier == "avx2":
        return any(flag.startswith("avx512") for flag in processor.flags)
    return tier is not None


def name_visible_kind(processor: Processor) -> str:
    """The CPU kind as kernels see it: `zen4`, or `zen4@avx2` under LAR_TIER."""
    return f"{processor.kind}@{read_requested_tier()}" if is_narrower(processor) else processor.kind


def list_missing_features(needs: Iterable[str], processor: Processor) -> list[str]:
    """What of `needs` is not here: an architecture, or features that kernels may not ask for.

    Features have their names in lar_shim::Feature. Linux writes some of them with an underscore
    (`avx512_vbmi2`); that is no difference.
    """
    tier = read_requested_tier()
    seen = {flag.replace("_", "") for flag in processor.flags}
    if tier == "scalar":
        seen = set()
    elif tier == "avx2":
        seen = {flag for flag in seen if not flag.startswith("avx512")}
    seen.add("x86_64" if processor.vendor else "aarch64")
    return [name for name in needs if name.lower() not in seen]
