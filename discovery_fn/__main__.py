"""Runs the service: `python -m discovery_fn`."""

from __future__ import annotations

import sys

import uvicorn

from .app import create_app
from .settings import SettingsError, load_settings


def main() -> int:
    """Serve until told to stop; return 2 where the environment is wrong."""
    try:
        settings = load_settings()
        app = create_app(settings)
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"discovery can't start, its environment is wrong:\n{error}\n")
        return 2
    uvicorn.run(
        app,
        host=settings.discovery_host,
        port=settings.discovery_port,
        ssl_certfile=settings.discovery_tls_cert_file,
        ssl_keyfile=settings.discovery_tls_key_file,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
