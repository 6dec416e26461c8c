"""What differs between two versions of a dashboard, in words; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]

_LONGEST = 160
# Said by other words, or following from other panels: ids are numbered through, rows below are pushed down.
_NOT_COMPARED = ("id", "gridPos", "title", "type", "targets", "panels", "fieldConfig", "datasource")
_PARTS = ("title", "description", "time", "refresh", "timezone", "tags", "templating", "annotations", "links")


@dataclass(frozen=True, kw_only=True)
class PanelChange:
    """A panel and what happened to it; `what` is empty where it was added or removed as a whole."""

    id: int | None
    title: str
    type: str
    what: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How people recognize it."""
        return f"{self.title or 'without a title'} ({self.type}, id {self.id})"


@dataclass(frozen=True, kw_only=True)
class DashboardChange:
    """Everything that differs.

    Attributes:
        state: added, removed, changed, or same.
        own: what changed beside the panels.
    """

    uid: str
    title: str
    state: str
    own: tuple[str, ...] = ()
    added: tuple[PanelChange, ...] = ()
    changed: tuple[PanelChange, ...] = ()
    removed: tuple[PanelChange, ...] = ()


@dataclass
class _Pairs:
    """Panels of both versions that are the same one, and those that have no counterpart."""

    both: list[tuple[Document, Document]] = field(default_factory=list)
    before: list[Document] = field(default_factory=list)
    after: list[Document] = field(default_factory=list)


def compare(uid: str, before: Document | None, after: Document | None) -> DashboardChange:
    """Compare two versions of a dashboard; None stands for a version in which there is none."""
    if before is None or after is None:
        known = after or before or {}
        panels = tuple(_named(panel) for panel in _flat(known))
        title = known.get("title", uid)
        if before is None:
            return DashboardChange(uid=uid, title=title, state="added", added=panels)
        return DashboardChange(uid=uid, title=title, state="removed", removed=panels)
    pairs = _pair(list(_flat(before)), list(_flat(after)))
    compared = [(new, tuple(_differences(old, new))) for old, new in pairs.both]
    own = tuple(_own_differences(before, after))
    changed = tuple(_named(new, what) for new, what in compared if what)
    same = not (own or changed or pairs.before or pairs.after)
    return DashboardChange(
        uid=uid,
        title=after.get("title", uid),
        state="same" if same and before == after else "changed",
        own=own,
        added=tuple(_named(panel) for panel in pairs.after),
        changed=changed,
        removed=tuple(_named(panel) for panel in pairs.before),
    )


def _flat(dashboard: Document) -> Iterator[Document]:
    for panel in dashboard.get("panels") or []:
        yield panel
        yield from panel.get("panels") or []


def _named(panel: Document, what: tuple[str, ...] = ()) -> PanelChange:
    return PanelChange(
        id=panel.get("id"), title=panel.get("title", ""), type=panel.get("type", ""), what=what
    )


def _pair(before: Sequence[Document], after: Sequence[Document]) -> _Pairs:
    """Find the same panels: by title and type first, then, for renamed or retyped ones, by id."""
    pairs = _Pairs(before=list(before), after=list(after))
    for identity in (_by_title, _by_id):
        known: dict[object, list[Document]] = {}
        for panel in pairs.before:
            known.setdefault(identity(panel), []).append(panel)
        left = []
        for panel in pairs.after:
            same = known.get(identity(panel))
            if same:
                old = same.pop(0)
                pairs.both.append((old, panel))
                pairs.before = [other for other in pairs.before if other is not old]
            else:
                left.append(panel)
        pairs.after = left
    return pairs


def _by_title(panel: Document) -> object:
    return panel.get("type"), panel.get("title", "")


def _by_id(panel: Document) -> object:
    return panel.get("id")


def _differences(old: Document, new: Document) -> Iterator[str]:
    for key in ("title", "type"):
        if old.get(key) != new.get(key):
            yield f"{key}: {_short(old.get(key))} → {_short(new.get(key))}"
    yield from _place(old.get("gridPos", {}), new.get("gridPos", {}))
    yield from _queries(old.get("targets") or [], new.get("targets") or [])
    yield from _leaves("", _without(old), _without(new))
    defaults = [panel.get("fieldConfig", {}) for panel in (old, new)]
    yield from _leaves("field", *(config.get("defaults", {}) for config in defaults))
    yield from _overrides(*(config.get("overrides", []) for config in defaults))


def _place(old: Document, new: Document) -> Iterator[str]:
    sizes = [f"{at.get('w')}×{at.get('h')}" for at in (old, new)]  # noqa: RUF001 - the sign of a size
    if sizes[0] != sizes[1]:
        yield f"size: {sizes[0]} → {sizes[1]}"
    if old.get("x") != new.get("x"):
        yield f"column: {old.get('x')} → {new.get('x')}"


def _queries(old: Sequence[Document], new: Sequence[Document]) -> Iterator[str]:
    before, after = ({target.get("refId", "?"): target for target in targets} for targets in (old, new))
    for ref in sorted(before.keys() | after.keys()):
        if ref not in before:
            yield f"query {ref} added: {_short(after[ref].get('expr'))}"
        elif ref not in after:
            yield f"query {ref} removed: {_short(before[ref].get('expr'))}"
        else:
            yield from _leaves(f"query {ref}", before[ref], after[ref])


def _overrides(old: Sequence[Document], new: Sequence[Document]) -> Iterator[str]:
    """Overrides by the name of what they match."""
    before, after = (
        {_short(rule.get("matcher", {}).get("options")): rule for rule in rules} for rules in (old, new)
    )
    for name in sorted(before.keys() | after.keys()):
        properties = [_properties(rules.get(name)) for rules in (before, after)]
        yield from _leaves(f"override {name}", *properties)


def _properties(rule: Document | None) -> Document:
    return {entry["id"]: entry.get("value") for entry in (rule or {}).get("properties", [])}


def _own_differences(before: Document, after: Document) -> Iterator[str]:
    old, new = ({key: dashboard.get(key) for key in _PARTS} for dashboard in (before, after))
    yield from _leaves("", old, new)


def _without(panel: Document) -> Document:
    return {key: value for key, value in panel.items() if key not in _NOT_COMPARED}


def _leaves(path: str, old: Any, new: Any) -> Iterator[str]:
    """Differences below a path, each with both values; lists of the same length are compared one by one."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _leaves(f"{path}.{key}".lstrip("."), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _leaves(f"{path}[{index}]", one, other)
    else:
        yield f"{path}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    text = " ".join(text.split())
    return f"`{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}`"


def markdown(reference: str, found: Sequence[DashboardChange], pictures: Mapping[str, Sequence[str]]) -> str:
    """A summary for a pull request.

    Args:
        reference: what was compared with.
        found: dashboards that differ.
        pictures: by uid, the files that show both versions, relative to the summary.
    """
    if not found:
        return f"The dashboards are the same as in `{reference}`.\n"
    parts = [f"## Dashboards, compared with `{reference}`\n"]
    for change in found:
        parts.append(f"### {change.title} (`{change.uid}`): {change.state}\n")
        parts += [f"![{change.title}: before and after]({name})\n" for name in pictures.get(change.uid, ())]
        parts.append("\n".join(_lines(change)) + "\n")
    return "\n".join(parts)


def _lines(change: DashboardChange) -> Iterator[str]:
    if change.own:
        yield "- **Dashboard**"
        yield from (f"  - {text}" for text in change.own)
    for word, panels in (("Added", change.added), ("Changed", change.changed), ("Removed", change.removed)):
        for panel in panels:
            yield f"- **{word}**: {panel.name}"
            yield from (f"  - {text}" for text in panel.what)
