"""Rules as Prometheus itself reads and evaluates them."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_every_rule_file_has_unit_tests() -> None:
    assert {name.removesuffix(".yml") for name in RULE_FILES} == {
        name.removesuffix("_test.yml") for name in TEST_FILES
    }
