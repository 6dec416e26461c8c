"""/storage and /nodes/{node}/storage/{storage}: what lies in a storage, and what is fetched into it."""

# ruff: noqa: TID252 - the package is `lab.cluster` here and `cluster` in its image

from typing import Any

from ..model import GIB, Storage
from ..provisioned import Image
from .call import ApiError, Call
from .machines import disks
from .stats import Entry
from .tasks import begin

# What a downloaded image has: nothing is fetched, the lab's network ends at its own door.
IMAGE_SIZE, DISK_SIZE = 343_932_928, 3 * GIB
CONTENTS = {"iso": (".iso", ".img"), "import": (".qcow2", ".raw", ".vmdk"), "vztmpl": (".tar.gz", ".tar.zst")}


def the_storage(call: Call, name: str) -> Storage:
    """A storage by name.

    Raises:
        ApiError: 500, there is none of that name.
    """
    for storage in call.lab.cluster.storages:
        if storage.name == name:
            return storage
    raise ApiError(500, f"storage '{name}' does not exist")


async def url_metadata(call: Call) -> Any:
    """GET /nodes/{node}/query-url-metadata."""
    _may_reach_out(call)
    name = call.query.get("url", "").rpartition("/")[2]
    return {"filename": name, "mimetype": "application/octet-stream", "size": IMAGE_SIZE}


def _may_reach_out(call: Call) -> None:
    node = f"/nodes/{call.params['node']}"
    if not call.rights.at("/") >= {"Sys.Audit", "Sys.Modify"}:
        call.need(node, "Sys.AccessNetwork")


async def download(call: Call) -> Any:
    """POST /nodes/{node}/storage/{storage}/download-url."""
    storage, kind, name = call.params["storage"], call.query["content"], call.query["filename"]
    call.need(f"/storage/{storage}", "Datastore.AllocateTemplate")
    _may_reach_out(call)
    if kind not in the_storage(call, storage).content.split(","):
        raise ApiError(500, f"storage '{storage}' is not configured for content-type '{kind}'")
    if not name.endswith(CONTENTS[kind]):
        raise ApiError(400, "Parameter verification failed.", {"filename": "wrong file extension"})
    if ("checksum" in call.query) != ("checksum-algorithm" in call.query):
        missing = "checksum" if "checksum" not in call.query else "checksum-algorithm"
        raise ApiError(400, "Parameter verification failed.", {missing: "missing"})
    volid, node = f"{storage}:{kind}/{name}", call.params["node"]
    if (node, volid) in call.lab.provisioned.images:
        raise ApiError(500, f"refusing to override existing file '/var/lib/vz/{kind}/{name}'")
    if "checksum" in call.query and call.fault(node, "download_damaged"):
        # As pve-common ends it (PVE::Tools::download_file_from_url); nothing stays.
        got, wanted = "0" * len(call.query["checksum"]), call.query["checksum"]
        return begin(call, "download", name, result=f"checksum mismatch: got '{got}' != expect '{wanted}'")
    call.lab.provisioned.images[node, volid] = Image(volid, IMAGE_SIZE, DISK_SIZE, call.t)
    return begin(call, "download", name)


async def content(call: Call) -> Any:
    """GET /nodes/{node}/storage/{storage}/content: fetched images, and disks of created machines."""
    storage, node = call.params["storage"], call.params["node"]
    call.need(f"/storage/{storage}", "Datastore.Audit", "Datastore.AllocateSpace")
    the_storage(call, storage)
    found = [
        _image(image)
        for (where, volid), image in call.lab.provisioned.images.items()
        if where == node and volid.startswith(f"{storage}:")
    ]
    for machine in call.lab.provisioned.machines.values():
        found += [
            {"volid": volid, "content": "images", "format": "raw", "size": size, "vmid": machine.vmid}
            for volid, size in disks(machine)
            if machine.node == node and volid.startswith(f"{storage}:")
        ]
    wanted = call.query.get("content")
    return [item for item in found if wanted in (None, item["content"])]


def _image(image: Image) -> Entry:
    kind = image.volid.partition(":")[2].partition("/")[0]
    ending = image.volid.rpartition(".")[2]
    return {
        "volid": image.volid, "content": kind, "format": ending, "size": image.size,
        "ctime": int(image.created),
    }  # fmt: skip


async def volume(call: Call) -> Any:
    """GET /nodes/{node}/storage/{storage}/content/{volume}."""
    storage, node, volid = call.params["storage"], call.params["node"], _volid(call)
    image = call.lab.provisioned.images.get((node, volid))
    if image is not None:
        call.need(f"/storage/{storage}", "Datastore.Audit", "Datastore.AllocateTemplate")
        path = f"/var/lib/vz/{volid.partition(':')[2]}"
        return {"path": path, "format": _image(image)["format"], "size": image.disk, "used": image.size}
    for machine in call.lab.provisioned.machines.values():
        for name, size in disks(machine):
            if name == volid and machine.node == node:
                call.need(f"/vms/{machine.vmid}", "VM.Config.Disk")
                path = f"/dev/pve/{volid.partition(':')[2]}"
                return {"path": path, "format": "raw", "size": size, "used": size}
    raise ApiError(500, f"volume '{volid}' does not exist")


async def delete(call: Call) -> Any:
    """DELETE /nodes/{node}/storage/{storage}/content/{volume}."""
    storage, key = call.params["storage"], (call.params["node"], _volid(call))
    call.need(f"/storage/{storage}", "Datastore.Allocate")
    if call.lab.provisioned.images.pop(key, None) is None:
        raise ApiError(500, f"volume '{key[1]}' does not exist")
    return begin(call, "imgdel", f"{key[1].partition(':')[2]}@{storage}")


def _volid(call: Call) -> str:
    # With the storage before it or without: both are allowed.
    name = call.params["volume"]
    return name if ":" in name else f"{call.params['storage']}:{name}"
