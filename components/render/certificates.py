"""When the certificates of the stack end, as a rule file: Prometheus has nobody to ask for it."""

from __future__ import annotations

from components import pki
from components.render import to_yaml
from components.settings import StackSettings

METRIC = "pve_monitoring_certificate_expiry_timestamp_seconds"
FILE = "recording_certificates.yml"


def rule_file(settings: StackSettings) -> dict[str, str]:
    """The rule file by its name; none where nobody uses a certificate.

    Its rules record constants, in seconds since 1970: the end of each certificate in use, and of the
    authority that signs.
    """
    given, holders = settings.pki, settings.certificate_holders
    if given is None or not holders:
        return {}
    ends = {holder: given.certificate(holder) for holder in holders} | {"ca": given.ca}
    rules = [
        {
            "record": METRIC,
            "expr": f"vector({pki.expiry(certificate).timestamp():.0f})",
            "labels": {"certificate": str(name), "cluster": settings.cluster.name},
        }
        for name, certificate in ends.items()
        if certificate is not None
    ]
    return {FILE: to_yaml({"groups": [{"name": "certificates", "rules": rules}]})}
