"""The table of a stack's certificates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache

import yaml
from rich.markup import escape
from rich.table import Table

from components import pki
from components.settings import HOLDERS
from ops.console import table
from ops.pki.held import CA
from ops.pulumi_cli import ROOT

ALERT = "CertificateExpiring"
_RULES = ROOT / "rules" / "alerts" / "platform_certificates.yml"
_COLOURS = {"critical": "red", "warning": "yellow"}


@cache
def thresholds() -> Mapping[str, int]:
    """Days that are left when the alert is raised, by its severity, as the rules have them."""
    groups = yaml.safe_load(_RULES.read_text("utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule["alert"] == ALERT]
    return {
        rule["labels"]["severity"]: int(days[1])
        for rule in rules
        if (days := re.search(r"< (\d+) \* 86400", rule["expr"])) is not None
    }


def certificates(title: str, held: Mapping[str, str], now: datetime) -> Table:
    """Every certificate with its names, who signed it, its end, and the days until then."""
    made = table(title, "certificate", "names", "issued by", "ends on", "days left")
    for holder in (CA, *HOLDERS):
        if holder not in held:
            made.add_row(holder, "[dim](none)[/]", "", "", "")
            continue
        try:
            # Of a group's text the first is its own, others are its chain; of `ca` all are trusted.
            texts = pki.certificates(held[holder])
        except ValueError:
            made.add_row(holder, "[red]is no certificate; run: python -m ops pki[/]", "", "", "")
            continue
        for text in texts if holder == CA else texts[:1]:
            names = ", ".join(pki.names(text)) or ("signs" if text == texts[0] else "trusted until forgotten")
            made.add_row(holder, escape(names), escape(pki.issuer(text)), *_end(text, now))
    return made


def _end(certificate: str, now: datetime) -> tuple[str, str]:
    end = pki.expiry(certificate)
    days = (end - now).days
    reached = (colour for severity, colour in _COLOURS.items() if days < thresholds()[severity])
    return f"{end:%Y-%m-%d}", f"[{next(reached, 'green')}]{days}[/]"
