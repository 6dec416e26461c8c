"""The collectors on hosts: what they make of what a host says."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from host_collectors import backups, certificates, smart, textfile, updates
from host_collectors.textfile import CollectorError, Page
from tests.support.promql import RULES

# From a Debian 13 with Proxmox VE's repository; the kernel is new, so nothing stands in square brackets.
SIMULATION = """\
NOTE: This is only a simulation!
Inst libssl3t64 [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64]) []
Inst openssl [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
Inst proxmox-kernel-6.17.4-1-pve-signed (6.17.4-1 Proxmox:stable [amd64])
Inst tzdata [2025b-4] (2025c-1 Debian:13.2/stable, Debian:stable-updates [all])
Conf openssl (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64])
"""


def samples(page: Page) -> dict[tuple[str, ...], float]:
    """Values by name and label values, read as Prometheus would."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.text())
        for sample in family.samples
    }


def test_updates_are_counted_by_origin() -> None:
    assert updates.pending(SIMULATION) == Counter(
        {("Debian-Security:13/stable-security", "amd64"): 2, ("Proxmox:stable", "amd64"): 1,
         ("Debian:13.2/stable", "all"): 1}
    )  # fmt: skip


def test_no_updates_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "simulate", lambda: "")
    assert samples(updates.collect())["apt_upgrades_pending", "", ""] == 0


def ask(answers: dict[str, Any]) -> smart.Ask:
    return lambda arguments: answers[arguments[-1]]


def test_disks_tell_their_health_and_sleep_on() -> None:
    page = smart.collect(
        ask(
            {
                "--scan": {
                    "devices": [
                        {"name": "/dev/sda", "type": "sat"},
                        {"name": "/dev/sdb", "type": "scsi"},
                        {"name": "/dev/nvme0", "type": "nvme"},
                        {"name": "/dev/bus/0", "type": "megaraid,0"},
                        {"name": "/dev/bus/0", "type": "megaraid,1"},
                    ]
                },
                # Bit 3: it fails. Bit 1: it sleeps, or can't be opened.
                "/dev/sda": {"smartctl": {"exit_status": 8}, "smart_status": {"passed": False}},
                "/dev/sdb": {"smartctl": {"exit_status": 2}},
                "/dev/nvme0": {
                    "smart_status": {"passed": True},
                    "nvme_smart_health_information_log": {"percentage_used": 103},
                },
                "/dev/bus/0": {"smart_status": {"passed": True}},
            }
        )
    )
    found = samples(page)
    assert {key[1:]: value for key, value in found.items() if key[0] == "smartmon_device_smart_healthy"} == {
        ("/dev/sda", "sat"): 0,
        ("/dev/nvme0", "nvme"): 1,
        ("/dev/bus/0", "megaraid,0"): 1,
        ("/dev/bus/0", "megaraid,1"): 1,
    }
    assert found["smartmon_device_active", "/dev/sdb", "scsi"] == 0
    assert found["nvme_percentage_used_ratio", "nvme0"] == 1.03


def test_smartctl_that_is_missing_or_too_old_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CollectorError, match="apt-get install smartmontools"):
        smart.smartctl(["--scan"])
    (tmp_path / "smartctl").write_text("#!/bin/sh\necho unrecognized option\n")
    (tmp_path / "smartctl").chmod(0o755)
    with pytest.raises(CollectorError, match="answers no JSON: unrecognized option"):
        smart.smartctl(["--scan"])


def log(vmid: int, end: str, kind: str = "qemu") -> str:
    return f"2026-11-22 01:00:00 INFO: Starting Backup of VM {vmid} ({kind})\n{end}"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose logs and state lie below a directory."""
    for name, path in (("GUEST_LOGS", "vzdump"), ("TASKS", "tasks"), ("STATE", "state")):
        (tmp_path / path).mkdir()
        monkeypatch.setattr(backups, name, tmp_path / path)
    return tmp_path


def at(text: str) -> int:
    return int(time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")))


def test_backups_of_guests_are_read_from_their_logs(host: Path) -> None:
    logs = {
        "qemu-101": log(101, "2026-11-22 02:01:05 INFO: Finished Backup of VM 101 (01:01:05)\n"),
        "lxc-105": log(105, "2026-11-22 01:00:09 ERROR: Backup of VM 105 failed - no space left\n", "lxc"),
        "qemu-107": log(107, "2026-11-22 01:00:03 INFO: status = running\n"),
    }
    for name, text in logs.items():
        (host / "vzdump" / f"{name}.log").write_text(text)
    found = samples(backups.collect())
    assert found == {
        ("vzdump_guest_last_success_timestamp_seconds", "101"): at("2026-11-22 02:01:05"),
        ("vzdump_guest_last_success_duration_seconds", "101"): 3665,
        ("vzdump_guest_last_failure_timestamp_seconds", "105"): at("2026-11-22 01:00:09"),
    }


def test_the_last_success_is_remembered_over_a_failure_and_forgotten_with_the_log(host: Path) -> None:
    path = host / "vzdump" / "qemu-101.log"
    path.write_text(log(101, "2026-11-21 01:01:00 INFO: Finished Backup of VM 101 (00:01:00)\n"))
    backups.collect()
    path.write_text(log(101, "2026-11-22 01:01:00 ERROR: Backup of VM 101 failed - locked\n"))
    found = samples(backups.collect())
    assert found["vzdump_guest_last_success_timestamp_seconds", "101"] == at("2026-11-21 01:01:00")
    assert found["vzdump_guest_last_failure_timestamp_seconds", "101"] == at("2026-11-22 01:01:00")
    path.unlink()
    assert samples(backups.collect()) == {}


def test_a_state_that_is_broken_is_begun_anew(host: Path) -> None:
    (host / "state" / "backups.json").write_text("{")
    assert samples(backups.collect()) == {}


def task(number: int, status: str, kind: str = "vzdump", end: str = "692109A0") -> str:
    return f"UPID:pve1:0000{number:04X}:00ABCDEF:69210{number:02X}F:{kind}::root@pam: {end} {status}\n"


def test_runs_of_jobs_are_told_unless_single_guests_failed(host: Path) -> None:
    tasks = host / "tasks"
    (tasks / "F").mkdir()
    (tasks / "index.1").write_text(task(1, "OK", end="69210900"))
    (tasks / "index").write_text(
        task(2, "could not get storage information for 'nfs': storage 'nfs' is not online")
        + task(3, "job errors")
        + task(4, "command 'apt-get update' failed: exit code 100", kind="aptupdate")
        + task(5, "WARNINGS: 2")
        + "UPID:pve1:broken\n"
    )
    for number, job in ((1, "nightly"), (2, "nightly"), (3, "weekly")):
        text = (
            f"INFO: starting new backup job: vzdump --quiet 1 --job-id backup-{job} --storage nfs --all 1\n"
        )
        upid = task(number, "").split(" ")[0]
        (tasks / "F" / upid).write_text(text)
    found = samples(backups.collect())
    assert found == {
        ("vzdump_job_last_success_timestamp_seconds", "backup-nightly"): 0x69210900,
        ("vzdump_job_last_failure_timestamp_seconds", "backup-nightly"): 0x692109A0,
        ("vzdump_job_last_success_timestamp_seconds", "backup-weekly"): 0x692109A0,
        ("vzdump_job_last_success_timestamp_seconds", "none"): 0x692109A0,
    }


def certificate(path: Path, days: int) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
         "/CN=pve1", "-days", str(days), "-keyout", "/dev/null", "-out", str(path)],
        check=True,
        capture_output=True,
    )  # fmt: skip


def test_certificates_tell_their_end(tmp_path: Path) -> None:
    certificate(tmp_path / "pve-ssl.pem", 20)
    paths = (tmp_path / "pveproxy-ssl.pem", tmp_path / "pve-ssl.pem")
    ((key, value),) = samples(certificates.collect(paths, tmp_path / "tls.crt")).items()
    assert key == ("host_certificate_not_after_timestamp_seconds", "pve-ssl.pem")
    assert value == pytest.approx(time.time() + 20 * 86400, abs=60)


def test_the_certificate_of_the_exporters_tells_its_end_too(tmp_path: Path) -> None:
    certificate(tmp_path / "pve-ssl.pem", 20)
    certificate(tmp_path / "tls.crt", 5)
    found = samples(certificates.collect((tmp_path / "pve-ssl.pem",), tmp_path / "tls.crt"))
    assert {key[1] for key in found} == {"pve-ssl.pem", "tls.crt"}
    value = found["host_certificate_not_after_timestamp_seconds", "tls.crt"]
    assert value == pytest.approx(time.time() + 5 * 86400, abs=60)


def test_the_exporters_certificate_alone_makes_no_proxmox_host(tmp_path: Path) -> None:
    certificate(tmp_path / "tls.crt", 5)
    with pytest.raises(CollectorError, match="is this a Proxmox VE host"):
        certificates.collect((tmp_path / "pve-ssl.pem",), tmp_path / "tls.crt")


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match="is this a Proxmox VE host"):
        certificates.collect((tmp_path / "a.pem",))
    (tmp_path / "a.pem").write_text("no certificate")
    with pytest.raises(CollectorError, match=r"a\.pem can't be read"):
        certificates.collect((tmp_path / "a.pem",))


def test_a_page_is_written_at_once_and_stays_when_a_collector_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(textfile, "STATE", tmp_path)

    def good() -> Page:
        page = Page()
        page.add("a", "A.", 1.5, of='x"\\\n')
        return page

    def bad() -> Page:
        raise CollectorError("it is gone")

    assert textfile.run("smart", good) == 0
    assert textfile.run("smart", bad) == 1
    assert capsys.readouterr().err == "smart: it is gone\n"
    (file,) = (tmp_path / "textfile").iterdir()
    assert file.read_text() == '# HELP a A.\n# TYPE a gauge\na{of="x\\"\\\\\\n"} 1.5\n'
    assert file.stat().st_mode & 0o777 == 0o644


def test_what_they_write_is_what_the_catalogue_says(host: Path, tmp_path: Path) -> None:
    """The names in the code and in the catalogue; labels are tried end to end."""
    source = "".join(path.read_text("utf-8") for path in Path("host_collectors").glob("*.py"))
    named = set(re.findall(r'"((?:apt|host|smartmon|nvme)_\w+)"', source))
    named |= {
        f"vzdump_{kind}_last_{what}_timestamp_seconds"
        for kind in ("guest", "job")
        for what in ("success", "failure")
    }
    named |= {"vzdump_guest_last_success_duration_seconds"}
    catalogued = {
        name
        for file in ("textfile_hosts.yml", "textfile_smart.yml")
        for name in yaml.safe_load((RULES / "catalogue" / file).read_text("utf-8"))["metrics"]
    }
    assert named - {"nvme_smart_health_information_log"} == catalogued


def test_they_need_nothing_but_the_standard_library() -> None:
    modules = [f"host_collectors.{path.stem}" for path in Path("host_collectors").glob("[a-z]*.py")]
    code = f"import {', '.join(modules)}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
                          check=True, capture_output=True, text=True)  # fmt: skip
    roots = {name.partition(".")[0] for name in done.stdout.split()}
    assert roots - sys.stdlib_module_names - {"__main__", "host_collectors"} == set()
