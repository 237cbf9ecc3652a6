"""How `lar validate` and `lar diff` print facts, one line each."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lance_autoresearch.calibration.null_validation import ProofLine

EXIT_FAILED = 2


def print_facts(lines: Iterable[ProofLine], *, json: bool) -> int:
    """Print each fact as soon as it is established. Returns 0, or 2 if one does not hold."""
    ok = True
    for line in lines:
        ok &= line.ok
        if json:
            body = {"v": 1, "ok": line.ok, "what": line.what, "detail": line.detail}
            print(json_module.dumps(body), flush=True)
        else:
            print(f"{'ok  ' if line.ok else 'FAIL'}  {line.what}: {line.detail}", flush=True)
    return 0 if ok else EXIT_FAILED
