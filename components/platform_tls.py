"""Files that the platform's own servers speak TLS with; none where they speak plain HTTP."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from components.render import platform_tls as render
from components.render import tls
from components.service import ServiceArgs
from components.settings import SCRAPE_PASSWORDS, Group
from components.tls import checked_key

_Files = Mapping[str, pulumi.Input[str]]


def key_files(args: ServiceArgs) -> _Files:
    """The key of the platform's certificate."""
    if not render.encrypted(args.settings):
        return {}
    return {render.KEY_FILE: checked_key(args.settings, args.secrets, Group.PLATFORM)}


def password_files(args: ServiceArgs) -> _Files:
    """The password that the platform's servers want, for who asks them or compares it."""
    if not render.encrypted(args.settings):
        return {}
    return {tls.password_file(Group.PLATFORM): args.secrets[SCRAPE_PASSWORDS[Group.PLATFORM]]}


def toolkit_files(args: ServiceArgs, directory: str) -> _Files:
    """Public files of a server that uses exporter-toolkit: its certificate, and how it asks itself."""
    if not render.encrypted(args.settings):
        return {}
    return {
        **render.certificate_files(args.settings),
        **tls.client_files(args.settings),
        render.CLIENT_FILE: render.client_config(args.settings, directory),
    }


def toolkit_secret_files(args: ServiceArgs, directory: str) -> _Files:
    """Secret files of such a server: its key, its web configuration, the password to ask itself with."""
    if not render.encrypted(args.settings):
        return {}
    password = args.secrets[SCRAPE_PASSWORDS[Group.PLATFORM]]
    web = password.apply(lambda text: render.web_config(directory, text))
    return {
        **key_files(args),
        **password_files(args),
        render.WEB_CONFIG_FILE: pulumi.Output.secret(web),
    }
