"""The plan of the game day: what is broken, and what has to come of it. A fault more is a line more.

The subjects are those of the development stack's simulated cluster: three hosts, twelve guests. What doesn't
get into each other's way runs side by side (`schedule.py`); the order here is the order of the beginnings.
"""

from __future__ import annotations

from ops.gameday.model import Alert, Break, Drill

# What a healthy lab fires, by alert and label, and why it is right.
BY_DESIGN = {
    "Watchdog": "it always fires",
    "GuestsUnmonitored": (
        "win-legacy01's agent is dead and lnx-appliance01 has none, to be seen on the dashboard Coverage; "
        "after an hour, and not with LAB_ODDITIES=0"
    ),
    "GuestNotBackedUp": "ct-dns01 and lnx-appliance01 are in no backup job; after a day",
}

_TEN_MINUTES = "waits longer than the game day has"
_MINUTES = "a peak of a few minutes is ordinary work; it takes 5 bad minutes to wake somebody"
_LATER = "can't run beside those that ask the API: the full game day has it"
_COUNTS = "its query looks back at what has happened"


def _host(name: str, severity: str, node: str, **more: str) -> Alert:
    return Alert(name, severity, {"node": node, **more})


DRILLS = (
    Drill(
        "webhook refuses",
        (Break("delivery_refused", "alerts"), Break("oom_kill", "pve2")),
        (
            Alert(
                "AlertmanagerDeliveryFailing",
                "critical",
                {"integration": "webhook"},
                by="email",
                lasts=_COUNTS,
            ),
        ),
        long="nothing else can be measured meanwhile",
    ),
    Drill(
        "host down",
        (Break("host_down", "pve2"), Break("ha_error", "103", after=45)),
        (_host("HostDown", "critical", "pve2"),),
        silences=(
            Alert("HaResourceFailed", "critical", {"vm_name": "win-sql01"}, within=300),
            Alert("HaNodeUnhealthy", "warning", {"node": "pve2"}, within=320),
        ),
    ),
    Drill(
        "guest dies",
        (Break("guest_down", "107"),),
        (Alert("GuestDown", "critical", {"vm_name": "win-legacy01"}),),
        needs=("discovery",),
    ),
    Drill(
        "HA gives up",
        (Break("ha_error", "102"),),
        (Alert("HaResourceFailed", "critical", {"vm_name": "win-app01"}),),
    ),
    Drill(
        "host full",
        (Break("disk_full", "pve1"),),
        (
            _host("HostFilesystemFilling", "critical", "pve1", mountpoint="/"),
            _host("StoragePoolFilling", "critical", "pve1", storage="local"),
        ),
    ),
    Drill(
        "host out of memory",
        (Break("memory_leak", "pve1", {"fill_seconds": 5, "used": 0.99}),),
        (_host("HostMemoryLow", "critical", "pve1"),),
    ),
    Drill(
        "OOM kill",
        (Break("oom_kill", "pve1"),),
        (Alert("HostOomKill", "critical", {"node": "pve1"}, lasts=_COUNTS),),
    ),
    Drill(
        "ZFS pool faulted",
        (Break("zpool_broken", "pve1"),),
        (_host("HostZfsPoolUnhealthy", "critical", "pve1"),),
    ),
    Drill(
        "processor hot", (Break("sensor_hot", "pve1"),), (_host("HostTemperatureHigh", "critical", "pve1"),)
    ),
    Drill(
        "memory module broken",
        (Break("memory_errors", "pve1"),),
        (Alert("HostMemoryErrors", "critical", {"node": "pve1"}, lasts=_COUNTS),),
    ),
    Drill(
        "guest's disk full",
        (Break("disk_full", "102"),),
        (Alert("GuestDiskFull", "critical", {"vm_name": "win-app01", "mountpoint": "C:"}),),
    ),
    Drill(
        "Prometheus' disk broken",
        (Break("block_broken", "prometheus"),),
        (Alert("PrometheusStorageFailing", "critical", {"operation": "compactions_failed"}, lasts=_COUNTS),),
    ),
    Drill(
        "configuration broken",
        (Break("config_broken", "prometheus"),),
        (Alert("PrometheusConfigReloadFailed", "critical"),),
    ),
    Drill(
        "discovery stopped",
        (Break("container_stopped", "discovery"),),
        (Alert("TargetDown", "critical", {"job": "discovery"}),),
    ),
    Drill(
        "GPU hot",
        (Break("gpu_hot", "102"),),
        (Alert("GpuHot", "critical", {"vm_name": "win-app01"}),),
        silences=(Alert("GpuHot", "warning", {"vm_name": "win-app01"}, within=400),),
    ),
    Drill(
        "exporter gone",
        (Break("exporter_gone", "101"),),
        (Alert("GuestExporterMissing", "warning", {"vm_name": "win-dc01"}, within=420),),
    ),
    Drill(
        "host's exporters gone",
        (Break("exporter_gone", "pve3"),),
        (
            Alert("HostExporterDown", "warning", {"node": "pve3"}, within=260),
            Alert("GpuExporterDown", "warning", {"node": "pve3"}, within=380),
        ),
    ),
    Drill(
        "guest out of memory",
        (Break("memory_leak", "111", {"fill_seconds": 5, "used": 0.99}),),
        (Alert("GuestMemoryLow", "critical", {"vm_name": "win-ml01"}, within=420, slow=_MINUTES),),
    ),
    Drill(
        "guest's disk filling",
        (Break("disk_filling", "111"),),
        (
            Alert(
                "GuestDiskFull",
                "critical",
                {"vm_name": "win-ml01"},
                within=420,
                slow="a prediction: the line has to hold for 5 minutes",
                lasts="the line goes through 6 hours",
            ),
        ),
    ),
    Drill(
        "guest's disks slow",
        (Break("disk_latency_storm", "102", {"factor": 2000}),),
        (Alert("GuestDiskLatencyHigh", "critical", {"vm_name": "win-app01"}, within=480, slow=_MINUTES),),
    ),
    Drill(
        "rule fails",
        (Break("rule_failing", "prometheus"),),
        (
            Alert(
                "PrometheusRuleFailures",
                "critical",
                within=420,
                slow="one failed evaluation stays in the query for 5 minutes; a rule has to go on failing",
            ),
        ),
    ),
    Drill(
        "storage offline",
        (Break("storage_offline", "pve1"),),
        (Alert("StorageOffline", "warning", {"storage": "nfs-backup", "node": "pve1"}, within=420),),
    ),
    Drill(
        "reboot loop",
        tuple(Break("guest_reboot", "105", after=after, seconds=15) for after in (0, 75, 150)),
        (Alert("GuestRebootLoop", "warning", {"vm_name": "lnx-web01"}, within=300, lasts=_COUNTS),),
    ),
    Drill(
        "clock off",
        (Break("clock_skew", "pve1"),),
        (Alert("HostClockSkew", "warning", {"node": "pve1"}, pending=_TEN_MINUTES),),
    ),
    Drill(
        "GPU memory full",
        (Break("gpu_memory_full", "102"),),
        (Alert("GpuMemoryFull", "warning", {"vm_name": "win-app01"}, pending=_TEN_MINUTES),),
    ),
    Drill(
        "network drops",
        (Break("network_errors", "pve1", {"per_second": 2000}),),
        (Alert("HostNetworkDrops", "warning", {"node": "pve1"}, 200, pending=_TEN_MINUTES),),
    ),
    Drill(
        "a member's API away",
        (Break("api_down", "pve3"),),
        (
            Alert("TargetDown", "warning", {"node": "pve3"}, 300, pending=_TEN_MINUTES),
            Alert("PveExporterFailing", "warning", within=480, pending=_TEN_MINUTES),
        ),
    ),
    Drill(
        "subscription ends",
        (Break("subscription_ends", "pve1"),),
        (Alert("SubscriptionExpiring", "info", {"node": "pve1"}, 260, pending=_TEN_MINUTES),),
    ),
    Drill(
        "token revoked",
        (Break("token_revoked", "discovery@pve!monitoring"),),
        (Alert("DiscoveryPermissionLost", "warning", within=420),),
    ),
    Drill(
        "quorum lost",
        (Break("corosync_down", "pve2"), Break("corosync_down", "pve3")),
        (
            Alert("ClusterQuorumLost", "critical"),
            _host("HostOutOfCluster", "critical", "pve2"),
            _host("HostOutOfCluster", "critical", "pve3"),
        ),
        long=_LATER,
    ),
    Drill(
        "pve-exporter stopped",
        (Break("container_stopped", "pve-exporter"),),
        (Alert("PveExporterDown", "critical"),),
        long=_LATER,
    ),
    Drill(
        "API away",
        (Break("api_down", "all"),),
        (Alert("ProxmoxApiUnreachable", "critical"),),
        silences=(Alert("GpuExporterDown", "warning", {"node": "pve3"}),),
        during="host's exporters gone",
    ),
    Drill(
        "Prometheus stopped",
        (Break("container_stopped", "prometheus"),),
        (Alert("Watchdog", "none", within=460),),
        long="Alertmanager beats on for the 4 minutes for which Prometheus vouches",
    ),
)
