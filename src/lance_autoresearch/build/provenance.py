"""Digests of everything a kernel could not touch: what the ledger writes beside a verdict.

    immutable(root, target, policy) -> {"target": ..., "upstream": ..., ..., "all": ...}

Two rows with the same `all` were judged by the same rules on the same oracle.
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
"""The files of a target that stand still during a campaign."""


def immutable(root: Path, target: Target, policy: Policy) -> dict[str, str]:
    """Short name -> sha256, and `all` over them."""
    home = root / "targets" / target.name
    package = Path(__file__).parent.parent
    rust = root / "rust"
    parts = {
        "target": _files(home / name for name in TRUSTED),
        "upstream": oracle.extracts_digest(root, target.name),
        "measuring": _files(sorted({*rust.rglob("*.rs")} - {*(rust / "target").rglob("*")})),
        "fixtures": _files(sorted((package / "fixtures").glob("*.py"))),
        "rules": _files(sorted((package / "rules").glob("*.py"))),
        "package": _files(sorted(package.rglob("*.py"))),
        "flags": _text(flags.FLAGS),
        "policy": _text(dataclasses.asdict(policy)),
    }
    judged_by = {k: v for k, v in parts.items() if k != "package"}
    return {**parts, "all": _text(judged_by)}


def _files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(path.name.encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _text(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
