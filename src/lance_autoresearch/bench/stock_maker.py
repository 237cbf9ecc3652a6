"""The process that makes full draws ahead: `python -m ...stock_maker ROOT TARGET EPOCH KEY`.

It runs at the lowest priority, says nothing, and ends if the stock of the epoch is full, the epoch
is over or its CPU time is spent. Whatever goes wrong here, a confirmation makes its own draw.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.bench.epoch import hold_epoch
from lance_autoresearch.bench.inputs import Inputs
from lance_autoresearch.bench.stock import CPU_SECONDS, NICE, Stock
from lance_autoresearch.bench.trusted import Trusted
from lance_autoresearch.host import machine
from lance_autoresearch.host.machine_lock import lock_machine
from lance_autoresearch.host.phases import Phases


def main(root: Path, target: str, epoch: Path, key: str) -> None:
    """Fill the stock of an epoch, if it is still one of these inputs."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    with hold_epoch(epoch, key) as is_young:
        if is_young is None:
            return
        trusted = Trusted.prepare(root, target)
        cores = machine.list_cores()
        with Conductor(root, core_a=cores[-1], core_b=cores[0]) as conductor:
            inputs = Inputs(root, trusted.target, conductor, trusted.oracle, key, epoch, Phases)
            Stock(epoch).fill(
                lambda place: inputs.make_draw(place, lambda: lock_machine("shared")),
                wanted=is_young,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
