"""Start the server: python -m grafana_double."""

from __future__ import annotations

import logging
import os
import sys

import prometheus_client
import uvicorn

from . import NOTICE, VERSION
from .app import build
from .settings import Settings, SettingsError, load

_LOG = logging.getLogger("grafana_double")


def main() -> int:
    """Run until stopped; 1 when the configuration can't be used."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="t=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s",
    )
    # httpx logs whole addresses with their queries.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Grafana has no _created series, and its database is not for everybody.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    os.umask(0o027)
    try:
        settings = load(os.environ)
        application = build(settings)
    except SettingsError as error:
        _LOG.error("can't start: %s", error)
        return 1
    _announce(settings)
    certificate, key = settings.certificate or (None, None)
    uvicorn.run(
        application,
        host="0.0.0.0",
        port=settings.http_port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        access_log=False,
        log_config=None,
    )
    return 0


def _announce(settings: Settings) -> None:
    _LOG.info("%s; answers as version %s on port %d", NOTICE, VERSION, settings.http_port)
    if settings.without_effect:
        _LOG.info("settings without effect in this stand-in: %s", ", ".join(settings.without_effect))


if __name__ == "__main__":
    sys.exit(main())
