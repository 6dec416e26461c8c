"""A secret that holds two passwords, while one takes the other's place, is left as it is by `ops pki`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from components.settings import Secret
from ops.pki.held import Held
from ops.pki.names import wanted
from ops.pki.work import Work
from tests.support.examples import EXAMPLES, settings
from tests.support.pki import AUTHORITY, CERTIFICATES, KEYS


@pytest.mark.parametrize(
    ("password", "replaced"), [("o" * 43, False), (f"{'o' * 43} {'n' * 43}", False), ("o" * 73, True)]
)
def test_two_passwords_are_as_good_as_one(password: str, *, replaced: bool) -> None:
    keys = {**KEYS, Secret.TLS_CA_KEY: AUTHORITY.key, Secret.SCRAPE_GUESTS_PASSWORD: password}
    names = wanted(settings(EXAMPLES["encrypted"]))
    work = Work("a", Held(CERTIFICATES, keys), names, datetime.now(UTC))
    work.complete()
    assert (Secret.SCRAPE_GUESTS_PASSWORD in work.secrets) is replaced
