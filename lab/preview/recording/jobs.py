"""Targets of the stack's own scrape configuration, relabelled as Prometheus does it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Groups = list[dict[str, Any]]
Job = Mapping[str, Any]
Labels = dict[str, str]

_PARAM = "__param_"


class UnknownRelabeling(Exception):  # noqa: N818 - says what is the case
    """The scrape configuration uses an action that is not understood here."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is scraped: where, and the labels that its series get."""

    job: str
    address: str
    params: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]

    @property
    def key(self) -> tuple[object, ...]:
        """Identity: a target with other labels is another one."""
        return self.job, self.address, self.params, self.labels


def targets(jobs: Sequence[Job], discovered: Callable[[str], Groups]) -> list[Target]:
    """All targets of all jobs.

    Args:
        jobs: scrape_configs of prometheus.yml.
        discovered: gives the groups for the last part of an HTTP service discovery's path.

    Raises:
        UnknownRelabeling: a job relabels in a way that this module doesn't know.
    """
    return [target for job in jobs for target in _of_job(job, discovered)]


def _of_job(job: Job, discovered: Callable[[str], Groups]) -> Iterator[Target]:
    groups: Groups = list(job.get("static_configs", []))
    for source in job.get("http_sd_configs", []):
        groups += discovered(urlsplit(source["url"]).path.rsplit("/", 1)[-1])
    for group in groups:
        for address in group["targets"]:
            labels = relabelled(
                _initial(job, address, group.get("labels", {})), job.get("relabel_configs", [])
            )
            if labels is not None:
                yield _target(labels)


def _initial(job: Job, address: str, own: Mapping[str, str]) -> Labels:
    params = {f"{_PARAM}{name}": values[0] for name, values in job.get("params", {}).items()}
    return {"job": job["job_name"], "__address__": address, **params, **own}


def relabelled(labels: Labels, rules: Iterable[Mapping[str, Any]]) -> Labels | None:
    """The labels after relabel_configs or metric_relabel_configs; None where target or series is dropped."""
    for rule in rules:
        if not _apply(rule, labels):
            return None
    return labels


def _apply(rule: Mapping[str, Any], labels: Labels) -> bool:
    """Change the labels; returns whether the target stays."""
    action = rule.get("action", "replace")
    pattern = re.compile(f"(?:{rule.get('regex', '(.*)')})\\Z", re.DOTALL)
    value = ";".join(labels.get(name, "") for name in rule.get("source_labels", []))
    match = pattern.match(value)
    if action in ("keep", "drop"):
        return bool((match is not None) == (action == "keep"))
    if action == "labeldrop":
        for name in [name for name in labels if pattern.match(name)]:
            del labels[name]
    elif action == "replace":
        if match is not None:
            template = re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", rule.get("replacement", "$1"))
            labels[rule["target_label"]] = match.expand(template)
    else:
        raise UnknownRelabeling(f"relabel action {action!r} isn't known to lab/preview/recording/jobs.py")
    return True


def _target(labels: Labels) -> Target:
    visible = {name: value for name, value in labels.items() if not name.startswith("__") and value}
    visible.setdefault("instance", labels["__address__"])
    params = {name.removeprefix(_PARAM): value for name, value in labels.items() if name.startswith(_PARAM)}
    return Target(
        job=labels["job"],
        address=labels["__address__"],
        params=tuple(sorted(params.items())),
        labels=tuple(sorted(visible.items())),
    )
