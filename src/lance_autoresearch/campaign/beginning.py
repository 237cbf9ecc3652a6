"""A new campaign from Lance's own kernel."""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch import oracle
from lance_autoresearch.build import builder
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.campaign import Campaign


def begin_campaign(root: Path, target: str, name: str | None = None) -> Campaign:
    """A new campaign that starts from upstream's own code."""
    oracle.fetch_upstream(root)
    era = oracle.load_manifest(root).version
    return campaigns.create_campaign(
        root,
        target,
        builder.compose_first_kernel(root, target),
        origin="upstream",
        era=era,
        name=name,
    )
