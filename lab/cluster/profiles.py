"""What each role of guest, and a host itself, asks of CPU, disks and network."""

from typing import NamedTuple

from .load import Curve, chance
from .model import Guest, Host

READ_SIZE = 32 * 1024  # bytes of an average read
WRITE_SIZE = 16 * 1024  # bytes of an average write
MTU_PAYLOAD = 900.0  # bytes of an average packet
MB = 1e6

# Signals of a guest. cpu, util and steal are fractions (of its vCPUs, of the time); read, write, rx and tx
# bytes per second; *_wait seconds of waiting per second; errors packets per second.
SIGNALS = ("cpu", "read", "write", "rx", "tx", "read_wait", "write_wait", "util", "errors", "steal")


class Profile(NamedTuple):
    """Means of a role: CPU as a fraction, the rest in MB/s; ``latency`` in seconds per operation."""

    cpu: float
    read: float
    write: float
    rx: float
    tx: float
    latency: float
    memory: float


ROLES = {
    "sql": Profile(0.34, 16.0, 8.0, 2.5, 6.0, 0.0012, 0.80),
    "app": Profile(0.20, 1.2, 1.6, 3.0, 4.0, 0.0009, 0.58),
    "web": Profile(0.16, 0.4, 0.8, 2.0, 9.0, 0.0008, 0.48),
    "files": Profile(0.10, 9.0, 5.0, 6.0, 10.0, 0.0018, 0.55),
    "dc": Profile(0.06, 0.2, 0.4, 0.3, 0.5, 0.0008, 0.45),
    "desktop": Profile(0.12, 0.8, 0.6, 1.0, 0.3, 0.0010, 0.52),
    "ml": Profile(0.30, 20.0, 3.0, 5.0, 1.0, 0.0010, 0.62),
    "dns": Profile(0.03, 0.01, 0.05, 0.05, 0.08, 0.0007, 0.30),
}


def guest_curves(guest: Guest, contention: float) -> dict[str, Curve]:
    """The curves of a guest by signal; ``contention`` is the steal per unit of CPU used on its host."""
    role = ROLES[guest.role]
    seed = guest.seed
    scale = 0.8 + 0.4 * chance(seed, 21)
    period = 1500.0 + int(chance(seed, 22) * 20) * 120
    peak = 36_000 + 28_000 * chance(seed, 23)

    def curve(mean: float, key: int, day: float = 0.42, noise: float = 0.3, burst: float = 0.5) -> Curve:
        # One schedule of bursts for all signals of a guest: its CPU, disks and network rise together.
        return Curve(mean * scale, seed % 90_001 + key * 7, day, noise, mean * burst, period, 180.0, peak)

    read, write = curve(role.read * MB, 2, burst=1.5), curve(role.write * MB, 3, burst=1.0)
    cpu = curve(role.cpu, 1, day=0.38, noise=0.25, burst=0.6)
    still = read._replace(seed=cpu.seed)
    return {
        "cpu": cpu,
        "read": read,
        "write": write,
        "rx": curve(role.rx * MB, 4, burst=0.8),
        "tx": curve(role.tx * MB, 5, burst=0.8),
        "read_wait": read.times(role.latency / READ_SIZE),
        "write_wait": write.times(role.latency * 1.4 / WRITE_SIZE),
        "util": still._replace(mean=0.04 + role.read / 200, burst=0.15),
        "errors": Curve(0.0),
        "steal": cpu.times(contention),
    }


def host_curves(host: Host) -> dict[str, Curve]:
    """What a host uses beyond its guests; cpu and iowait as fractions of all its CPUs, util of the time."""
    seed = host.seed * 131
    return {
        "cpu": Curve(0.025, seed + 1, 0.2, 0.5, 0.02, 900, 60),
        "iowait": Curve(0.008, seed + 2, 0.3, 0.5, 0.02, 1800, 120),
        "util": Curve(0.10, seed + 3, 0.35, 0.4, 0.15, 1800, 180),
        "read": Curve(0.4 * MB, seed + 4, 0.2, 0.5),
        "write": Curve(1.1 * MB, seed + 5, 0.2, 0.5),
        "read_wait": Curve(0.4 * MB * 0.0004 / READ_SIZE, seed + 4, 0.2, 0.5),
        "write_wait": Curve(1.1 * MB * 0.0006 / WRITE_SIZE, seed + 5, 0.2, 0.5),
        "rx": Curve(0.9 * MB, seed + 6, 0.2, 0.5),
        "tx": Curve(0.8 * MB, seed + 7, 0.2, 0.5),
        "errors": Curve(0.0),
    }


def memory_curve(guest: Guest) -> Curve:
    """The part of its memory that a guest's programs use (a fraction of the whole)."""
    mean = ROLES[guest.role].memory * (0.92 + 0.16 * chance(guest.seed, 24))
    return Curve(mean, guest.seed % 90_001 + 9, 0.03, 0.03)
