"""The text format of Prometheus, from the families that an exporter's version has."""

from functools import cache
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FAMILIES = Path(__file__).parent / "families"


@cache
def heads(exporter: str) -> dict[str, str]:
    """By metric name, the TYPE line of an exporter's version, as in ``families/<exporter>.tsv``."""
    found = {}
    for line in (FAMILIES / f"{exporter}.tsv").read_text(encoding="utf-8").splitlines():
        name, kind = line.split("\t")
        found[name] = f"# TYPE {name} {kind}\n"
    return found


def escape(value: str) -> str:
    r"""A label value as the text format wants it (``\``, ``"`` and line feed escaped)."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def labels(**pairs: str) -> str:
    """A set of labels in braces, sorted by name."""
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in sorted(pairs.items())) + "}"


class Page:
    """Samples by family, in the order in which they were added."""

    def __init__(self, *exporters: str) -> None:
        self._heads = {name: head for exporter in exporters for name, head in heads(exporter).items()}
        self._lines: dict[str, list[str]] = {}

    def add(self, name: str, value: float, of: str = "") -> None:
        """One sample; ``of`` is a label set from ``labels``. KeyError: the exporter has no such family."""
        if name not in self._lines:
            self._lines[name] = [self._heads[name]]
        self._lines[name].append(f"{name}{of} {value!r}\n")

    def text(self) -> str:
        """The page, families sorted by name as the Go client writes them."""
        return "".join("".join(self._lines[name]) for name in sorted(self._lines))
