"""Rulesets that decide alike: calibration's counts go on from one to the other.

    accepted = find_equal_rulesets(root, "hamming", digest)  digests whose trials count today

The table `records/rulesets.toml` is written by `python tools/rulesets.py --from COMMIT`, which
judges every recorded comparison again and adds a line only if all numbers are equal to the bit.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from lance_autoresearch.errors import UsageError

TABLE = "records/rulesets.toml"


def find_equal_rulesets(root: Path, target: str, digest: str) -> frozenset[str]:
    """The digest and all that the table leads to it from.

    Raises:
        UsageError: the table is damaged.
    """
    before: dict[str, set[str]] = {}
    for line in read_table(root):
        if line["target"] == target:
            before.setdefault(line["new"], set()).add(line["old"])
    found, left = {digest}, [digest]
    while left:
        for old in before.get(left.pop(), set()) - found:
            found.add(old)
            left.append(old)
    return frozenset(found)


def read_table(root: Path) -> list[dict[str, str]]:
    """Lines of the table; none if there is no table."""
    path = root / TABLE
    if not path.is_file():
        return []
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8")).get("ruleset", [])
        return [{k: str(line[k]) for k in ("target", "old", "new")} for line in lines]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"not a table of rulesets: {error}", where=TABLE,
                         next="python tools/rulesets.py --help") from error  # fmt: skip
