"""Proxy, control port, sinks, client and certificate, over the wire."""

import os
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from urllib.request import urlopen

import pytest
import requests
from cryptography import x509
from proxmoxer import ProxmoxAPI

from lab.cluster import tls
from lab.cluster.client import LabClient, LabError
from lab.cluster.exporters.page import CONTENT_TYPE
from lab.cluster.faults import KINDS
from lab.cluster.identities import DISCOVERY
from lab.cluster.settings import Settings

from .conftest import Live


class TestProxy:
    def test_exporters_answer_behind_it(self, live: Live) -> None:
        for address, port, name in (
            ("10.90.1.12", 9182, "windows_os_info"),
            ("10.90.1.14", 9100, "node_uname_info"),
            ("10.90.1.15", 9100, "node_uname_info"),
            ("10.90.0.11", 9100, "node_systemd_unit_state"),
            ("10.90.0.13", 9835, "nvidia_smi_gpu_info"),
            ("10.90.1.20", 9835, "nvidia_smi_gpu_info"),
            ("pve2.lab", 9100, "node_uname_info"),
        ):
            answer = live.scrape(address, port)
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == CONTENT_TYPE
            assert f"\n{name}{{" in answer.text

    def test_what_cannot_be_reached(self, live: Live) -> None:
        for address, port, status in (
            ("10.90.9.9", 9100, 504),
            ("10.90.1.18", 9182, 504),
            ("10.90.1.17", 9100, 502),
            ("10.90.1.12", 9100, 502),
            ("10.90.0.11", 9835, 502),
        ):
            assert live.scrape(address, port).status_code == status
        assert live.scrape("10.90.1.12", 9182, "/nope").status_code == 404
        assert requests.get(live.proxy, timeout=5).status_code == 400

    def test_faults(self, live: Live) -> None:
        with live.client.fault("exporter_gone", "103"):
            assert live.scrape("10.90.1.12", 9182).status_code == 502
        with live.client.fault("guest_down", "103", mode="os"):
            assert live.scrape("10.90.1.12", 9182).status_code == 504
        with live.client.fault("host_down", "pve2"):
            assert live.scrape("10.90.1.12", 9182).status_code == 504
            assert live.scrape("10.90.0.12", 9100).status_code == 504
        assert live.scrape("10.90.1.12", 9182).status_code == 200


class TestControl:
    def test_state_and_page(self, live: Live) -> None:
        assert live.client.healthy()
        state = live.client.state()
        assert state["sizes"] == {"hosts": 3, "guests": 12}
        assert [host["online"] for host in state["hosts"]] == [True] * 3
        roam = next(guest for guest in state["guests"] if guest["moves"])
        assert roam["vmid"] == 110
        with live.client.fault("host_down", "pve2"):
            page = requests.get(live.control, timeout=5).text
        assert "win-sql01" in page
        assert '<tr class="off"><td>pve2' in page

    def test_faults_come_and_go(self, live: Live) -> None:
        first = live.client.add("cpu_hog", "103", seconds=60, busy=0.9)
        with live.client.fault("host_down", "pve3") as second:
            assert [fault["id"] for fault in live.client.faults()] == [first, second]
        assert [fault["params"] for fault in live.client.faults()] == [{"busy": 0.9}]
        live.client.clear(first)
        live.client.clear(first)
        assert live.client.faults() == []
        assert requests.delete(f"{live.control}/faults/f999", timeout=5).status_code == 404
        assert set(requests.get(f"{live.control}/kinds", timeout=5).json()) == set(KINDS)

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ('{"kind": "flood", "target": "pve1"}', "no such fault: 'flood'; there are host_down"),
            ('{"target": "pve1"}', "a fault is an object with kind and target; kinds: host_down"),
            ('{"kind": "host_down", "target": "x"}', "there are hosts pve1, pve2, pve3"),
            ('{"kind": "host_down", "target": "pve1", "seconds": "x"}', "seconds is a number, not 'x'"),
            ('{"kind": "host_down", "target": "pve1", "params": []}', "params is an object"),
            ("{", "Expecting property name"),
        ],
    )
    def test_what_it_doesnt_understand(self, live: Live, body: str, text: str) -> None:
        answer = requests.post(f"{live.control}/faults", data=body, timeout=5)
        assert answer.status_code == 400
        assert text in answer.json()["error"]

    def test_the_client_repeats_what_the_lab_says(self, live: Live) -> None:
        with pytest.raises(LabError, match=r"no such fault: 'flood'"):
            live.client.add("flood", "pve1")
        with LabClient("http://127.0.0.1:9") as nobody:
            assert not nobody.healthy()
        assert requests.get(f"{live.control}/nope", timeout=5).json()["error"] == "no GET /nope"


class TestSinks:
    def test_webhooks(self, live: Live) -> None:
        live.client.clear_hooks()
        alert = {"status": "firing", "alerts": [{"labels": {"alertname": "HostDown"}}]}
        requests.post(f"{live.control}/hooks/team", json=alert, timeout=5)
        (received,) = live.client.hooks("team")
        assert received["body"] == alert
        assert abs(received["received"] - live.lab.clock()) < 5
        assert live.client.hooks("other") == []
        assert "firing HostDown" in requests.get(live.control, timeout=5).text
        live.client.clear_hooks()
        assert live.client.hooks("team") == []

    def test_mail(self, live: Live) -> None:
        live.client.clear_mail()
        message = EmailMessage()
        message["Subject"] = "[FIRING] Höst down"
        message.set_content("pve2 doesn't answer.\n")
        message.add_alternative("<p>pve2 doesn't answer.</p>", subtype="html")
        with smtplib.SMTP("127.0.0.1", live.running.smtp_port, timeout=5) as smtp:
            smtp.send_message(message, "alerts@example.com", ["ops@example.com"])
        (mail,) = live.client.mail()
        assert (mail["from"], mail["to"]) == ("alerts@example.com", ["ops@example.com"])
        assert mail["subject"] == "[FIRING] Höst down"
        assert mail["body"] == "pve2 doesn't answer.\n"

    def test_a_sink_that_refuses_keeps_nothing(self, live: Live) -> None:
        live.client.clear_hooks()
        live.client.clear_mail()
        message = EmailMessage()
        message["Subject"] = "[FIRING]"
        with live.client.fault("delivery_refused", "alerts"), live.client.fault("delivery_refused", "mail"):
            answer = requests.post(f"{live.control}/hooks/alerts", json={}, timeout=5)
            assert answer.status_code == 500
            assert requests.post(f"{live.control}/hooks/watchdog", json={}, timeout=5).ok
            with (
                smtplib.SMTP("127.0.0.1", live.running.smtp_port, timeout=5) as smtp,
                pytest.raises(smtplib.SMTPDataError, match="451"),
            ):
                smtp.send_message(message, "alerts@example.com", ["ops@example.com"])
        assert (live.client.hooks("alerts"), live.client.mail()) == ([], [])
        assert requests.post(f"{live.control}/hooks/alerts", json={}, timeout=5).ok


class TestCertificate:
    def test_a_client_that_trusts_the_authority_gets_through(self, live: Live) -> None:
        api = ProxmoxAPI(
            f"localhost:{live.running.api_port}", user=DISCOVERY.user, token_name=DISCOVERY.name,
            token_value=DISCOVERY.secret, verify_ssl=str(live.ca), timeout=10,
        )  # fmt: skip
        assert {entry["vmid"] for entry in api.cluster.resources.get(type="vm")} == set(range(101, 113))

    def test_a_client_that_doesnt_is_refused(self, live: Live) -> None:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            urlopen(f"https://localhost:{live.running.api_port}/", timeout=5)

    def test_the_fingerprint_is_that_of_the_certificate(self, live: Live) -> None:
        pem = ssl.get_server_certificate(("127.0.0.1", live.running.api_port))
        shown = tls.fingerprint(x509.load_pem_x509_certificate(pem.encode()))
        assert {node["ssl_fingerprint"] for node in live.data("/nodes")} == {shown}
        (info,) = live.data("/nodes/pve2/certificates/info")
        assert info["fingerprint"] == shown
        assert "pve2.lab" in info["san"]

    def test_a_pair_that_is_there_is_used_again(self, tmp_path: Path) -> None:
        settings = Settings(tls_dir=str(tmp_path))
        _, first = tls.context(settings, ["pve1"])
        _, second = tls.context(settings, ["pve1"])
        given = Settings(tls_cert=str(tmp_path / "server.pem"), tls_key=str(tmp_path / "server.key"))
        _, third = tls.context(given, ["pve1"])
        assert first == second == third
        assert os.stat(tmp_path / "server.key").st_mode & 0o777 == 0o600  # noqa: PTH116 - the mode is the point
