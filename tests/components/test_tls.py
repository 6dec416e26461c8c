"""The key of a group is handed out only if it is that of the group's certificate."""

from __future__ import annotations

import pulumi
import pytest

from components.render.tls import user
from components.settings import PROJECT, SCRAPE_PASSWORDS, TLS_KEYS, Group, Secret, Secrets
from components.tls import checked_key, client_secrets
from tests.support.examples import EXAMPLES, settings
from tests.support.pki import KEYS, PAIRS
from tests.support.pulumi_harness import deploy, plain_texts, secret_texts


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


def files(password: str) -> dict[str, str]:
    """Secret files of clients."""

    def program() -> None:
        config = pulumi.Config(PROJECT)
        names = [*KEYS, *SCRAPE_PASSWORDS.values()]
        secrets = Secrets({name: config.require_secret(name) for name in names})
        client = pulumi.ComponentResource("test:index:Client", "client")
        client.register_outputs(dict(client_secrets(settings(EXAMPLES["encrypted"]), secrets)))

    given = {**KEYS, **dict.fromkeys(SCRAPE_PASSWORDS.values(), password)}
    recording = deploy(program, secrets={f"{PROJECT}:{name}": value for name, value in given.items()})
    (outputs,) = (found for urn, found in recording.outputs.items() if urn.endswith("::client"))
    assert plain_texts(outputs) == []
    return {path: secret_texts(value)[0] for path, value in outputs.items()}


def test_clients_send_the_first_of_two_passwords_of_exporters() -> None:
    assert files("one two") == {
        "secrets/scrape_hosts_user": user("one"),
        "secrets/scrape_hosts_password": "one",
        "secrets/scrape_guests_user": user("one"),
        "secrets/scrape_guests_password": "one",
        "secrets/scrape_platform_password": "one two",
    }
