"""Reads a stack file without the Pulumi CLI, its passphrase-encrypted secrets included."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

# As in pulumi/sdk: go/common/resource/config/crypt.go (SymmetricCrypterKeyBytes, KeyBytesFromPassphrase) and
# the passphrase secrets manager, whose state is `v1:<salt>:<the encrypted word "pulumi">`.
_ITERATIONS = 1_000_000
_KEY_BYTES = 32
_CHECK_WORD = "pulumi"


class StackConfigError(Exception):
    """The stack file can't be read; the message says why and what to do."""


@dataclass(frozen=True)
class StackConfig:
    """Values of a stack file by full key (`project:key`)."""

    plain: dict[str, Any]
    secrets: dict[str, str]


def read(path: Path, passphrase: str) -> StackConfig:
    """Read and decrypt a stack file.

    Raises:
        StackConfigError: the file is missing, or the passphrase doesn't fit.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise StackConfigError(f"{path}: {error.strerror}; run this in the project's directory") from error
    values: dict[str, Any] = document.get("config", {})
    plain, encrypted = split(values)
    if not encrypted:
        return StackConfig(plain, {})
    key = secrets_key(document.get("encryptionsalt", ""), passphrase, path)
    return StackConfig(plain, {name: _decrypt(text, key) for name, text in encrypted.items()})


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Part the values of a stack file into plain ones and, still encrypted, secret ones."""
    encrypted = {k: v["secure"] for k, v in values.items() if isinstance(v, dict) and set(v) == {"secure"}}
    return {key: value for key, value in values.items() if key not in encrypted}, encrypted


def secrets_key(salt_state: str, passphrase: str, path: Path) -> bytes:
    """The key of a stack file's secrets (AES-GCM), from what its `encryptionsalt` says.

    Raises:
        StackConfigError: it isn't encrypted with a passphrase, or with another one.
    """
    version, _, rest = salt_state.partition(":")
    salt, _, check = rest.partition(":")
    if version != "v1" or not check:
        raise StackConfigError(
            f"{path} isn't encrypted with a passphrase (no encryptionsalt): without the Pulumi CLI only such "
            "a stack can be read"
        )
    kdf = PBKDF2HMAC(hashes.SHA256(), _KEY_BYTES, base64.b64decode(salt), _ITERATIONS)
    key = kdf.derive(passphrase.encode())
    try:
        fits = _decrypt(check, key) == _CHECK_WORD
    except InvalidTag:
        fits = False
    if not fits:
        raise StackConfigError(
            f"the passphrase doesn't fit {path}: unset PULUMI_CONFIG_PASSPHRASE to use the development "
            "passphrase, or give the one that the file was encrypted with"
        )
    return key


def _decrypt(text: str, key: bytes) -> str:
    _, nonce, ciphertext = text.split(":")
    return AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(ciphertext), None).decode()
