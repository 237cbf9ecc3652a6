"""The ledger itself: typed rows in, typed rows out, one transaction per decision.

    ledger = Ledger.open(root)
    with ledger.transaction():                    # the writes inside happen whole or not at all
        ledger.put_blob(text, "kernel")
        trial = ledger.append(record, commit=oid) # this row *is* the decision

Any number of processes may hold it open. A connection belongs to the thread that opened it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.ledger import chain, rows
from lance_autoresearch.ledger.blobs import Blobs
from lance_autoresearch.ledger.chained import format_now
from lance_autoresearch.ledger.connect import explain_errors
from lance_autoresearch.ledger.schema import CampaignRow, Champion, EpochRow, Row, SessionRow
from lance_autoresearch.ledger.seals import seal_seed
from lance_autoresearch.records import EpochFacts, NoiseSession, TrialRecord, Verdict
from lance_autoresearch.records.kind import QUERIES

LAST_ID = 2**63 - 1
IS_TRIAL = (
    "kind NOT IN ('quote', 'queries') "
    "AND (campaign IS NULL OR kind NOT IN ('aa', 'padding', 'identity'))"
)

IS_DEMOTION = "kind = 'queries' AND keep_commit IS NOT NULL"


class Ledger(Blobs):
    """Every trial ever made in a checkout; append-only but for blobs."""

    # -- trials ----------------------------------------------------------------------------

    def append(
        self,
        record: TrialRecord,
        *,
        judged: str = "",
        commit: str | None = None,
        blobs: Mapping[str, bytes] | None = None,
    ) -> int:
        """Write one trial; returns its id.

        Args:
            judged: its memory key, or empty if it must not answer a later trial.
            commit: git commit of a keep (only `campaign` has a reason to give one).
            blobs: kind -> bytes, stored in the same transaction (`kernel`, `pairs`).
        """
        with self.open_transaction():
            for kind, data in (blobs or {}).items():
                self.put_blob(data, kind)
            values = rows.flatten_record(record)
            return self._insert("trials", values | {"judged": judged, "keep_commit": commit})

    def list_trials(
        self,
        *,
        target: str | None = None,
        campaign: str | None = None,
        kind: str | None = None,
        verdict: Verdict | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Trials in order of id, those between `after` and `before`; `limit` keeps the newest."""
        wanted = {"target": target, "campaign": campaign, "kind": kind, "verdict": verdict}
        given = {name: str(value) for name, value in wanted.items() if value is not None}
        where = "".join(f" AND {name} = ?" for name in given)
        tail = f"WHERE id > ? AND id < ?{where} ORDER BY id DESC LIMIT ?"
        end = LAST_ID if before is None else before
        newest = -1 if limit is None else limit
        found = self._select("trials", tail, (after, end, *given.values(), newest))
        return [rows.build_row(values) for values in reversed(found)]

    def get_trial(self, number: int) -> Row:
        """One trial. Raises UsageError if there is none of that id."""
        found = self._select("trials", "WHERE id = ?", (number,))
        if not found:
            raise UsageError(f"no trial {number} in the ledger", next="lar log")
        return rows.build_row(found[0])

    def find_judged(self, key: str) -> Row | None:
        """The newest conclusive trial under a key, or None: then it has to be measured."""
        tail = "WHERE judged = ? AND judged != '' AND verdict != ? ORDER BY id DESC LIMIT 1"
        found = self._select("trials", tail, (key, str(Verdict.INCONCLUSIVE)))
        return rows.build_row(found[0]) if found else None

    def list_judged_programs(self, program: str, champion: str) -> list[Row]:
        """Conclusive trials of kernels with the same tokens against a champion, newest first.

        Args:
            program: as in `CodeFacts.program`.
            champion: sha256 of the champion's text.
        """
        tail = (
            "WHERE json_extract(numbers, '$.code.program') = ? AND champion = ? AND judged != '' "
            "AND verdict != ? ORDER BY id DESC LIMIT 16"
        )
        found = self._select("trials", tail, (program, champion, str(Verdict.INCONCLUSIVE)))
        return [rows.build_row(values) for values in found]

    def count_verdicts(self, campaign: str | None = None) -> dict[str, int]:
        """Trials per verdict, of one campaign or of all; no quoted figure, no hidden null.

        A demoted keep counts as a revert.
        """
        mine = "" if campaign is None else " AND campaign = ?"
        sql = f"SELECT verdict, count(*) FROM trials WHERE {IS_TRIAL}{mine} GROUP BY verdict"
        lost = f"SELECT count(*) FROM trials WHERE {IS_DEMOTION}{mine}"
        names = () if campaign is None else (campaign,)
        with explain_errors(self.path):
            found = {str(v): int(n) for v, n in self._db.execute(sql, names)}
            demoted = int(self._db.execute(lost, names).fetchone()[0])
        if demoted:
            found[Verdict.KEEP] = found.get(Verdict.KEEP, 0) - demoted
            found[Verdict.REVERT] = found.get(Verdict.REVERT, 0) + demoted
        return {str(v): found[v] for v in Verdict if found.get(v)}

    # -- campaigns -------------------------------------------------------------------------

    def add_campaign(
        self,
        name: str,
        target: str,
        branch: str,
        start_kernel: str,
        *,
        origin: str,
        parent: int | None,
        era: str,
        base: str,
        commit: str,
    ) -> None:
        """Write a campaign's row; raises LedgerError if the name is taken."""
        if self.find_campaign(name) is not None:
            raise LedgerError(f"campaign '{name}' exists already", next="lar status")
        values = {"name": name, "target": target, "branch": branch, "start_kernel": start_kernel}
        more = {"origin": origin, "parent": parent, "era": era, "base": base}
        self._insert("campaigns", values | more | {"start_commit": commit})

    def list_campaigns(self, target: str | None = None) -> list[CampaignRow]:
        """All campaigns, oldest first."""
        found = [rows.build_campaign(v) for v in self._select("campaigns", "ORDER BY id", ())]
        return [row for row in found if target in (None, row.target)]

    def find_campaign(self, name: str) -> CampaignRow | None:
        """A campaign by name, or None."""
        found = self._select("campaigns", "WHERE name = ?", (name,))
        return rows.build_campaign(found[0]) if found else None

    def find_champion(self, campaign: str) -> Champion:
        """The campaign's last kept kernel that was not demoted, or the one it began with."""
        tail = "WHERE campaign = ? AND keep_commit IS NOT NULL ORDER BY id DESC LIMIT 1"
        kept = self._select("trials", tail, (campaign,))
        if kept:
            last = kept[0]
            trial = last["parent"] if last["kind"] == QUERIES else last["id"]
            return Champion(last["kernel"], trial, last["keep_commit"])
        row = self.find_campaign(campaign)
        if row is None:
            raise UsageError(f"no campaign '{campaign}'", next="lar status")
        return Champion(row.start_kernel, row.parent, row.commit)

    def list_commits(self, campaign: str) -> set[str]:
        """Every git commit that a campaign's rows name."""
        begun = self._select("campaigns", "WHERE name = ?", (campaign,))
        tail = "WHERE campaign = ? AND keep_commit IS NOT NULL"
        kept = self._select("trials", tail, (campaign,))
        return {c["start_commit"] for c in begun} | {k["keep_commit"] for k in kept}

    def has_kernel(self, campaign: str, kernel: str) -> bool:
        """Whether a campaign began with this kernel or has judged it."""
        begun = self._select("campaigns", "WHERE name = ?", (campaign,))
        tail = "WHERE campaign = ? AND (kernel = ? OR champion = ?) LIMIT 1"
        seen = self._select("trials", tail, (campaign, kernel, kernel))
        return bool(seen) or kernel in {row["start_kernel"] for row in begun}

    def find_last_keep(self, target: str) -> Row | None:
        """The newest kernel of a target that a campaign kept, or None."""
        tail = "WHERE target = ? AND keep_commit IS NOT NULL ORDER BY id DESC LIMIT 1"
        kept = self._select("trials", tail, (target,))
        return rows.build_row(kept[0]) if kept else None

    # -- sessions and epochs ---------------------------------------------------------------

    def add_noise(self, session: NoiseSession) -> None:
        """Record a noise session."""
        values = {
            "target": session.target, "champion": session.champion,
            "boot_id": session.boot_id, "key": session.key,
        }  # fmt: skip
        noise = {
            "aa_sd": rows.encode_json(list(session.aa_sd)),
            "bias": chain.normalize_float(session.bias) or 0.0,
        }
        self._insert("sessions", values | noise)

    def find_noise(
        self, target: str, champion: str, boot_id: str, *, key: str = "", hours: float = 12.0
    ) -> NoiseSession | None:
        """The newest noise session that is still valid, or None: then the A/A must run."""
        tail = (
            "WHERE target = ? AND champion = ? AND boot_id = ? AND key = ? AND created >= ? "
            "ORDER BY id DESC LIMIT 1"
        )
        since = format_now(ago=timedelta(hours=hours))
        found = self._select("sessions", tail, (target, champion, boot_id, key, since))
        return rows.build_session(found[0]).noise if found else None

    def list_sessions(self, target: str, limit: int | None = None) -> list[SessionRow]:
        """A target's sessions, oldest first; `limit` keeps the newest."""
        tail = "WHERE target = ? ORDER BY id DESC LIMIT ?"
        found = self._select("sessions", tail, (target, -1 if limit is None else limit))
        return [rows.build_session(values) for values in reversed(found)]

    def add_epochs(self, target: str, facts: EpochFacts) -> None:
        """Record the epoch in use, if it is new, and publish the seeds of those that ended."""
        with self.open_transaction():
            tail = "WHERE target = ? AND name = ?"
            if facts.name and not self._select("epochs", tail, (target, facts.name)):
                self.open_epoch(target, facts.name, secret=facts.seed)
            for name, seed in facts.ended:
                self.end_epoch(target, name, seed)

    def open_epoch(self, target: str, name: str, *, secret: int | str | None = None) -> None:
        """Record that an epoch began; of its seed only a commitment is stored."""
        sealed = "" if secret is None else seal_seed(target, name, str(secret))
        self._insert("epochs", {"name": name, "target": target, "seal": sealed})

    def end_epoch(self, target: str, name: str, seed: int | str) -> None:
        """Publish an ended epoch's seed; the second time is no change.

        Raises:
            LedgerError: the seed is not the one committed to.
        """
        with self.open_transaction():
            if self._select("epoch_ends", "WHERE target = ? AND name = ?", (target, name)):
                return
            begun = self._select("epochs", "WHERE target = ? AND name = ?", (target, name))
            sealed = begun[0]["seal"] if begun else ""
            if sealed and sealed != seal_seed(target, name, str(seed)):
                raise LedgerError(f"epoch {name}: this seed is not the one it began with")
            self._insert("epoch_ends", {"name": name, "target": target, "seed": str(seed)})

    def list_epochs(self, target: str | None = None) -> list[EpochRow]:
        """All epochs with their published fields, oldest first."""
        ends = {(e["target"], e["name"]): e for e in self._select("epoch_ends", "", ())}
        begun = self._select("epochs", "ORDER BY id", ())
        made = [rows.build_epoch(e, ends.get((e["target"], e["name"]))) for e in begun]
        return [epoch for epoch in made if target in (None, epoch.target)]
