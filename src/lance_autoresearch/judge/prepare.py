"""From text to a library that may be measured: admission, build, audit. Once for each trial.

    prepared = prepare(job, bench)
    prepared.refusal         why it is not measured; or None
    prepared.memory_key      the key of the ledger's memory, which is asked before measuring
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.conductor import audit_object as audit_object
from lance_autoresearch.build.builder import Built, build_both, relink_library
from lance_autoresearch.errors import MachineError, RejectedKernel
from lance_autoresearch.host.machine_faults import blame_machine
from lance_autoresearch.judge.admission import admit, check_audit
from lance_autoresearch.judge.extensions import check_features_guarded
from lance_autoresearch.judge.job import (
    EarlyVerdict,
    Job,
    Prepared,
    make_memory_key,
    make_refusal_key,
)
from lance_autoresearch.oracle import list_linked_names
from lance_autoresearch.records import CodeFacts, Reason, ReasonKind, Verdict


def prepare(job: Job, bench: Bench) -> Prepared:
    """Admit, build and audit a kernel; build its champion.

    It also compiles the kernel as for a processor without extensions: see `extensions`.

    Raises:
        LarError: the machine or trusted code failed.
    """
    with bench.phases("build"):
        champion = bench.build(job.champion)
    try:
        with blame_machine("build"):
            built, code, asks = _build_candidate(job, bench)
    except RejectedKernel as refusal:
        reason = Reason(ReasonKind.REFUSED, detail=str(refusal))
        end = EarlyVerdict(Verdict.REJECTED, reason)
        return Prepared(None, champion, refusal=end, memory_key=find_refusal_key(job, bench))
    except MachineError as failure:
        return Prepared(None, champion, refusal=EarlyVerdict.make_from_machine(failure))
    key = find_code_key(job, bench, built.digest, champion)
    asks = asks or _is_asking_features(audit_object(bench.root, champion.obj, champion.so))
    return Prepared(built, champion, code, memory_key=key, asks_features=asks)


def find_code_key(job: Job, bench: Bench, code: str, champion: Built) -> str:
    """The key of a timed verdict on code of this digest."""
    return make_memory_key(
        code, champion.digest, bench.provenance(job.policy)["all"], job.policy,
        bench.toolchain, describe_machine(bench),
    )  # fmt: skip


def find_refusal_key(job: Job, bench: Bench) -> str:
    """The key of a refusal of this text."""
    rules = bench.provenance(job.policy)["all"]
    return make_refusal_key(job.kernel, rules, bench.toolchain, bench.machine["box"])


def describe_machine(bench: Bench) -> str:
    """The kind of machine that a verdict holds for."""
    return f"{bench.machine['kind']} {bench.machine['box']}"


def _build_candidate(job: Job, bench: Bench) -> tuple[Built, CodeFacts, bool]:
    """Audit the object. Raises RejectedKernel with place and fix."""
    with bench.phases("admit"):
        program = admit(job.kernel, bench.root)
    with bench.phases("build"):
        built, bare = build_both(bench.root, bench.target.name, job.kernel)
        if job.layout is not None:
            built = replace(built, so=relink_library(built, job.layout, order=job.order))
    with bench.phases("audit"):
        report = audit_object(bench.root, built.obj, built.so)
        linked = list_linked_names(bench.root, bench.target.name)
        check_audit(report, job.kernel, linked)
        check_features_guarded(audit_object(bench.root, bare))
    code = CodeFacts(built.digest, built.cached, int(report["text_bytes"]), program)
    return built, code, _is_asking_features(report)


def _is_asking_features(report: Mapping[str, Any]) -> bool:
    """Whether an object reads the shim's word of CPU features."""
    return any("lar_shim::" in str(symbol) for symbol in report.get("undefined", ()))
