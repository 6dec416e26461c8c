"""What is done, though it is a bad idea, and said."""

from __future__ import annotations

import runpy
from typing import Any

import pulumi
import pytest

from components.cautions import cautions
from components.settings import PROJECT, Secret
from tests.support.examples import EXAMPLES, MINIMAL, ROOT, settings
from tests.support.pulumi_harness import deploy

UNVERIFIED: dict[str, Any] = {**MINIMAL, "cluster": {**MINIMAL["cluster"], "verifyTls": False}}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_no_bad_idea(name: str) -> None:
    assert cautions(settings(EXAMPLES[name])) == ()


@pytest.mark.parametrize("preview", [True, False])
def test_an_unverified_cluster_is_warned_of_once(monkeypatch: pytest.MonkeyPatch, *, preview: bool) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    config = {f"{PROJECT}:{key}": value for key, value in UNVERIFIED.items()}
    secrets = {f"{PROJECT}:{secret}": f"value-of-{secret}" for secret in Secret}
    deploy(lambda: runpy.run_path(str(ROOT / "__main__.py")), config=config, secrets=secrets, preview=preview)
    (caution,) = said
    assert caution.startswith("cluster.verifyTls is false")
    assert "cluster.caFile" in caution
