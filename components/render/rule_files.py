"""The recording and alert rules as Prometheus gets them."""

from __future__ import annotations

from pathlib import Path

import yaml

from components.render import to_yaml
from components.render.links import Bases, complete_links


def rule_files(rules: Path, bases: Bases) -> dict[str, str]:
    """Read the rule files below `rules` and complete the links in their annotations.

    Args:
        rules: directory with recording/*.yml and alerts/*.yml; files ending in _test.yml are left out.
        bases: where links start (components.render.links).

    Returns:
        Content by file name (`recording_node.yml`): Prometheus reads one flat directory.
    """
    paths = sorted(path for path in rules.glob("*/*.yml") if not path.stem.endswith("_test"))
    wanted = [path for path in paths if path.parent.name in ("recording", "alerts")]
    return {f"{p.parent.name}_{p.name}": _with_links(p.read_text("utf-8"), bases) for p in wanted}


def _with_links(text: str, bases: Bases) -> str:
    document = yaml.safe_load(text)
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        if "annotations" in rule:
            # A new mapping: two rules may share one by a YAML anchor.
            rule["annotations"] = complete_links(rule["annotations"], bases)
    return to_yaml(document)
