"""The Proxmox VE provider, as every component that makes something on the cluster uses it."""

from __future__ import annotations

import pulumi
import pulumi_proxmoxve as proxmoxve

from components.preflight import Wanted, checked
from components.settings import StackSettings

# The provider opens SSH to whatever address the API reports for a node as soon as a resource needs it. None
# here does; were one added, it would fail at this port (discard) instead of logging in to somebody.
NO_SSH = ("127.0.0.1", 9)


def cluster_provider(
    name: str,
    settings: StackSettings,
    token: pulumi.Input[str],
    parent: pulumi.Resource,
    wanted: Wanted,
) -> proxmoxve.Provider:
    """A provider for the cluster's API.

    Args:
        name: in Pulumi; part of the state, so that it never changes.
        settings: where the API is, and whether its certificate is verified.
        token: whole API token, `user@realm!name=uuid`.
        parent: the component that uses it.
        wanted: what it is to make, which is looked at first.
    """
    address, port = NO_SSH
    return proxmoxve.Provider(
        name,
        endpoint=settings.cluster.endpoints[0],
        api_token=checked(token, settings, wanted),
        # The provider takes no CA certificate: it trusts what the machine that runs Pulumi trusts, which
        # on Linux is also the file that the environment variable SSL_CERT_FILE names.
        insecure=not settings.cluster.verify_tls,
        ssh=proxmoxve.ProviderSshArgs(
            agent=False,
            nodes=[
                proxmoxve.ProviderSshNodeArgs(name=node, address=address, port=port) for node in wanted.nodes
            ],
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )
