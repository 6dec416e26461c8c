"""Both sides of an encrypted scrape: they fit each other, also while a password takes another's place."""

from __future__ import annotations

import bcrypt
import pytest
import yaml

from components.render import tls
from components.settings import Group

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
