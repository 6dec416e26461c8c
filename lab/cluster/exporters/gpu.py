"""nvidia_gpu_exporter 1.14 for L40S cards: live values over the constants of a card."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from functools import cache

from ..load import Curve
from ..model import Gpu, Guest, Host
from ..state import Lab
from .page import FAMILIES, Page, labels

EXPORTER = "nvidia_gpu_exporter-1.14.0"
DRIVER = "595.80"
IDLE_WATTS = 38.0
SLOWDOWN_CELSIUS = 88.0  # from here on an L40S lowers its clocks
RESERVED = 638_582_784  # bytes
PROCESS = ("20037", "python")


@cache
def constants() -> tuple[tuple[str, float], ...]:
    """The values of every per-card family of an L40S."""
    lines = (FAMILIES / "nvidia_l40s.tsv").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines)
    return tuple((name, float(value) if "." in value else int(value)) for name, value in pairs)


def render(lab: Lab, holder: Guest | Host, t: float) -> str:
    """What the exporter on ``holder`` answers at ``t``."""
    page = Page(EXPORTER)
    celsius = lab.forced(holder, "gpu_hot", "celsius", t)
    used = lab.forced(holder, "gpu_memory_full", "used", t)
    for gpu in holder.gpus:
        live = readings(gpu, t, celsius, len(holder.gpus))
        _card(page, gpu, live if used is None else live | _memory(gpu, gpu.memory * used))
    page.add("nvidia_smi_command_exit_code", 0)
    page.add("nvidia_smi_compute_apps_last_collect_success", 1)
    page.add("nvidia_smi_failed_scrapes_total", 0)
    page.add("nvidia_smi_last_collect_success", 1)
    page.add("nvidia_smi_last_collect_success_timestamp_seconds", round(t, 3))
    page.add("nvidia_smi_last_collect_duration_seconds", 0.083)
    return page.text()


def readings(gpu: Gpu, t: float, forced: float | None, cards: int) -> dict[str, float]:
    """The values that live, by metric; ``forced`` is the temperature of a fault (degrees Celsius)."""
    load = min(0.99, Curve(0.42, gpu.seed, 0.35, 0.35, 0.35, 2700, 600).rate(t))
    slow = forced is not None and forced >= SLOWDOWN_CELSIUS
    if forced is not None:
        load = 0.99
    watts = IDLE_WATTS + (gpu.power_limit * 0.92 - IDLE_WATTS) * load
    celsius = forced if forced is not None else 31 + 42 * load
    clock = 1.2e9 if slow else 2.52e9 if load > 0.05 else 2.1e8
    return {
        "nvidia_smi_clocks_current_graphics_clock_hz": clock,
        "nvidia_smi_clocks_current_sm_clock_hz": clock,
        "nvidia_smi_clocks_event_reasons_active": 96 if slow else 0,
        "nvidia_smi_clocks_event_reasons_hw_slowdown": int(slow),
        "nvidia_smi_clocks_event_reasons_hw_thermal_slowdown": int(slow),
        "nvidia_smi_clocks_event_reasons_sw_thermal_slowdown": int(slow),
        "nvidia_smi_compute_apps": 1,
        "nvidia_smi_count": cards,
        "nvidia_smi_encoder_stats_average_fps": 0,
        "nvidia_smi_encoder_stats_average_latency": 0,
        "nvidia_smi_encoder_stats_session_count": 0,
        "nvidia_smi_index": gpu.index,
        **_memory(gpu, gpu.memory * (0.22 + 0.5 * load)),
        "nvidia_smi_pci_bus": int(gpu.bus_id.split(":")[1], 16),
        "nvidia_smi_power_draw_average_watts": round(watts, 2),
        "nvidia_smi_power_draw_instant_watts": round(watts * 1.01, 2),
        "nvidia_smi_power_draw_watts": round(watts, 2),
        "nvidia_smi_temperature_gpu": round(celsius),
        "nvidia_smi_temperature_gpu_tlimit": round(SLOWDOWN_CELSIUS - celsius),
        "nvidia_smi_utilization_encoder_ratio": 0,
        "nvidia_smi_utilization_gpu_ratio": round(load, 2),
        "nvidia_smi_utilization_memory_ratio": round(load * 0.4, 2),
    }


def _memory(gpu: Gpu, used: float) -> dict[str, float]:
    """Bytes in use and free; the driver keeps some for itself."""
    return {
        "nvidia_smi_memory_free_bytes": max(0, int(gpu.memory - used - RESERVED)),
        "nvidia_smi_memory_used_bytes": int(used),
    }


def _card(page: Page, gpu: Gpu, live: dict[str, float]) -> None:
    of = labels(uuid=gpu.uuid)
    for name, value in constants():
        page.add(name, live.get(name, value), of)
    page.add("nvidia_smi_gpu_info", 1, labels(
        compute_cap="8.9", cuda_version="13.2", driver_model_current="[N/A]", driver_model_pending="[N/A]",
        driver_version=DRIVER, index=str(gpu.index), name=gpu.name, pci_bus_id=gpu.bus_id,
        pci_sub_device_id="0x185110DE", serial=f"13250{gpu.seed % 100_000_000:08d}", uuid=gpu.uuid,
        vbios_version="95.02.66.00.02",
    ))  # fmt: skip
    process = labels(pid=PROCESS[0], process_name=PROCESS[1], uuid=gpu.uuid)
    page.add("nvidia_smi_compute_app_info", 1, process)
    page.add(
        "nvidia_smi_compute_app_used_memory_bytes", int(live["nvidia_smi_memory_used_bytes"] * 0.97), process
    )
