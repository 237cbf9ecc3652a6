"""No known cheat is kept: each is refused by the defence it names; each defence alone matters.

The tests with `alone` in their name take one defence away, in this process or by a cargo
feature that no shipped build sets, and show that the cheat then passes everything that looks
at outputs; with the defence in place the same cheat does not.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conductor_parts import programs, read_container
from tiers import fast_for

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.bench.pools import Pool, make_pools
from lance_autoresearch.build import builder
from lance_autoresearch.build import kit as kits
from lance_autoresearch.campaign.coordinator import Coordinator, Story, make_record
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.records import Fault
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Op, Target
from lance_autoresearch.text.plain_text import strip_text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import threats  # noqa: E402

CHEATS = {c.id: c for c in threats.cheats()}
FIRST_OF_EACH = {c.by: c.id for c in reversed(CHEATS.values())}  # set of defences -> a cheat


@pytest.fixture(scope="module")
def rigs() -> Iterator[dict[str, Coordinator]]:
    """A coordinator per target, opened when first used."""
    ready: dict[str, Coordinator] = {}

    class Opened(dict[str, Coordinator]):
        def __missing__(self, target: str) -> Coordinator:
            self[target] = ready[target] = Coordinator(ROOT, target).__enter__()
            return ready[target]

    yield Opened()
    for rig in ready.values():
        rig.__exit__(None, None, None)


def text_of(name: str) -> bytes:
    """A cheat's kernel by its id, `pq-l2/half-table` or `_toy/late@blend`."""
    return CHEATS[name].text


def texts_of(name: str) -> list[bytes]:
    """The kernels of one file: several if it is a template."""
    found = [c.text for c in CHEATS.values() if c.name == name]
    assert found, name
    return found


# ---- coverage ----------------------------------------------------------------------------


def test_every_row_of_the_catalogue_has_an_attempt_or_a_reason() -> None:
    assert list(threats.gaps()) == []


def test_a_missing_attempt_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = threats.threats()
    del rows[3]["cheats"]
    rows[5]["tests"] = ["tests/test_nothing.py::test_x"]
    monkeypatch.setattr(threats, "threats", lambda: rows[:-1])
    found = "\n".join(threats.gaps())
    assert "row 78 stands 0 times" in found
    assert "no test tests/test_nothing.py::test_x" in found
    assert "neither an attempt" in found


def test_a_record_goes_on_where_it_was_ended(tmp_path: Path) -> None:
    log = threats.Log(tmp_path / "threats.json")
    log.add("cheats", "pq-l2/half-table", {"all on": "mismatch"})
    log.add("cheats", "_toy/by-shape@blend", {"all on": "admission"})
    log.add("cheats", "_toy/by-shape@compact", {"all on": "admission", "without A": "!passes"})
    again = threats.Log(tmp_path / "threats.json")
    assert again.done("cheats", "pq-l2/half-table")
    assert not again.done("cheats", "_toy/by-shape@compact")
    assert not again.done("tests", "tests/ledger/test_ledger.py")
    row = {"row": "22", "hack": "", "defence": "A", "cheats": ["_toy/by-shape"]}
    assert threats._last(row, again.data).endswith("NOT AS NAMED")
    assert threats._last(row | {"cheats": ["_toy/atexit"]}, again.data) == "not run"
    again.tree = "another"
    assert not again.done("cheats", "pq-l2/half-table")


@pytest.mark.parametrize("name", fast_for(CHEATS, *FIRST_OF_EACH.values()))
def test_the_named_defence_stops_the_cheat(name: str, rigs: dict[str, Coordinator]) -> None:
    rig = rigs[name.partition("/")[0]]
    for when, end, named in threats.verdicts(rig, CHEATS[name]):
        if end == "undecided":
            pytest.skip("the machine is too busy to measure anything")
        assert end not in ("passes", "does not build"), f"{name}, {when}: {end}"
        assert named, f"{name}, {when}: stopped by accident, at {end}"


# ---- each defence alone ------------------------------------------------------------------


def outcome(rig: Coordinator, text: bytes, conductor: Conductor | None = None) -> Fault | None:
    """Fault of a check of every case and a pair, without admission and audit."""
    conductor = conductor or rig.bench.conductor
    so = builder.build_kernel(ROOT, rig.target.name, text).so
    epoch = rig.bench.inputs.epoch
    pools = [(p.path, p.expected) for p in (*epoch.checks, *epoch.timed)]
    fault = conductor.check_pools(so, pools, seed=7).fault
    if fault is not None:
        return fault
    timed = [(p.path, p.expected) for p in rig.bench.inputs.epoch.timed]
    return conductor.measure_pair(
        rig.bench.build(rig.champion_text).so, so, timed, seed=8, rounds=4
    ).fault


def test_admission_alone_stops(rigs: dict[str, Coordinator]) -> None:
    """What is kept between calls and always right is stopped by admission and audit only."""
    for text in texts_of("_toy/by-content"):
        with pytest.raises(RejectedKernel):
            admit(text)
        assert outcome(rigs["_toy"], text) is None


@pytest.mark.deep
@pytest.mark.parametrize("name", ["print-lines", "second-core", "read-answers"])
def test_the_fence_alone_stops(name: str, rigs: dict[str, Coordinator]) -> None:
    rig = rigs["_toy"]
    bare = programs("lar-worker/test-no-fence", "lar-conductor/test-no-fence")
    with Conductor(ROOT, box="none", bin_dir=bare) as off:
        for text in texts_of(f"_toy/{name}"):
            on = outcome(rig, text)
            assert on is not None and set(threats.STOPS[on.kind]) & {"B"}
            assert outcome(rig, text, off) is None


@pytest.mark.deep
def test_a_forged_result_is_seen_even_without_the_fence(rigs: dict[str, Coordinator]) -> None:
    bare = programs("lar-worker/test-no-fence", "lar-conductor/test-no-fence")
    with Conductor(ROOT, box="none", bin_dir=bare) as off:
        for text in texts_of("_toy/forge-result"):
            assert outcome(rigs["_toy"], text, off) is not None


@pytest.mark.deep
def test_the_counter_alone_stops(rigs: dict[str, Coordinator]) -> None:
    with Conductor(ROOT, bin_dir=programs("lar-worker/test-counter")) as off:
        for text in texts_of("_toy/read-counter"):
            on = outcome(rigs["_toy"], text)
            assert on is not None and on.signal == 11
            assert outcome(rigs["_toy"], text, off) is None


@pytest.mark.deep
def test_poison_alone_stops(rigs: dict[str, Coordinator]) -> None:
    rig = rigs["_toy"]
    # Without poison a call with an empty output cannot be told from none: timed pools only.
    timed = [(p.path, p.expected) for p in rig.bench.inputs.epoch.timed]
    with Conductor(ROOT, bin_dir=programs("lar-conductor/test-no-poison")) as off:
        for text in texts_of("_toy/assume-zero"):
            on = outcome(rig, text)
            assert on is not None and on.kind in ("mismatch", "poison")
            so = builder.build_kernel(ROOT, "_toy", text).so
            assert off.check_pools(so, timed, seed=7).fault is None
            champion = rig.bench.build(rig.champion_text).so
            assert off.measure_pair(champion, so, timed, seed=8, rounds=4).fault is None
            assert rig.bench.conductor.check_pools(so, timed, seed=7).fault is not None


@pytest.mark.parametrize("name", ["_toy/nan-fill", "_toy/zeros", "pq-l2/every-other-row"])
def test_comparing_alone_stops(name: str, rigs: dict[str, Coordinator], tmp_path: Path) -> None:
    """Compared with itself in place of the oracle, a wrong kernel is right."""
    rig = rigs[name.partition("/")[0]]
    for text in texts_of(name):
        assert outcome(rig, text) is not None
        so = builder.build_kernel(ROOT, rig.target.name, text).so
        own = []
        for i, pool in enumerate(rig.bench.inputs.epoch.timed):
            want = tmp_path / f"{i}.expected"
            assert rig.bench.conductor.write_expected(so, pool.path, want).fault is None
            own.append((pool.path, want))
        assert rig.bench.conductor.check_pools(so, own, seed=3).fault is None


def relaxed(target: Target, rule: str) -> Target:
    ops = tuple(
        Op(op.name, tuple(dataclasses.replace(out, rule=rule) for out in op.outputs))
        for op in target.ops
    )
    return dataclasses.replace(target, ops=ops)


def answered(
    rig: Coordinator, target: Target, directory: Path, seed: int
) -> list[tuple[Path, Path]]:
    """Pools of the timed scans, with Lance's answers."""
    scans = [c for c in target.timed if c.op == target.ops[0].name]
    pools = make_pools(target, scans, directory, seed, rig.bench.inputs.maker)
    for pool in pools:
        rig.bench.inputs.write_expected(pool)
    return [(p.path, p.expected) for p in pools]


@pytest.mark.parametrize(
    ("name", "rule"), [("half-table", "ulp32:400000"), ("pairwise-order", "ulp32:64")]
)
def test_bit_equality_alone_stops(
    name: str, rule: str, rigs: dict[str, Coordinator], tmp_path: Path
) -> None:
    rig = rigs["pq-l2"]
    so = builder.build_kernel(ROOT, "pq-l2", text_of(f"pq-l2/{name}")).so
    exact = answered(rig, rig.target, tmp_path / "exact", 5)
    loose = answered(rig, relaxed(rig.target, rule), tmp_path / "loose", 5)
    on = rig.bench.conductor.check_pools(so, exact, seed=3).fault
    assert on is not None and on.kind == "mismatch"
    assert rig.bench.conductor.check_pools(so, loose, seed=3).fault is None


def test_the_pinned_tree_alone_keeps_the_rules(
    rigs: dict[str, Coordinator], tmp_path: Path
) -> None:
    """A target file edited in a worktree would let a cheat pass; the judge reads its own."""
    home = tmp_path / "targets" / "pq-l2"
    home.mkdir(parents=True)
    source = (ROOT / "targets/pq-l2/target.py").read_text()
    edited = source.replace('"bits32"', '"ulp32:400000"')
    (home / "target.py").write_text(edited)
    shutil.copy2(ROOT / "targets/pq-l2/fixtures.py", home)
    theirs = catalogue.load_target(tmp_path, "pq-l2")
    rig = rigs["pq-l2"]
    so = builder.build_kernel(ROOT, "pq-l2", text_of("pq-l2/half-table")).so
    off = answered(rig, theirs, tmp_path / "off", 5)
    assert rig.bench.conductor.check_pools(so, off, seed=1).fault is None
    ours = catalogue.load_target(ROOT, "pq-l2")
    assert rig.bench.conductor.check_pools(
        so, answered(rig, ours, tmp_path / "on", 5), seed=1
    ).fault


def memorised(text: bytes, pool: Pool) -> bytes:
    """The cheat with the answers to a pool put in, each under the bytes of its inputs."""
    calls, blob = read_container(pool.path)
    answers, given = read_container(pool.expected)
    entries = []
    for call, answer in zip(calls, answers, strict=True):
        key = b"".join(blob[at : at + length] for at, length in call["args"])
        at, length = answer["parts"][0]
        entries.append(f"(&{list(key)}, &{list(given[at : at + length])})")
    empty = "const KNOWN: &[(&[u8], &[u8])] = &[];"
    assert text.decode().count(empty) == 1
    return text.decode().replace(empty, f"{empty[:-4]}&[{','.join(entries)}];").encode()


@pytest.mark.parametrize("op", [op.name for op in catalogue.load_target(ROOT, "_toy").ops])
def test_secret_pools_alone_stop_memorised_answers(
    op: str, rigs: dict[str, Coordinator], tmp_path: Path
) -> None:
    rig = rigs["_toy"]
    small = [c for c in rig.target.timed if c.op == op][:1]
    known = make_pools(rig.target, small, tmp_path / "known", 11, None)
    secret = make_pools(rig.target, small, tmp_path / "secret", 12, None)
    for pool in (*known, *secret):
        rig.bench.inputs.write_expected(pool)
    text = memorised(text_of(f"_toy/memorised@{op}"), known[0])
    so = builder.build_kernel(ROOT, "_toy", text).so
    off = rig.bench.conductor.check_pools(so, [(p.path, p.expected) for p in known], seed=1)
    assert off.fault is None and off.calls >= 8
    on = rig.bench.conductor.check_pools(so, [(p.path, p.expected) for p in secret], seed=1).fault
    assert on is not None and on.kind == "mismatch"


@pytest.mark.parametrize(
    "name", fast_for(["_toy/round-sizes", "fsst/trusting"], "_toy/round-sizes")
)
def test_untimed_cases_alone_stop(name: str, rigs: dict[str, Coordinator]) -> None:
    rig = rigs[name.partition("/")[0]]
    timed = [(p.path, p.expected) for p in rig.bench.inputs.epoch.timed]
    checks = [(p.path, p.expected) for p in rig.bench.inputs.epoch.checks]
    for text in texts_of(name):
        so = builder.build_kernel(ROOT, rig.target.name, text).so
        assert rig.bench.conductor.check_pools(so, timed, seed=1).fault is None
        assert rig.bench.conductor.check_pools(so, checks, seed=1).fault is not None


def test_fresh_sizes_alone_stop(rigs: dict[str, Coordinator]) -> None:
    """Right wherever screening looks; wrong on confirmation's sizes."""
    rig = rigs["_toy"]
    pools, _ = rig.bench.inputs.make_fresh()
    for text in texts_of("_toy/second-size"):
        assert outcome(rig, text) is None
        so = builder.build_kernel(ROOT, "_toy", text).so
        assert rig.bench.check_library(so, "native", pools).fault is not None


FREE_CHOICE = """
fn read_out(call: &mut Call, heap: TopK) {
    let k = call.u64(0) as usize;
    let heap: TopK = heap.into_sorted_vec().into_iter().take(k).collect();
    let (dists, ids) = (call.out_f32s(0), call.out_u64s(1));
"""


def test_counting_extraction_alone_stops(
    rigs: dict[str, Coordinator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contract that chose the k rows itself, untimed, would let a kernel leave that undone."""
    rig, text = rigs["topk-merge"], text_of("topk-merge/all-rows")
    assert outcome(rig, text) is not None
    kit = kits.compile_kit(ROOT, "topk-merge")
    source = kit.contract.decode()
    begin = source.index("fn read_out")
    end = source.index("    // More rows than fit")
    generous = source[:begin] + FREE_CHOICE + source[end:]
    changed = dataclasses.replace(kit, contract=generous.encode(), digest=kit.digest + "-generous")
    monkeypatch.setattr(builder, "compile_kit", lambda *_, **__: changed)
    so = builder.build_kernel(ROOT, "topk-merge", text).so
    pools = [(p.path, p.expected) for p in rig.bench.inputs.epoch.timed]
    assert rig.bench.conductor.check_pools(so, pools, seed=1).fault is None


@pytest.mark.deep
def test_sampling_at_done_alone_stops_late_writes(tmp_path: Path) -> None:
    import numpy as np
    from conductor_parts import HONEST, LATE, library, rustc, write_pool
    
    shim = tmp_path / "liblar_shim.rlib"
    rustc(ROOT / "rust/shim/lib.rs", shim, "rlib", "--crate-name", "lar_shim")
    for name, source in (("honest", library(HONEST)), ("late", LATE)):
        (tmp_path / f"{name}.rs").write_text(source)
        rustc(tmp_path / f"{name}.rs", tmp_path / f"{name}.so", "cdylib",
              "--extern", f"lar_shim={shim}")
    rng = np.random.default_rng(4)
    args = [[rng.random(256, dtype=np.float32) for _ in range(2)] for _ in range(16)]
    pool, want = tmp_path / "toy.pool", tmp_path / "toy.expected"
    write_pool(pool, args, [[1024]] * 16, [{"rule": "bits32", "elem": 4}])
    with Conductor(ROOT) as on:
        assert on.write_expected(tmp_path / "honest.so", pool, want).fault is None
        fault = on.check_pools(tmp_path / "late.so", [(pool, want)], seed=5).fault
        assert fault is not None and fault.kind == "late_write"
    with Conductor(ROOT, bin_dir=programs("lar-conductor/test-no-late")) as off:
        assert off.check_pools(tmp_path / "late.so", [(pool, want)], seed=5).fault is None


def test_stripping_alone_stops_escapes(rigs: dict[str, Coordinator]) -> None:
    story = Story(kind="cheat")
    for text in texts_of("_toy/inject"):
        record = make_record(rigs["_toy"].judge(text, story), story, rigs["_toy"].target)
        assert "\x1b" not in record.reason and "SYSTEM" not in record.reason
    assert strip_text("\x1b[2J\x1b]0;owned\x07 SYSTEM") == "SYSTEM"


def test_no_shipped_build_can_set_a_switch() -> None:
    """The switches exist as cargo features only; nothing in the package names one."""
    text = "\n".join(path.read_text() for path in (ROOT / "rust").glob("*/Cargo.toml"))
    switches = set(re.findall(r"^(test-[\w-]+) =", text, re.M))
    assert len(switches) >= 4
    for path in (ROOT / "src").rglob("*.py"):
        assert not [s for s in switches if s in path.read_text(encoding="utf-8")], path.name
    assert "default =" not in (ROOT / "rust/worker/Cargo.toml").read_text()
