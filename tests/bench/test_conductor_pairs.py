"""The conductor's pairs: both sides alike, faults named, boxes told apart."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conductor_parts import HONEST, ROOT, Bench, library

from lance_autoresearch.bench.conductor import Conductor, audit_object, measure_overhead
from lance_autoresearch.records import VoidCause


def is_worker(pid: int) -> bool:
    """Whether this process runs a kernel library."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"lar-worker\0worker\0"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """Processes below `pid` whose program is a worker's."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found = []
    for child in parents:
        above = parents.get(child)
        while above and above != pid:
            above = parents.get(above)
        if above == pid and is_worker(child):
            found.append(child)
    return found


def test_a_worker_killed_from_outside_voids_the_pair(bench: Bench) -> None:
    with Conductor(ROOT) as other, ThreadPoolExecutor(1) as pool:
        assert other.pid is not None
        running = pool.submit(other.measure_pair, bench.honest, bench.honest, bench.pools, seed=1,
                              rounds=4000)
        victims: list[int] = []
        while not victims:
            victims = descendants(other.pid)
        time.sleep(0.2)
        os.kill(victims[0], signal.SIGKILL)
        result = running.result(timeout=60)
        assert result.fault is None
        assert result.void is not None
        assert result.void.cause is VoidCause.ENDED_FROM_OUTSIDE
        assert other.check_pools(bench.honest, bench.pools, seed=1).fault is None


def test_a_wrong_length_is_a_mismatch(bench: Bench) -> None:
    source = library(HONEST).replace("kernel(a, b, call.out_f32s(0));",
                                     "kernel(a, b, call.out_f32s(0)); call.set_len(0, 12);")
    fault = bench.conductor.check_pools(bench.build("short", source), bench.pools, seed=2).fault
    assert fault is not None
    assert fault.kind == "mismatch"
    assert fault.note == "length in bytes 12, expected 1024"


def test_a_wrong_status_is_a_mismatch(bench: Bench) -> None:
    source = library(HONEST).replace("kernel(a, b, call.out_f32s(0));", "call.fail(7);")
    fault = bench.conductor.check_pools(bench.build("status", source), bench.pools, seed=2).fault
    assert fault is not None
    assert (fault.kind, fault.note) == ("mismatch", "status 7, expected 0")


def test_features_are_masked_on_request(bench: Bench) -> None:
    body = HONEST + " if !lar_shim::has(lar_shim::Feature::Popcnt) { out[0] = -1.0; }"
    lib = bench.build("features", library(body))
    opened = bench.conductor.opened
    assert opened is not None
    full = bench.conductor.check_pools(lib, bench.pools, seed=2).fault is None
    assert full == bool(opened.features & 2)
    masked = bench.conductor.check_pools(lib, bench.pools, seed=2, features=0).fault
    assert masked is not None
    assert masked.offset == 0


def test_name_arguments_and_environment_are_equal(bench: Bench) -> None:
    """Both sides see the same bytes in argv and the environment, whatever a file is called."""
    head = """unsafe extern "C" { static environ: *const *const u8; }
    fn bytes() -> usize { unsafe {
        let (mut n, mut p) = (0, *environ);
        while p.add(n + 1).read() != 0 || p.add(n).read() != 0 { n += 1; }
        p = p.add(n); (p as usize) % 4096 * 0 + n
    } }"""
    body = "out.fill(0.0); out[0] = bytes() as f32;"
    fault = bench.check("a_much_longer_file_name_than_usual", body, head)
    other = bench.check("ab", body, head)
    assert fault is not None
    assert other is not None
    assert fault.got == other.got


def test_an_aa_pair_is_even(bench: Bench) -> None:
    result = bench.conductor.measure_pair(bench.honest, bench.honest, bench.pools, seed=8)
    assert result.fault is None
    assert result.times is not None
    champion, candidate = (np.median(side) for side in
                           (result.times.champion[0], result.times.candidate[0]))
    assert 0.5 < champion / candidate < 2.0
    assert len(result.times.champion[0]) == 20
    assert all(t > 0 for t in result.times.candidate[0])


def test_a_pair_finds_a_slower_kernel(bench: Bench) -> None:
    slow = library("for _ in 0..8 { " + HONEST + " std::hint::black_box(&mut *out); }")
    lib = bench.build("slow", slow)
    result = bench.conductor.measure_pair(bench.honest, lib, bench.pools, seed=9)
    assert result.times is not None
    ratio = np.array(result.times.candidate[0]) / np.array(result.times.champion[0])
    assert np.median(ratio) > 2.0


def test_given_calls_are_kept_on_both_sides(bench: Bench) -> None:
    counts = [
        bench.conductor.measure_pair(bench.honest, bench.honest, bench.pools, seed=3, rounds=4,
                             calls=[31]).times
        for _ in range(2)
    ]
    assert [times.calls for times in counts if times] == [(31,), (31,)]


@pytest.mark.timing
def test_long_blocks_last_about_as_long_as_asked(bench: Bench) -> None:
    result = bench.conductor.measure_pair(bench.honest, bench.honest, bench.pools, seed=3, rounds=2,
                                  block_ms=5.0)
    opened = bench.conductor.opened
    assert result.times is not None
    assert opened is not None
    ms = np.median(result.times.champion[0]) / opened.ticks_per_ns / 1e6
    assert 2.0 < ms < 500.0  # the calibrating slices may have been disturbed


def test_a_champion_at_fault_is_named(bench: Bench) -> None:
    lib = bench.build("bad", library("out[0] = a[0] + b[0];"))
    fault = bench.conductor.measure_pair(lib, bench.honest, bench.pools, seed=3, rounds=2).fault
    assert fault is not None
    assert fault.side == "champion"


def test_audit_lists_symbols_and_exports(bench: Bench) -> None:
    report = audit_object(ROOT, bench.honest, bench.honest)
    entries = {"lar_call_v1", "lar_init_v1", "lar_nop_v1", "lar_prepare_v1"}
    assert entries <= set(report["exports"])
    assert report["text_bytes"] > 0


@pytest.mark.parametrize("box", ["landlock", "none"])
def test_the_other_boxes_run_and_are_named(bench: Bench, box: str) -> None:
    with Conductor(ROOT, box=box) as other:
        assert other.opened is not None
        assert other.opened.box == box
        assert other.check_pools(bench.honest, bench.pools, seed=1).fault is None


def test_selftest_reports_the_overhead_of_an_empty_slice() -> None:
    report = measure_overhead(ROOT, seconds=0.2)
    assert 0 < report["go_done_ns"]["p1"] <= report["go_done_ns"]["p50"]
