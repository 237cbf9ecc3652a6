"""What a contract prepares before the clock starts: untimed, trusted, no place to hide work in.

The toys are built as targets are: the prelude without the kernel, the kernel, then the contract.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conductor_parts import ROOT, Bench, rustc, write_pool

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.build import builder
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.records import Fault, FaultKind, VoidCause
from lance_autoresearch.rules.policy import MeasuringLimits

PRELUDE = """
pub type State = Vec<f32>;
pub mod prepare {
    use lar_shim::Inputs;
    pub fn state(inputs: &Inputs) -> super::State { BUSY inputs.f32s(0).to_vec() }
    pub fn table(bytes: &[u8]) -> Vec<f32> {
        bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }
}
"""
CONTRACT = """
use lar_shim::Call;
pub fn op(call: &mut Call, mut state: prelude::State, table: &Vec<f32>) {
    kernels::run(&mut state, table, call.out_f32s(0));
}
lar_shim::ops!(op(own state, shared table from 1));
"""
PLAIN = """
use lar_shim::Call;
pub fn op(call: &mut Call) {
    let (mut state, table) = (call.f32s(0).to_vec(), call.f32s(1).to_vec());
    kernels::run(&mut state, &table, call.out_f32s(0));
}
lar_shim::ops!(op);
"""
HONEST = "for (i, out) in out.iter_mut().enumerate() { *out = state[i] * table[0] + table[1]; }"
BUSY = "for _ in 0..500_000 { std::hint::black_box(0); }"


@dataclass
class Toys:
    """A pool whose calls share one argument, and toys built in three crates."""

    bench: Bench
    pools: list[tuple[Path, Path]]

    def build(
        self, name: str, body: str, *, head: str = "", busy: str = "", contract: str = CONTRACT
    ) -> Path:
        """One library; `body` sees state: &mut State, table: &Vec<f32>, out: &mut [f32]."""
        home = self.bench.dir / name
        home.mkdir(exist_ok=True)
        shim = ("-L", f"dependency={self.bench.dir}", "-L", f"dependency={home}", "--extern",
                f"lar_shim={self.bench.dir / 'liblar_shim.rlib'}")
        prelude = ("--extern", f"prelude={home / 'libprelude.rlib'}")
        kernels = ("--extern", f"kernels={home / 'libkernels.rlib'}")
        run = ("#[inline(never)] pub fn run(state: &mut prelude::State, table: &Vec<f32>, "
               f"out: &mut [f32]) {{ {body} }}")
        texts = {"prelude": PRELUDE.replace("BUSY", busy), "kernels": f"{head}\n{run}",
                 "contract": contract}
        for crate, text in texts.items():
            (home / f"{crate}.rs").write_text(text)
        rustc(home / "prelude.rs", home / "libprelude.rlib", "rlib", *shim)
        rustc(home / "kernels.rs", home / "libkernels.rlib", "rlib", *shim, *prelude)
        rustc(home / "contract.rs", home / "lib.so", "cdylib", *shim, *prelude, *kernels)
        return home / "lib.so"

    def check(self, library: Path) -> Fault | None:
        """What a check finds."""
        return self.bench.conductor.check_pools(library, self.pools, seed=5).fault

    def report(self, name: str, **how: str) -> list[int]:
        """Addresses: a fresh heap block, a large one, the state, the table."""
        body = """let (block, large) = (vec![1u8; 100], vec![1u8; 100_000]);
            panic!("at {:?} {:?} {:?} {:?}", block.as_ptr(), large.as_ptr(), state.as_ptr(),
                   table.as_ptr());"""
        library = self.build(name, body, **how)
        found = self.bench.conductor.measure_pair(
            self.honest, library, self.pools, seed=6, rounds=1
        )
        assert found.fault is not None and found.fault.kind is FaultKind.PANIC
        return [int(text, 16) for text in re.findall(r"0x[0-9a-f]+", found.fault.note or "")]

    @property
    def honest(self) -> Path:
        """The toy that is right."""
        return self.bench.dir / "honest" / "lib.so"


@pytest.fixture(scope="module")
def toys(bench: Bench) -> Toys:
    rng = np.random.default_rng(7)
    table = np.array([3.0, 1.0], np.float32)
    args = [[rng.random(256, dtype=np.float32), table] for _ in range(48)]
    pool, expected = bench.dir / "prepared.pool", bench.dir / "prepared.expected"
    write_pool(pool, args, [[1024]] * 48, [{"rule": "bits32", "elem": 4}])
    made = Toys(bench, [(pool, expected)])
    made.build("honest", HONEST)
    assert bench.conductor.write_expected(made.honest, pool, expected).fault is None
    return made


def test_every_call_gets_its_own_state_and_all_get_the_shared_one(toys: Toys) -> None:
    assert toys.check(toys.build("plain", HONEST, contract=PLAIN)) is None
    spoil = HONEST + " state.fill(f32::NAN); state.push(1.0);"
    assert toys.check(toys.build("spoil", spoil)) is None
    result = toys.bench.conductor.measure_pair(
        toys.honest, toys.build("spoil", spoil), toys.pools, seed=9
    )
    assert result.fault is None


@pytest.mark.timing
def test_set_up_is_not_timed_and_a_side_that_does_more_is_noticed(toys: Toys) -> None:
    busy = toys.build("busy", HONEST, busy=BUSY)
    calm = MeasuringLimits(foreign_share=99.0)
    with Conductor(ROOT, limits=calm) as conductor:
        result = conductor.measure_pair(toys.honest, busy, toys.pools, seed=8, calls=[8])
    assert result.times is not None and result.void is not None
    assert result.void.cause is VoidCause.CANDIDATE_SLOW_TO_ARM
    assert result.arm_ns[1] > result.arm_ns[0] + 8 * 50_000
    champion, candidate = min(result.times.champion[0]), min(result.times.candidate[0])
    assert 0.4 < champion / candidate < 2.5


def test_the_kernels_heap_lies_where_it_lies_without_any_set_up(toys: Toys) -> None:
    few = toys.report("few")
    many = toys.report("many", busy="let _ = std::hint::black_box(vec![1u8; 100_000]);")
    plain = toys.report("none", contract=PLAIN.replace("call.f32s(0).to_vec()", "Vec::new()")
                        .replace("call.f32s(1).to_vec()", "Vec::new()"))
    assert few[:2] == many[:2] == plain[:2]
    assert few[2:] != many[2:]  # the state did move


def test_state_lies_at_the_same_addresses_on_both_sides(toys: Toys) -> None:
    body = "panic!(\"at {:?} {:?}\", state.as_ptr(), table.as_ptr());"
    library = toys.build("where", body)
    said = set()
    for sides in ((library, toys.honest), (toys.honest, library)):
        fault = toys.bench.conductor.measure_pair(*sides, toys.pools, seed=6, rounds=1).fault
        assert fault is not None and fault.note is not None
        said.add(fault.note.partition(" at ")[2])
    assert len(said) == 1


def test_shared_state_is_made_anew_for_every_slice(toys: Toys) -> None:
    """A kernel that writes into it spoils the rest of its own slice, and nothing beyond."""
    spoil = HONEST + " unsafe { table.as_ptr().cast_mut().write_volatile(99.0) };"
    library = toys.build("spoil_shared", spoil)
    pair = toys.bench.conductor.measure_pair
    assert pair(toys.honest, library, toys.pools, seed=3, calls=[1]).fault is None
    fault = pair(toys.honest, library, toys.pools, seed=3, calls=[9]).fault
    assert fault is not None and fault.kind is FaultKind.MISMATCH


def test_more_than_the_arena_is_the_contracts_fault(toys: Toys) -> None:
    large = "let _ = std::hint::black_box(vec![1u8; 2 << 20]);"
    library = toys.build("greedy", HONEST, busy=large)
    with Conductor(ROOT, limits=MeasuringLimits(arena_mb=1)) as conductor:
        fault = conductor.check_pools(library, toys.pools, seed=5).fault
    assert fault is not None and fault.kind is FaultKind.PANIC
    assert "contract: what is prepared needs more" in (fault.note or "")
    assert toys.check(library) is None


def test_a_kernels_function_of_that_name_is_never_called(toys: Toys) -> None:
    head = ("pub mod prepare { pub fn state(_: &lar_shim::Inputs) -> Vec<f32> { panic!() } "
            "pub fn table(_: &[u8]) -> Vec<f32> { panic!() } }\n"
            "pub fn state(_: &lar_shim::Inputs) -> Vec<f32> { panic!() }")
    assert toys.check(toys.build("namesake", HONEST, head=head)) is None


def test_a_prelude_cannot_reach_the_kernel(toys: Toys) -> None:
    """Nor can anything else that is prepared: `ops!` takes functions of the prelude alone."""
    with pytest.raises(AssertionError, match=r"unresolved|cannot find"):
        toys.build("reach", HONEST, busy="kernels::run(&mut vec![], &vec![], &mut []);")
    with pytest.raises(AssertionError, match="cannot find"):
        head = "pub fn sneak(_: &lar_shim::Inputs) -> Vec<f32> { todo!() }"
        toys.build("sneak", HONEST, head=head,
                   contract=CONTRACT.replace("own state", "own sneak"))


ENTRY = """
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lar_prepare_v1(_: u32, _: *const u8, _: usize) -> usize { 0 }
"""


@pytest.mark.parametrize("target", ["topk-merge", "pq-l2"])
def test_a_kernel_that_exports_the_set_up_is_refused_and_does_not_link(target: str) -> None:
    text = builder.compose_first_kernel(ROOT, target) + ENTRY.encode()
    with pytest.raises(RejectedKernel, match=r"no_mangle|extern"):
        admit(text)
    with pytest.raises(RejectedKernel, match="link"):
        builder.build_kernel(ROOT, target, text)
