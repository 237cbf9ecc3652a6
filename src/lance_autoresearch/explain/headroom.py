"""How far memory would let a kernel go: measured against a program that only reads and writes.

    for row in measure_headroom(bench, built, policy):
        row.label, row.kernel_ns, row.memory_ns

The floor is a library with the target's ops that combines every byte of the inputs and writes as
many bytes as Lance's own code wrote. It runs in the same processes, windows and cache states as a
kernel, so what separates the two is computing, not memory. Its outputs are compared with what it
wrote itself before, never with Lance's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides, measure_pairs
from lance_autoresearch.bench.pools import Pool, read_output_lengths, read_pool, seal_pool
from lance_autoresearch.build.builder import Built, build_kernel
from lance_autoresearch.errors import MachineError
from lance_autoresearch.rules.estimator import call_ns
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.targets.spec import Target

PAIRS = 2
NOTHING_LEFT = 1.25
"""A kernel that takes at most this many times as long as reading and writing alone: the rest is
within what a better floor would take."""

FLOOR = """
use lar_shim::Call;

fn touch(call: &mut Call, parts: usize) {
    let mut sum = 0u64;
    for i in 0..call.n_args() {
        let (words, rest) = call.bytes(i).as_chunks::<8>();
        for word in words {
            sum ^= u64::from_le_bytes(*word);
        }
        for &byte in rest {
            sum ^= u64::from(byte);
        }
    }
    let byte = core::mem::MaybeUninit::new(std::hint::black_box(sum) as u8);
    for i in 0..parts {
        let out = call.out_uninit(i);
        out.fill(byte);
        let bytes = out.len();
        call.set_len(i, bytes);
    }
}
"""


@dataclass(frozen=True, slots=True)
class Headroom:
    """One timed combo."""

    label: str
    kernel_ns: float
    """Of one call."""
    memory_ns: float
    """Of one call of the floor."""

    @property
    def factor(self) -> float:
        """How many times as long as the floor the kernel takes; 1: nothing is left."""
        return self.kernel_ns / self.memory_ns if self.memory_ns > 0 else float("inf")

    @property
    def little_left(self) -> bool:
        """Whether memory allows no worthwhile gain."""
        return self.factor <= NOTHING_LEFT


def measure_headroom(
    bench: Bench, kernel: Built, policy: Policy, tier: str = "native"
) -> list[Headroom]:
    """Time a kernel and the floor at every timed combo.

    Raises:
        MachineError: every pair was void: the machine is too busy.
    """
    pools = bench.inputs.epoch.timed
    floor = build_kernel(bench.root, bench.target.name, bench.first_kernel,
                         contract=write_floor_contract(bench.target))  # fmt: skip
    floor_pools = [_write_floor_pool(bench, floor, i, pool) for i, pool in enumerate(pools)]
    found = []
    for library, its_pools in ((kernel.so, pools), (floor.so, floor_pools)):
        meter = bench.make_meter([Sides(library, library)], its_pools, policy, tier=tier)
        with bench.hold_machine():
            measured = measure_pairs(meter, PAIRS)
        if all(pair.void is not None for pair in measured.pairs):
            raise MachineError("every pair was void: the machine is too busy", next="./lar doctor")
        found.append([min(call_ns(measured, i)) for i in range(len(pools))])
    rows = zip(bench.combos, *found, strict=True)
    return [Headroom(combo.label, kernel_ns, memory_ns) for combo, kernel_ns, memory_ns in rows]


def write_floor_contract(target: Target) -> bytes:
    """The contract of the floor: the target's ops, none of which calls a kernel."""
    ops = "\n".join(
        f"pub fn {op.name}(call: &mut Call) {{ touch(call, {len(op.outputs)}); }}"
        for op in target.ops
    )
    names = ", ".join(op.name for op in target.ops)
    return f"{FLOOR}\n{ops}\n\nlar_shim::ops!({names});\n".encode()


def _write_floor_pool(bench: Bench, floor: Built, number: int, pool: Pool) -> Pool:
    """The same inputs, with room for as many bytes as Lance's code wrote, compared as bytes."""
    header, blob = read_pool(pool.path)
    lengths = read_output_lengths(pool.expected)
    for call, sizes in zip(header["calls"], lengths, strict=True):
        call["caps"] = sizes[: len(call["caps"])]
        call.pop("ties", None)
    header["rows"] = None
    for part in header["parts"]:
        part["rule"] = "bytes"
    path = bench.scratch / f"floor-{number:03d}.pool"
    text = json.dumps(header, separators=(",", ":")).encode()
    with path.open("wb") as file:
        file.writelines(seal_pool(text, [blob]))
    made = Pool(pool.combo, path, path.with_suffix(".expected"))
    ran = bench.conductor.write_expected(floor.so, made.path, made.expected)
    if ran.fault is not None:
        raise MachineError(f"the floor failed: {ran.fault.kind}", where=pool.combo.name)
    return made
