"""The key of a group is handed out only if it is that of the group's certificate."""

from __future__ import annotations

import pulumi
import pytest

from components.settings import PROJECT, TLS_KEYS, Group, Secret, Secrets
from components.tls import checked_key
from tests.support.examples import EXAMPLES, settings
from tests.support.pki import KEYS, PAIRS
from tests.support.pulumi_harness import deploy, secret_texts


def handed_out(keys: dict[Secret, str], group: Group) -> list[str]:
    """The key as the engine gets it, if it gets it as a secret."""

    def program() -> None:
        config = pulumi.Config(PROJECT)
        secrets = Secrets({name: config.require_secret(name) for name in keys})
        server = pulumi.ComponentResource("test:index:Server", "server")
        server.register_outputs({"key": checked_key(settings(EXAMPLES["encrypted"]), secrets, group)})

    recording = deploy(program, secrets={f"{PROJECT}:{name}": key for name, key in keys.items()})
    return secret_texts(recording.outputs)


@pytest.mark.parametrize("group", Group)
def test_a_key_that_fits_is_handed_out_as_a_secret(group: Group) -> None:
    assert handed_out(KEYS, group) == [KEYS[TLS_KEYS[group]]]


@pytest.mark.parametrize("key", [PAIRS[Group.GUESTS].key, "not a key"], ids=["of-others", "no-key"])
def test_another_key_is_refused_with_what_to_do_and_isnt_shown(key: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        handed_out({**KEYS, Secret.TLS_HOSTS_KEY: key}, Group.HOSTS)
    assert str(caught.value) == (
        "the key tlsHostsKey doesn't belong to the certificate pki.hosts; run: python -m ops pki"
    )
