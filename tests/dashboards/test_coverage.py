"""Every reason that discovery can give is explained where its guests are listed."""

from __future__ import annotations

from dashboards.coverage import REASONS
from discovery_fn.model import Reason


def test_every_reason_is_explained_and_no_other() -> None:
    assert set(REASONS) == {reason.value for reason in Reason}
