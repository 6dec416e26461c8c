"""The rule file that tells when the stack's certificates end."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from components import pki
from components.render import certificates
from components.settings import Group
from tests.support.examples import ENCRYPTED, EXAMPLES, settings
from tests.support.pki import AUTHORITY, PAIRS
from tests.support.promql import made_by_the_program
from tests.support.promtool import promtool


def recorded(**values: object) -> dict[str, float]:
    """Ends by certificate."""
    files = certificates.rule_file(settings({**ENCRYPTED, **values}))
    rules = [rule for text in files.values() for rule in yaml.safe_load(text)["groups"][0]["rules"]]
    assert all(rule["labels"]["cluster"] == "home" for rule in rules)
    return {
        rule["labels"]["certificate"]: float(rule["expr"].removeprefix("vector(").rstrip(")"))
        for rule in rules
    }


def test_every_certificate_in_use_tells_its_end() -> None:
    ends = {str(group): pki.expiry(PAIRS[group].certificate).timestamp() for group in Group}
    assert recorded() == {**ends, "ca": pki.expiry(AUTHORITY.certificate).timestamp()}


def test_certificates_that_nobody_uses_are_left_out() -> None:
    assert recorded(tls={"guests": False, "hosts": False}).keys() == {"platform", "ca"}
    assert recorded(tls="off") == {}


@pytest.mark.parametrize("name", ["minimal", "dev"])
def test_a_stack_without_tls_has_no_such_file(name: str) -> None:
    assert certificates.rule_file(settings(EXAMPLES[name])) == {}


def test_prometheus_takes_it(tmp_path: Path) -> None:
    for name, text in certificates.rule_file(settings(ENCRYPTED)).items():
        (tmp_path / name).write_text(text, "utf-8")
    tmp_path.chmod(0o755)
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", certificates.FILE, directory=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_names_and_labels_are_those_of_the_catalogue() -> None:
    (group,) = yaml.safe_load(certificates.rule_file(settings(ENCRYPTED))[certificates.FILE])["groups"]
    found = {rule["record"]: frozenset(rule["labels"]) for rule in group["rules"]}
    assert found == made_by_the_program()
