"""What is made, and what is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components import pki
from components.render import tls
from components.settings import HOLDERS, SCRAPE_PASSWORDS, TLS_KEYS, Group, Secret
from ops.console import OpsError
from ops.pki.held import CA, Held
from ops.pki.names import wanted
from ops.pki.work import Work
from tests.support.examples import MINIMAL, PROXMOX, TWO_HOSTS, TWO_VMS, settings

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMES = wanted(settings(MINIMAL))


def begin(held: Held, now: datetime = NOW, **names: tuple[str, ...]) -> Work:
    return Work("trial", held, {**NAMES, **names}, now)


def made(held: Held, **changes: Any) -> Work:
    """What `ops pki` makes of it."""
    work = begin(held, **changes)
    work.mend_authority()
    work.complete()
    return work


def after(work: Work) -> Held:
    """What is held when it was written."""
    held = work.held
    return Held({**held.certificates, **work.certificates}, {**held.secrets, **work.secrets})


FIRST = after(made(Held()))


def without(held: Held, *names: str) -> Held:
    return Held(
        {key: value for key, value in held.certificates.items() if key not in names},
        {key: value for key, value in held.secrets.items() if key not in names},
    )


def check(held: Held) -> None:
    """Everything is there and fits together."""
    for holder in HOLDERS:
        certificate = held.certificates[holder]
        assert pki.signed_by(certificate, held.certificates[CA]), holder
        assert pki.belongs(certificate, held.secrets[TLS_KEYS[holder]]), holder
        assert set(NAMES[holder]) <= set(pki.names(certificate)), holder
    assert pki.belongs(held.certificates[CA], held.secrets[Secret.TLS_CA_KEY])
    assert all(held.secrets[secret] for secret in SCRAPE_PASSWORDS.values())


def test_everything_is_made_where_nothing_is() -> None:
    check(FIRST)
    assert len(set(FIRST.secrets.values())) == len(FIRST.secrets) == 8
    assert pki.expiry(FIRST.certificates[CA]) == NOW + timedelta(days=3650)
    for secret in SCRAPE_PASSWORDS.values():
        assert 40 < len(FIRST.secrets[secret]) <= 72


def test_a_second_run_makes_nothing() -> None:
    work = made(FIRST)
    assert (work.reasons, work.made) == ([], Held())


@pytest.mark.parametrize("name", [*HOLDERS, *TLS_KEYS.values()])
def test_half_of_a_pair_is_made_anew_as_a_whole(name: str) -> None:
    work = made(without(FIRST, name))
    check(after(work))
    ((what, _),) = work.reasons
    assert what.startswith("certificate of ")
    assert len(work.certificates) == len(work.secrets) == 1


def test_a_missing_password_is_the_only_one_that_is_made() -> None:
    work = made(without(FIRST, Secret.SCRAPE_GUESTS_PASSWORD))
    assert work.reasons == [("password of guests", "there was none")]
    assert work.secrets.keys() == {Secret.SCRAPE_GUESTS_PASSWORD}


def test_a_password_that_bcrypt_cant_take_is_replaced() -> None:
    long = Held(FIRST.certificates, {**FIRST.secrets, Secret.SCRAPE_HOSTS_PASSWORD: "ä" * 40})
    assert made(long).reasons == [("password of hosts", "it had more than 72 bytes, which bcrypt can't take")]


def test_a_key_of_another_certificate_is_mended() -> None:
    other = FIRST.secrets[Secret.TLS_GUESTS_KEY]
    work = made(Held(FIRST.certificates, {**FIRST.secrets, Secret.TLS_HOSTS_KEY: other}))
    check(after(work))
    assert work.reasons == [("certificate of hosts", "tlsHostsKey was the key of another one")]


@pytest.mark.parametrize("text", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_what_is_no_certificate_is_replaced(text: str) -> None:
    work = made(Held({**FIRST.certificates, "guests": text}, FIRST.secrets))
    check(after(work))
    assert work.reasons == [("certificate of guests", "what was there is no certificate")]


def test_an_address_that_is_new_is_certified_and_one_that_is_gone_does_no_harm() -> None:
    more = (*NAMES["platform"], "192.0.2.99")
    work = made(FIRST, platform=more)
    assert work.reasons == [("certificate of platform", "it wasn't made out to 192.0.2.99")]
    held = after(work)
    assert pki.names(held.certificates["platform"]) == more
    assert made(held).reasons == []


def test_what_has_ended_is_replaced() -> None:
    later = pki.expiry(FIRST.certificates["hosts"]) + timedelta(seconds=1)
    work = made(FIRST, now=later)
    assert [what for what, _ in work.reasons] == [f"certificate of {holder}" for holder in HOLDERS]
    assert work.reasons[0][1] == "it ended on 2027-12-24"
    assert pki.expiry(after(work).certificates["hosts"]) > later


class TestAuthority:
    """Whoever signs."""

    def test_one_that_has_ended_is_replaced_with_all_that_it_signed(self) -> None:
        later = NOW + timedelta(days=3651)
        held = after(made(FIRST, now=later))
        check(held)
        assert pki.certificates(held.certificates[CA]) != pki.certificates(FIRST.certificates[CA])
        assert len(pki.certificates(held.certificates[CA])) == 1

    def test_its_key_may_be_kept_elsewhere_while_nothing_is_to_be_signed(self) -> None:
        assert made(without(FIRST, Secret.TLS_CA_KEY)).reasons == []

    def test_without_its_key_nothing_can_be_signed(self) -> None:
        with pytest.raises(OpsError, match=r"tlsCaKey is missing\. Put it back, or make a new authority"):
            made(without(FIRST, Secret.TLS_CA_KEY, "hosts"))

    def test_one_that_has_signed_nothing_is_made_anew(self) -> None:
        """As after a run that was interrupted right at its beginning."""
        check(after(made(Held({CA: FIRST.certificates[CA]}, {}))))

    def test_the_one_that_the_key_belongs_to_stands_first(self) -> None:
        other = pki.authority("other", NOW)
        both = other.certificate + FIRST.certificates[CA]
        work = made(Held({**FIRST.certificates, CA: both}, FIRST.secrets))
        assert pki.certificates(work.certificates[CA]) == [FIRST.certificates[CA], other.certificate]
        assert work.reasons == [("authority", "the one that tlsCaKey belongs to stands first")]

    def test_a_key_of_none_makes_a_new_one_beside_the_former(self) -> None:
        other = pki.authority("other", NOW)
        work = made(Held(FIRST.certificates, {**FIRST.secrets, Secret.TLS_CA_KEY: other.key}))
        check(after(work))
        assert pki.certificates(work.certificates[CA])[1:] == [FIRST.certificates[CA]]
        # What the former one signed is still good.
        assert len(work.reasons) == 1

    def test_renewed_it_stands_first_and_the_former_is_trusted(self) -> None:
        work = begin(FIRST)
        work.new_authority("renewed")
        work.complete(HOLDERS)
        held = after(work)
        check(held)
        first, former = pki.certificates(held.certificates[CA])
        assert former == FIRST.certificates[CA]
        assert all(pki.signed_by(held.certificates[holder], first) for holder in HOLDERS)

    def test_the_former_is_forgotten_when_nobody_needs_it(self) -> None:
        work = begin(FIRST)
        work.new_authority("renewed")
        work.complete(["hosts"])
        held = after(work)
        with pytest.raises(OpsError, match=r"in use: guests, platform, gateway; first run: .* renew guests"):
            begin(held).forget()
        rest = begin(held)
        rest.complete(HOLDERS)
        last = begin(after(rest))
        last.forget()
        check(after(last))
        assert last.certificates[CA] == pki.certificates(held.certificates[CA])[0]

    def test_where_there_is_no_former_nothing_is_forgotten(self) -> None:
        for held in (FIRST, Held()):
            work = begin(held)
            work.forget()
            assert work.reasons == []


def test_renewed_is_what_was_named() -> None:
    work = begin(FIRST)
    work.mend_authority()
    work.complete(["guests"])
    assert work.certificates.keys() == {"guests"}
    assert work.secrets.keys() == {Secret.TLS_GUESTS_KEY}
    check(after(work))


class TestPasswords:
    """Exporters accept two while one takes the other's place; the platform's own servers change at once."""

    def renewed(self, held: Held) -> Held:
        work = begin(held)
        work.complete(["guests", "platform"], passwords=True)
        assert Secret.SCRAPE_HOSTS_PASSWORD not in work.secrets
        return after(work)

    def test_the_former_is_sent_until_it_is_forgotten(self) -> None:
        held = self.renewed(FIRST)
        both = tls.accepted(held.secrets[Secret.SCRAPE_GUESTS_PASSWORD])
        assert both[0] == FIRST.secrets[Secret.SCRAPE_GUESTS_PASSWORD]
        assert len(set(both)) == 2
        (platform,) = tls.accepted(held.secrets[Secret.SCRAPE_PLATFORM_PASSWORD])
        assert platform != FIRST.secrets[Secret.SCRAPE_PLATFORM_PASSWORD]
        assert made(held).reasons == []
        work = begin(held)
        work.forget()
        assert work.secrets == {Secret.SCRAPE_GUESTS_PASSWORD: both[1]}

    def test_renewed_twice_the_one_that_everybody_knows_stays_first(self) -> None:
        first = self.renewed(FIRST).secrets[Secret.SCRAPE_GUESTS_PASSWORD]
        again = self.renewed(self.renewed(FIRST)).secrets[Secret.SCRAPE_GUESTS_PASSWORD]
        assert tls.accepted(again)[0] == tls.accepted(first)[0]
        assert len(tls.accepted(again)) == 2


class TestNames:
    """What certificates are made out to."""

    def test_servers_that_are_scraped_have_the_name_of_their_group(self) -> None:
        assert NAMES["hosts"] == (Group.HOSTS.server_name,)
        assert NAMES["guests"] == (Group.GUESTS.server_name,)

    def test_the_platform_has_all_by_which_it_is_reached(self) -> None:
        values = {
            **PROXMOX,
            "network": {"bindAddress": "0.0.0.0"},  # noqa: S104 - an example
            "grafana": {
                "apiUrl": "https://[2001:DB8::0:10]:3000",
                "externalUrl": "https://Grafana.example.com",
            },
            "prometheus": {"externalUrl": "https://münchen.example.com/x"},
            "alerting": {**MINIMAL["alerting"], "externalUrl": "https://grafana.example.com/alerts"},
        }
        here = ("localhost", "127.0.0.1", "::1", "192.0.2.10", "2001:db8::10", "grafana.example.com")
        found = wanted(settings(values))
        assert found["gateway"] == (*here, "xn--mnchen-3ya.example.com")
        assert found["platform"] == (Group.PLATFORM.server_name, *found["gateway"])
        # Certificates have them in the very same spelling.
        authority = pki.authority("a", NOW)
        assert pki.names(pki.issue(authority, found["platform"], NOW).certificate) == found["platform"]

    @pytest.mark.parametrize(
        ("values", "both"),
        [
            (TWO_VMS, {"192.0.2.10", "192.0.2.20"}),
            (TWO_HOSTS, {"monitoring-2.example.com", "192.0.2.20"}),
        ],
        ids=["vms", "hosts"],
    )
    def test_two_hosts_share_it(self, values: dict[str, Any], both: set[str]) -> None:
        assert both <= set(wanted(settings(values))["platform"])

    def test_a_name_that_no_certificate_can_have_is_told(self) -> None:
        docker = {"target": "ssh", "host": "a..b"}
        values = {**MINIMAL, "docker": docker, "network": {"bindAddress": "192.0.2.10"}}
        with pytest.raises(OpsError, match=r"'a\.\.b' is neither a name nor an address"):
            wanted(settings(values))
