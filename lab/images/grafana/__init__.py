"""The stand-in for the image grafana/grafana."""
