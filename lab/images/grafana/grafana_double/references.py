"""Who names whom in alerting: contact points and mute timings, used by the policy tree and by rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .store import Document, Store

CONTACT_POINT = "contact_point"
MUTE_TIMING = "mute_timing"
ALERT_RULE = "alert_rule"
POLICY = "policy"
POLICY_KEY = "root"

DEFAULT_RECEIVER = "grafana-default-email"
"""The contact point that a fresh Grafana has and that the default tree goes to."""

DEFAULT_TREE: Document = {"receiver": DEFAULT_RECEIVER, "group_by": ["grafana_folder", "alertname"]}

RECEIVER = ("receiver",)
INTERVALS = ("mute_time_intervals", "active_time_intervals")
"""Fields of routes and of rules' notification settings."""


def receiver_names(store: Store) -> set[str]:
    """The names of all contact points."""
    return {DEFAULT_RECEIVER, *(point["name"] for point in store.all(CONTACT_POINT))}


def interval_names(store: Store) -> set[str]:
    """The names of all mute timings."""
    return {timing["name"] for timing in store.all(MUTE_TIMING)}


def policy_tree(store: Store) -> Document:
    """The tree of notification policies as it is answered, without its provenance."""
    document = store.get(POLICY, POLICY_KEY)
    return document["tree"] if document else DEFAULT_TREE


def routes(route: Document) -> Iterator[Document]:
    """The route and all below it."""
    yield route
    for child in route.get("routes", []):
        yield from routes(child)


def used_in_policies(store: Store, fields: Iterable[str]) -> set[str]:
    """The names that stand in these fields anywhere in the tree."""
    return named(routes(policy_tree(store)), fields)


def used_in_rules(store: Store, fields: Iterable[str]) -> set[str]:
    """The names that stand in these fields of any rule's notification settings."""
    settings = [rule["notification_settings"] for rule in store.all(ALERT_RULE)]
    return named([one for one in settings if one], fields)


def named(documents: Iterable[Document], fields: Iterable[str]) -> set[str]:
    """The names in the given fields, which hold a string or a list of strings."""
    wanted = tuple(fields)
    found: set[str] = set()
    for document in documents:
        for field in wanted:
            value = document.get(field) or []
            found.update([value] if isinstance(value, str) else value)
    return found
