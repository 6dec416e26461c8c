"""Certificate, key and web configuration that the installer for Windows guests brings."""

from __future__ import annotations

from dataclasses import replace

import yaml

from components.settings import Group
from tests.support.pki import PAIRS
from tests.support.windows_guest import PAIR, SERVER, Guest


def test_key_and_hash_are_put_into_a_folder_that_is_closed_already(encrypted: Guest) -> None:
    ran = encrypted.install()
    assert ran.code == 0, ran.text
    assert ran.calls[1:3] == [f"Set-Acl {encrypted.tls}, in which are 0 files", ran.calls[2]]
    assert ran.calls[2].startswith("msiexec /i ")
    acl = encrypted.machine.state["acls"][str(encrypted.tls)]
    assert acl["protected"] is True
    assert acl["rules"] == [
        f"Allow {who} FullControl, ContainerInherit, ObjectInherit, None"
        for who in ("S-1-5-18", "S-1-5-32-544")
    ]
    assert encrypted.files["tls/tls.crt"] == PAIR.certificate.encode()
    assert encrypted.files["tls/tls.key"] == PAIR.key.encode()
    assert "basic_auth_users" in yaml.safe_load(encrypted.files["tls/web.yml"])
    config = yaml.safe_load(encrypted.machine.state["service"]["Config"])
    assert config["web"]["config"] == {"file": f"{encrypted.tls}\\web.yml"}
    assert "PRIVATE KEY" not in ran.text + encrypted.machine.log.read_text()


def test_a_renewed_certificate_is_replaced_without_a_restart(encrypted: Guest) -> None:
    encrypted.install()
    other = PAIRS[Group.HOSTS]
    encrypted.server = replace(SERVER, certificate=other.certificate, key=other.key)
    ran = encrypted.install()
    assert (ran.code, ran.calls) == (0, [])
    assert encrypted.files["tls/tls.crt"] == other.certificate.encode()
    assert encrypted.files["tls/tls.key"] == other.key.encode()
    assert len(ran.said) == 3


def test_a_folder_that_somebody_opened_is_closed_again(encrypted: Guest) -> None:
    encrypted.install()
    encrypted.machine.change(acls={})
    assert encrypted.install().calls == [f"Set-Acl {encrypted.tls}, in which are 3 files"]


def test_without_tls_the_files_go_when_the_exporter_does_without_them(encrypted: Guest) -> None:
    encrypted.install()
    encrypted.server = None
    ran = encrypted.install()
    assert (ran.code, ran.calls) == (0, ["Restart-Service windows_exporter"])
    assert set(encrypted.files) == {"config.yaml"}
    service = encrypted.machine.state["service"]
    assert ("tls" in service["Config"], service["TlsWasThere"]) == (False, True)
