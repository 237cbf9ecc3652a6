"""Calls a built kernel library in this process: trusted code only, no box and no clock.

    library = Library.load(build_upstream(root, "pq-l2").so)
    library.call(0, call, aligns)      # -> one bytes object per output part

The real path goes through conductor and worker; this one lets a test look at outputs directly.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lance_autoresearch.bench.tiers import apply_limit
from lance_autoresearch.targets.spec import Call

PARTS = 7
LINE = 64
ARENA = 4 << 20
HEAP = 64 << 20
"""Bytes for what a contract prepares."""


class Slice(ctypes.Structure):
    _fields_ = (("ptr", ctypes.c_void_p), ("len", ctypes.c_size_t))


class Header(ctypes.Structure):
    _fields_ = (("status", ctypes.c_uint64), ("len", ctypes.c_uint64 * PARTS))


class RawCall(ctypes.Structure):
    _fields_ = (
        ("n_args", ctypes.c_size_t),
        ("args", ctypes.POINTER(Slice)),
        ("n_parts", ctypes.c_size_t),
        ("parts", ctypes.POINTER(Slice)),
        ("header", ctypes.c_void_p),
        ("prepared", ctypes.c_void_p),
    )


class Init(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32),
        ("features", ctypes.c_void_p),
        ("note", ctypes.c_void_p),
        ("arena", ctypes.c_void_p),
        ("arena_len", ctypes.c_size_t),
        ("heap", ctypes.c_void_p),
        ("heap_len", ctypes.c_size_t),
    )


BITS = {
    "avx": 2,
    "avx2": 3,
    "fma": 4,
    "avx512f": 8,
    "avx512bw": 9,
    "avx512vl": 10,
    "avx512vbmi": 13,
}
"""Linux's names of CPU features -> bit in the features word (rust/abi/src/call.rs)."""


def host_features() -> int:
    """The features word of this machine, within LAR_TIER; 0 where /proc/cpuinfo has no flags."""
    text = Path("/proc/cpuinfo").read_text()
    line = next((row for row in text.splitlines() if row.startswith("flags")), "")
    return apply_limit(sum(1 << bit for name, bit in BITS.items() if name in line.split()))


def aligned(data: np.ndarray) -> np.ndarray:
    """The same bytes at an address that is a multiple of 64."""
    raw = np.zeros(data.nbytes + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    raw[start : start + data.nbytes] = np.frombuffer(data.tobytes(), np.uint8)
    return raw[start : start + data.nbytes]


@dataclass(frozen=True)
class Library:
    """A loaded library; its features word, arena and heap stay alive with it."""

    entry: ctypes._CFuncPtr
    prepare: ctypes._CFuncPtr
    features: ctypes.c_uint64
    arena: ctypes.Array[ctypes.c_char]
    heap: ctypes.Array[ctypes.c_char]

    @classmethod
    def load(cls, path: Path, features: int | None = None) -> Library:
        """Load and initialise; `features` forces a tier (0 = scalar)."""
        library = ctypes.CDLL(str(path))
        word = ctypes.c_uint64(host_features() if features is None else features)
        arena = ctypes.create_string_buffer(ARENA)
        heap = ctypes.create_string_buffer(HEAP)
        places = ctypes.addressof(arena), ARENA, ctypes.addressof(heap), HEAP
        init = Init(3, ctypes.addressof(word), None, *places)
        library.lar_init_v1(ctypes.byref(init))
        return cls(library.lar_call_v1, library.lar_prepare_v1, word, arena, heap)

    def call(self, op: int, call: Call) -> list[bytes]:
        """Run one call that must succeed. Returns what it wrote, part by part."""
        status, parts = self.answer(op, call)
        assert status == 0
        return parts

    def answer(self, op: int, call: Call) -> tuple[int, list[bytes]]:
        """Run one call over poisoned outputs. Returns its status and what it wrote."""
        inputs = [aligned(a) for a in call.args]
        outputs = [aligned(np.full(cap, 0xA5, np.uint8)) for cap in call.caps]
        head = aligned(np.zeros(ctypes.sizeof(Header), np.uint8))
        args = (Slice * len(inputs))(*(Slice(a.ctypes.data, a.nbytes) for a in inputs))
        parts = (Slice * len(outputs))(*(Slice(o.ctypes.data, o.nbytes) for o in outputs))
        arena = ctypes.addressof(self.arena)
        raw = RawCall(len(inputs), args, len(outputs), parts, head.ctypes.data, arena)
        self.prepare(ctypes.c_uint32(op), ctypes.byref(raw), ctypes.c_size_t(1))
        self.entry(ctypes.c_uint32(op), ctypes.byref(raw))
        header = Header.from_buffer_copy(head.tobytes())
        return header.status, [o.tobytes()[: header.len[i]] for i, o in enumerate(outputs)]
