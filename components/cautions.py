"""What is possible and a bad idea: said in every preview and update, and done."""

from __future__ import annotations

import pulumi

from components.settings import StackSettings


def cautions(settings: StackSettings) -> tuple[str, ...]:
    """Each with its key, what it risks, and what to do instead."""
    found = []
    if not settings.cluster.verify_tls:
        found.append(
            "cluster.verifyTls is false: whoever answers at an endpoint's address is taken for the cluster, "
            "gets the API tokens of discovery and pve-exporter (and pveProvisioningToken, where it is used), "
            "and says what there is to see. Give cluster.caFile instead: /etc/pve/pve-root-ca.pem of a host."
        )
    return tuple(found)


def warn(settings: StackSettings) -> None:
    """Say them, as warnings of the engine."""
    for caution in cautions(settings):
        pulumi.log.warn(caution)
