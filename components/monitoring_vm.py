"""The VM that carries the containers, where the cluster itself carries it: image, VM, Docker in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

import pulumi
import pulumi_command as command
import pulumi_proxmoxve as proxmoxve
from pulumi_command import remote

from components import rights
from components.cluster_provider import cluster_provider
from components.preflight import Wanted
from components.render.vm_setup import setup_script
from components.settings import FirewallMode, ProxmoxDocker, Secret, Secrets, StackSettings
from components.topology import machines, suffix


@dataclass(frozen=True, kw_only=True)
class MonitoringVmArgs:
    """Arguments of MonitoringVm.

    Attributes:
        machine: the VM as the stack configuration describes it.
        machine_name: its name on the cluster, and the beginning of its image's.
        setting: where the stack configuration describes it.
        token: whole API token, `user@realm!name=uuid`.
        wait: end only when Docker answers in the VM.
    """

    machine: ProxmoxDocker
    machine_name: str
    setting: str
    settings: StackSettings
    token: pulumi.Input[str]
    wait: bool = True


class MonitoringVm(pulumi.ComponentResource):
    """A VM on the cluster with Docker in it.

    Attributes:
        vm: the machine.
        ready: depend on it to come after Docker answers; known at once, also in a preview.
    """

    TYPE = "pve-monitoring:components:MonitoringVm"

    def __init__(self, name: str, args: MonitoringVmArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, None, opts)
        self._key, self._args = name, args
        machine = args.machine
        wanted = Wanted(rights.of_machine(machine), (machine.node,), machine, args.machine_name, args.setting)
        provider = cluster_provider(f"{name}-proxmoxve", args.settings, args.token, self, wanted)
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        self.vm = self._machine(self._image(child), child)
        self.ready: pulumi.Resource = self._gate() if args.wait else self.vm
        self.register_outputs({"vm_id": self.vm.vm_id})

    def _image(self, child: pulumi.ResourceOptions) -> proxmoxve.download.File:
        machine = self._args.machine
        algorithm, _, digest = machine.image_checksum.partition(":")
        return proxmoxve.download.File(
            f"{self._key}-image",
            node_name=machine.node,
            datastore_id=machine.image_datastore,
            content_type="import",
            url=machine.image_url,
            file_name=image_file(self._args.machine_name, machine.image_url, digest),
            checksum=digest,
            checksum_algorithm=algorithm,
            # Else the size at the URL is asked for at every refresh, and a changed one downloads it again.
            overwrite=False,
            # As the machine's: it stays where it was made.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(ignore_changes=["nodeName"])),
        )

    def _machine(self, image: proxmoxve.download.File, child: pulumi.ResourceOptions) -> proxmoxve.VmLegacy:
        machine, settings = self._args.machine, self._args.settings
        protect = settings.containers.protect_data
        return proxmoxve.VmLegacy(
            f"{self._key}-machine",
            name=self._args.machine_name,
            description=f"Monitoring of {settings.cluster.name}. Managed by Pulumi: {pulumi.get_project()}.",
            node_name=machine.node,
            vm_id=machine.vm_id,
            tags=sorted(set(machine.tags)),
            cpu=proxmoxve.VmLegacyCpuArgs(cores=machine.cores, type="x86-64-v2-AES"),
            memory=proxmoxve.VmLegacyMemoryArgs(dedicated=machine.memory_mib),
            operating_system=proxmoxve.VmLegacyOperatingSystemArgs(type="l26"),
            scsi_hardware="virtio-scsi-single",
            disks=[
                proxmoxve.VmLegacyDiskArgs(
                    interface="scsi0",
                    datastore_id=machine.disk_datastore,
                    # Not file_id, which copies over SSH.
                    import_from=image.id,
                    size=machine.disk_gib,
                    iothread=True,
                    discard="on",
                )
            ],
            boot_orders=["scsi0"],
            # The default is the host's own drive, for which a token needs Sys.Console on /.
            cdrom=proxmoxve.VmLegacyCdromArgs(file_id="none", interface="ide3"),
            network_devices=[
                proxmoxve.VmLegacyNetworkDeviceArgs(
                    bridge=machine.bridge,
                    model="virtio",
                    vlan_id=machine.vlan,
                    firewall=settings.firewall.mode is FirewallMode.PROXMOX or None,
                )
            ],
            initialization=self._cloud_init(),
            # Debian's and Ubuntu's kernels panic at the first resize without one.
            serial_devices=[proxmoxve.VmLegacySerialDeviceArgs(device="socket")],
            # Cloud images come without the guest agent: waiting for it takes 15 minutes at each refresh.
            agent=proxmoxve.VmLegacyAgentArgs(enabled=False),
            on_boot=True,
            startup=_startup(machine),
            protection=protect,
            # A change may need a reboot: when monitoring may be away is for people to say.
            reboot_after_update=False,
            stop_on_destroy=True,
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    protect=protect,
                    # The id is taken until the old one is gone.
                    delete_before_replace=True,
                    ignore_changes=[
                        # The provider reads it back as it was never written (bpg/terraform-provider-proxmox).
                        "disks[0].speed",
                        # What the disk was made of: a newer image is for the next VM.
                        "disks[0].importFrom",
                        # A migration, by hand or by HA, is the cluster's business.
                        "nodeName",
                    ],
                ),
            ),
        )

    def _cloud_init(self) -> proxmoxve.VmLegacyInitializationArgs:
        machine = self._args.machine
        # No snippets: they go over SSH, and each change of one replaces the VM.
        return proxmoxve.VmLegacyInitializationArgs(
            datastore_id=machine.disk_datastore,
            interface="ide2",
            user_account=proxmoxve.VmLegacyInitializationUserAccountArgs(
                username=machine.user, keys=list(machine.ssh_public_keys)
            ),
            ip_configs=[
                proxmoxve.VmLegacyInitializationIpConfigArgs(
                    ipv4=proxmoxve.VmLegacyInitializationIpConfigIpv4Args(
                        address=machine.address, gateway=machine.gateway
                    )
                )
            ],
            dns=proxmoxve.VmLegacyInitializationDnsArgs(servers=list(machine.dns_servers)),
        )

    def _gate(self) -> remote.Command:
        machine = self._args.machine
        provider = command.Provider(f"{self._key}-command", opts=pulumi.ResourceOptions(parent=self))
        return remote.Command(
            f"{self._key}-docker",
            connection=remote.ConnectionArgs(
                host=machine.host,
                port=machine.port,
                user=machine.user,
                private_key=pulumi.Output.secret(machine.identity_file.read_text("utf-8"))
                if machine.identity_file
                else None,
                # It boots: an error or a silence of 15 s each.
                dial_error_limit=60,
                per_dial_timeout=15,
            ),
            create=setup_script(),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                depends_on=self.vm,
                # A new VM has no Docker yet; in one that is gone nothing can be undone.
                replace_with=[self.vm],
                deleted_with=self.vm,
                custom_timeouts=pulumi.CustomTimeouts(create="45m", update="45m"),
            ),
        )


def _startup(machine: ProxmoxDocker) -> proxmoxve.VmLegacyStartupArgs | None:
    if machine.start_order is None:
        return None
    return proxmoxve.VmLegacyStartupArgs(order=machine.start_order)


def image_file(prefix: str, url: str, digest: str) -> str:
    """Name of an image on its datastore: another image, or the same from elsewhere, lies beside it.

    Proxmox VE imports .qcow2 and .raw; Ubuntu's .img is a qcow2.
    """
    ending = "raw" if urlsplit(url).path.endswith(".raw") else "qcow2"
    return f"{prefix}-{hashlib.sha256(f'{url} {digest}'.encode()).hexdigest()[:12]}.{ending}"


def monitoring_vms(settings: StackSettings, secrets: Secrets) -> dict[str, MonitoringVm]:
    """The VMs that the settings ask for by key of their Docker host; none where the hosts exist already."""
    return {key: _vm(suffix(key), vm, settings, secrets) for key, vm in machines(settings).items()}


def _vm(suffix_: str, machine: ProxmoxDocker, settings: StackSettings, secrets: Secrets) -> MonitoringVm:
    args = MonitoringVmArgs(
        machine=machine,
        # The image's too: on a datastore that the nodes share, two downloads would be one file.
        machine_name=f"{settings.containers.name_prefix}{suffix_}",
        setting="docker.replica" if suffix_ else "docker",
        settings=settings,
        token=secrets[Secret.PVE_PROVISIONING_TOKEN],
    )
    return MonitoringVm(f"monitoring-vm{suffix_}", args)
