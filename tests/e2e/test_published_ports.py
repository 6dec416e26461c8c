"""What a stack publishes: seen from another network namespace, not read from configurations."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from components import topology
from components.settings import PROJECT, StackSettings, validate
from lab import stack_config
from ops.pulumi_cli import DEV_PASSPHRASE, ROOT
from tests.support.kept import containers
from tests.support.platform import Platform
from tests.support.scan import EVERY_PORT, connect, listening, namespaces, open_ports

OUTSIDE = "pvemon-outside"
# Of the block for tests of networks (RFC 2544).
HERE, THERE = "198.18.77.1", "198.18.77.2"
PROBE = 22_977


def settings_of(platform: Platform) -> StackSettings:
    """The settings that a stack runs with."""
    config = stack_config.read(platform.stack_file, DEV_PASSPHRASE)
    prefix = f"{PROJECT}:"
    plain = {k.removeprefix(prefix): v for k, v in config.plain.items() if k.startswith(prefix)}
    return validate(plain, frozenset(key.removeprefix(prefix) for key in config.secrets), ROOT)


def beyond_loopback(made: StackSettings) -> set[int]:
    """Ports that the settings open to others than the machine itself."""
    found = [
        (port, address)
        for one in topology.plan(made).instances
        for port, address in [
            (one.published_port, one.bind_address),
            *((entrance.published, entrance.address) for entrance in one.entrances),
        ]
    ]
    return {port for port, address in found if port is not None and not ip_address(address).is_loopback}


def published(platform: Platform) -> set[int]:
    """Ports that Docker publishes for a stack, wherever."""
    made = containers(platform).values()
    bindings = [b for c in made for bs in (c.attrs["HostConfig"]["PortBindings"] or {}).values() for b in bs]
    return {int(binding["HostPort"]) for binding in bindings}


@pytest.mark.docker
def test_the_gateway_alone_answers_others(platform: Platform) -> None:
    with namespaces(OUTSIDE):
        connect((None, "pvemon2"), (OUTSIDE, "pvemon3"), [[f"{HERE}/30"], [f"{THERE}/30"]])
        # Not at all addresses: whoever runs the tests may have a network.
        platform.write_config(**{"gateway.bindAddress": HERE})
        try:
            platform.up()
            made, own = settings_of(platform), published(platform)
            # Something that is open to all, or nothing would be proved.
            with listening(None, [PROBE]):
                found = open_ports(OUTSIDE, HERE, EVERY_PORT)
        finally:
            platform.write_config()
            platform.up()
    assert own >= {i.published_port for i in topology.plan(made).instances if i.published_port}
    assert PROBE in found
    assert found & own == beyond_loopback(made) == {made.gateway.port}
