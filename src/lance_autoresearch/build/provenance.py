"""The origin of a verdict: digests that the ledger writes beside it.

    measure_provenance(root, target, policy) -> {"ruleset": ..., "instrument": ..., ..., "all": ...}

Two rows with the same `all` were judged by the same rules, on the same oracle, with the same
instrument. Left out are rooms that word or draw a result (text, report, cli) or drive trials
(campaign, agents), and all files of other targets.

    ruleset      judge/, rules/: all code that decides, with every threshold
    instrument   bench/, build/, rust/: all code that builds and measures
    target       the target's own trusted files
    fixtures     generators that several targets share
    upstream     the items taken from Lance
    flags        compiler flags
    policy       the values of the thresholds in force
    inputs       over target, fixtures, upstream and instrument: what an epoch's pools depend on
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from lance_autoresearch import oracle
from lance_autoresearch.build import flags
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.targets.spec import Target

TRUSTED = ("target.py", "fixtures.py", "contract.rs", "prelude.rs", "adapter.rs", "maker.rs")
"""The files of a target that do not change during a campaign."""
RULESET = ("judge", "rules")
"""Rooms that decide."""
INSTRUMENT = ("bench", "build")
"""Rooms that build and measure; the Rust programs belong to them."""
RUST = ("abi", "conductor", "shim", "worker")


def measure_provenance(root: Path, target: Target, policy: Policy) -> dict[str, str]:
    """Short name -> sha256, and `all` over them."""
    home = root / "targets" / target.name
    package = Path(__file__).parent.parent
    rust = root / "rust"
    programs = [p for name in RUST for p in (rust / name).rglob("*.rs")]
    instrument = (
        hash_files(package, _list_room_files(package, INSTRUMENT)),
        hash_files(rust, [*programs, rust / "Cargo.lock"]),
    )
    parts = {
        "ruleset": hash_files(package, _list_room_files(package, RULESET)),
        "instrument": _hash_value(instrument),
        "target": hash_files(home, (home / name for name in TRUSTED)),
        "fixtures": hash_files(package, _list_room_files(package, ("fixtures",))),
        "upstream": oracle.hash_extracts(root, target.name),
        "flags": _hash_value(flags.FLAGS),
        "policy": _hash_value(dataclasses.asdict(policy)),
    }
    inputs = {k: parts[k] for k in ("target", "fixtures", "upstream", "instrument")}
    return {**parts, "inputs": _hash_value(inputs), "all": _hash_value(parts)}


def _list_room_files(package: Path, rooms: Iterable[str]) -> list[Path]:
    return [path for room in rooms for path in (package / room).rglob("*.py")]


def hash_files(base: Path, paths: Iterable[Path]) -> str:
    """sha256 over names (relative to `base` if they lie below it) and bytes, in order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file():
            name = path.relative_to(base) if path.is_relative_to(base) else Path(path.name)
            digest.update(name.as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _hash_value(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
