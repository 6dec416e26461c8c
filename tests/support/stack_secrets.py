"""Secrets as a stack file holds them, encrypted with the development passphrase."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from components.settings import Secret
from lab import stack_config
from ops.pulumi_cli import DEV_PASSPHRASE, ROOT


def encrypted(values: Mapping[Secret, str]) -> dict[str, dict[str, str]]:
    """Values for the stack file of a `Platform`, by key (lab/stack_config.py reads them the other way)."""
    file = ROOT / "Pulumi.dev.yaml"
    salt = yaml.safe_load(file.read_text("utf-8"))["encryptionsalt"]
    cipher = AESGCM(stack_config.secrets_key(salt, DEV_PASSPHRASE, file))
    return {str(secret): {"secure": _secure(cipher, value)} for secret, value in values.items()}


def _secure(cipher: AESGCM, value: str) -> str:
    nonce = os.urandom(12)
    parts = (nonce, cipher.encrypt(nonce, value.encode(), None))
    return ":".join(["v1", *(base64.b64encode(part).decode() for part in parts)])
