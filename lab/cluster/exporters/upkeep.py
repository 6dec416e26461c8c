"""What the collectors of host_collectors/ write on a host, for node_exporter to pass on."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from math import floor

from ..load import DAY, chance
from ..model import Host
from ..state import MONTH, Lab
from .page import Page, labels

DIRECTORY = "/var/lib/pve-monitoring/textfile"
# How often each is run, in seconds.
EVERY = {"backups": 600, "certificates": 3600, "smart": 3600, "updates": 3600}
JOB = "backup-nightly"
BEGINS = 3600.0  # the job's time of day
DISKS = (
    ("/dev/nvme0", "nvme", "SAMSUNG MZQL21T9HCJR-00A07"),
    ("/dev/nvme1", "nvme", "SAMSUNG MZQL21T9HCJR-00A07"),
    ("/dev/sda", "sat", "INTEL SSDSC2KB240G8"),
)


def add(page: Page, lab: Lab, host: Host, t: float) -> None:
    """Add it to the page of a host that is up."""
    for name, every in EVERY.items():
        written = floor(t / every) * every + host.number
        page.add("node_textfile_mtime_seconds", written, labels(file=f"{DIRECTORY}/{name}.prom"))
    _backups(page, lab, host, t)
    _certificates(page, t)
    _smart(page, host)
    _updates(page, t)


def _backups(page: Page, lab: Lab, host: Host, t: float) -> None:
    """The job of last night worked; one guest's backup and a whole run failed before that."""
    night = floor((t - BEGINS) / DAY) * DAY + BEGINS - DAY
    guests = [guest for guest in lab.residents(host, t) if not guest.template]
    ended = night
    for number, guest in enumerate(guests):
        took = 60 + round(240 * chance(guest.seed, int(night)))
        ended += took
        of = labels(vm_id=str(guest.vmid))
        page.add("vzdump_guest_last_success_timestamp_seconds", int(ended), of)
        page.add("vzdump_guest_last_success_duration_seconds", took, of)
        if number == 0:
            page.add("vzdump_guest_last_failure_timestamp_seconds", int(ended - 3 * DAY), of)
    of = labels(backup_job=JOB)
    page.add("vzdump_job_last_success_timestamp_seconds", int(ended), of)
    page.add("vzdump_job_last_failure_timestamp_seconds", int(night - 4 * DAY), of)


def _certificates(page: Page, t: float) -> None:
    began = floor(t / MONTH) * MONTH
    for name, days in (("pve-ssl.pem", 400), ("pve-root-ca.pem", 3000)):
        end = int(began + days * DAY)
        page.add("host_certificate_not_after_timestamp_seconds", end, labels(certificate=name))


def _smart(page: Page, host: Host) -> None:
    for number, (disk, kind, model) in enumerate(DISKS):
        of = labels(disk=disk, type=kind)
        page.add("smartmon_device_active", 1, of)
        page.add("smartmon_device_smart_healthy", 1, of)
        page.add("smartmon_device_info", 1, labels(
            disk=disk, type=kind, device_model=model, firmware_version="GDC5902Q",
            serial_number=f"S64GNE0R{host.number:02d}{number:04d}",
        ))  # fmt: skip
        if kind == "nvme":
            used = round(0.06 + 0.1 * chance(host.seed, number), 2)
            page.add("nvme_percentage_used_ratio", used, labels(device=disk.removeprefix("/dev/")))


def _updates(page: Page, t: float) -> None:
    # Nothing of Debian's security team: an alert would stand there all the time.
    for origin, arch, count in (("Debian:13.2/stable", "amd64", 4), ("Proxmox:stable", "amd64", 7)):
        page.add("apt_upgrades_pending", count, labels(arch=arch, origin=origin))
    page.add("apt_package_cache_timestamp_seconds", int(floor(t / DAY) * DAY + 4 * 3600 - DAY))
