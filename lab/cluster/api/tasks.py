"""/nodes/{node}/tasks: whether what was begun is done."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from typing import Any

from ..provisioned import Task
from .call import ApiError, Call
from .stats import Entry


def begin(call: Call, kind: str, ident: str) -> str:
    """Record a task of the caller on the node that the path names; its UPID."""
    return call.lab.provisioned.task(call.params["node"], kind, ident, call.token.id, call.t)


def _task(call: Call) -> Task:
    task = call.lab.provisioned.tasks.get(call.params["upid"])
    if task is None or task.node != call.params["node"]:
        raise ApiError(400, "Parameter verification failed.", {"upid": "no such task"})
    if task.owner != call.token.id:
        call.need(f"/nodes/{task.node}", "Sys.Audit")
    return task


async def status(call: Call) -> Any:
    """GET /nodes/{node}/tasks/{upid}/status."""
    task = _task(call)
    found = entry(task) | {"status": "running"}
    return found if task.running(call.t) else found | {"status": "stopped", "exitstatus": "OK"}


async def log(call: Call) -> Any:
    """GET /nodes/{node}/tasks/{upid}/log."""
    return [{"n": 1, "t": "TASK OK"}] if not _task(call).running(call.t) else [{"n": 1, "t": "no content"}]


def entry(task: Task) -> Entry:
    """What every list says of a task; the user is without the token's name, which has a key of its own."""
    user, _, token = task.owner.partition("!")
    return {
        "upid": task.upid, "node": task.node, "type": task.kind, "id": task.id, "user": user,
        "tokenid": token, "starttime": int(task.start), "pid": task.pid,
        "pstart": int(task.start * 100) & 0xFFFFFFFF,
    }  # fmt: skip
