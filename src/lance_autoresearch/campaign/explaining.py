"""What `lar explain` says of a reverted kernel, for the prompt of the next turn.

    explain_revert(root, record, 12, headroom)   lines; one line that says why if it had no answer
    measure_champion(root, "hamming", text, scratch)     its headroom, or an empty tuple

Both run `lar explain` as a process of its own with a limit of time: nothing that goes wrong in it
can stop a loop or hold it up for longer than that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lance_autoresearch.campaign.feedback import write_feedback
from lance_autoresearch.explain.headroom import Headroom
from lance_autoresearch.explain.headroom_store import find_headroom
from lance_autoresearch.explain.wording import HEADROOM, SHORT_LINES, write_headroom
from lance_autoresearch.ledger import hash_bytes
from lance_autoresearch.records import TrialRecord
from lance_autoresearch.text.plain_text import strip_text

EXPLAIN_S = 20.0
"""How long a loop waits for an explanation: it takes 2 to 5 s on an idle machine."""
START = "from lance_autoresearch.cli.app import main; main()"
LINE = 200
"""Characters of a message about a failure."""


def explain_revert(
    root: Path, record: TrialRecord, trial: int, known: Sequence[Headroom] = (), *,
    patience_s: float = EXPLAIN_S,
) -> list[str]:  # fmt: skip
    """At most 40 lines about a trial's kernel beside the champion's. Never raises.

    Args:
        known: the champion's headroom, if it was measured; nothing is measured here.
    """
    ended, said = _run_explain(
        root, [f"--target={record.target}", f"--trial={trial}", "--untimed"], patience_s
    )
    if not ended:
        return [f"explain: {said[0]}"]
    shown = set(write_feedback(record))
    lines = [line for line in said if line not in shown and not line.startswith(HEADROOM)]
    tail = [f"champion's {line}" if line.startswith(HEADROOM) else line
            for line in write_headroom(known)] if known else []  # fmt: skip
    return [*lines[: SHORT_LINES - len(tail)], *tail]


def measure_champion(
    root: Path, target: str, champion: bytes, scratch: Path, *, patience_s: float = EXPLAIN_S
) -> tuple[Headroom, ...]:
    """The champion's headroom: known, or measured now; empty if that failed. Never raises.

    Args:
        scratch: a file that may be overwritten.
    """
    known = find_headroom(root, target, hash_bytes(champion))
    if known:
        return known
    try:
        scratch.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(champion)
    except OSError:
        return ()
    _run_explain(root, [f"--target={target}", f"--kernel={scratch}"], patience_s)
    return find_headroom(root, target, hash_bytes(champion))


def _run_explain(root: Path, words: Sequence[str], patience_s: float) -> tuple[bool, list[str]]:
    """Whether `lar explain` ended well, and its lines; else one line that says what was wrong."""
    command = [sys.executable, "-c", START, "explain", *words]
    env = {**os.environ, "LAR_ROOT": str(root)}
    try:
        done = subprocess.run(
            command, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=patience_s, check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False, [f"no answer within {patience_s:g} s"]
    except OSError as error:
        return False, [strip_text(str(error), LINE)]
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no answer"]
        return False, [strip_text(said[0], LINE)]
    return True, done.stdout.decode("utf-8", "replace").splitlines()
