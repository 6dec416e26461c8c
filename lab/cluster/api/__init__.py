"""The API of Proxmox VE: its paths, wire formats, errors and privileges."""
