import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.cluster.exporters import gpu, node, windows
from lab.cluster.exporters.page import Page, labels
from lab.cluster.model import Guest, Host
from lab.cluster.proxy import ports, render
from lab.cluster.state import Lab

from .conftest import NOW, Clock

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = Path(os.environ.get("PVE_MONITORING_REFERENCE", ROOT.parent / "shared" / "reference")) / "metrics"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> tuple[dict[str, str], Samples]:
    """Types by family, and samples."""
    kinds, samples = {}, {}
    for family in text_string_to_metric_families(text):
        kinds[family.name] = family.type
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"twice: {key}"
            samples[key] = sample.value
    return kinds, samples


def guest(lab: Lab, name: str) -> Guest:
    found = lab.find_guest(name)
    assert found is not None
    return found


def pages(lab: Lab, t: float) -> Iterator[tuple[str, str]]:
    entities: list[Host | Guest] = [*lab.cluster.hosts]
    entities += [g for g in lab.cluster.guests if g.running]
    for entity in entities:
        for port in ports(entity):
            yield f"{entity.name}:{port}", render(lab, entity, port, t)


def test_every_page_can_be_read_and_no_counter_falls(lab: Lab, clock: Clock) -> None:
    fallen = []
    before: dict[str, Samples] = {}
    for step in range(12):
        for name, text in pages(lab, clock.now):
            kinds, samples = read(text)
            for key, value in samples.items():
                family = key[0].removesuffix("_total")
                old = before.get(name, {}).get(key, value)
                if kinds.get(family) == "counter" and value < old and "tap110" not in str(key):
                    fallen.append((name, key, old, value))
            before[name] = samples
        if step == 3:
            for kind, target in (("cpu_hog", "pve2"), ("cpu_hog", "102"), ("disk_latency_storm", "pve1")):
                lab.break_(kind, target, 45, {})
        clock.now += 15 if step < 10 else 1200
    assert fallen == []


def test_a_counter_moves_by_what_its_rate_says(lab: Lab) -> None:
    sql = guest(lab, "win-sql01")
    _, before = read(windows.render(lab, sql, NOW))
    _, after = read(windows.render(lab, sql, NOW + 60))
    cpu = ("windows_cpu_time_total", (("core", "0,3"), ("mode", "idle")))
    idle = (after[cpu] - before[cpu]) / 60
    assert idle == pytest.approx(1 - lab.area(sql, "cpu", NOW, NOW + 60) / 60, abs=0.1)
    for core in range(sql.vcpus):
        total = sum(
            after[key] - before[key]
            for key in after
            if key[0] == "windows_cpu_time_total"
            and ("core", f"0,{core}") in key[1]
            and dict(key[1])["mode"] in ("idle", "privileged", "user")
        )
        assert total == pytest.approx(60, abs=0.01)


def test_a_hosts_cpu_time_adds_up(lab: Lab) -> None:
    host = lab.cluster.host["pve2"]
    _, before = read(node.render_host(lab, host, NOW))
    _, after = read(node.render_host(lab, host, NOW + 60))
    per_core: dict[str, float] = {}
    for key in after:
        if key[0] == "node_cpu_seconds_total":
            cpu = dict(key[1])["cpu"]
            per_core[cpu] = per_core.get(cpu, 0) + after[key] - before[key]
    assert len(per_core) == host.cpus
    assert all(seconds == pytest.approx(60, abs=0.1) for seconds in per_core.values())


def test_the_tap_device_of_what_moves_is_on_one_host_at_a_time(lab: Lab) -> None:
    found = []
    for t in (NOW, NOW + 1800):
        found += [h.name for h in lab.cluster.hosts if 'device="tap110i0"' in node.render_host(lab, h, t)]
    assert sorted(found) == ["pve2", "pve3"]


def test_faults_show_in_the_exporters(lab: Lab, clock: Clock) -> None:
    lab.break_("disk_full", "102", None, {})
    lab.break_("network_errors", "102", None, {})
    lab.break_("gpu_hot", "pve3", None, {"celsius": 96})
    lab.break_("disk_latency_storm", "pve1", None, {})
    clock.now += 60
    app = guest(lab, "win-app01")
    _, samples = read(windows.render(lab, app, clock.now))
    c = (("volume", "C:"),)
    free = samples["windows_logical_disk_free_bytes", c] / samples["windows_logical_disk_size_bytes", c]
    assert free == pytest.approx(0.02, abs=0.001)
    nic = (("nic", windows.ADAPTER),)
    assert samples["windows_net_packets_received_errors_total", nic] == 25 * 60
    _, samples = read(gpu.render(lab, lab.cluster.host["pve3"], clock.now))
    assert [v for k, v in samples.items() if k[0] == "nvidia_smi_temperature_gpu"] == [96, 96]
    host = lab.cluster.host["pve1"]
    waits = []
    for t in (clock.now, clock.now + 30):
        _, samples = read(node.render_host(lab, host, t))
        device = (("device", "nvme0n1"),)
        read_time = samples["node_disk_read_time_seconds_total", device]
        waits.append((read_time, samples["node_disk_reads_completed_total", device]))
    latency = (waits[1][0] - waits[0][0]) / (waits[1][1] - waits[0][1])
    assert latency > 0.02


def test_faults_of_a_hosts_hardware_show_in_its_exporters(lab: Lab, clock: Clock) -> None:
    host = lab.cluster.host["pve3"]
    error, kill = "node_edac_uncorrectable_errors_total", "node_vmstat_oom_kill"
    for kind in ("sensor_hot", "clock_skew", "memory_errors", "oom_kill", "oom_kill", "gpu_memory_full"):
        lab.break_(kind, "pve3", 60, {})
    lab.break_("zpool_broken", "pve3", 60, {"state": "degraded"})
    clock.now += 30
    _, samples = read(node.render_host(lab, host, clock.now))
    chip = (("chip", "pci0000:00_0000:00_18_3"), ("sensor", "temp1"))
    assert samples["node_hwmon_temp_celsius", chip] > samples["node_hwmon_temp_crit_celsius", chip]
    assert samples["node_timex_offset_seconds", ()] == pytest.approx(0.2, abs=0.001)
    assert (samples[error, (("controller", "0"),)], samples[kill, ()]) == (1, 2)
    pool = {
        dict(key[1])["state"]: value for key, value in samples.items() if key[0] == "node_zfs_zpool_state"
    }
    assert {state for state, value in pool.items() if value} == {"degraded"}
    _, cards = read(gpu.render(lab, host, clock.now))
    used = [value for key, value in cards.items() if key[0] == "nvidia_smi_memory_used_bytes"]
    assert [value / card.memory for value, card in zip(used, host.gpus, strict=True)] == pytest.approx(
        [0.98] * 2
    )
    clock.now += 60
    _, samples = read(node.render_host(lab, host, clock.now))
    # What has happened stays counted.
    assert (samples[error, (("controller", "0"),)], samples[kill, ()]) == (1, 2)
    assert samples["node_timex_offset_seconds", ()] == pytest.approx(0, abs=0.001)
    _, others = read(node.render_host(lab, lab.cluster.host["pve1"], clock.now))
    assert others[kill, ()] == 0


def test_a_disk_that_fills_is_fuller_by_the_hour(lab: Lab, clock: Clock) -> None:
    lab.break_("disk_filling", "102", None, {"used": 0.7, "per_hour": 0.2})
    app = guest(lab, "win-app01")
    volume = app.volumes[0]
    assert lab.volume_used(102, volume, 0, clock.now + 3600) == pytest.approx(0.9)
    assert lab.volume_used(102, volume, 0, clock.now + 36_000) == 1
    assert lab.volume_used(102, volume, 1, clock.now) < 0.7


def test_gpus_have_the_identity_that_joins_need(lab: Lab) -> None:
    text = gpu.render(lab, lab.cluster.host["pve3"], NOW)
    _, samples = read(text)
    infos = [dict(key[1]) for key in samples if key[0] == "nvidia_smi_gpu_info"]
    assert [info["index"] for info in infos] == ["0", "1"]
    uuids = {info["uuid"] for info in infos}
    assert len(uuids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid) for uuid in uuids)
    ratios = [v for k, v in samples.items() if k[0] == "nvidia_smi_utilization_gpu_ratio"]
    assert all(0 < ratio <= 1 for ratio in ratios)


def test_a_family_that_the_version_lacks_is_refused() -> None:
    with pytest.raises(KeyError, match="windows_cs_hostname"):
        Page(windows.EXPORTER).add("windows_cs_hostname", 1)


def test_label_values_are_escaped() -> None:
    assert labels(b='x"y', a="1\\2") == '{a="1\\\\2",b="x\\"y"}'


SAMPLE_FILES = {
    "windows": "windows_exporter-0.31.8__sample.prom",
    "node": "node_exporter-1.12.1__proxmox_host_sample.prom",
    "gpu": "nvidia_gpu_exporter-1.14.0__linux-x86_64__nvidia-l40s__595.80__load.prom",
}


@pytest.mark.parametrize("exporter", SAMPLE_FILES)
def test_names_types_and_labels_are_those_of_the_pinned_version(lab: Lab, exporter: str) -> None:
    file = SAMPLES / SAMPLE_FILES[exporter]
    if not file.exists():
        pytest.skip("samples of the pinned exporters aren't here (PVE_MONITORING_REFERENCE)")
    wanted = file.read_text()
    text = {
        "windows": lambda: windows.render(lab, guest(lab, "win-sql01"), NOW),
        "node": lambda: node.render_host(lab, lab.cluster.host["pve1"], NOW),
        "gpu": lambda: gpu.render(lab, lab.cluster.host["pve3"], NOW),
    }[exporter]()
    head = re.compile(r"^# TYPE .*$", re.MULTILINE)
    assert set(head.findall(wanted)) - set(head.findall(text)) == set()

    def label_names(page: str) -> dict[str, set[tuple[str, ...]]]:
        found: dict[str, set[tuple[str, ...]]] = {}
        for name, pairs in read(page)[1]:
            found.setdefault(name, set()).add(tuple(label for label, _ in pairs))
        return found

    theirs, ours = label_names(wanted), label_names(text)
    assert {name: ours.get(name) for name in theirs} == theirs
