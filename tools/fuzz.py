#!/usr/bin/env python3
"""Random input for the parsers that read untrusted bytes.

    python tools/fuzz.py --seconds 600      token scan, slicer, conductor in turn; prints figures

Found cases belong into tests/house/test_fuzz.py or tests/judge/test_admit.py. The container's blob
carries no checksum: a flipped byte there is other input, which the comparison answers. So only
damage of magic, length, JSON and size counts as damage here.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIECES = (
    "fn f() {", "}", "asm!", "extern ", '"', "'", "r#\"", "\"#", "/*", "*/", "//", "\n", "\\", "b'",
    "static ", "mut ", "std::", "{", "(", ")", "#[", "]", "#![", "macro_rules! m ", "$x", "::", "*",
    "use ", "mod m;", "'a", "0x1f", "1e9", "r#fn", "impl T for U {", "where", "<", ">", ";",
    "\u202e",
)  # fmt: skip
PATIENCE_S = 5.0


def scan(text: str) -> None:
    """Every token is a piece of the text, in order, and it ends quickly."""
    from lance_autoresearch.judge.rust_tokens import split_tokens

    begun, at = time.monotonic(), 0
    for token in split_tokens(text):
        found = text.find(token.text, at)
        if found >= 0:
            at = found
        assert token.text and token.line >= 1
    assert time.monotonic() - begun < PATIENCE_S


def admission(data: bytes) -> None:
    """A verdict, in time."""
    from lance_autoresearch.errors import RejectedKernel
    from lance_autoresearch.judge.admission import admit

    begun = time.monotonic()
    try:
        admit(data)
    except RejectedKernel as refusal:
        assert refusal.allowed is not None
    assert time.monotonic() - begun < PATIENCE_S


def slice_(text: str) -> None:
    """Text or an UpstreamError."""
    from lance_autoresearch.errors import UpstreamError
    from lance_autoresearch.oracle.slicer import Slicer
    from lance_autoresearch.oracle.syntax import Source

    try:
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "x.rs"
            path.write_text(text, encoding="utf-8", errors="replace")
            Slicer(Source.read("x.rs", path)).cut_items(["*"])
    except UpstreamError:
        pass


def conductor(place: Path, *, seed: int, cases: int) -> dict[str, int]:
    """Mutated pools and protocol lines against the real conductor; counts of how they ended."""
    from lance_autoresearch.bench.conductor import ensure_built
    from lance_autoresearch.build.builder import build_upstream
    from lance_autoresearch.rules.policy import LIMITS

    rng, library = random.Random(seed), str(build_upstream(ROOT, "pq-l2").so)
    program = ensure_built(ROOT) / "lar-conductor"
    head = {
        "v": 1, "combo": "op toy", "op": 0, "rows": None,
        "parts": [{"rule": "bits32", "elem": 4, "align": 0}],
        "calls": [{"args": [[0, 1024], [1024, 1024]], "caps": [1024]}],
        "arg_elem": [4, 4], "window_bytes": 4096, "blob_len": 2048,
    }  # fmt: skip
    counts = {"cases": 0, "refused": 0, "accepted": 0, "lost": 0}
    process = subprocess.Popen([program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    worker = str(program.with_name("lar-worker"))
    opened = {"v": 1, "cmd": "open", "worker": worker, "box": "bwrap", "core_a": 0, "core_b": 0,
              "limits": asdict(LIMITS)}  # fmt: skip
    assert _ask(process, json.dumps(opened).encode())["ok"] is True
    for i in range(cases):
        counts["cases"] += 1
        path = place / f"{i}.pool"
        ask = {"v": 1, "cmd": "expect", "lib": library, "pool": str(path),
               "expected": str(place / "expected")}  # fmt: skip
        line = json.dumps(ask).encode()
        if i % 4 == 0:
            # The line comes from our own client: ASCII. At other bytes it ends, in good order.
            line = bytes(b & 127 for b in _mutated(line, rng))
        else:
            path.write_bytes(_damaged(head, rng, i % 4))
        answer = _ask(process, line)
        if process.poll() is not None or not answer:
            counts["lost"] += 1
            break
        # Mutated JSON may still be a sound pool of another call; all other damage must show.
        counts["accepted" if answer.get("ok") and i % 4 != 1 else "refused"] += 1
    process.kill()
    process.communicate()
    return counts


def _ask(process: subprocess.Popen[bytes], line: bytes) -> dict[str, object]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(line.replace(b"\n", b" ") + b"\n")
    process.stdin.flush()
    said = process.stdout.readline()
    return dict(json.loads(said)) if said else {}


def _damaged(head: dict[str, object], rng: random.Random, how: int) -> bytes:
    """A pool file with its JSON (how = 1), its size (2), or magic and numbers (3) broken."""
    from lance_autoresearch.bench.pools import seal_pool

    text = json.dumps(head).encode()
    kind = {1: 0, 2: 1}.get(how, rng.choice((2, 3)))
    if kind == 0:
        text = _mutated(text, rng)
    raw = b"".join(seal_pool(text, [bytes(2048)]))
    if kind == 1:
        raw = raw[: rng.randrange(len(raw))]
    elif kind == 2:
        raw = _mutated(raw[:16], rng) + raw[16:]
    elif kind == 3:
        sly = json.loads(json.dumps(head))
        big = rng.choice([2**63, 2**64 - 1, 2**32, 2**31, 4097, 10**30, -1])
        where = rng.randrange(4)
        if where == 0:
            sly["blob_len"] = big
        elif where == 1:
            sly["calls"][0]["args"][0] = [big, 8]
        elif where == 2:
            sly["calls"][0]["caps"] = [big]
        else:
            sly["parts"][0]["elem"] = big
        text = json.dumps(sly).encode()
        raw = b"".join(seal_pool(text, [bytes(2048)]))
    return raw


def _mutated(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if not out:
            break
        at = rng.randrange(len(out))
        match rng.randrange(3):
            case 0:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at]
            case _:
                out.insert(at, rng.randrange(256))
    return bytes(out)


def main() -> int:
    """Fuzz for a while; print and return."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    rng, end = random.Random(given.seed), time.monotonic() + given.seconds
    counts = {"scan": 0, "admission": 0, "slicer": 0, "conductor": 0, "refused": 0, "lost": 0}
    kernels = [p.read_bytes() for p in sorted(ROOT.glob("targets/*/*/*.rs"))]
    while time.monotonic() < end:
        for _ in range(200):
            text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(60)))
            scan(text)
            admission(_mutated(rng.choice(kernels), rng))
            counts["scan"] += 1
            counts["admission"] += 1
        slice_(text)
        counts["slicer"] += 1
        with tempfile.TemporaryDirectory() as place:
            ends = conductor(Path(place), seed=rng.randrange(2**32), cases=200)
        counts["conductor"] += ends["cases"]
        counts["refused"] += ends["refused"]
        counts["lost"] += ends["lost"]
    print(json.dumps({"seed": given.seed, "seconds": given.seconds, **counts}))
    return 1 if counts["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
