"""What was judged is not judged again: the key under which a verdict is remembered."""

from __future__ import annotations

import dataclasses
import hashlib

from lance_autoresearch.ledger.chain import canonical
from lance_autoresearch.rules.policy import Policy


def judged_key(
    code: str, champion: str, contract: str, policy: Policy, toolchain: str, machine: str
) -> str:
    """sha256 over all that a verdict depends on.

    Args:
        code: digest of the linked code and constants (not of the text: a comment is no change).
        champion: the same digest of the champion's build.
        contract: digest of everything immutable (target, contract, prelude, upstream, flags).
        toolchain: `rustc -vV`, or a digest of it.
        machine: the kind of machine, e.g. the CPU's model and the box in use.
    """
    parts = {
        "code": code,
        "champion": champion,
        "contract": contract,
        "policy": dataclasses.asdict(policy),
        "toolchain": toolchain,
        "machine": machine,
    }
    return hashlib.sha256(canonical(parts)).hexdigest()


def seal(target: str, name: str, seed: str) -> str:
    """Commitment to an epoch's seed, stored when it begins and checked when it ends."""
    return hashlib.sha256(f"{target}\n{name}\n{seed}".encode()).hexdigest()
