"""The API token that lets `enroll` run programs in guests; it is stored nowhere and on no command line."""

from __future__ import annotations

import os
import stat
import sys
from getpass import getpass
from pathlib import Path

from rich.markup import escape

from components.pve_api import Refused, Token
from ops.console import OpsError, console

VARIABLE = "PVE_ENROLL_TOKEN"

HELP = """\
This runs programs in guests, which takes an API token of its own: VM.Audit and VM.GuestAgent.Unrestricted
on the guests (on Proxmox VE 8 VM.Audit and VM.Monitor). Whoever has it can do anything in them: make it
for an hour,

  pveum role add GuestEnroll --privs "VM.Audit VM.GuestAgent.Unrestricted"      # 8: VM.Audit VM.Monitor
  pveum user token add root@pam enroll --privsep 1 --expire $(date -d '+1 hour' +%s)
  pveum acl modify /vms --tokens 'root@pam!enroll' --roles GuestEnroll

and remove it afterwards: pveum user token remove root@pam enroll. It is asked for here, or taken from the
variable PVE_ENROLL_TOKEN or from --token-file; it is never stored. More: docs/guests.md"""


def read_token(file: Path | None) -> Token:
    """The token: from a file, from the environment, or asked for.

    Raises:
        OpsError: there is none, or a file that others can read.
    """
    if file is not None:
        text = _from_file(file)
    elif VARIABLE in os.environ:
        text = os.environ[VARIABLE]
    elif sys.stdin.isatty():
        console.print(f"{escape(HELP)}\n")
        text = getpass("API token (user@realm!name=secret, not shown): ")
    else:
        raise OpsError(f"no token, and nobody to ask for one.\n{HELP}")
    try:
        return Token.parse(text)
    except Refused as error:
        raise OpsError(str(error)) from None


def _from_file(file: Path) -> str:
    try:
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise OpsError(f"{file} can be read by others; run: chmod 600 {file}")
        return file.read_text("utf-8")
    except OSError as error:
        raise OpsError(f"{file} can't be read: {error.strerror}") from error
