from __future__ import annotations

import pytest

from lab.images.grafana.grafana_double.durations import canonical


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("5m0s", "5m"),
        ("90m", "1h30m"),
        ("24h", "1d"),
        ("300s", "5m"),
        ("0s", "0s"),
        ("0", "0s"),
        ("14d", "2w"),
        ("8d", "8d"),
        ("365d", "1y"),
        ("1h0m1s", "1h1s"),
        ("1500ms", "1s500ms"),
    ],
)
def test_canonical_spelling(given: str, expected: str) -> None:
    assert canonical(given) == expected


@pytest.mark.parametrize("given", ["", "5", "1.5s", "5 m", "-5m", "5s3m"])
def test_what_is_no_duration(given: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        canonical(given)
