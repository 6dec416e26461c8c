"""Prometheus HTTP service discovery for a Proxmox VE cluster."""

__version__ = "1.0.0"
