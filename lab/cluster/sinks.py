"""Where notifications end up: webhooks by name, and mail."""

import email
import email.policy
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from .state import MAIL

KEPT = 1000  # of each sink; older ones go
MAIL_LIMIT = 2 * 1024 * 1024  # bytes


@dataclass
class Sinks:
    """Everything that was received since the start or since it was last cleared."""

    clock: Callable[[], float]
    refuses: Callable[[str], bool] = lambda _: False
    hooks: dict[str, deque[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=KEPT))
    )
    mail: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def hook(self, name: str, body: Any) -> None:
        """Keep the JSON body of a webhook."""
        self.hooks[name].append({"received": self.clock(), "body": body})

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd calls it so
        """Keep a mail; the name and signature are aiosmtpd's."""
        if self.refuses(MAIL):
            return "451 Requested action aborted: local error in processing"
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        message = email.message_from_bytes(raw, policy=email.policy.default)
        self.mail.append({
            "received": self.clock(), "from": envelope.mail_from, "to": list(envelope.rcpt_tos),
            "subject": str(message.get("Subject", "")), "body": _text(message),
        })  # fmt: skip
        return "250 OK"

    def smtp(self) -> SMTP:
        """A protocol for one connection of a mail client."""
        return SMTP(self, hostname="lab.example.com", data_size_limit=MAIL_LIMIT, enable_SMTPUTF8=True)


def _text(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain", "html"))
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n")
