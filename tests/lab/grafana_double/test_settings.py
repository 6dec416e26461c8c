from __future__ import annotations

from pathlib import Path

import pytest

from components.settings import Group
from lab.images.grafana.grafana_double.settings import SettingsError, load
from tests.support.pki import PAIRS


def test_nothing_given_are_the_defaults_of_grafana() -> None:
    settings = load({})
    assert settings.http_port == 3000
    assert settings.data == Path("/var/lib/grafana")
    assert (settings.admin_user, settings.admin_password) == ("admin", "admin")
    assert settings.anonymous_role is None


def test_ini_file_with_expansions(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    ini = tmp_path / "grafana.ini"
    ini.write_text(
        "app_mode = production\n"
        "; a comment\n"
        "[server]\nhttp_port = 3001\nroot_url = https://$__env{PUBLIC_NAME}/\n"
        f"[security]\nadmin_user = ${{WHO}}\nadmin_password = $__file{{{secret}}}\n"
        '[auth.anonymous]\nenabled = "true"\n[log]\nmode = console\n'
    )
    settings = load({"GF_PATHS_CONFIG": str(ini), "PUBLIC_NAME": "grafana.example.org", "WHO": "root"})
    assert settings.http_port == 3001
    assert settings.root_url == "https://grafana.example.org/"
    assert (settings.admin_user, settings.admin_password) == ("root", "s3cret")
    assert settings.anonymous_role == "Viewer"
    assert settings.without_effect == ("[(top of the file)] app_mode", "[log] mode")


def test_variables_beat_the_file_and_file_forms_are_read(tmp_path: Path) -> None:
    ini = tmp_path / "grafana.ini"
    ini.write_text("[security]\nadmin_user = from-file\nadmin_password = from-file\n")
    password = tmp_path / "password"
    password.write_text("from-secret\n\n")
    settings = load(
        {
            "GF_PATHS_CONFIG": str(ini),
            "GF_PATHS_DATA": "/data",
            "GF_SERVER_HTTP_PORT": "3300",
            "GF_SECURITY_ADMIN_PASSWORD__FILE": str(password),
            "GF_LOG_LEVEL": "debug",
        }
    )
    assert (settings.admin_user, settings.admin_password) == ("from-file", "from-secret")
    assert (settings.data, settings.http_port) == (Path("/data"), 3300)
    assert settings.without_effect == ("GF_LOG_LEVEL",)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GF_PATHS_CONFIG": "/nowhere/grafana.ini"}, "can't read /nowhere/grafana.ini: No such file"),
        ({"GF_SECURITY_ADMIN_PASSWORD__FILE": "/nowhere/p"}, "GF_SECURITY_ADMIN_PASSWORD__FILE: can't read"),
        (
            {"GF_SECURITY_ADMIN_PASSWORD": "a", "GF_SECURITY_ADMIN_PASSWORD__FILE": "/p"},
            "both GF_SECURITY_ADMIN_PASSWORD and GF_SECURITY_ADMIN_PASSWORD__FILE",
        ),
        ({"GF_SERVER_HTTP_PORT": "70000"}, "'70000' is no port"),
        ({"GF_SECURITY_ADMIN_PASSWORD": ""}, r"\[security\] admin_password is empty"),
        ({"GF_SECURITY_ADMIN_PASSWORD": "$__file{/nowhere/p}"}, r"\[security\] admin_password: can't read"),
        ({"GF_SERVER_PROTOCOL": "h2"}, "'h2' is not imitated"),
        ({"GF_SERVER_PROTOCOL": "https"}, r"\[server\] cert_file, cert_key: can't use"),
        ({"GF_AUTH_ANONYMOUS_ENABLED": "maybe"}, "neither true nor false"),
        ({"GF_AUTH_ANONYMOUS_ORG_ROLE": "Boss"}, "'Boss' is not one of"),
    ],
)
def test_what_cannot_be_used_is_said(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(environment)


def test_a_broken_ini_file_is_named(tmp_path: Path) -> None:
    ini = tmp_path / "grafana.ini"
    ini.write_text("[security]\nadmin_user = a\nadmin_password secret\n")
    with pytest.raises(SettingsError, match=r"grafana\.ini is no readable ini file, see line 3$"):
        load({"GF_PATHS_CONFIG": str(ini)})


def test_certificate_and_login_of_metrics(tmp_path: Path) -> None:
    pair = PAIRS[Group.PLATFORM]
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_text(pair.certificate)
    key.write_text(pair.key)
    given = {
        "GF_SERVER_PROTOCOL": "https",
        "GF_SERVER_CERT_FILE": str(certificate),
        "GF_SERVER_CERT_KEY": str(key),
        "GF_METRICS_BASIC_AUTH_USERNAME": "prometheus",
    }
    settings = load(given)
    assert settings.certificate == (certificate, key)
    # As in Grafana, one of the two alone changes nothing.
    assert settings.metrics_login is None
    assert load({**given, "GF_METRICS_BASIC_AUTH_PASSWORD": "p"}).metrics_login == ("prometheus", "p")
    assert settings.without_effect == ()
    assert load({}).certificate is None
