"""Cheats that toys show best: slowing the champion, working outside the clock, marking inputs.

The kernels are toys in the real measuring programs. Each gains when its defence alone is taken
away by a cargo feature that no shipped build sets, and is stopped with it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conductor_parts import LATE, ROOT, library, programs, rustc, write_pool

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.bench.pools import count_output_bytes
from lance_autoresearch.records import Claim, ComboId, Comparison
from lance_autoresearch.rules.confirmation import measure_bias
from lance_autoresearch.rules.defences import find_floor_flags, judge_opponent
from lance_autoresearch.rules.policy import DEFAULT

LINES = 1024
CHASE = """let mut i = b[0] as usize; for _ in 0..8192 { i = a[i] as usize; }
    let last = i as f32; out.fill(last);"""
FLUSH = """for line in a.chunks(16) {
        let at = line.as_ptr();
        unsafe { core::arch::asm!("clflushopt [{}]", in(reg) at, options(nostack)) }
    }"""  # the plain clflush waits for each line: on a Xeon it costs more than it wins
SLOW = """for i in 0..out.len() {
        let mut x = a[i];
        for _ in 0..20 { x = x * 0.999 + b[i]; }
        out[i] = x;
    }"""
MARK = f"""if b[511] == 7.25 {{ return out.copy_from_slice(&b[512..768]); }}
    {SLOW}
    unsafe {{
        let spare = b.as_ptr().cast_mut().add(511);
        for (i, x) in out.iter().enumerate() {{ spare.add(1 + i).write_volatile(*x); }}
        spare.write_volatile(7.25);
    }}"""
WIDE = "for i in 0..out.len() { out[i] = a[i % 256] * 3.0 + b[i % 256]; }"
LATE_SUM = LATE.replace("3_000_000", "30_000").replace("add(i) * 3.0 + *b.add(i)",
                                                       "add(i % 256) * 3.0 + *b.add(i % 256)")


class Toys:
    """Libraries of one op and a pool with the honest one's answers."""

    def __init__(self, folder: Path, sources: dict[str, str]) -> None:
        shim = folder / "liblar_shim.rlib"
        rustc(ROOT / "rust/shim/lib.rs", shim, "rlib", "--crate-name", "lar_shim")
        self.libs = {}
        for name, text in sources.items():
            (folder / f"{name}.rs").write_text(text)
            self.libs[name] = folder / f"{name}.so"
            rustc(folder / f"{name}.rs", self.libs[name], "cdylib", "--extern", f"lar_shim={shim}")
        self.pools = [(folder / "toy.pool", folder / "toy.expected")]

    def pool(self, args: list[list[np.ndarray]], cap: int) -> None:
        pool, want = self.pools[0]
        write_pool(pool, args, [[cap]] * len(args), [{"rule": "bits32", "elem": 4}])
        with Conductor(ROOT) as conductor:
            assert conductor.write_expected(self.libs["honest"], pool, want).fault is None

    def compared(self, conductor: Conductor, name: str, *, opponent: bool = False) -> Comparison:
        """Eight valid pairs of the honest kernel and another."""
        pairs = []
        for seed in range(24):
            found = conductor.measure_pair(
                self.libs["honest"],
                self.libs[name],
                self.pools,
                seed=seed,
                rounds=8,
                opponent=self.libs["honest"] if opponent else None,
            )
            assert found.fault is None, found.fault
            if found.times is not None and found.void is None:
                pairs.append(found.times)
            if len(pairs) == 8:
                assert conductor.opened is not None
                combos = (ComboId("op", "256 toy"),)
                return Comparison(combos, tuple(pairs), conductor.opened.ticks_per_ns)
        pytest.skip("the machine is too busy to measure anything")


def gain(comparison: Comparison) -> float:
    return measure_bias(comparison, DEFAULT).gain


@pytest.fixture(scope="module")
def chase(tmp_path_factory: pytest.TempPathFactory) -> Toys:
    """A walk through 64 KiB that all calls share; `flush` throws it out of every cache."""
    folder = tmp_path_factory.mktemp("chase")
    toys = Toys(folder, {"honest": library(CHASE), "flush": library(CHASE + FLUSH)})
    rng = np.random.default_rng(5)
    ring = rng.permutation(LINES)
    table = np.zeros(LINES * 16, np.float32)
    table[16 * ring] = 16 * np.roll(ring, -1)
    starts = rng.permutation(LINES)[:64]
    toys.pool([[table, np.full(16, 16 * s, np.float32)] for s in starts], 64)
    return toys


@pytest.mark.timing
def test_same_treatment_alone_stops_a_slowed_opponent(chase: Toys) -> None:
    """Both halves of S: touching every input before *go*, and timing the champion behind."""
    with Conductor(ROOT, bin_dir=programs("lar-worker/test-no-touch")) as off:
        won = gain(chase.compared(off, "flush"))
        assert won > 5, "untouched, the flush pays"
        behind = chase.compared(off, "flush", opponent=True)
        found = judge_opponent(behind, Claim("all", won), DEFAULT)
        assert found.rejected and found.slowdown > 20, "the measurement alone sees it"
    with Conductor(ROOT) as on:
        assert gain(chase.compared(on, "flush")) < 0, "touched, it only costs"


@pytest.mark.timing
def test_an_honest_opponent_is_not_accused(chase: Toys) -> None:
    with Conductor(ROOT) as on:
        behind = chase.compared(on, "honest", opponent=True)
    assert not judge_opponent(behind, Claim("all", 1.0), DEFAULT).rejected


@pytest.mark.deep
@pytest.mark.timing
def test_sealed_inputs_alone_stop_answers_kept_in_them(tmp_path: Path) -> None:
    """Input bytes that the op ignores would be a memory that is always right."""
    toys = Toys(tmp_path, {"honest": library(SLOW), "mark": library(MARK)})
    rng = np.random.default_rng(4)
    toys.pool([[rng.random(n, dtype=np.float32) for n in (256, 1024)] for _ in range(6)], 1024)
    with Conductor(ROOT) as on:
        fault = on.check_pools(toys.libs["mark"], toys.pools, seed=1).fault
        assert fault is not None and (fault.kind, fault.signal) == ("signal", 11)
    writable = programs("lar-worker/test-write-inputs", "lar-conductor/test-write-inputs")
    with Conductor(ROOT, bin_dir=writable) as off:
        assert off.check_pools(toys.libs["mark"], toys.pools, seed=1).fault is None
        assert gain(toys.compared(off, "mark")) > 50


@pytest.mark.deep
@pytest.mark.timing
def test_the_floor_alone_stops_work_outside_the_clock(tmp_path: Path) -> None:
    """*done* is signalled first and the work done then: right in the end, and no time at all."""
    toys = Toys(tmp_path, {"honest": library(WIDE), "late": LATE_SUM})
    rng = np.random.default_rng(4)
    toys.pool([[rng.random(256, dtype=np.float32) for _ in range(2)] for _ in range(48)], 1 << 16)
    floors = {"op 256 toy": count_output_bytes(toys.pools[0][1]) / DEFAULT.store_bytes_per_ns}
    assert floors == {"op 256 toy": 128.0}
    with Conductor(ROOT, bin_dir=programs("lar-conductor/test-no-late")) as off:
        late = toys.compared(off, "late")
        assert gain(late) > 100, "nothing else stops it"
        assert find_floor_flags(late, floors), "it took less than writing takes"
        assert not find_floor_flags(toys.compared(off, "honest"), floors)
