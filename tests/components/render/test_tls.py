"""Both sides of an encrypted scrape: they fit each other, also while a password takes another's place."""

from __future__ import annotations

import bcrypt
import pytest
import yaml

from components.render import tls
from components.settings import Group
from tests.support.examples import EXAMPLES, settings
from tests.support.pki import CERTIFICATES

OLD, NEW = "the-old-password", "the-new-password"


def server(passwords: str) -> dict[str, str]:
    """Who may come in, with the hashes of their passwords."""
    made = tls.Server(certificate="C", key="K", passwords=passwords)
    users: dict[str, str] = yaml.safe_load(made.web_config("c", "k"))["basic_auth_users"]
    return users


def lets_in(accepts: str, sends: str) -> bool:
    password = tls.accepted(sends)[0]
    found = server(accepts).get(tls.user(password))
    return found is not None and bcrypt.checkpw(password.encode(), found.encode())


@pytest.mark.parametrize(
    ("accepts", "sends", "expected"),
    [
        (OLD, OLD, True),
        (OLD, NEW, False),
        (f"{OLD} {NEW}", OLD, True),
        # A client that is told later or earlier than the server.
        (f"{OLD} {NEW}", f"{NEW}\n{OLD}", True),
        (f"{NEW}\n{OLD}\n", f"{OLD} {NEW}", True),
        (NEW, f"{NEW} {OLD}", True),
        (NEW, OLD, False),
    ],
)
def test_two_passwords_can_be_good_at_once(accepts: str, sends: str, *, expected: bool) -> None:
    assert lets_in(accepts, sends) is expected


def test_a_web_configuration_is_the_same_each_time() -> None:
    made = tls.Server(certificate="C", key="K", passwords=OLD)
    tls.password_hash.cache_clear()
    first = made.web_config("/a/tls.crt", "/a/tls.key")
    tls.password_hash.cache_clear()
    assert made.web_config("/a/tls.crt", "/a/tls.key") == first
    assert yaml.safe_load(first)["tls_server_config"] == {
        "cert_file": "/a/tls.crt",
        "key_file": "/a/tls.key",
        "min_version": "TLS12",
    }
    assert OLD not in first


def test_secrets_do_not_stand_in_what_python_shows() -> None:
    assert repr(tls.Server(certificate="C", key="K-1", passwords=OLD)) == "Server(certificate='C')"


def test_the_platform_knows_one_user() -> None:
    config = yaml.safe_load(tls.web_config("c", "k", OLD))
    assert list(config["basic_auth_users"]) == [tls.USER]
    assert tls.user(OLD) != tls.user(NEW)
    assert tls.user_file(Group.HOSTS) != tls.user_file(Group.GUESTS)


@pytest.mark.parametrize("group", Group)
def test_a_client_checks_the_name_of_the_group_and_shows_its_password(group: Group) -> None:
    made = settings(EXAMPLES["encrypted"])
    client = tls.client(made, group, "/etc/prometheus")
    assert client["scheme"] == "https"
    assert client["tls_config"] == {
        "ca_file": "/etc/prometheus/tls/ca.pem",
        "server_name": f"{group}.pve-monitoring.internal",
    }
    assert client["basic_auth"]["password_file"] == f"/etc/prometheus/secrets/scrape_{group}_password"
    assert tls.client_files(made) == {"tls/ca.pem": CERTIFICATES["ca"]}


@pytest.mark.parametrize("group", Group)
def test_a_group_that_is_off_is_spoken_to_in_the_clear(group: Group) -> None:
    made = settings({**EXAMPLES["encrypted"], "tls": {str(group): False}})
    assert tls.client(made, group, "/etc/prometheus") == {}
    assert all(tls.client(made, other, "/etc/prometheus") for other in set(Group) - {group})


def test_where_tls_is_off_clients_need_nothing() -> None:
    made = settings({**EXAMPLES["encrypted"], "tls": "off"})
    assert [tls.client(made, group, "/x") for group in Group] == [{}, {}, {}]
    assert tls.client_files(made) == {}


def test_a_hash_is_that_of_its_password_and_always_the_same() -> None:
    for password in (OLD, NEW, "x" * 72):
        tls.password_hash.cache_clear()
        first = tls.password_hash(password)
        tls.password_hash.cache_clear()
        assert tls.password_hash(password) == first
        assert bcrypt.checkpw(password.encode(), first.encode())
        assert not bcrypt.checkpw(b"another", first.encode())
    assert tls.password_hash(OLD)[:29] != tls.password_hash(NEW)[:29]
