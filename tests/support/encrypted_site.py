"""A host, a guest and a Prometheus that scrapes them over TLS: real programs, installed as people do it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import NotFound
from docker.models.containers import Container

from components.exporters import NODE_EXPORTER
from components.host_exporters import installations
from components.images import DEFAULT_REFERENCES, Service
from components.render import exporter_jobs, linux_installer, prometheus, scrape_configs, tls
from components.render.host_exporters import script
from components.render.tls import Server
from components.settings import Group, StackSettings
from components.topology import plan
from tests.support import guest_machine, systemd_machine
from tests.support.booted import MIRROR, MIRROR_PORT
from tests.support.containers import run
from tests.support.examples import MINIMAL, settings
from tests.support.pki import AUTHORITY, CERTIFICATES
from tests.support.platform import wait_for
from tests.support.ssh_machine import key_pair

NAME = "pve-monitoring-test-scrapes"
VERSION = "1.12.1"
UNIT = "pve-monitoring-node-exporter"
PLAIN_TAG = "plain-metrics"
# Seconds between two scrapes.
INTERVAL = 3


class Outside:
    """Discovery, and a guest that speaks plain HTTP: a server of this process."""

    def __init__(self, address: str) -> None:
        self.groups: dict[str, list[dict[str, Any]]] = {}
        # Headers of requests for metrics.
        self.asked: list[dict[str, str]] = []
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind = self.path.rpartition("/")[2]
                if kind == "metrics":
                    outside.asked.append(dict(self.headers))
                body = (
                    b"plain 1\n" if kind == "metrics" else json.dumps(outside.groups.get(kind, [])).encode()
                )
                self.send_response(200)
                content = "text/plain; version=0.0.4" if kind == "metrics" else "application/json"
                self.send_header("Content-Type", content)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.target = f"{address}:8000"
        self.server = ThreadingHTTPServer((address, 8000), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class EncryptedSite:
    """All of it; `close` removes what `start` made."""

    host: Container
    guest: Container
    outside: Outside | None = None

    def __init__(self, folder: Path) -> None:
        self.client = docker.from_env()
        self.folder = folder

    def start(self) -> None:
        """Boot the machines.

        Raises:
            ImageBuildFailed: no Go toolchain.
            docker.errors.DockerException: no Debian mirror is reached, say.
        """
        guest_machine.build(self.client)
        systemd_machine.build(self.client)
        self.close()
        self.network = self.client.networks.create(NAME)
        self.network.reload()
        gateway = self.network.attrs["IPAM"]["Config"][0]["Gateway"]
        self.outside = Outside(gateway)
        content = systemd_machine.node_exporter(VERSION)
        archive, self.digest = systemd_machine.release(
            f"node_exporter-{VERSION}.linux-amd64", "node_exporter", content
        )
        public_key = key_pair(str(self.folder))[1]
        self.host = systemd_machine.start(self.client, f"{NAME}-host", {}, public_key, NAME)
        self.guest = guest_machine.start(self.client, f"{NAME}-guest", NAME)
        for machine in (self.host, self.guest):
            guest_machine.put(machine, {NODE_EXPORTER.url(MIRROR.lstrip("/"), VERSION): archive})
        self.machines = {Group.HOSTS: self.host, Group.GUESTS: self.guest}
        ready = "systemctl is-system-running | grep -E 'running|degraded' && systemctl start mirror"
        page = (
            f"wget -qO /dev/null --tries=9 --retry-connrefused --waitretry=1 http://127.0.0.1:{MIRROR_PORT}"
        )
        for machine in self.machines.values():
            wait_for("systemd", partial(self.succeeds, machine, f"{ready} && {page}"), 60, 0.3)

    def close(self) -> None:
        if self.outside is not None:
            self.outside.close()
        for part in ("host", "guest", "prometheus"):
            with suppress(NotFound):
                self.client.containers.get(f"{NAME}-{part}").remove(force=True, v=True)
        for network in self.client.networks.list(names=[f"^{NAME}$"]):
            network.remove()

    # --- the machines

    @property
    def settings(self) -> StackSettings:
        download = f"http://127.0.0.1:{MIRROR_PORT}"
        release = {"version": VERSION, "sha256": self.digest}
        key = systemd_machine.host_key()[1]
        return settings(
            {
                **MINIMAL,
                "tls": {"platform": False, "plainTag": PLAIN_TAG},
                "pki": CERTIFICATES,
                # A scrape may take as long: on a busy machine a second is too little.
                "prometheus": {"scrapeInterval": f"{INTERVAL}s"},
                "discovery": {"refreshSeconds": 5},
                "hostExporters": {
                    "hosts": {"pve1": {"address": "192.0.2.11", "hostKey": key}},
                    "downloadBaseUrl": download,
                    "nodeExporter": release,
                    "textfileCollectors": [],
                },
                "guestExporters": {"linux": {**release, "downloadBaseUrl": download}},
            }
        )

    def install(self, group: Group, server: Server | None, *words: str) -> str:
        """Run the installer of a host or of a guest; what it said.

        Raises:
            AssertionError: it failed.
        """
        machine = self.machines[group]
        if group is Group.HOSTS:
            wanted = replace(installations("pve1", self.settings)["node"], server=server)
            text, command = script(wanted), f"bash -s {' '.join(words) or 'install'} </root/script"
        else:
            text = linux_installer.script(self.settings, ("192.0.2.10",), server)
            command = f"sh /root/script {' '.join(words)}"
        guest_machine.put(machine, {"root/script": text.encode()})
        return self.sh(machine, command)

    @staticmethod
    def code(machine: Container, command: str) -> int:
        return run(machine, "sh", "-c", command)[0]

    def succeeds(self, machine: Container, command: str) -> bool:
        return self.code(machine, command) == 0

    @staticmethod
    def sh(machine: Container, command: str) -> str:
        code, output = run(machine, "bash", "-c", command)
        assert code == 0, (command, output)
        return output.strip()

    def pid(self, group: Group) -> str:
        return self.sh(self.machines[group], f"systemctl show --property MainPID --value {UNIT}")

    def address(self, container: Container) -> str:
        container.reload()
        found: str = container.attrs["NetworkSettings"]["Networks"][NAME]["IPAddress"]
        return found

    def ask(
        self, machine: Group, password: str | None = None, authority: str = AUTHORITY.certificate
    ) -> tuple[int, bytes]:
        """Ask an exporter for its page over a new connection: status, and its certificate (DER).

        Raises:
            ssl.SSLError: its certificate isn't one of the authority's for its group.
        """
        context = ssl.create_default_context(cadata=authority)
        address = self.address(self.machines[machine])
        headers = {}
        if password is not None:
            pair = f"{tls.user(password)}:{password}".encode()
            headers = {"Authorization": f"Basic {b64encode(pair).decode()}"}
        with (
            socket.create_connection((address, 9100), 10) as plain,
            context.wrap_socket(plain, server_hostname=machine.server_name) as secure,
        ):
            connection = http.client.HTTPConnection(address)
            connection.sock = secure
            connection.request("GET", "/metrics", headers=headers)
            response = connection.getresponse()
            response.read()
            return response.status, secure.getpeercert(binary_form=True) or b""

    # --- Prometheus

    def tell_prometheus(self, authority: str, passwords: Mapping[Group, str]) -> None:
        """Write what its configuration's volume holds besides the configuration itself."""
        files = {tls.CA_FILE: authority}
        for group, password in passwords.items():
            files[tls.user_file(group)] = tls.user(tls.accepted(password)[0])
            files[tls.password_file(group)] = tls.accepted(password)[0]
        for path, text in files.items():
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / f"{path}.new").write_text(text, "utf-8")
        for path in files:
            (self.folder / f"{path}.new").replace(self.folder / path)

    def start_prometheus(self) -> None:
        """Start it with the configuration that is rendered from the settings."""
        assert self.outside is not None
        made = self.settings
        (self.folder / "prometheus.yml").write_text(prometheus.prometheus_yml(made, plan(made)), "utf-8")
        container = self.client.containers.create(
            DEFAULT_REFERENCES[Service.PROMETHEUS],
            [f"--config.file={prometheus.CONFIG_FILE}", "--storage.tsdb.path=/prometheus"],
            name=f"{NAME}-prometheus",
            user=str(os.getuid()),
            network=NAME,
            extra_hosts={"discovery-a": self.outside.target.partition(":")[0]},
            volumes={str(self.folder): {"bind": scrape_configs.CONFIG_DIR, "mode": "ro"}},
            tmpfs={"/prometheus": ""},
        )
        guest = {"cluster": "home", "vm_id": "101", "vm_name": "a", exporter_jobs.TAGS_LABEL: ",web,"}
        other = {**guest, "vm_id": "102", exporter_jobs.TAGS_LABEL: f",{PLAIN_TAG},"}
        host, inside = (f"{self.address(machine)}:9100" for machine in self.machines.values())
        self.outside.groups = {
            "nodes": [{"targets": [host], "labels": {"cluster": "home", "node": "pve1"}}],
            "linux": [
                {"targets": [inside], "labels": guest},
                {"targets": [self.outside.target], "labels": other},
            ],
        }
        # By this name it scrapes itself.
        self.network.disconnect(container)
        self.network.connect(container, aliases=["prometheus-a"])
        container.start()
        self.url = f"http://{self.address(container)}:9090"

    def query(self, expression: str) -> dict[str, float]:
        """Values by job and guest."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10).json()
        return {
            " ".join(filter(None, (one["metric"].get("job"), one["metric"].get("vm_id")))): float(
                one["value"][1]
            )
            for one in answer["data"]["result"]
        }

    def errors(self) -> dict[str, str]:
        """What was wrong at the last scrape, by job."""
        answer = requests.get(f"{self.url}/api/v1/targets", timeout=10).json()
        return {target["scrapePool"]: target["lastError"] for target in answer["data"]["activeTargets"]}
