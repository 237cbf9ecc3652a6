"""`lar fleet`: candidates judged on several machines and CPU kinds."""

from __future__ import annotations

import contextlib
import json as json_module
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.fleet.cluster import Certificates

LOCAL = "local"
"""In place of a scheduler's address: workers of this machine, for this command only."""


def run_fleet(
    what: Literal["scheduler", "worker", "status", "try"],
    target: str | None = None,
    /,
    *,
    scheduler: str = "tcp://127.0.0.1:8786",
    kinds: str = "",
    message: str = "",
    host: str | None = None,
    port: int = 8786,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    json: bool = False,
) -> int:
    """Judge candidates on several machines and CPU kinds, over Dask distributed.

    `lar fleet scheduler` waits for workers; without TLS certificates on loopback only. `lar fleet
    worker` is this machine's one slot, labelled with its CPU kind. `lar fleet status` lists the
    slots. `lar fleet try TARGET` judges the newest campaign's kernel on each of --kinds and keeps
    or reverts it: the gain is proven on the mean e-value, and the kernel may lose on no kind.

    Exit code of try: 0 keep, 1 revert, 2 incorrect, 3 rejected, 4 inconclusive.

    Args:
        what: scheduler, worker, status or try.
        target: of try.
        scheduler: its address, or `local`: three workers of this machine that play kinds by tier.
        kinds: labels of slots, separated by commas; default all that are there.
        message: of try, the hypothesis.
        host: address on which a scheduler listens; needs certificates.
        port: on which a scheduler listens.
        tls_ca: certificate of the authority, PEM.
        tls_cert: certificate of this machine, PEM.
        tls_key: its key, PEM.
        json: print one JSON object.
    """
    _require_package()
    from lance_autoresearch.fleet import cluster

    certificates = _read_certificates(tls_ca, tls_cert, tls_key)
    if what == "scheduler":
        address = cluster.choose_address(host, port, certificates)
        if certificates is None:
            print("no TLS certificates: loopback only, since a scheduler runs what it is sent",
                  file=sys.stderr)
        cluster.serve_scheduler(address, certificates)
        return 0
    if what == "worker":
        cluster.serve_worker(scheduler, certificates)
        return 0
    with _connect(scheduler, certificates) as client:
        if what == "status":
            return _show_status(client, json)
        return _try_kernel(client, target, kinds, message, json)


def _require_package() -> None:
    from importlib.util import find_spec

    from lance_autoresearch.errors import UsageError

    if find_spec("distributed") is None:
        raise UsageError("lar fleet needs the package `distributed`", next="make extras")


def _read_certificates(
    ca: Path | None, cert: Path | None, key: Path | None
) -> Certificates | None:
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.fleet.cluster import Certificates

    if ca is None and cert is None and key is None:
        return None
    if ca is None or cert is None or key is None:
        raise UsageError("TLS needs --tls-ca, --tls-cert and --tls-key together")
    if missing := [str(path) for path in (ca, cert, key) if not path.is_file()]:
        raise UsageError(f"no such file: {', '.join(missing)}")
    return Certificates(ca, cert, key)


@contextlib.contextmanager
def _connect(scheduler: str, certificates: Certificates | None) -> Iterator[Any]:
    """A client. Raises MachineError if no scheduler answers."""
    from lance_autoresearch.errors import MachineError
    from lance_autoresearch.fleet import cluster

    if scheduler == LOCAL:
        with cluster.open_local_fleet(checkout.find_root(), ("native", "avx2", "scalar")) as made:
            yield made
        return
    try:
        client = cluster.connect(scheduler, certificates)
    except (OSError, TimeoutError) as error:
        raise MachineError(f"no scheduler at {scheduler}: {error}",
                           next="./lar fleet scheduler") from error
    with client:
        yield client


def _show_status(client: Any, json: bool) -> int:
    from lance_autoresearch.fleet.cluster import list_slots

    slots = list_slots(client)
    if json:
        print(json_module.dumps({"v": 1, "slots": slots}))
    else:
        for label, count in sorted(slots.items()):
            print(f"{label:24} {count} slot{'s' if count > 1 else ''}")
        if not slots:
            print("no worker; next: ./lar fleet worker --scheduler ADDRESS, on each machine")
    return 0


def _try_kernel(client: Any, target: str | None, kinds: str, message: str, json: bool) -> int:
    from lance_autoresearch.campaign.coordinator import Story
    from lance_autoresearch.campaign.kernel_under_test import resolve_kernel
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.fleet.cluster import list_slots
    from lance_autoresearch.fleet.coordinate import FleetCoordinator
    from lance_autoresearch.text.verdict_text import print_trial

    root = checkout.find_root()
    if target is None:
        raise UsageError("which target?", next="./lar fleet try TARGET")
    subject = resolve_kernel(root, target, None, Path.cwd())
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()] or sorted(
        list_slots(client)
    )
    with FleetCoordinator(
        root, target, client=client, kinds=wanted, champion=subject.champion
    ) as coordinator:
        story = Story(message, campaign=subject.campaign_name)
        done = coordinator.attempt(subject.text, story, subject.campaign)
    if json:
        print(json_module.dumps(done.as_json()))
    else:
        print(print_trial(done.record, number=done.number))
    return done.record.verdict.exit_code
