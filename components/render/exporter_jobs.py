"""How exporters of hosts and guests are scraped: over TLS with a password, or without; what jobs that takes.

Whatever a job is called here, its targets keep the label `job` by which rules and dashboards know them.
"""

from __future__ import annotations

import re
from typing import Any

from components.render import tls
from components.settings import Group, StackSettings

Job = dict[str, Any]

# A guest's tags with a comma around each; discovery gives it whichever labels the targets keep.
TAGS_LABEL = "__meta_pve_tags"


def _access(settings: StackSettings, group: Group, directory: str) -> Job:
    access = tls.client(settings, group, directory)
    # A redirect may lead anywhere, also to plain HTTP, and the password would go along.
    return {**access, "follow_redirects": False} if access else {}


def _part(job: Job, name: str, label: str, keep_or_drop: Job) -> Job:
    """A part of a job's targets, as a job with another name."""
    renamed = {"target_label": "job", "replacement": label}
    rules = [rule for rule in job.get("relabel_configs", ()) if rule != renamed]
    return {
        **job,
        "job_name": name,
        "relabel_configs": [keep_or_drop, *([renamed] if name != label else []), *rules],
    }


def of_hosts(job: Job, settings: StackSettings, directory: str) -> Job:
    """A job for exporters on hosts.

    Args:
        job: without anything about TLS.
        settings: of the stack.
        directory: where Prometheus' configuration is mounted.
    """
    return {**job, **_access(settings, Group.HOSTS, directory)}


def of_guests(job: Job, settings: StackSettings, directory: str, label: str | None = None) -> list[Job]:
    """The job for exporters in guests, and a second one for those that don't speak TLS yet (`tls.plainTag`).

    Args:
        job: without anything about TLS.
        settings: of the stack.
        directory: where Prometheus' configuration is mounted.
        label: of the targets, if it isn't the job's name.
    """
    access = _access(settings, Group.GUESTS, directory)
    tag, name = settings.tls.plain_tag, job["job_name"]
    if tag is None or not access:
        return [{**job, **access}]
    tagged = {"source_labels": [TAGS_LABEL], "regex": f".*,{re.escape(tag)},.*"}
    return [
        {**_part(job, name, label or name, {**tagged, "action": "drop"}), **access},
        _part(job, f"{name}-plain", label or name, {**tagged, "action": "keep"}),
    ]


def of_both(job: Job, settings: StackSettings, directory: str) -> list[Job]:
    """Jobs for exporters that hosts have and guests too: one for each where they have their own passwords.

    Args:
        job: without anything about TLS; hosts' targets have no label `vm_id`.
        settings: of the stack.
        directory: where Prometheus' configuration is mounted.
    """
    if not {Group.HOSTS, Group.GUESTS} & set(settings.tls.groups):
        return [job]
    name = job["job_name"]
    of_a_guest = {"source_labels": ["vm_id"], "regex": ".+"}
    hosts = _part(job, name, name, {**of_a_guest, "action": "drop"})
    guests = _part(job, f"{name}-guests", name, {**of_a_guest, "action": "keep"})
    return [of_hosts(hosts, settings, directory), *of_guests(guests, settings, directory, name)]
