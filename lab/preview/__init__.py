"""Pictures of the dashboards without a Grafana: a development tool, never part of a deployment.

The page that draws is TypeScript (`src/`, `shot/`), what it shows comes from `recording/`.
"""
