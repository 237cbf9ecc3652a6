"""Scheduler, workers and clients of a fleet, over Dask distributed.

    serve_scheduler(None, 8786)                 on loopback only: without TLS anyone who reaches it
                                                could run code here
    serve_worker("tcp://127.0.0.1:8786", None)  one slot, labelled with this machine's CPU kind
    with open_local_fleet(root, ("native", "avx2", "scalar")) as client: ...

Workers run candidates in the same sandbox as `lar try` does, under the machine's measuring lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster, Worker
from distributed.security import Security

from lance_autoresearch.errors import UsageError
from lance_autoresearch.fleet.slot import label_tier, name_slot

QUIET = {
    "logging.distributed": "warning",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "warning",
}
"""Settings of Dask, also of the workers that a local fleet starts."""
LOOPBACK = "127.0.0.1"
NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of PEM text: who may talk to whom."""

    ca: Path
    cert: Path
    key: Path

    def make_security(self) -> Security:
        """Encryption and a certificate are asked of every side."""
        files = {"tls_ca_file": str(self.ca), "require_encryption": True}
        for side in ("scheduler", "worker", "client"):
            files |= {f"tls_{side}_cert": str(self.cert), f"tls_{side}_key": str(self.key)}
        return Security(**files)


def choose_address(host: str | None, port: int, certificates: Certificates | None) -> str:
    """Where a scheduler listens: loopback, unless there are certificates.

    Raises:
        UsageError: another address without certificates.
    """
    if certificates is None:
        if host not in (None, LOOPBACK, "localhost"):
            raise UsageError(
                f"a scheduler on {host} without TLS lets anyone who reaches it run code here",
                allowed=[LOOPBACK, "--tls-ca, --tls-cert and --tls-key"],
            )
        return f"tcp://{LOOPBACK}:{port}"
    return f"tls://{host or '0.0.0.0'}:{port}"


def serve_scheduler(address: str, certificates: Certificates | None) -> None:
    """Run a scheduler until it is stopped."""
    asyncio.run(_serve_scheduler(address, certificates))


async def _serve_scheduler(address: str, certificates: Certificates | None) -> None:
    protocol, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    async with Scheduler(
        host=host, port=int(port), protocol=protocol, dashboard=False,
        security=None if certificates is None else certificates.make_security(),
    ) as scheduler:
        print(f"scheduler at {scheduler.address}", flush=True)
        await scheduler.finished()


def serve_worker(scheduler: str, certificates: Certificates | None) -> None:
    """Run this machine's one slot until it is stopped."""
    asyncio.run(_serve_worker(scheduler, certificates))


async def _serve_worker(scheduler: str, certificates: Certificates | None) -> None:
    label = name_slot()
    loopback = scheduler.startswith((f"tcp://{LOOPBACK}", "tcp://localhost"))
    async with Worker(
        scheduler, nthreads=1, resources={label: 1}, dashboard=False, memory_limit=0,
        host=LOOPBACK if loopback else None,
        security=None if certificates is None else certificates.make_security(),
    ) as worker:
        print(f"worker {label} at {worker.address}", flush=True)
        await worker.finished()


def connect(scheduler: str, certificates: Certificates | None) -> Client:
    """A client of a running scheduler."""
    security = None if certificates is None else certificates.make_security()
    return Client(scheduler, security=security, timeout="10s")


@contextlib.contextmanager
def open_local_fleet(root: Path, tiers: Sequence[str]) -> Iterator[Client]:
    """Workers on this machine that play CPU kinds by tier, one process each.

    Args:
        tiers: `native`, `avx2`, `scalar`.
    """
    workers = {
        label: {
            "cls": Nanny,
            "options": {
                "nthreads": 1, "resources": {label: 1}, "dashboard": False, "memory_limit": 0,
                "host": LOOPBACK, "name": label,
                "env": {"LAR_ROOT": str(root), "LAR_TIER": "" if tier == NATIVE else tier},
            },
        }
        for tier, label in zip(tiers, name_local_slots(tiers), strict=True)
    }
    scheduler = {"cls": Scheduler, "options": {
        "host": LOOPBACK, "port": 0, "protocol": "tcp", "dashboard": False,
    }}  # fmt: skip
    with dask.config.set(QUIET), contextlib.ExitStack() as stack:
        cluster = SpecCluster(workers=workers, scheduler=scheduler, silence_logs=logging.WARNING)
        client = stack.enter_context(Client(stack.enter_context(cluster)))
        client.wait_for_workers(len(workers))
        yield client


def name_local_slots(tiers: Sequence[str]) -> list[str]:
    """Labels of workers that play kinds: `zen3`, `zen3@avx2`, `zen3@scalar`."""
    return [label_tier(None if tier == NATIVE else tier) for tier in tiers]


def list_slots(client: Client) -> dict[str, int]:
    """Label -> number of slots."""
    found: dict[str, int] = {}
    for worker in client.scheduler_info(n_workers=-1)["workers"].values():
        for label in worker["resources"]:
            found[label] = found.get(label, 0) + 1
    return found
