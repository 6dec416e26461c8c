"""Asks data sources over HTTP with their stored credentials."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from typing import Any

import httpx

from .store import Document

TIMEOUT_S = 30.0
"""Grafana's default for [dataproxy] timeout."""

_HEADER_NAME = "httpHeaderName"
_HEADER_VALUE = "httpHeaderValue"


class DataSourceClient:
    """HTTP to data sources; safe to use from several threads."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._clients: dict[str | None, httpx.Client] = {}

    def send(
        self,
        source: Document,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request to the data source's address plus the path, which is percent-encoded already.

        Raises:
            httpx.HTTPError, httpx.InvalidURL: no answer.
        """
        own = bool(source["jsonData"].get("tlsAuthWithCACert"))
        name = source["jsonData"].get("serverName") if own else None
        return self._trusting(source["secureJsonData"].get("tlsCACert", "") if own else None).request(
            method,
            f"{source['url'].rstrip('/')}/{path.lstrip('/')}",
            content=content,
            headers={**(headers or {}), **own_headers(source)},
            auth=_basic_auth(source),
            # The name that is asked for, and that the certificate must have.
            extensions={"sni_hostname": name} if name else None,
        )

    def _trusting(self, authority: str | None) -> httpx.Client:
        """The client that trusts an authority (PEM) alone; None for those that the system trusts.

        Raises:
            httpx.HTTPError: what is given as authority is none.
        """
        with self._lock:
            if authority not in self._clients:
                self._clients[authority] = httpx.Client(
                    timeout=TIMEOUT_S,
                    trust_env=False,
                    transport=self._transport,
                    verify=True if authority is None else _context(authority),
                )
            return self._clients[authority]

    def instant_query(self, source: Document, expression: str) -> list[dict[str, Any]]:
        """The result of a PromQL query at this moment: a list of {"metric": …, "value": [time, text]}.

        Raises:
            ValueError: Prometheus refuses the query or answers something else; the message says what.
            httpx.HTTPError, httpx.InvalidURL: no answer.
        """
        path = f"api/v1/query?{httpx.QueryParams(query=expression)}"
        document = self.send(source, "GET", path).json()
        if not isinstance(document, dict) or document.get("status") != "success":
            raise ValueError(
                document.get("error", "no answer of the Prometheus API") if document else "empty"
            )
        data = document["data"]
        if data["resultType"] in {"scalar", "string"}:
            return [{"metric": {}, "value": data["result"]}]
        return list(data["result"])

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()


def _context(authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=authority)
    except (ValueError, ssl.SSLError):
        raise httpx.ConnectError("tlsCACert holds no certificate in PEM") from None
    return context


def own_headers(source: Document) -> dict[str, str]:
    """The headers that the data source is set up to send (httpHeaderName1 and so on)."""
    headers = {}
    for key, name in source["jsonData"].items():
        if key.startswith(_HEADER_NAME):
            value = source["secureJsonData"].get(_HEADER_VALUE + key.removeprefix(_HEADER_NAME))
            if value is not None:
                headers[str(name)] = value
    return headers


def _basic_auth(source: Document) -> httpx.BasicAuth | None:
    if not source["basicAuth"]:
        return None
    password = source["secureJsonData"].get("basicAuthPassword", "")
    return httpx.BasicAuth(source["basicAuthUser"], password)
