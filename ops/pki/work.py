"""What is to be made: decided from what is there, the names that are wanted, and the time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_urlsafe

from components import pki
from components.render.tls import accepted
from components.settings import HOLDERS, SCRAPE_PASSWORDS, TLS_KEYS, Group, Secret
from ops.console import OpsError
from ops.pki.held import CA, Held

# 32 bytes are 43 letters; bcrypt looks at 72 bytes.
_PASSWORD_BYTES = 32
_LONGEST_PASSWORD = 72


@dataclass
class Work:
    """Certificates, keys and passwords that are to be made for a stack, and why each.

    Attributes:
        stack: its name, which the authority bears.
        names: what each certificate is made out to.
        reasons: what people are told: what is made, and why.
        certificates: new ones by key of the setting `pki`.
        secrets: new private keys and passwords.
    """

    stack: str
    held: Held
    names: Mapping[str, tuple[str, ...]]
    now: datetime
    reasons: list[tuple[str, str]] = field(default_factory=list)
    certificates: dict[str, str] = field(default_factory=dict)
    secrets: dict[Secret, str] = field(default_factory=dict, repr=False)

    @property
    def made(self) -> Held:
        """Everything that is to be written."""
        return Held(self.certificates, self.secrets)

    # --- the authority ---------------------------------------------------------------------------

    @property
    def authorities(self) -> list[str]:
        """Certificates that are trusted, the one that signs first; none where none can be read."""
        text = {**self.held.certificates, **self.certificates}.get(CA, "")
        try:
            return pki.certificates(text)
        except ValueError:
            return []

    def mend_authority(self) -> None:
        """Make an authority where there is none to sign with."""
        trusted, key = self.authorities, self.held.secrets.get(Secret.TLS_CA_KEY)
        if not trusted:
            self.new_authority("there was none")
        elif key is None:
            # Somebody may keep it elsewhere: then only what has to be signed needs it.
            if not self._has_signed(trusted):
                self.new_authority("its key was missing, and it has signed nothing")
        elif not any(pki.belongs(one, key) for one in trusted):
            self.new_authority(f"{Secret.TLS_CA_KEY} is the key of another one")
        elif not pki.belongs(trusted[0], key):
            own = next(one for one in trusted if pki.belongs(one, key))
            self._trust([own, *(one for one in trusted if one != own)])
            self.reasons.append(("authority", f"the one that {Secret.TLS_CA_KEY} belongs to stands first"))
        elif (end := pki.expiry(trusted[0])) <= self.now:
            self.new_authority(f"it ended on {end:%Y-%m-%d}")

    def new_authority(self, why: str) -> None:
        """Make a new authority; former ones stay trusted until they end."""
        pair = pki.authority(f"pve-monitoring {self.stack} {self.now:%Y-%m-%d}"[:64], self.now)
        former = [one for one in self.authorities if pki.expiry(one) > self.now]
        self._trust([pair.certificate, *former])
        self.secrets[Secret.TLS_CA_KEY] = pair.key
        self.reasons.append(("authority", why))

    def forget(self) -> None:
        """Trust the authority that signs alone.

        Raises:
            OpsError: a certificate of the stack would be left without one.
        """
        first, *former = self.authorities or [""]
        if not former:
            return
        left = [name for name, text in self._leaves() if not pki.signed_by(text, first)]
        if left:
            raise OpsError(
                f"a former authority signed what is in use: {', '.join(left)}; first run: python -m ops pki "
                f"renew {' '.join(left)}"
            )
        self._trust([first])
        for one in former:
            end = f"{pki.expiry(one):%Y-%m-%d}"
            self.reasons.append(("authority", f"{pki.issuer(one)} (until {end}) isn't trusted any more"))

    def _leaves(self) -> list[tuple[str, str]]:
        found = [(holder, self.held.certificates.get(holder, "")) for holder in HOLDERS]
        return [(holder, text) for holder, text in found if _readable(text)]

    def _has_signed(self, trusted: list[str]) -> bool:
        return any(pki.signed_by(text, "".join(trusted)) for _, text in self._leaves())

    def _trust(self, certificates: list[str]) -> None:
        self.certificates[CA] = "".join(certificates)

    # --- certificates and passwords --------------------------------------------------------------

    def complete(self, renewed: Collection[str] = (), *, passwords: bool = False) -> None:
        """Make what is missing or doesn't fit, and what is to be renewed.

        Args:
            renewed: whose certificates and keys are made anew in any case.
            passwords: the same for their passwords.

        Raises:
            OpsError: there is nothing to sign with.
        """
        for holder in HOLDERS:
            why = "renewed" if holder in renewed else self._unfit(holder)
            if why is not None:
                self._issue(holder, why)
        for group in Group:
            why = "renewed" if passwords and group in renewed else self._unfit_password(group)
            if why is not None:
                self.secrets[SCRAPE_PASSWORDS[group]] = token_urlsafe(_PASSWORD_BYTES)
                self.reasons.append((f"password of {group}", why))

    def _unfit(self, holder: str) -> str | None:
        """Why a certificate can't stay; None if it can."""
        text = self.held.certificates.get(holder)
        key = self.held.secrets.get(TLS_KEYS[holder])
        if text is None or key is None:
            return "there was none" if text is None else "its key was missing"
        if not _readable(text):
            return "what was there is no certificate"
        if not pki.belongs(text, key):
            return f"{TLS_KEYS[holder]} was the key of another one"
        return self._invalid(text, self.names[holder])

    def _invalid(self, certificate: str, names: tuple[str, ...]) -> str | None:
        trusted = "".join(self.authorities)
        if not (trusted and pki.signed_by(certificate, trusted)):
            return "no authority in pki.ca signed it"
        if (end := pki.expiry(certificate)) <= self.now:
            return f"it ended on {end:%Y-%m-%d}"
        missing = [name for name in names if name not in pki.names(certificate)]
        return f"it wasn't made out to {', '.join(missing)}" if missing else None

    def _issue(self, holder: str, why: str) -> None:
        key = {**self.held.secrets, **self.secrets}.get(Secret.TLS_CA_KEY)
        if key is None:
            raise OpsError(
                f"the certificate of {holder} has to be made ({why}), and nothing can be signed: "
                f"{Secret.TLS_CA_KEY} is missing. Put it back, or make a new authority: python -m ops pki "
                "renew --authority. Nothing was changed"
            )
        signer = pki.Pair(certificate=self.authorities[0], key=key)
        pair = pki.issue(signer, self.names[holder], self.now)
        self.certificates[holder], self.secrets[TLS_KEYS[holder]] = pair.certificate, pair.key
        self.reasons.append((f"certificate of {holder}", why))

    def _unfit_password(self, group: Group) -> str | None:
        password = self.held.secrets.get(SCRAPE_PASSWORDS[group])
        if password is None:
            return "there was none"
        # While one takes the other's place a secret holds two.
        too_long = any(len(one.encode()) > _LONGEST_PASSWORD for one in accepted(password))
        return f"it had more than {_LONGEST_PASSWORD} bytes, which bcrypt can't take" if too_long else None


def _readable(certificate: str) -> bool:
    try:
        return bool(pki.certificates(certificate))
    except ValueError:
        return False
