"""The organization's preferences."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.responses import Response

from .api import ORG_ID, Call, Route, answer, get
from .errors import plain
from .folders import DASHBOARD
from .schemas import Preferences

KIND = "preferences"
PATH = "/api/org/preferences"

_NAMED_ZONES = ("", "browser", "utc")


def _zone_exists(name: str) -> bool:
    if name.lower() in _NAMED_ZONES:
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _put(call: Call) -> Response:
    command = call.parse(Preferences)
    home = command.home_dashboard_uid
    if home and call.store.get(DASHBOARD, home) is None:
        raise plain(404, "Dashboard not found")
    if not _zone_exists(command.timezone):
        raise plain(400, "Timezone is not a valid timezone")
    given = command.model_dump(by_alias=True)
    call.store.put(KIND, str(ORG_ID), {key: value for key, value in given.items() if value})
    return answer({"message": "Preferences updated"})


def _read(call: Call) -> Response:
    return answer(call.store.get(KIND, str(ORG_ID)) or {})


ROUTES = (get(PATH, _read), Route("PUT", PATH, _put))
