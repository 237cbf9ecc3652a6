"""CPU tiers: what `lar_shim::has` may say yes to.

    find_feature_mask("avx2", host_features)  ->  the host's features without any AVX-512
    find_feature_mask("native", ...)  ->  None: all that the host has
    apply_limit(host_features)   ->  what is left of them under LAR_TIER

A tier is forced by masking the features word on the page that kernels read, so one library is
checked and quoted at every tier on one machine. Bits as in rust/abi/src/call.rs.
"""

from __future__ import annotations

from collections.abc import Sequence

from lance_autoresearch.host.tier import read_requested_tier

AVX512 = sum(1 << bit for bit in (8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 22, 23))
"""All AVX-512 features of the features word."""

TIERS = ("native", "avx512", "avx2", "scalar")
"""native: everything; avx512: refused if the host has none; avx2: no AVX-512; scalar: none."""


def find_feature_mask(tier: str, host: int) -> int | None:
    """Features word for a tier; None means the host's own.

    Raises:
        KeyError: unknown tier.
    """
    return {"native": None, "avx512": None, "avx2": host & ~AVX512, "scalar": 0}[tier]


def is_present(tier: str, host: int) -> bool:
    """Whether the host can run a tier."""
    return tier != "avx512" or bool(host & AVX512)


def apply_limit(host: int) -> int:
    """The host's features word without what LAR_TIER takes away.

    Raises:
        UsageError: LAR_TIER is no tier.
    """
    limited = find_feature_mask(read_requested_tier() or "native", host)
    return host if limited is None else limited


def find_equal(tiers: Sequence[str], host: int) -> dict[str, str]:
    """Tiers that are another one on this host, with the first that they equal.

    On a processor without AVX-512 `avx2` is `native`.
    """
    first: dict[int, str] = {}
    equal = {}
    for tier in tiers:
        masked = find_feature_mask(tier, host)
        word = host if masked is None else masked
        if is_present(tier, host) and first.setdefault(word, tier) != tier:
            equal[tier] = first[word]
    return equal


def list_distinct(tiers: Sequence[str], host: int) -> list[str]:
    """The tiers that the host can run and that differ there; of equal ones the first."""
    equal = find_equal(tiers, host)
    return [tier for tier in tiers if is_present(tier, host) and tier not in equal]
