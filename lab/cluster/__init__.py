"""One container that plays a Proxmox VE cluster: API, guests, exporters and sinks for notifications."""
