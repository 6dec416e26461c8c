"""Configuration in a volume: a short-lived container writes the files, the service only reads them.

A changed file replaces the writer and nothing else: the service keeps running and reads the new files by
itself (Prometheus) or is told to (Alertmanager). See docs/adr/0001-configuration-in-volumes.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
import pulumi_docker as docker

from components.container import container_labels, log_options
from components.render import tls
from components.render.platform_tls import encrypted
from components.settings import Group, StackSettings

SECRETS_DIR = "secrets"

# First every file lands beside its destination, then all are renamed, then what is gone is deleted: a full
# disk leaves the old configuration whole, and a reader never sees half a file. What lies at the top names
# the files below: it comes last, when they are there and can be read. Caddy tries a changed one only once.
#
# What was uploaded goes when the script ends, however it does: `docker export` and the layers on the disk
# would keep the secrets as long as the container. Started again by hand it writes nothing and ends as before,
# or it would take what it no longer has for what is gone.
_WRITE = """\
set -eu
umask 077
if [ -e /ended ]; then
    echo "this writer has written once; another one needs: pulumi up --replace" >&2
    exit "$(cat /ended)"
fi
trap 'code=$?; rm -rf /payload; echo "$code" > /ended; exit "$code"' EXIT
fail() {
    find /config -name '*.pve-monitoring-new' -exec rm -f {} +
    echo "the configuration could not be written, the old one stays: $1" >&2
    df -h /config | tail -n 1 >&2
    exit 1
}
cd /payload
find . -type f > /tmp/files
while read -r file; do
    new="/config/$file.pve-monitoring-new"
    mkdir -p "$(dirname "$new")" || fail "$file: no directory"
    cp "$file" "$new" || fail "$file"
    case "$file" in ./secrets/*) mode=0400 ;; *) mode=0444 ;; esac
    chmod "$mode" "$new" && chown "$OWNER" "$new" || fail "$file: owner and mode"
done < /tmp/files
sync
find /config -mindepth 1 -type d -exec chown "$OWNER" {} + -exec chmod 0500 {} +
{ grep '^[.]/.*/' /tmp/files || true; grep -v '^[.]/.*/' /tmp/files || true; } > /tmp/ordered
while read -r file; do
    mv -f "/config/$file.pve-monitoring-new" "/config/$file"
done < /tmp/ordered
cd /config
find . -type f > /tmp/present
while read -r file; do
    [ -e "/payload/$file" ] || rm -f "$file"
done < /tmp/present
find . -mindepth 1 -type d > /tmp/directories
sort -r /tmp/directories | while read -r directory; do rmdir "$directory" 2>/dev/null || true; done
find . -type d -exec chown "$OWNER" {} + -exec chmod 0500 {} +
echo "wrote $(wc -l < /tmp/files) files"
"""
_RELOAD = """\
if [ -n "${RELOAD_URL:-}" ]; then
    # A service that isn't up yet reads the files when it starts.
    if wget -q -T 5 -O /dev/null --spider "${RELOAD_URL%/-/reload}/-/healthy" 2>/dev/null; then
        if ! wget -q -T 20 -O /dev/null --post-data='' "$RELOAD_URL"; then
            echo "$RELOAD_URL refused the new files; the service goes on with what it had (see its log)" >&2
            exit 2
        fi
        echo "reloaded"
    fi
fi
"""
_RELOAD_OVER_TLS = Path(__file__).with_name("reload_over_tls.py")


@dataclass(frozen=True, kw_only=True)
class ConfigVolumeArgs:
    """Arguments of ConfigVolume.

    Attributes:
        volume_name: name of the Docker volume.
        image: image with a POSIX shell, find, cp and wget; with Python too to reload a service over TLS.
        owner: (uid, gid) that the files belong to.
        files: content by path below the volume's root; readable by everybody in the container.
        secret_files: the same for files of mode 0400, below `secrets/`.
        reload_url: URL that is POSTed after the files have changed, where the service needs to be told.
        networks: networks to reach reload_url by.
    """

    volume_name: str
    image: pulumi.Input[str]
    owner: tuple[int, int]
    files: Mapping[str, pulumi.Input[str]]
    settings: StackSettings
    secret_files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    reload_url: str | None = None
    networks: Sequence[pulumi.Input[str]] = ()


def _reload_environment(args: ConfigVolumeArgs) -> dict[str, str]:
    if args.reload_url is None:
        return {}
    if not encrypted(args.settings):
        return {"RELOAD_URL": args.reload_url}
    return {
        "RELOAD_URL": args.reload_url,
        "RELOAD_SERVER_NAME": Group.PLATFORM.server_name,
        "RELOAD_CA_FILE": tls.CA_FILE,
        "RELOAD_USER": tls.USER,
        "RELOAD_PASSWORD_FILE": tls.password_file(Group.PLATFORM),
    }


def _entrypoint(args: ConfigVolumeArgs) -> list[str]:
    if args.reload_url is None or not encrypted(args.settings):
        return ["/bin/sh", "-c", _WRITE + _RELOAD]
    program = _RELOAD_OVER_TLS.read_text("utf-8")
    return ["/bin/sh", "-c", f'{_WRITE}python3 -c "$1"\n', "sh", program]


class ConfigVolume(pulumi.ComponentResource):
    """A volume that holds the configuration of one instance.

    Attributes:
        volume_name: mount it read-only.
        written: the writer, once it has written: depend on it, or the service starts before its files are
            there, or although they couldn't be written.
        writer_id: changes with every change of a file: as a label it restarts a service that reads its
            configuration at start only.
    """

    TYPE = "pve-monitoring:components:ConfigVolume"

    volume_name: pulumi.Output[str]
    written: pulumi.Output[docker.Container]
    writer_id: pulumi.Output[str]

    def __init__(self, name: str, args: ConfigVolumeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.TYPE, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # Not protected: its content comes from the program alone.
        volume = docker.Volume(f"{name}-volume", name=args.volume_name, opts=child)
        self.volume_name = volume.name
        self.writer = self._writer(name, args, child)
        self.writer_id = self.writer.id
        self.written = pulumi.Output.all(
            self.writer.exit_code, self.writer.container_logs, self.writer.urn
        ).apply(lambda result: self._ensure_written(args.volume_name, result), run_with_unknowns=True)
        self.register_outputs({"volume_name": self.volume_name, "writer_id": self.writer_id})

    def _writer(self, name: str, args: ConfigVolumeArgs, child: pulumi.ResourceOptions) -> docker.Container:
        environment = {"OWNER": "{}:{}".format(*args.owner), **_reload_environment(args)}
        return docker.Container(
            f"{name}-writer",
            name=f"{args.volume_name}-writer",
            image=args.image,
            entrypoints=_entrypoint(args),
            envs=[f"{key}={value}" for key, value in sorted(environment.items())],
            uploads=[
                docker.ContainerUploadArgs(
                    file=f"/payload/{path}",
                    content=content,
                    permissions="0400" if path in args.secret_files else "0444",
                )
                for path, content in sorted({**args.files, **args.secret_files}.items())
            ],
            volumes=[docker.ContainerVolumeArgs(container_path="/config", volume_name=self.volume_name)],
            # Root, since Docker makes a new volume root's; of root's powers it keeps those over files only.
            # Spelled as Docker reads them back, or every refresh shows a difference.
            user="0:0",
            capabilities=docker.ContainerCapabilitiesArgs(
                drops=["ALL"], adds=["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]
            ),
            security_opts=["no-new-privileges:true"],
            network_mode=None if args.networks else "none",
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=n) for n in args.networks] or None,
            memory=64,
            memory_swap=64,
            restart="no",
            labels=container_labels(args.settings),
            log_driver="json-file",
            log_opts=log_options(args.settings),
            # It runs to its end, and its exit code and words are read.
            must_run=False,
            attach=True,
            logs=True,
            opts=child,
        )

    def _ensure_written(self, volume: str, result: object) -> docker.Container:
        """Fail the deployment if the writer did.

        Raises:
            pulumi.RunError: with what the writer said and how to go on.
        """
        # In a preview nothing has run: the values are unknown, which is neither a list nor a number.
        exit_code, logs, urn = result if isinstance(result, list) else (None, None, None)
        if isinstance(exit_code, int | float) and exit_code != 0:
            said = str(logs or "").strip() or "it said nothing"
            raise pulumi.RunError(
                f"volume {volume}: {said} (exit code {exit_code:.0f}).\n"
                f"Mend the cause, then run: pulumi up --replace '{urn}' (make up does it by itself)."
            )
        return self.writer
