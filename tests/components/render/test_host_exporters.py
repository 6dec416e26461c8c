"""The script that installs exporters, as text; what it does on a host: tests/e2e/test_host_exporters.py."""

from __future__ import annotations

import copy
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.host_exporters import installations
from components.render import host_exporters as render
from components.render.host_units import Driver, Installation, word
from components.render.tls import Server
from components.settings import Collector
from tests.support.examples import MINIMAL, settings

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGV4YW1wbGUgb2YgYSBwdWJsaWMga2V5IG9mIG9wcw=="
PASSWORD = "a-password-of-the-hosts"
SHELLCHECK = shutil.which("shellcheck", path=str(Path(".venv/bin").resolve()))


def made(name: str = "pve1", host: dict[str, Any] | None = None, **changes: Any) -> dict[str, Installation]:
    entry = {"address": "192.0.2.11", "hostKey": HOST_KEY, **(host or {})}
    values = copy.deepcopy(MINIMAL)
    values["scrape"] = changes.pop("scrape", {})
    values["hostExporters"] = {
        "hosts": {"pve1": entry, "pve2": entry},
        "gpuExporter": {"sha256": "0" * 64},
        **changes,
    }
    return installations(name, settings(values))


def scripts() -> dict[str, str]:
    texts = {kind: render.script(one) for kind, one in made().items()}
    texts["bare"] = render.script(made(textfileCollectors=[])["node"])
    server = Server(certificate="C", key="K", passwords=PASSWORD)
    texts["tls"] = render.script(replace(made()["node"], server=server))
    return texts


@pytest.mark.parametrize("kind", ["node", "gpu", "bare", "tls"])
def test_shells_can_read_it_and_shellcheck_has_nothing_to_say(kind: str, tmp_path: Path) -> None:
    assert SHELLCHECK is not None
    path = tmp_path / "script.sh"
    path.write_text(scripts()[kind], "utf-8")
    for command in (["bash", "-n", str(path)], [SHELLCHECK, str(path)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_same_settings_give_the_same_script() -> None:
    assert scripts() == scripts()


def test_a_script_that_is_cut_off_does_nothing() -> None:
    """Standard input may end early: all is in functions until the last line, which reads nothing itself."""
    text = scripts()["node"]
    assert text.rstrip().endswith('main "$@" </dev/null')
    cut = text[: text.rindex("main ")]
    done = subprocess.run(["bash", "-s", "install"], input=cut, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_without_root_it_stops_at_once_with_a_reason() -> None:
    text = scripts()["node"].replace('"$(id -u)"', "1000")
    done = subprocess.run(["bash", "-s", "install"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the login isn't root" in done.stderr


def test_ports_addresses_and_mirrors_are_those_of_the_settings() -> None:
    found = made(
        host={"listenAddress": "2001:db8::11"},
        scrape={"exporterPorts": {"node": 9101, "gpu": 9836}},
        downloadBaseUrl="https://mirror.example.com/gh",
    )
    node, gpu = render.script(found["node"]), render.script(found["gpu"])
    assert '"--web.listen-address=[2001:db8::11]:9101"' in node
    assert "probe='[2001:db8::11]:9101'" in node
    assert '"--web.listen-address=[2001:db8::11]:9836"' in gpu
    name = "node_exporter-1.12.1.linux-amd64.tar.gz"
    assert (
        f"url=https://mirror.example.com/gh/prometheus/node_exporter/releases/download/v1.12.1/{name}\n"
        in node
    )


def test_gpus_are_watched_where_the_settings_say() -> None:
    assert made()["gpu"].driver is Driver.AUTO
    named = {"sha256": "0" * 64, "hosts": ["pve1"]}
    assert made(gpuExporter=named)["gpu"].driver is Driver.REQUIRED
    assert made("pve2", gpuExporter=named).keys() == {"node"}
    assert made(gpuExporter=None).keys() == {"node"}


def test_every_collector_has_its_units_and_its_module() -> None:
    paths = {file.path for file in render.files(made()["node"])}
    for collector in Collector:
        assert f"/etc/systemd/system/pve-monitoring-collector-{collector}.timer" in paths
        assert f"/etc/systemd/system/pve-monitoring-collector-{collector}.service" in paths
        assert f"/usr/local/lib/pve-monitoring/host_collectors/{collector}.py" in paths
    few = {file.path for file in render.files(made(textfileCollectors=["smart"])["node"])}
    assert not any("backups" in path for path in few)
    assert {file.path for file in render.files(made(textfileCollectors=[])["node"])} == {
        "/etc/systemd/system/pve-monitoring-node-exporter.service"
    }


def test_rights_are_given_to_the_one_that_needs_them() -> None:
    units = {file.path.rpartition("-")[2]: file.content for file in render.files(made()["node"])}
    rights = {
        name: text.partition("CapabilityBoundingSet=")[2].partition("\n")[0] for name, text in units.items()
    }
    assert {name: given for name, given in rights.items() if given} == {
        "smart.service": "CAP_SYS_RAWIO CAP_SYS_ADMIN",
        "backups.service": "CAP_DAC_READ_SEARCH",
        "certificates.service": "CAP_DAC_READ_SEARCH",
    }
    for name, text in units.items():
        if name.endswith(".service"):
            assert "NoNewPrivileges=yes\n" in text
            assert "ProtectSystem=strict\n" in text
    # Hidden processes would hide /proc/1/mountinfo too, and every file system would look read-only.
    assert "ProtectProc" not in units["exporter.service"]


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", '"a"'), ("50%$", '"50%%$$"'), (r"\d", r'"\\d"'), ('say "x"', r'"say \"x\""')],
)
def test_words_of_a_unit_are_read_back_as_they_were(value: str, text: str) -> None:
    assert word(value) == text


@pytest.mark.parametrize("kind", ["node", "gpu"])
def test_key_and_hash_are_written_for_the_service_alone(kind: str) -> None:
    server = Server(certificate="the certificate", key="the key\nEND_OF_FILE\n", passwords=PASSWORD)
    wanted = replace(made()[kind], server=server)
    found = {file.path: (file.mode, file.owner) for file in render.files(wanted)}
    assert {path: rights for path, rights in found.items() if path.startswith("/etc/pve-")} == {
        "/etc/pve-monitoring/tls.crt": ("0444", "root"),
        "/etc/pve-monitoring/tls.key": ("0400", "pve-monitoring"),
        "/etc/pve-monitoring/web.yml": ("0400", "pve-monitoring"),
    }
    text = render.script(wanted)
    assert '"--web.config.file=/etc/pve-monitoring/web.yml"' in text
    assert "scheme=https\n" in text
    # A line of its own that looks like the end of it isn't.
    assert "<<'END_OF_FILE_'\nthe key\nEND_OF_FILE\nEND_OF_FILE_\n" in text
    # Only its hash: the probe knows no password.
    assert PASSWORD not in text


def test_without_tls_nothing_of_it_is_written() -> None:
    for one in made().values():
        text = render.script(one)
        assert "scheme=http\n" in text
        assert "--web.config.file" not in text
        assert "0400 " not in text


def test_what_goes_to_the_host_is_uploaded_under_a_name_of_its_own(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.touch()
    node = made(nodeExporter={"file": str(archive)})["node"]
    assert node.upload == "pve-monitoring-node_exporter-1.12.1.linux-amd64.tar.gz"
    assert made()["node"].upload == ""
