"""The only importer of grafana-foundation-sdk."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

from dashboards import PROMETHEUS_UID

# The SDK would rather have the v2 schema written. The classic one is what Grafana's HTTP API and the
# Pulumi provider's Dashboard resource take.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import bargauge as bargauge_builder
    from grafana_foundation_sdk.builders import common as common_builder
    from grafana_foundation_sdk.builders import dashboard as builder
    from grafana_foundation_sdk.builders import prometheus as prometheus_builder
    from grafana_foundation_sdk.builders import stat as stat_builder
    from grafana_foundation_sdk.builders import statetimeline as timeline_builder
    from grafana_foundation_sdk.builders import table as table_builder
    from grafana_foundation_sdk.builders import text as text_builder
    from grafana_foundation_sdk.builders import timeseries as timeseries_builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common, prometheus
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import text as text_model

__all__ = [
    "JSONEncoder",
    "bargauge_builder",
    "builder",
    "common",
    "common_builder",
    "model",
    "prometheus",
    "prometheus_builder",
    "stat_builder",
    "table_builder",
    "text_builder",
    "text_model",
    "timeline_builder",
    "timeseries_builder",
]

Dashboard: TypeAlias = model.Dashboard
Panel: TypeAlias = Any  # the builders share no base class but build()


def source() -> common.DataSourceRef:
    """Where all queries go."""
    return common.DataSourceRef(type_val="prometheus", uid=PROMETHEUS_UID)
