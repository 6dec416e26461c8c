"""Rules as Prometheus itself reads and evaluates them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from components.render.grafana_rules import prometheus_expression, rule_groups
from tests.support.promtool import promtool

RULES = Path(__file__).parents[2] / "rules"
_FILES = sorted(path.relative_to(RULES).as_posix() for path in RULES.glob("[ar]*/*.yml"))
RULE_FILES = [name for name in _FILES if not name.endswith("_test.yml")]
TEST_FILES = [name for name in _FILES if name.endswith("_test.yml")]


def test_rules_are_valid() -> None:
    result = promtool("check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES, directory=RULES)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", TEST_FILES)
def test_unit_tests_of_rules(name: str) -> None:
    result = promtool("test", "rules", name, directory=RULES)
    assert result.returncode == 0, result.stdout + result.stderr


def test_unit_tests_of_grafanas_rules(tmp_path: Path) -> None:
    """As Prometheus rules of the same meaning: Grafana has no tool to test its own."""
    (group,) = rule_groups(RULES, {})
    same = [
        {"alert": rule.alert, "expr": prometheus_expression(rule), "for": rule.wait, "labels": rule.labels}
        for rule in group.rules
    ]
    (tmp_path / "platform.yml").write_text(
        yaml.safe_dump({"groups": [{"name": group.name, "rules": same}]}), "utf-8"
    )
    tmp_path.chmod(0o755)
    shutil.copy(RULES / "grafana" / "platform_test.yml", tmp_path)
    result = promtool("test", "rules", "platform_test.yml", directory=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_rule_file_has_unit_tests() -> None:
    assert {name.removesuffix(".yml") for name in RULE_FILES} == {
        name.removesuffix("_test.yml") for name in TEST_FILES
    }
