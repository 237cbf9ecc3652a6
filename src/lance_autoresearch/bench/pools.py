"""Pools: the inputs of every combo, made from a secret seed, with upstream's outputs.

    seed ── NumPy ──> hamming-0.pool ── upstream's library, run once ──> hamming-0.expected

The conductor copies a pool file, in a fresh secret order, before every pair. A file of expected
outputs holds the outputs of Lance's own code for it, and never enters a kernel's process.
Both lie in a directory that only their owner may read, and are removed with their epoch.

Layout of a `.pool` file: 8 bytes `LARPOOL3`, u32 length of a JSON header, u32 CRC-32 of all that
follows, the header, zeros up to a multiple of 4096, then the blob. Argument offsets are relative
to the blob and multiples of 64; an array that several calls share (a codebook) is stored once.
"""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lance_autoresearch.errors import LarError
from lance_autoresearch.targets.spec import Call, Combo, Maker, Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC = b"LARPOOL3"
PAGE = 4096
LINE = 64
LEAD = 16
"""Bytes before the JSON header."""
STRANGERS = 3
"""Calls of a pool in which no two are alike: one to calibrate, two rounds."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One combo's inputs and upstream's outputs on disk."""

    combo: Combo
    path: Path
    expected: Path
    cases: tuple[Combo, ...] = ()
    """Drawn cases: what each of its calls was drawn from."""

    @property
    def label(self) -> str:
        """The name by which faults of its calls are reported."""
        return f"{self.combo.op} {self.combo.name}"


def write_pool(
    path: Path,
    target: Target,
    combo: Combo,
    calls: Iterable[Call],
    *,
    public: bool = False,
) -> int:
    """Write the calls of one combo. Returns the number of calls.

    Raises:
        LarError: a call has the wrong number of outputs or no call was produced.
    """
    op = target.ops[target.find_op_index(combo.op)]
    layout = _Layout()
    rows: list[dict[str, Any]] = []
    elem: list[int] = []
    for call in calls:
        if len(call.caps) != len(op.outputs):
            raise LarError(
                f"{op.name} declares {len(op.outputs)} outputs, a call has {len(call.caps)}",
                where=f"targets/{target.name}/target.py",
            )
        row: dict[str, Any] = {
            "args": [layout.place(a) for a in call.args],
            "caps": list(call.caps),
        }
        if call.ties is not None:
            row["ties"] = [int(i) for i in call.ties]
        rows.append(row)
        elem = elem or [a.itemsize for a in call.args]
    if not rows:
        raise LarError(f"inputs() made no call for {combo.op} {combo.name}",
                       where=f"targets/{target.name}/target.py")
    header = {
        "v": 1,
        "combo": f"{combo.op} {combo.name}",
        "op": target.find_op_index(combo.op),
        "parts": [
            {"rule": o.rule, "elem": o.elem, "align": o.align, "align_min": o.align_min}
            for o in op.outputs
        ],
        "rows": op.rows,
        "calls": rows,
        "arg_elem": elem,
        "arg_align": op.arg_align,
        "window_bytes": combo.window_kib * 1024,
        "blob_len": layout.size,
        "public": public,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    with path.open("wb") as file:
        file.writelines(seal_pool(text, layout.yield_pieces()))
    return len(rows)


class _Layout:
    """Places arrays one after the other on lines of 64 bytes, each distinct array once."""

    def __init__(self) -> None:
        self.size = 0
        self.arrays: list[NDArray[Any]] = []
        self._seen: dict[int, list[int]] = {}

    def place(self, array: NDArray[Any]) -> list[int]:
        """[offset, length in bytes] of the array in the blob."""
        known = self._seen.get(id(array))
        if known is not None:
            return known
        offset = self.size
        self.arrays.append(array)      # keeps the array alive, so ids stay unique
        self.size += -(-array.nbytes // LINE) * LINE
        self._seen[id(array)] = [offset, array.nbytes]
        return self._seen[id(array)]

    def yield_pieces(self) -> Iterator[bytes]:
        """The blob."""
        for array in self.arrays:
            yield array.tobytes()
            yield b"\0" * (-array.nbytes % LINE)


def seal_pool(header: bytes, body: Iterable[bytes], magic: bytes = MAGIC) -> Iterator[bytes]:
    """The bytes of a pool file, in pieces: its JSON header and its blob under one checksum."""
    rest = [header + b"\0" * (-(LEAD + len(header)) % PAGE), *body]
    crc = 0
    for piece in rest:
        crc = zlib.crc32(piece, crc)
    yield magic + struct.pack("<II", len(header), crc)
    yield from rest


def read_pool(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header of a pool file and its blob."""
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 8)[0]
    header: dict[str, Any] = json.loads(data[LEAD : LEAD + size])
    return header, data[-(-(LEAD + size) // PAGE) * PAGE :]


def count_output_bytes(expected: Path) -> float:
    """Bytes that one call of a pool writes, on average, from the header of its expected outputs."""
    calls = read_output_lengths(expected)
    return float(sum(map(sum, calls)) / len(calls))


def read_output_lengths(expected: Path) -> list[list[int]]:
    """Bytes of each output part of each call, from the header of a pool's expected outputs."""
    with expected.open("rb") as file:
        size = struct.unpack_from("<I", file.read(LEAD), 8)[0]
        calls = json.loads(file.read(size))["calls"]
    return [[length for _, length in call["parts"]] for call in calls]


def generate_calls(
    target: Target, combo: Combo, seed: Sequence[int], maker: Maker | None, *, confirm: bool = False
) -> Iterable[Call]:
    """The calls of one combo from a seed; at confirmation with its second size and drawn data."""
    import numpy as np

    shape = combo.confirm if confirm and combo.confirm is not None else combo.shape
    dist = combo.drawn_dist if confirm else combo.dist
    rng = np.random.default_rng(list(seed))
    return target.inputs(combo.op, shape, dist, rng, combo.calls, maker)


def generate_distinct_inputs(
    target: Target, combo: Combo, seed: Sequence[int], maker: Maker | None
) -> Iterator[Call]:
    """`STRANGERS` calls that share nothing: each has its own size, tables and parameters."""
    import numpy as np

    for i in range(STRANGERS):
        rng, dist = np.random.default_rng([*seed, i]), combo.drawn_dist
        yield from target.inputs(combo.op, draw_near_shape(combo, rng), dist, rng, 1, maker)


def draw_near_shape(combo: Combo, rng: np.random.Generator) -> dict[str, int]:
    """The shape; dimensions that have a second size are drawn within 10 % of the first."""
    second = combo.confirm or combo.shape
    return {
        dim: size if second[dim] == size else _draw_near_size(size, rng)
        for dim, size in combo.shape.items()
    }


def _draw_near_size(size: int, rng: np.random.Generator) -> int:
    """A size within 10 %, no multiple of 64 unless there is no other."""
    near = range(-(-9 * size // 10), 11 * size // 10 + 1)
    odd = [n for n in near if n % LINE]
    return int(rng.choice(odd or near))


def make_pools(
    target: Target,
    combos: Sequence[Combo],
    directory: Path,
    seed: int,
    maker: Maker | None,
    *,
    confirm: bool = False,
    distinct: bool = False,
    public: bool = False,
) -> list[Pool]:
    """Write the pools of the given combos into a fresh directory (mode 0700).

    Args:
        confirm: at every combo's second size, with drawn parameters of its distribution.
        distinct: few calls, each of another size, that share no data with a call before.
        public: not a secret: messages may show values.
    """
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True, mode=0o700)
    pools = []
    for i, combo in enumerate(combos):
        path = directory / f"{i:03d}.pool"
        made = (generate_distinct_inputs(target, combo, (seed, i), maker) if distinct
                else generate_calls(target, combo, (seed, i), maker, confirm=confirm))
        write_pool(path, target, combo, made, public=public)
        pools.append(Pool(combo, path, path.with_suffix(".expected")))
    return pools
