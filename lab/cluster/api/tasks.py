"""/nodes/{node}/tasks: whether what was begun is done."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from typing import Any

from ..provisioned import Task
from .call import ApiError, Call
from .stats import Entry


def begin(call: Call, kind: str, ident: str, *, result: str = "OK") -> str:
    """Record a task of the caller on the node that the path names; its UPID. It ends with ``result``."""
    node = call.params["node"]
    return call.lab.provisioned.task(node, kind, ident, call.token.id, call.t, result=result)


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
    return found if task.running(call.t) else found | {"status": "stopped", "exitstatus": task.result}


async def stop(call: Call) -> Any:
    """DELETE /nodes/{node}/tasks/{upid}: to stop one; those of the lab have had their effect already."""
    owner = call.params["upid"].rstrip(":").rpartition(":")[2]
    if owner != call.token.id:
        call.need(f"/nodes/{call.params['node']}", "Sys.Modify")


async def log(call: Call) -> Any:
    """GET /nodes/{node}/tasks/{upid}/log."""
    task = _task(call)
    last = "TASK OK" if task.result == "OK" else f"TASK ERROR: {task.result}"
    return [{"n": 1, "t": "no content" if task.running(call.t) else last}]


def entry(task: Task) -> Entry:
    """What every list says of a task; the user is without the token's name, which has a key of its own."""
    user, _, token = task.owner.partition("!")
    return {
        "upid": task.upid, "node": task.node, "type": task.kind, "id": task.id, "user": user,
        "tokenid": token, "starttime": int(task.start), "pid": task.pid,
        "pstart": int(task.start * 100) & 0xFFFFFFFF,
    }  # fmt: skip
