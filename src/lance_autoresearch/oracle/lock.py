"""Reads and writes `upstream.lock`: digests of archives and of every extracted item.

    version = "14.0.2"
    [archives]
    lance-linalg = "sha256 of the .crate file"
    [items.NAME]
    "prelude lance-linalg/src/distance/l2.rs L2" = ["sha256 of the bytes", 36]

Keys name group, file and spec, so a manifest edit shows up as a new key.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.oracle.manifest import Entry

NAME = "upstream.lock"
_HEAD = "# Written by `lar upstream pin`; do not edit. Digests are sha256, the number is a line.\n"


def make_item_key(entry: Entry, spec: str) -> str:
    """`kernel lance-index/src/vector/pq/distance.rs compute_pq_distance`"""
    return f"{entry.group} {entry.source} {spec}"


@dataclass(frozen=True, slots=True)
class Lock:
    """The digests that `fetch` compares with."""

    version: str = ""
    archives: Mapping[str, str] = field(default_factory=dict)
    """crate -> sha256 of its archive."""
    items: Mapping[str, Mapping[str, tuple[str, int]]] = field(default_factory=dict)
    """target -> item_key -> (sha256 of the extracted bytes, line)."""

    @classmethod
    def read(cls, root: Path) -> Lock:
        """The committed lock; an empty one if there is none yet."""
        path = root / NAME
        if not path.is_file():
            return cls()
        try:
            table = tomllib.loads(path.read_text())
            items = {
                target: {key: (str(v[0]), int(v[1])) for key, v in keys.items()}
                for target, keys in table["items"].items()
            }
            return cls(str(table["version"]), dict(table["archives"]), items)
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise UpstreamError(
                f"cannot be read: {error!r}", where=NAME, next="git checkout upstream.lock"
            ) from None

    def write(self, root: Path) -> None:
        """Write it, sorted, so that a diff shows the changes and nothing else."""
        lines = [_HEAD, f'version = "{self.version}"\n', "\n[archives]\n"]
        lines += [f'{crate} = "{digest}"\n' for crate, digest in sorted(self.archives.items())]
        for target, keys in sorted((k, v) for k, v in self.items.items() if v):
            lines.append(f"\n[items.{target}]\n")
            for key, (digest, line) in sorted(keys.items()):
                lines.append(f'{json.dumps(key)} = ["{digest}", {line}]\n')
        text = "".join(lines) if self.items else "".join([*lines, "\n[items]\n"])
        write_atomically(root / NAME, text.encode())
