"""Certificates that examples and servers of tests use: one authority for each run."""

from __future__ import annotations

from datetime import UTC, datetime

from components import pki
from components.settings import TLS_KEYS, Group, Secret

_NOW = datetime.now(UTC)

AUTHORITY = pki.authority("pve-monitoring tests", _NOW)
# Addresses by which the platform's own servers are reached in tests, besides the name of the group.
PAIRS = {
    group: pki.issue(AUTHORITY, [group.server_name, "localhost", "127.0.0.1", "::1"], _NOW) for group in Group
}
# What the gateway of the examples is called, and how tests reach it.
GATEWAY = pki.issue(AUTHORITY, ["monitoring.example.com", "localhost", "127.0.0.1"], _NOW)
# The setting `pki`.
CERTIFICATES = {
    "ca": AUTHORITY.certificate,
    **{str(group): pair.certificate for group, pair in PAIRS.items()},
    "gateway": GATEWAY.certificate,
}
# Their keys as secrets of a stack. PEM may begin with text: by it the tests on secrets find them.
KEYS: dict[Secret, str] = {
    TLS_KEYS[holder]: f"secret-value-of-{TLS_KEYS[holder]}\n{pair.key}"
    for holder, pair in ((*PAIRS.items(), ("gateway", GATEWAY)))
}
