"""Recorded end-to-end verdicts: files below records/integration/, from which tables are made.

    path = write_record(root, space, {"hamming": text}, report)
    for record in read_records(root): record["targets"], record["date"], record["report"]

A file is named by targets and CPU kind (`hamming+cosine-zen3.json`); a new verdict replaces it,
and git keeps the old one. Raw pairs are in it, so that the effects can be judged again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.machine import describe_machine, describe_origin, hash_host_identity
from lance_autoresearch.integrate.class_report import IntegrationReport
from lance_autoresearch.integrate.report import encode_report
from lance_autoresearch.integrate.workspace import Workspace

FOLDER = Path("records") / "integration"


def write_record(
    root: Path, space: Workspace, kernels: Mapping[str, bytes], report: IntegrationReport
) -> Path:
    """Write a verdict to a file to be committed; its path."""
    kind = describe_machine()["cpu_kind"]
    body = {
        "v": 1,
        "targets": list(kernels),
        "champions": {name: hashlib.sha256(text).hexdigest() for name, text in kernels.items()},
        "cpu_kind": kind,
        "date": time.strftime("%Y-%m-%d"),
        "origin": describe_origin(root),
        "host": hash_host_identity(),
        "lance": space.version,
        "program_name": space.program,
        "report": encode_report(report),
    }
    path = root / FOLDER / f"{'+'.join(kernels)}-{kind}.json"
    write_atomically(path, _format_record(body, _encode_pairs(report)).encode())
    return path


def _format_record(body: Mapping[str, Any], pairs: list[dict[str, Any]]) -> str:
    """JSON with a line for each pair: short enough to be reviewed as a difference."""
    head = json.dumps(body, indent=1).removesuffix("\n}")
    lines = ",\n".join(f"  {json.dumps(pair)}" for pair in pairs)
    return f'{head},\n "pairs": [\n{lines}\n ]\n}}\n'


def _encode_pairs(report: IntegrationReport) -> list[dict[str, Any]]:
    """Nanoseconds of every block: [class][round], Lance and candidate."""
    if report.comparison is None:
        return []
    return [
        {
            "queries": list(pair.calls),
            "lance": [list(times) for times in pair.champion],
            "candidate": [list(times) for times in pair.candidate],
            "empty": list(pair.empty),
            "void": None if pair.void is None else str(pair.void.cause),
        }
        for pair in report.comparison.pairs
    ]


def read_records(root: Path) -> list[dict[str, Any]]:
    """All recorded verdicts, by file name."""
    return [json.loads(path.read_text()) for path in sorted((root / FOLDER).glob("*.json"))]


def is_current(root: Path, record: Mapping[str, Any]) -> bool:
    """Whether the champions of a record are those that the checkout carries."""
    for target, digest in record["champions"].items():
        path = root / "targets" / target / "kernel" / "kernels.rs"
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return False
    return True
