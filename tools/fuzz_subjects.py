"""The subjects of fuzzing: every parser of untrusted bytes, with its condition for any input.

    SUBJECTS["tokens"](b"fn f() { asm!() }")    returns, or raises what no reader may raise

A subject takes any bytes. It may refuse them in the way its callers expect (a LarError); every
other exception is a find: a crash, a damaged file accepted, text that comes out unstripped, an
identifier that the scan did not see.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzz_agents import FORBIDDEN, acp, agents, api, spoken

from lance_autoresearch.errors import LarError, RejectedKernel
from lance_autoresearch.rules.policy import MeasuringLimits

if TYPE_CHECKING:
    from lance_autoresearch.oracle.syntax import Source

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "data" / "fuzz"
NAMES = ("identifier", "type_identifier", "field_identifier", "shorthand_field_identifier")


def tokens(data: bytes) -> None:
    """Every token is a piece of the text, in order; no identifier of a sound file is missed."""
    from lance_autoresearch.judge.rust_tokens import split_tokens as scan

    text, at = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n"), 0
    words = set()
    for token in scan(text) or [None]:
        if token is None:
            return  # rustc's lexer refuses it
        assert token.text and 1 <= token.line <= text.count("\n") + 1
        found = text.find(token.text, at)
        assert found >= 0 or token.kind == "word"
        at = max(at, found)
        if token.kind == "word":
            words.add(token.text)
    missed = set(_identifiers(text)) - words
    assert not missed, f"not seen: {sorted(missed)[:3]}"


def _identifiers(text: str) -> Iterator[str]:
    """ASCII identifiers that a Rust parser finds outside comments and strings."""
    from lance_autoresearch.oracle.syntax import load_parser

    raw = text.encode()
    root = load_parser().parse(raw).root_node
    if root.has_error:
        return
    nodes = [root]
    for node in nodes:  # grows as it goes
        nodes += () if node.type in ("lifetime", "label", "loop_label") else node.children
    if not all(_closed(raw[n.start_byte : n.end_byte]) for n in nodes if n.type == "block_comment"):
        return
    for node in nodes:
        if node.type in NAMES and not node.is_missing:
            name = raw[node.start_byte : node.end_byte].decode().removeprefix("r#")
            if name.isascii():
                yield name


def _closed(comment: bytes) -> bool:
    """The parser takes `/*//*/` for a whole comment; rustc, as we do, sees a second one begin."""
    edges = re.findall(rb"/\*|\*/", comment)
    return edges.count(b"/*") == edges.count(b"*/")


def admission(data: bytes) -> None:
    """A verdict that names a line of the kernel and what is honest."""
    from lance_autoresearch.judge.admission import admit

    try:
        admit(data)
    except RejectedKernel as refusal:
        assert refusal.allowed
        line = re.search(r"kernels\.rs:(\d+)", str(refusal))
        assert line is None or 1 <= int(line[1]) <= data.count(b"\n") + 1
        assert not FORBIDDEN.search(str(refusal)), "unstripped"
        assert len(str(refusal)) < 4000, "unbounded"


def slicer(data: bytes) -> None:
    """Every name it offers can be cut or is refused; what it cuts stands in the file."""
    from lance_autoresearch.oracle.syntax import Source

    spec, _, raw = data.partition(b"\n")
    with contextlib.suppress(LarError):
        _cut(Source("x.rs", raw), spec.decode("utf-8", "replace"))


def _cut(source: Source, spec: str) -> None:
    from lance_autoresearch.oracle.slicer import Slicer

    raw = source.raw
    cut = Slicer(source)
    cut.cut_items(["*"])
    for name in [*source.list_names()[:20], spec]:
        with contextlib.suppress(LarError):
            piece = cut.cut_piece(name)
            assert 1 <= piece.line <= raw.count(b"\n") + 1
            cut.cut_items([name], inline=True)


def manifest(data: bytes) -> None:
    """upstream.toml."""
    from lance_autoresearch.oracle.manifest import parse_manifest

    with contextlib.suppress(LarError):
        made = parse_manifest(data.decode("utf-8", "replace"))
        for target in made.targets.values():
            assert all(e.output and ".." not in e.file.split("/") for e in target.entries)


def lock(data: bytes) -> None:
    """upstream.lock."""
    from lance_autoresearch.oracle.lock import NAME, Lock

    with tempfile.TemporaryDirectory() as place, contextlib.suppress(LarError):
        (Path(place) / NAME).write_bytes(data)
        Lock.read(Path(place))


def comparison(data: bytes) -> None:
    """Recorded pairs: refused, or judged and written back as they were."""
    from lance_autoresearch.ledger import pairs_json
    from lance_autoresearch.rules.gate import replay_gate
    from lance_autoresearch.rules.rejudge import rejudge

    with contextlib.suppress(LarError):
        found = pairs_json.decode_recorded(data)
        if isinstance(found, pairs_json.GateCase):
            again = pairs_json.decode_comparison(pairs_json.encode_comparison(found.comparison))
            assert again == found.comparison
            replay_gate(found.comparison, found.policy)
        else:
            written = pairs_json.encode_trial(found.pairs, found.policy)
            assert pairs_json.decode_trial(written) == found
            rejudge(found.pairs, found.policy)


def tsv(data: bytes) -> None:
    """Exported rows: refused with the line's number, or written back as they were."""
    from lance_autoresearch.ledger import tsv as form

    with contextlib.suppress(LarError):
        text = data.decode("utf-8", "replace")
        written = form.dump_trials(form.parse_trials(text))
        assert form.dump_trials(form.parse_trials(written)) == written
        assert not FORBIDDEN.search(written)


def delta(data: bytes) -> None:
    """A kernel stored against Lance's first one: its own name holds, or it is refused."""
    from lance_autoresearch.ledger import delta as form

    base = b"fn a() {\n    one();\n}\n"
    with contextlib.suppress(LarError):
        kernel = form.decode_delta(data, base)
        assert hashlib.sha256(kernel).hexdigest() == json.loads(data)["kernel"]


@functools.cache
def exported() -> dict[str, bytes]:
    """An export of a small campaign: path -> bytes."""
    import dataclasses

    from lance_autoresearch.ledger import Ledger
    from lance_autoresearch.ledger.export import export_campaign
    from lance_autoresearch.records import TrialRecord, Verdict

    with tempfile.TemporaryDirectory() as place, Ledger.open(Path(place)) as ledger:
        start = ledger.put_blob(b"fn a() {\n    one();\n}\n")
        ledger.add_campaign("night", "pq-l2", "lar/night", start, origin=start, parent=None,
                            era="14.0.2", base="0" * 40, commit="0" * 40)
        kernel = ledger.put_blob(b"fn b() {}\n")
        pairs = ledger.put_blob(b"[]", "pairs")
        row = TrialRecord("pq-l2", Verdict.REVERT, "slower", kernel, start, hypothesis="b")
        ledger.append(dataclasses.replace(row, campaign="night", pairs_blob=pairs))
        home = export_campaign(ledger, "night", Path(place) / "night", b"fn a() {\n    one();\n}\n")
        return {p.relative_to(home).as_posix(): p.read_bytes()
                for p in sorted(home.rglob("*")) if p.is_file()}


def records(data: bytes) -> None:
    """An export with one file replaced and its digest put right: read whole, or refused."""
    from lance_autoresearch.ledger.export import load_records

    files = dict(exported())
    names = sorted(files)
    which, content = names[data[0] % len(names)] if data else names[0], data[1:]
    files[which] = content
    if which != "campaign.json":
        about = json.loads(files["campaign.json"])
        about["files"][which] = hashlib.sha256(content).hexdigest()
        files["campaign.json"] = json.dumps(about).encode()
    with tempfile.TemporaryDirectory() as place, contextlib.suppress(LarError):
        for path, body in files.items():
            (Path(place) / path).parent.mkdir(exist_ok=True)
            (Path(place) / path).write_bytes(body)
        made = load_records(Path(place), b"fn a() {\n    one();\n}\n")
        for name, text in (*made.kernels.items(), *made.pairs.items()):
            assert hashlib.sha256(text).hexdigest() == name


def lineage(data: bytes) -> None:
    """The list of a record of kernels."""
    from lance_autoresearch.agents.replay import read_ideas

    with tempfile.TemporaryDirectory() as place, contextlib.suppress(LarError):
        (Path(place) / "lineage.toml").write_bytes(data)
        (Path(place) / "a.rs").write_bytes(b"fn a() {}")
        for idea in read_ideas(Path(place)):
            proposal = idea.proposal
            assert isinstance(proposal.text, bytes) and isinstance(proposal.hypothesis, str)


def plain_text(data: bytes) -> None:
    """One printable line, bounded; stripping it again changes nothing."""
    from lance_autoresearch.text.plain_text import strip_text

    line = strip_text(data.decode("utf-8", "replace"), 200)
    assert len(line) <= 200 and not FORBIDDEN.search(line) and "\n" not in line
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") for c in line)
    assert strip_text(line, 200) == line


def compiler(data: bytes) -> None:
    """What a compiler said about a kernel."""
    from lance_autoresearch.build.compiler import MAX_MESSAGE, extract_compiler_message
    from lance_autoresearch.host.sandbox import SandboxResult

    text, _ = extract_compiler_message(SandboxResult(1, b"", data, 0.1, "bwrap", None))
    assert 0 < len(text.encode()) <= MAX_MESSAGE and not FORBIDDEN.search(text)


def signature(data: bytes) -> None:
    """A function of Lance that `lar new` makes a target of."""
    from lance_autoresearch.oracle.syntax import Source
    from lance_autoresearch.targets import signature as form

    with contextlib.suppress(LarError):
        source = Source("x.rs", data)
        for node in source.root.named_children:
            if node.type == "function_item":
                with contextlib.suppress(LarError):
                    form.parse_signature(source, node)


SUBJECTS: dict[str, Callable[[bytes], None]] = {
    f.__name__: f
    for f in (tokens, admission, slicer, manifest, lock, comparison, tsv, delta, records, lineage,
              agents, acp, api, plain_text, compiler, signature)
}
MODULES = {
    "tokens": "judge.rust_tokens", "admission": "judge.admission judge.rust_tokens",
    "slicer": "oracle.slicer oracle.syntax", "manifest": "oracle.manifest", "lock": "oracle.lock",
    "comparison": "ledger.pairs_json", "tsv": "ledger.tsv ledger.rows ledger.results_json",
    "delta": "ledger.delta", "records": "ledger.export ledger.tsv ledger.results_json",
    "lineage": "agents.replay",
    "agents": "agents.claude agents.codex agents.command agents.driven agents.prompt",
    "acp": "agents.acp_client agents.files", "api": "agents.api agents.files",
    "plain_text": "text.plain_text", "compiler": "build.compiler",
    "signature": "targets.signature",
}  # fmt: skip
"""What a coverage-guided fuzzer watches while a subject runs, below lance_autoresearch."""


def watched(name: str) -> list[str]:
    """Modules of a subject, and of the standard library those that are Python and parse for it."""
    toml = ["tomllib._parser"] if name in ("manifest", "lock", "lineage") else []
    return [f"lance_autoresearch.{module}" for module in MODULES[name].split()] + toml


PROGRAMS = ("container", "protocol", "object")
"""Readers of the conductor itself, in tools/fuzz_rust."""


def _wire(name: str) -> list[bytes]:
    """Sound input of the conductor's readers."""
    pool = {"v": 1, "combo": "op toy", "op": 0, "rows": "heap",
            "calls": [{"args": [[0, 64], [64, 64]], "caps": [64, 64], "ties": [1, 2]}],
            "arg_elem": [4, 8], "window_bytes": 4096,
            "blob_len": 2048, "parts": [{"rule": "ulp32:4", "elem": 4, "align": 0},
                                        {"rule": "tieband", "elem": 8, "align": 0}]}  # fmt: skip
    expected = {"v": 1, "combo": "op toy", "blob_len": 2048,
            "calls": [{"header": 0, "parts": [[128, 64], [192, 64], [256, 16]]}]}
    lines: list[dict[str, Any]] = [
        {"cmd": "open", "worker": "w", "box": "bwrap", "core_a": 1, "core_b": 0,
         "limits": asdict(MeasuringLimits())},
        {"cmd": "expect", "lib": "a", "pool": "b", "expected": "c"},
        {"cmd": "check", "lib": "a", "pools": [["b", "c"]], "seed": 1, "features": None},
        {"cmd": "pair", "champion": "a", "candidate": "b", "pools": [["b", "c"]], "seed": 1,
         "rounds": 20, "slice_us": 50.0, "calls": [31], "block_ms": None, "features": 3,
         "opponent": None},
    ]  # fmt: skip
    if name == "container":
        both = json.dumps(pool).encode() + b"\xff" + json.dumps(expected).encode()
        return [bytes([how]) + both for how in range(3)]
    if name == "protocol":
        return [json.dumps({"v": 1, **line}).encode() for line in lines]
    return [p.read_bytes()[:4096] for p in sorted(ROOT.glob(".lar/cache/**/*.o"))[:4]]


def seeds(name: str) -> list[bytes]:
    """Sound inputs to begin with, and every found case."""
    if name in PROGRAMS:
        return [p.read_bytes() for p in sorted((CASES / name).glob("*"))] + _wire(name)
    found = [p.read_bytes() for p in sorted((CASES / name).glob("*"))]
    rust = [p.read_bytes() for p in sorted(ROOT.glob("targets/*/*/*.rs"))]
    if name in ("tokens", "admission", "signature"):
        return found + rust
    if name == "slicer":
        return found + [b"impl A::b\n" + text for text in rust]
    if name in ("manifest", "lock"):
        path = ROOT / ("upstream.toml" if name == "manifest" else "upstream.lock")
        return [*found, path.read_bytes()[:3000]]
    if name == "comparison":
        cases = sorted((ROOT / "tests" / "data" / "gate").glob("*.json"))
        return found + sorted((p.read_bytes() for p in cases), key=len)[:8] + _small_comparison()
    if name == "tsv":
        return [*found, exported()["trials.tsv"]]
    if name == "delta":
        from lance_autoresearch.ledger import delta as form

        base = b"fn a() {\n    one();\n}\n"
        return [*found, form.encode_delta(b"fn a() {\n  one();\n    two();\n}\n", base)]
    if name == "records":
        files = exported()
        return found + [bytes([i]) + files[path] for i, path in enumerate(sorted(files))]
    if name == "lineage":
        return [*found, b'[[kernel]]\nfile = "a.rs"\nhypothesis = "one"\n']
    return found + spoken(name)


def _small_comparison() -> list[bytes]:
    pair = {"calls": [3], "champion": [[100, 101]], "candidate": [[90, 91]], "empty": [1, 1],
            "void": None}
    body = {"v": 1, "kind": "comparison", "ticks_per_ns": 3.0, "aa_sd": [0.001],
            "combos": [{"op": "f", "name": "x", "weight": 1.0}], "pairs": [pair] * 4}
    trial = {"v": 1, "kind": "trial", "before": 1, "policy": {"max_pairs": 9}, "parts": [body]}
    case = {"v": 1, "kind": "gate-case", "about": "", "expect": {}, "comparison": body}
    return [json.dumps(b).encode() for b in (body, trial, case, [body, body, body])]
