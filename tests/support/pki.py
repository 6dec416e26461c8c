"""Certificates that examples and servers of tests use: one authority for each run."""

from __future__ import annotations

from datetime import UTC, datetime

from components import pki
from components.settings import Group

_NOW = datetime.now(UTC)

AUTHORITY = pki.authority("pve-monitoring tests", _NOW)
# Addresses by which the platform's own servers are reached in tests, besides the name of the group.
PAIRS = {
    group: pki.issue(AUTHORITY, [group.server_name, "localhost", "127.0.0.1", "::1"], _NOW) for group in Group
}
# The setting `pki`.
CERTIFICATES = {
    "ca": AUTHORITY.certificate,
    **{str(group): pair.certificate for group, pair in PAIRS.items()},
}
