"""The script that installs an exporter on a Proxmox VE host, with the files that it writes there."""

from __future__ import annotations

import shlex
from pathlib import Path

from components.render.host_units import (
    ROOT,
    SETTINGS,
    STATE,
    TEXTFILES,
    UNITS,
    USER,
    File,
    Installation,
    collector_units,
    exporter_unit,
    server_files,
)

SCRIPT = Path(__file__).with_suffix(".sh")
COLLECTORS = Path("host_collectors")

# The archive, the program unpacked twice, and as much again.
SPACE_MIB = 120
LOCK_SECONDS = 120
HEALTH_SECONDS = 20


def files(wanted: Installation) -> list[File]:
    """All files of an installation but its program."""
    found = [File(f"{UNITS}/{wanted.service}", exporter_unit(wanted))]
    if wanted.server is not None:
        found += server_files(wanted.server)
    for collector in wanted.collectors:
        found += collector_units(collector)
    modules = ("__init__", "textfile", *wanted.collectors) if wanted.collectors else ()
    return found + [
        File(f"{ROOT}/{path}", path.read_text("utf-8"))
        for path in (COLLECTORS / f"{name}.py" for name in modules)
    ]


def _constants(wanted: Installation) -> dict[str, str]:
    name = wanted.exporter.name
    commands = ["wget:wget", "tar:tar", "ss:iproute2", "flock:util-linux"]
    wild = wanted.listen in ("", "0.0.0.0", "::")  # noqa: S104 - a comparison
    probe = "127.0.0.1" if wild else wanted.listen
    return {
        "title": name,
        "version": wanted.version,
        "binary": name,
        "program": wanted.program,
        "service": wanted.service,
        "manifest": f"{ROOT}/{name}.files",
        "sha256": wanted.sha256,
        "url": wanted.url,
        "upload": wanted.upload,
        "setting": wanted.setting,
        "checksums_at": wanted.exporter.checksums_url(wanted.version),
        "port": str(wanted.port),
        "probe": f"[{probe}]:{wanted.port}" if ":" in probe else f"{probe}:{wanted.port}",
        "scheme": "http" if wanted.server is None else "https",
        "expected": f'^{name}_build_info[{{].*version="{wanted.version.replace(".", "[.]")}"',
        "expected_of_any": f"^{name}_build_info",
        "driver": wanted.driver,
        "commands": " ".join([*commands, *(["python3:python3"] if wanted.collectors else [])]),
        "user": USER,
        "root": ROOT,
        "state": STATE,
        "settings": SETTINGS,
        "textfiles": TEXTFILES,
        "space_mib": str(SPACE_MIB),
        "lock_seconds": str(LOCK_SECONDS),
        "health_seconds": str(HEALTH_SECONDS),
    }


def _here_document(file: File) -> str:
    target = shlex.quote(file.path)
    end = "END_OF_FILE"
    while end in file.content.splitlines():
        end += "_"
    body = file.content if file.content.endswith("\n") else f"{file.content}\n"
    return f"    stage_file {target} <<'{end}'\n{body}{end}\n"


def script(wanted: Installation) -> str:
    """Bash that installs (`bash -s install`) or removes (`bash -s remove`) an exporter.

    It comes through standard input and may run again at any time. It exits with 1 and says on stderr what is
    wrong and what to do; what was there before then runs on.
    """
    chosen = files(wanted)
    constants = "".join(f"{key}={shlex.quote(value)}\n" for key, value in _constants(wanted).items())
    listed = "".join(f"{file.mode} {file.owner} {file.path}\n" for file in chosen)
    documents = "".join(_here_document(file) for file in chosen)
    return (
        f"#!/usr/bin/env bash\nset -Eeuo pipefail\n{constants}\n"
        f"list_files() {{\n    cat <<'END_OF_LIST'\n{listed}END_OF_LIST\n}}\n\n"
        f"write_files() {{\n{documents}}}\n\n{SCRIPT.read_text('utf-8')}"
    )
