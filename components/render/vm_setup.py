"""The script that makes a new VM a Docker host."""

from __future__ import annotations

# cloud-init of a cloud image takes a minute or two; a slow mirror or storage more.
CLOUD_INIT_SECONDS = 900
# apt may be in use: unattended-upgrades starts with the first boot.
APT_LOCK_SECONDS = 300
DAEMON_SECONDS = 120

_SCRIPT = """\
fail() {
    echo "the VM runs, but Docker in it doesn't: $1" >&2
    echo "Mend it and run pulumi up again." >&2
    exit 1
}
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }
as_user() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -u "$(id -un)" "$@"; fi; }
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o "DPkg::Lock::Timeout=$apt_lock" "$@" >&2
}
if command -v cloud-init >/dev/null; then
    result=0
    timeout "$cloud_init" cloud-init status --wait >/dev/null || result=$?
    # 2 is done with recoverable errors: what is needed is asked for below.
    case "$result" in
        0 | 2) ;;
        124) fail "cloud-init isn't done after $cloud_init s; see /var/log/cloud-init-output.log there" ;;
        *) fail "cloud-init failed; run there: cloud-init status --long" ;;
    esac
fi
if ! command -v docker >/dev/null; then
    command -v apt-get >/dev/null || fail "it has no apt-get; take an image of Debian or Ubuntu"
    apt update || fail "no package index; does it reach its mirror (docker.gateway, dnsServers, vlan)?"
    apt install -y docker.io || fail "docker.io can't be installed (see above)"
fi
as_root systemctl enable --now docker >&2 || fail "the service doesn't start; run there: journalctl -u docker"
as_root usermod -aG docker "$(id -un)"
# In a session of its own: membership in a group begins with the next login.
until as_user docker info >/dev/null 2>&1; do
    daemon=$((daemon - 1))
    [ "$daemon" -gt 0 ] || fail "docker info doesn't answer; run there: docker info"
    sleep 1
done
echo "Docker $(as_user docker info --format '{{.ServerVersion}}') is ready"
"""


def setup_script() -> str:
    """POSIX shell that waits for cloud-init, installs Docker where there is none, and ends when it answers.

    It can run again at any time. It exits with 1 and says on stderr what is missing and where to look.
    """
    times = {"cloud_init": CLOUD_INIT_SECONDS, "apt_lock": APT_LOCK_SECONDS, "daemon": DAEMON_SECONDS}
    return "set -eu\n" + "".join(f"{name}={value}\n" for name, value in times.items()) + _SCRIPT
