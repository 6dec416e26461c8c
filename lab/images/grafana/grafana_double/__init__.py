"""A strict double of Grafana's HTTP API: what the Pulumi provider and health checks use, and nothing else.

It is not Grafana: it stores what is created through the API, answers as Grafana 13 answers, refuses what
Grafana doesn't know, and evaluates no alert rules. Its answers follow Grafana's
published API description, its documentation and source, and what the provider was seen to send and accept;
they were not compared with a running Grafana 13, so what was tried here alone is not tried with Grafana.
"""

VERSION = "13.2.3"
"""The Grafana version whose answers are imitated; equal to the tag of the image that this stands in for."""

COMMIT = "stand-in"
"""What /api/health gives as the commit: no build of Grafana has it."""

NOTICE = (
    "This is a stand-in for Grafana in the lab, not Grafana: it stores what the provider creates and lists it"
)
"""The sentence at the top of every page."""
