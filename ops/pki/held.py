"""What a stack's config holds of certificates, keys and passwords, read and written by the Pulumi CLI."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.settings import HOLDERS, PROJECT, SCRAPE_PASSWORDS, TLS_KEYS, Secret
from ops.console import OpsError
from ops.pulumi_cli import DEV_PASSPHRASE, Pulumi
from ops.stack import lab_of, stack_file

CA = "ca"
_SECRETS = (Secret.TLS_CA_KEY, *TLS_KEYS.values(), *SCRAPE_PASSWORDS.values())


@dataclass(frozen=True)
class Held:
    """Values of the config, or what is to become of some of them.

    Attributes:
        certificates: PEM by key of the setting `pki`.
        secrets: private keys (PEM) and passwords; never printed.
    """

    certificates: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[Secret, str] = field(default_factory=dict, repr=False)


# --- reading -------------------------------------------------------------------------------------


def read(cli: Pulumi, stack: str) -> Held:
    """Read what is there.

    Raises:
        OpsError: the stack is unknown, or its secrets stay closed.
    """
    _check_passphrase(cli, stack)
    answer = cli.capture("config", "--stack", stack, "--show-secrets", "--json", "--non-interactive")
    if answer.returncode != 0:
        raise OpsError(_explain(answer.stderr, stack))
    values: dict[str, Any] = json.loads(answer.stdout)
    given = values.get(f"{PROJECT}:pki", {}).get("objectValue") or {}
    found = {secret: values.get(f"{PROJECT}:{secret}", {}).get("value") for secret in _SECRETS}
    return Held(
        {key: text for key in (CA, *HOLDERS) if isinstance(text := given.get(key), str)},
        {secret: text for secret, text in found.items() if text},
    )


def _check_passphrase(cli: Pulumi, stack: str) -> None:
    """Refuse to encrypt a stack's first secrets with the passphrase of the development stack.

    Raises:
        OpsError: nobody has said which passphrase it shall be.
    """
    chosen = cli.environment.get("PULUMI_CONFIG_PASSPHRASE") != DEV_PASSPHRASE
    if chosen or lab_of(stack) is not None:
        return
    text = stack_file(stack).read_text("utf-8")
    if any(f"{key}:" in text for key in ("encryptionsalt", "secretsprovider", "encryptedkey")):
        return
    # Pulumi Cloud keeps the key itself.
    who = cli.capture("whoami", "--json", "--non-interactive")
    if who.returncode == 0 and str(json.loads(who.stdout).get("url", "")).startswith("https://"):
        return
    raise OpsError(
        f"no passphrase protects the secrets of {stack} yet, and without one everybody could read its keys; "
        "set PULUMI_CONFIG_PASSPHRASE_FILE to a file with a passphrase of your own, and run it again"
    )


def _explain(said: str, stack: str) -> str:
    reason = said.strip().removeprefix("error: ") or "no reason given"
    if "passphrase" in reason:
        return (
            f"the secrets of {stack} stay closed ({reason}): set PULUMI_CONFIG_PASSPHRASE_FILE, or "
            "PULUMI_CONFIG_PASSPHRASE, to what they were encrypted with. Nothing was changed"
        )
    if "no stack named" in reason:
        return f"{reason}: run pulumi login to its backend, or: pulumi stack init {stack}"
    return f"the config of {stack} can't be read or written: {reason}. Nothing was changed"


# --- writing -------------------------------------------------------------------------------------


def write(cli: Pulumi, stack: str, changes: Held) -> None:
    """Write into the stack's file: all of it or, whatever happens, nothing.

    Values reach the CLI by its standard input, and never its arguments or its environment: those can be read
    by others on this machine.

    Raises:
        OpsError: with the reason; nothing was changed.
    """
    target = stack_file(stack).resolve()
    before = target.read_bytes()
    try:
        with _draft(target) as draft:
            for key, text in changes.certificates.items():
                _set(cli, stack, draft, text, "--path", "--plaintext", f"pki.{key}")
            for secret, text in changes.secrets.items():
                _set(cli, stack, draft, text, "--secret", secret)
            if target.read_bytes() != before:
                raise OpsError(f"{target.name} was changed by somebody else meanwhile; run it again")
            draft.replace(target)
    except OSError as error:
        raise OpsError(f"{target} can't be written: {error.strerror}. Nothing was changed") from error
    except KeyboardInterrupt:
        raise OpsError(f"interrupted; nothing was changed in {target.name}") from None


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A copy beside the file, with its rights, that can take its place at once."""
    if not os.access(target, os.W_OK):
        raise PermissionError(None, "it is write-protected")
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    draft = Path(name)
    try:
        shutil.copy2(target, draft)
        with contextlib.suppress(PermissionError):
            os.chown(draft, target.stat().st_uid, target.stat().st_gid)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _set(cli: Pulumi, stack: str, draft: Path, value: str, *arguments: str) -> None:
    # Options of `config set`: --raw keeps the last line break of a PEM.
    words = ("config", "set", "--stack", stack, "--config-file", str(draft), "--non-interactive", "--raw")
    answer = cli.capture(*words, *arguments, given=value)
    if answer.returncode != 0:
        raise OpsError(_explain(answer.stderr, stack))
