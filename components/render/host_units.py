"""What an exporter is on a host, and the systemd units that it runs by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from components.exporters import Exporter
from components.render import tls
from components.settings import Collector

ROOT = "/usr/local/lib/pve-monitoring"
STATE = "/var/lib/pve-monitoring"
SETTINGS = "/etc/pve-monitoring"
TEXTFILES = f"{STATE}/textfile"
# Both exporters of a host have them in common.
CERTIFICATE = f"{SETTINGS}/{tls.CERTIFICATE_NAME}"
KEY = f"{SETTINGS}/{tls.KEY_NAME}"
WEB_CONFIG = f"{SETTINGS}/{tls.WEB_CONFIG_NAME}"
UNITS = "/etc/systemd/system"
USER = "pve-monitoring"


class Driver(StrEnum):
    """Whether an exporter takes an NVIDIA driver on the host."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """An exporter on a host.

    Attributes:
        setting: key of its release below `hostExporters`, for messages.
        url: where the host downloads the archive.
        file: the archive on the machine that runs Pulumi, where it is uploaded instead.
        sha256: of the archive.
        listen: address to listen on; "" for all of the host's.
        server: with what it speaks TLS and whom it lets in; None for plain HTTP.
        collectors: what feeds its textfile collector.
    """

    exporter: Exporter
    setting: str
    version: str
    sha256: str
    url: str
    file: Path | None = None
    port: int
    listen: str = ""
    driver: Driver = Driver.NONE
    server: tls.Server | None = None
    collectors: tuple[Collector, ...] = ()

    @property
    def service(self) -> str:
        """Name of its systemd unit."""
        return f"pve-monitoring-{self.exporter.name.replace('_', '-')}.service"

    @property
    def program(self) -> str:
        """Where its program lies: another version or another archive lies beside the former one."""
        return f"{ROOT}/bin/{self.exporter.name}-{self.version}-{self.sha256[:12]}"

    @property
    def upload(self) -> str:
        """Where the archive is uploaded to, relative to the home of the login; "" where it isn't."""
        return "" if self.file is None else f"pve-monitoring-{self.exporter.archive_name(self.version)}"


@dataclass(frozen=True)
class File:
    """A file on the host; it belongs to a user and the group of the same name."""

    path: str
    content: str
    mode: str = "0644"
    owner: str = "root"


def server_files(server: tls.Server) -> list[File]:
    """What an exporter needs to speak TLS; of key and hash nobody else reads anything."""
    return [
        File(CERTIFICATE, server.certificate, mode="0444"),
        File(KEY, server.key, mode="0400", owner=USER),
        File(WEB_CONFIG, server.web_config(CERTIFICATE, KEY), mode="0400", owner=USER),
    ]


Section = Iterable[tuple[str, str]]

# What no service here needs: to gain rights, to change the system, to see what others have in /tmp.
_HARDENING = (
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("PrivateTmp", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("LockPersonality", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RemoveIPC", "yes"),
    ("SystemCallArchitectures", "native"),
)
_EXPORTER = (
    ("CapabilityBoundingSet", ""),
    # Not `yes`: it hides file systems that are mounted there, and their sizes would be those of an empty one.
    ("ProtectHome", "read-only"),
    ("UMask", "0077"),
    ("MemoryMax", "512M"),
    ("TasksMax", "128"),
)
# No ProtectProc: the mounts of the host are read from /proc/1; this service's own all say read-only.
_NODE_EXPORTER = (
    ("PrivateDevices", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    # Netlink tells of network devices, the bus of systemd's units.
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
    # The clock is asked with the call that also sets it, for which the capability is missing.
    ("SystemCallFilter", "@system-service adjtimex clock_adjtime"),
)
# The driver's devices are needed, and its library maps memory that can be written and executed.
_GPU_EXPORTER = (
    # They are made by whoever asks first after a boot, which takes root.
    ("ExecStartPre", "+-nvidia-smi -L"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ("SystemCallFilter", "@system-service"),
)


def unit(**sections: Section) -> str:
    """Text of a systemd unit."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in entries)
        for name, entries in sections.items()
    )


def word(value: str) -> str:
    """One word of an ExecStart= line: systemd expands % and $, and reads escapes (systemd.service(5))."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


# Devices of guests and their firewall: each guest brings up to four, and they come and go with it.
_GUEST_LINKS = "^(tap|veth|fwbr|fwpr|fwln)"
# Node exporter's own default, and the volumes of guests, which are numbered anew at each boot.
_GUEST_DISKS = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p|dm-|zd|rbd|nbd)\d+(p\d+)?$"
# What makes a host a member of a cluster; node_exporter anchors it.
_HOST_UNITS = (
    r"(pve.*|proxmox-.*|corosync|ceph.*|qmeventd|spiceproxy|watchdog-mux|lxcfs|zfs-.*|chrony|ssh"
    r"|smartmontools)\.service"
)


def _arguments(wanted: Installation) -> list[str]:
    host = f"[{wanted.listen}]" if ":" in wanted.listen else wanted.listen
    arguments = [f"--web.listen-address={host}:{wanted.port}"]
    if wanted.server is not None:
        arguments.append(f"--web.config.file={WEB_CONFIG}")
    if wanted.driver is not Driver.NONE:
        return arguments
    return [
        *arguments,
        f"--collector.netdev.device-exclude={_GUEST_LINKS}",
        f"--collector.netclass.ignored-devices={_GUEST_LINKS}",
        f"--collector.diskstats.device-exclude={_GUEST_DISKS}",
        "--collector.systemd",
        f"--collector.systemd.unit-include={_HOST_UNITS}",
        f"--collector.textfile.directory={TEXTFILES}",
        # Only root may read it since CVE-2020-8694.
        "--no-collector.rapl",
    ]


def exporter_unit(wanted: Installation) -> str:
    """The unit that runs an exporter."""
    return unit(
        Unit=(
            ("Description", f"{wanted.exporter.name} {wanted.version} (pve-monitoring)"),
            ("Wants", "network-online.target"),
            ("After", "network-online.target"),
        ),
        Service=(
            ("ExecStart", " ".join([wanted.program, *map(word, _arguments(wanted))])),
            ("User", USER),
            ("Group", USER),
            ("Restart", "always"),
            ("RestartSec", "5"),
            *_HARDENING,
            *_EXPORTER,
            *(_NODE_EXPORTER if wanted.driver is Driver.NONE else _GPU_EXPORTER),
        ),
        Install=(("WantedBy", "multi-user.target"),),
    )


# Commands to disks are for root alone; logs of tasks and the files of pmxcfs belong to www-data's group.
_CAPABILITIES = {
    Collector.SMART: "CAP_SYS_RAWIO CAP_SYS_ADMIN",
    Collector.BACKUPS: "CAP_DAC_READ_SEARCH",
    Collector.CERTIFICATES: "CAP_DAC_READ_SEARCH",
}
_EVERY = {Collector.BACKUPS: "*:0/10"}


def collector_units(collector: Collector) -> tuple[File, File]:
    """The service and the timer that run a collector."""
    name = f"pve-monitoring-collector-{collector}"
    service = unit(
        Unit=(("Description", f"Textfile collector {collector} (pve-monitoring)"),),
        Service=(
            ("Type", "oneshot"),
            ("ExecStart", f"/usr/bin/python3 -B -E -s -m host_collectors.{collector}"),
            ("WorkingDirectory", ROOT),
            ("StateDirectory", "pve-monitoring"),
            ("TimeoutStartSec", "5min"),
            ("Nice", "10"),
            ("IOSchedulingClass", "idle"),
            *_HARDENING,
            ("CapabilityBoundingSet", _CAPABILITIES.get(collector, "")),
            ("ProtectHome", "yes"),
            ("PrivateNetwork", "yes"),
            ("PrivateDevices", "no" if collector is Collector.SMART else "yes"),
        ),
    )
    timer = unit(
        Unit=(("Description", f"Textfile collector {collector} (pve-monitoring)"),),
        Timer=(
            ("OnCalendar", _EVERY.get(collector, "hourly")),
            ("RandomizedDelaySec", "2min"),
            # What was missed while the host was off is made up for.
            ("Persistent", "yes"),
        ),
        Install=(("WantedBy", "timers.target"),),
    )
    return File(f"{UNITS}/{name}.service", service), File(f"{UNITS}/{name}.timer", timer)
