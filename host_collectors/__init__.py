"""What a Proxmox VE host tells of itself through node_exporter's textfile collector.

It runs on the hosts, as root and by timers, with the python3 that is there (3.11 and later; Proxmox VE has it
by way of ceph-common) and nothing but its standard library: what it reads is JSON and logs.
"""
