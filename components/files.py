"""Files of the project's directory that go into containers."""

from __future__ import annotations

from components.settings import StackSettings


def ca_certificate(settings: StackSettings) -> dict[str, str]:
    """The CA certificate that verifies the cluster's API, as a configuration file; none if not given."""
    path = settings.cluster.ca_file
    return {} if path is None else {"ca.pem": path.read_text("utf-8")}
