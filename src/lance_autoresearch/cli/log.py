"""`lar log`: trials from the ledger, exports, and the proof that none was changed."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lance_autoresearch.ledger import Row


def show_log(
    target: str | None = None,
    *,
    campaign: str | None = None,
    last: int | None = None,
    verify: bool = False,
    json: bool = False,
    tsv: bool = False,
    nulls: bool = False,
    export: str | None = None,
    record: Path | None = None,
) -> int:
    """List, export and verify the trials of the ledger.

    Without options a table of the newest 30. Every trial is in the ledger: kept, reverted,
    refused and undecided.

    Args:
        target: only trials of this target.
        campaign: only trials of this campaign.
        last: number of the newest trials; by default 30 in the table, all in JSON and TSV.
        verify: check the chain of digests, with the commits in git as witnesses; exit 70 and
            name the first broken row if a row was changed.
        json: one JSON object a trial and line.
        tsv: tab-separated, first the columns commit, gain, status, description.
        nulls: also the hidden nulls of campaigns: the champion, judged like a candidate.
        export: write this campaign to records/<campaign>/, for a clone to read and replay.
        record: with --verify, check this exported campaign (a directory) instead of the ledger:
            every file against its digest, every row against the chain, every verdict against
            its recorded pairs; exit 70 and the first fault if one does not hold.
    """
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.host.checkout import find_root

    root = find_root()
    if record is not None:
        return _verify_record(root, record, verify, json)
    if verify:
        # Before any repair: a verification must see the faults that a repair would fix.
        return _verify_chain(root, json)
    for line in repair_campaigns(root):
        print(line, file=sys.stderr)
    if export is not None:
        return _export_campaign(root, export, json)
    rows = _select_rows(root, target, campaign, last if last or json or tsv else 30, nulls)
    if not rows:
        _refuse_unknown(root, target, campaign)
    if json:
        for row in rows:
            print(json_module.dumps(as_json(row)))  # ASCII: nothing drives a terminal
    elif tsv:
        from lance_autoresearch.ledger.tsv import SHORT, dump_trials

        sys.stdout.write(dump_trials(rows, SHORT))
    else:
        print(render_table(rows) if rows else "no trial yet; next: ./lar start TARGET")
    return 0


def _select_rows(
    root: Path, target: str | None, campaign: str | None, last: int | None, nulls: bool
) -> list[Row]:
    from lance_autoresearch.cli.names import check_names
    from lance_autoresearch.ledger import Ledger, find_ledger_path
    from lance_autoresearch.ledger.kinds import is_hidden

    if not find_ledger_path(root).exists():
        check_names(root, None, target, campaign)
        return []
    with Ledger.open(root) as ledger:
        check_names(root, ledger, target, campaign)
        # At most every tenth row is a hidden null, but for a few in a row that were kept.
        wide = None if last is None else 2 * last + 20
        rows = ledger.list_trials(target=target, campaign=campaign, limit=wide)
    found = [row for row in rows if nulls or not is_hidden(row.record)]
    return found if last is None else found[-last:]


def _refuse_unknown(root: Path, target: str | None, campaign: str | None) -> None:
    """Raises UsageError if there are no rows because no such target or campaign exists."""
    from lance_autoresearch.campaign.campaign import load_campaign
    from lance_autoresearch.targets import catalogue

    if target is not None:
        catalogue.load_target(root, target)
    if campaign is not None:
        load_campaign(root, campaign)


def _verify_chain(root: Path, json: bool) -> int:
    import dataclasses

    from lance_autoresearch.campaign.campaign import verify_ledger
    from lance_autoresearch.errors import AlteredRecord
    from lance_autoresearch.ledger import find_ledger_path

    path = find_ledger_path(root)
    if not path.exists():
        print(json_module.dumps({"v": 1, "rows": 0, "fault": None}) if json else "no ledger yet")
        return 0
    found = verify_ledger(root)
    if found.fault is not None:
        raise AlteredRecord(
            found.fault,
            where=".lar/ledger.sqlite",
            next="trust rows before it only; restore the file from a copy, or compare records/",
        )
    if json:
        print(json_module.dumps({"v": 1, **dataclasses.asdict(found)}))
    else:
        print(f"unbroken: {found.rows} rows, {found.trials} of them trials, to {found.head[:16]}")
        print(f"git witnesses {found.witnessed} of {found.keeps} commits that rows name")
    return 0


def _verify_record(root: Path, directory: Path, verify: bool, json: bool) -> int:
    from lance_autoresearch.campaign.replaying import verify_record
    from lance_autoresearch.errors import AlteredRecord, LedgerError, UsageError

    if not verify:
        raise UsageError(
            "--record says what --verify looks at", next="lar log --verify --record DIR"
        )
    try:
        found = verify_record(root, directory)
    except LedgerError as error:
        raise AlteredRecord(error.what, where=error.where, next=error.next) from error
    if json:
        print(json_module.dumps({"v": 1, **found._asdict()}))
    else:
        print(f"unbroken: {found.files} files, {found.trials} trials of campaign {found.campaign}")
        print(f"{found.decided} verdicts follow from their recorded pairs, bit for bit")
    return 0


def _export_campaign(root: Path, name: str, json: bool) -> int:
    from lance_autoresearch.build.builder import compose_first_kernel
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger import Ledger
    from lance_autoresearch.ledger.export import export_campaign, load_records

    with Ledger.open(root) as ledger:
        row = ledger.find_campaign(name)
        if row is None:
            names = [campaign.name for campaign in ledger.list_campaigns()]
            raise UsageError(f"no campaign '{name}'", allowed=names, next="./lar status")
        upstream = compose_first_kernel(root, row.target)
        place = export_campaign(ledger, name, root / "records" / name, upstream)
    back = load_records(place, upstream)
    said = {"trials": len(back.trials), "kernels": len(back.kernels), "pairs": len(back.pairs)}
    where = str(place.relative_to(root))
    if json:
        print(json_module.dumps({"v": 1, "export": where, **said, "dropped": len(back.dropped)}))
    else:
        print(f"{where}: " + ", ".join(f"{count} {what}" for what, count in said.items()))
        if back.dropped:
            print(f"{len(back.dropped)} blobs were dropped by lar gc before and are not in it")
    return 0


def as_json(row: Row) -> dict[str, Any]:
    """A trial as one JSON object: every field of the record and its place in the chain."""
    import dataclasses

    from lance_autoresearch.ledger.results_json import encode_results

    body = dataclasses.asdict(row)
    record = body.pop("record")
    del record["results"], record["stored"]
    record["numbers"] = encode_results(row.record.results)
    return {"v": 1, "id": body.pop("id"), **record, **body}


def render_table(rows: list[Row]) -> str:
    """Trials for people, oldest first; texts of agents are stripped and cut."""
    from lance_autoresearch.text.plain_text import strip_text

    lines = [f"{'id':>5}  {'target':12}  {'verdict':12}  {'gain':>8}  {'what':40}  why"]
    for row in rows:
        record = row.record
        gain = "" if record.gain is None else f"{record.gain:+.2f}%"
        what = strip_text(record.hypothesis, 40) or f"({strip_text(record.kind, 20)})"
        cells = f"{row.id:>5}  {record.target:12.12}  {record.verdict:12}  {gain:>8}  {what:40}"
        lines.append(f"{cells}  {strip_text(record.reason, 60)}".rstrip())
    return "\n".join(lines)
