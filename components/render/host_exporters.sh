# The part of the script that is the same for every exporter; host_exporters.py writes what stands before it:
# the options of bash, the constants, and the functions `write_files` and `list_files`.
# shellcheck shell=bash disable=SC2154 # the constants

# Whatever the login has: directories that nobody else can enter, or no useradd.
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

say() { echo "$title on $(hostname): $*"; }
die() {
    local line
    for line in "$@"; do say "$line" >&2; done
    exit 1
}
trap 'die "the script stopped unexpectedly at its line $LINENO: $BASH_COMMAND"' ERR

require_host() {
    [ "$(id -u)" -eq 0 ] || die "the login isn't root; give hostExporters.hosts a user that is, or that sudo lets be."
    [ -d /run/systemd/system ] || die "this machine isn't run by systemd; exporters are services of it."
    [ "$(uname -m)" = x86_64 ] || die "this machine is $(uname -m); the archive is for x86_64."
    local pair
    for pair in $commands; do
        command -v "${pair%%:*}" >/dev/null || die "${pair%%:*} is missing here; run: apt-get install ${pair##*:}"
    done
}

# Two runs at once on one host would take each other's files.
lock() {
    exec 9>/run/lock/pve-monitoring.lock
    flock -w "$lock_seconds" 9 || die "another run is at work here since $lock_seconds s; try again when it is done."
}

require_space() {
    local free
    mkdir -p "$root"
    free=$(df -m --output=avail "$root" | tail -n 1)
    [ "$free" -ge "$space_mib" ] ||
        die "only $((free)) MiB are free where $root lies; $space_mib MiB are needed. Make room there and run pulumi up again."
}

make_user() {
    getent passwd "$user" >/dev/null && return
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
    changed=1
}

# --- the program

checksum() { sha256sum "$1" | cut -d ' ' -f 1; }

# The program is what was unpacked from the archive with the given checksum, and nobody has changed it since.
program_is_there() { [ -x "$program" ] && [ "$(checksum "$program")" = "$(cat "$program.sha256" 2>/dev/null)" ]; }

get_archive() {
    if [ -n "$upload" ]; then
        [ -f "$upload" ] || die "the uploaded archive $PWD/$upload is gone; upload it again: pulumi up --replace with the URN of the CopyToRemote"
        cp "$upload" "$stage/archive"
        return
    fi
    local said
    said=$(wget --no-verbose --tries=2 --timeout=30 --output-document="$stage/archive" "$url" 2>&1) ||
        die "$url can't be downloaded: $said" "If this host doesn't reach it, give hostExporters.downloadBaseUrl" \
            "a mirror, or the archive itself as $setting.file."
}

unpack_program() {
    get_archive
    local found
    found=$(checksum "$stage/archive")
    [ "$found" = "$sha256" ] ||
        die "the archive's SHA-256 is $found, but $setting.sha256 is $sha256; nothing was changed." \
            "If the version is new, take the checksum from ${checksums_at}; if it isn't, somebody has changed the archive."
    tar -xzf "$stage/archive" -C "$stage" || die "the archive can't be unpacked (see above)."
    found=$(find "$stage" -type f -name "$binary" | head -n 1)
    [ -n "$found" ] || die "the archive has no $binary in it; is it the one for Linux?"
    mkdir -p "$root/bin"
    install -m 755 "$found" "$program.new"
    "$program.new" --version >"$stage/version" 2>&1 || die "the program doesn't run here: $(head -n 3 "$stage/version")"
    grep -qF "version $version " "$stage/version" ||
        die "the archive holds another version than $version: $(head -n 1 "$stage/version")"
    checksum "$program.new" >"$program.sha256"
    mv "$program.new" "$program"
    changed=1 restart=1 unpacked=1
}

# --- the files: mode, owner and path, one to a line, as list_files gives them

stage_file() {
    mkdir -p "$stage/new$(dirname "$1")"
    cat >"$stage/new$1"
}

paths() { list_files | cut -d ' ' -f 3; }

# Of the last run here, whatever version of this script it was.
known_paths() { cat "$manifest" 2>/dev/null || true; }

is_current() {
    local mode=$1 owner=$2 path=$3
    cmp -s "$stage/new$path" "$path" && [ "$(stat -c '0%a %U:%G' "$path")" = "$mode $owner:$owner" ]
}

# It lies beside its place until all do: certificate and key are exchanged within a moment.
prepare_file() {
    local mode=$1 owner=$2 path=$3
    is_current "$mode" "$owner" "$path" && return
    mkdir -p "$(dirname "$path")" "$(dirname "$stage/old$path")"
    if [ -e "$path" ]; then cp -p "$path" "$stage/old$path"; else echo "$path" >>"$stage/added"; fi
    install -m "$mode" -o "$owner" -g "$owner" "$stage/new$path" "$path.new"
    prepared+=("$path")
    changed=1
    # Certificate, key and web configuration are read anew at each connection.
    case "$path" in "$settings"/*) ;; *) restart=1 ;; esac
}

# The other exporter of this host reads the files below $settings too.
others_need() {
    [ -n "$(find "$root" -maxdepth 1 -name '*.files' ! -path "$manifest" -exec grep -xF "$1" {} + 2>/dev/null)" ]
}

# A unit is stopped before its file goes; what a collector wrote, and when it ran last, goes with its timer.
drop_file() {
    local path=$1 unit
    unit=$(basename "$path")
    case "$path" in
        "$settings"/*) if others_need "$path"; then return; fi ;;
        *.timer)
            systemctl disable --quiet --now "$unit" 2>/dev/null || true
            rm -f "$textfiles/$(basename "${unit#pve-monitoring-collector-}" .timer).prom"
            rm -f "/var/lib/systemd/timers/stamp-$unit"
            ;;
        *.service) systemctl disable --quiet --now "$unit" 2>/dev/null || true ;;
    esac
    rm -f "$path"
}

put_files() {
    local mode owner path prepared=()
    while read -r mode owner path; do prepare_file "$mode" "$owner" "$path"; done < <(list_files)
    for path in "${prepared[@]}"; do mv "$path.new" "$path"; done
    while read -r path; do
        grep -qxF "$path" <<<"$(paths)" && continue
        [ -e "$path" ] || continue
        mkdir -p "$(dirname "$stage/old$path")"
        cp -p "$path" "$stage/old$path"
        drop_file "$path"
        changed=1 restart=1
    done < <(known_paths)
}

restore_files() {
    local path
    if [ -f "$stage/added" ]; then while read -r path; do drop_file "$path"; done <"$stage/added"; fi
    while read -r path; do
        cp -p "$stage/old$path" "$path.new"
        mv "$path.new" "$path"
    done < <(cd "$stage/old" && find . -type f | sed 's/^.//')
    systemctl daemon-reload
    for path in $(known_paths | grep '\.timer$' || true); do systemctl enable --quiet --now "$(basename "$path")"; done
}

# --- the service

ours_listens() {
    local pid
    for pid in "$@"; do grep -qF "/$service" "/proc/$pid/cgroup" 2>/dev/null || return 1; done
}

require_port() {
    local taken
    taken=$(ss -H -ltnp "sport = :$port" | sed -n 's/.*users:((\(.*\))).*/\1/p' | sort -u)
    [ -z "$taken" ] && return
    # shellcheck disable=SC2046 # one word for each process
    ours_listens $(grep -o 'pid=[0-9]*' <<<"$taken" | cut -d = -f 2) && return
    die "port $port is taken by $taken; nothing was changed." \
        "Stop that (Debian's own: systemctl disable --now prometheus-node-exporter), or change scrape.exporterPorts."
}

# This script knows no password: one that speaks TLS is well if it asks for one, which is wget's exit code 6. The
# certificate has another name than the address, and nothing is told to whoever has it.
asks_for_a_password() {
    local code=0
    wget --no-proxy --quiet --tries=1 --timeout=5 --no-check-certificate --output-document=/dev/null \
        "https://$probe/metrics" || code=$?
    [ "$code" -eq 6 ]
}

runs_program() {
    local running
    running=$(readlink "/proc/$(systemctl show --property MainPID --value "$service")/exe") || return 1
    [ "$1" != "$expected" ] || [ "$running" = "$program" ]
}

answers() {
    systemctl --quiet is-active "$service" || return 1
    if [ "$scheme" = https ]; then
        runs_program "$1" && asks_for_a_password
        return
    fi
    local page
    page=$(wget --no-proxy --quiet --tries=1 --timeout=5 --output-document=- "http://$probe/metrics") || return 1
    grep -qE "$1" <<<"$page"
}

wait_for_answer() {
    local left=$health_seconds
    until answers "$1"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}

start_service() {
    systemctl daemon-reload
    systemctl enable --quiet "$service" && systemctl restart "$service" && wait_for_answer "$expected"
}

roll_back() {
    local log former="Nothing was here before, and nothing stays."
    log=$(journalctl --unit "$service" --no-pager --output cat --lines 5 2>/dev/null || true)
    restore_files
    if [ "$unpacked" -eq 1 ]; then rm -f "$program" "$program.sha256"; fi
    if [ ! -e "/etc/systemd/system/$service" ]; then
        remove_rest
    else
        former="The former one doesn't answer either: systemctl status $service"
        if systemctl restart "$service" && wait_for_answer "$expected_of_any"; then
            former="The former one runs again."
        fi
    fi
    die "version $version doesn't answer at $scheme://$probe/metrics within $health_seconds s. $former" "Its log: $log"
}

start_timers() {
    local path unit
    for path in $(paths | grep '\.timer$' || true); do
        unit=$(basename "$path" .timer)
        systemctl --quiet is-enabled "$unit.timer" 2>/dev/null || changed=1
        systemctl enable --quiet --now "$unit.timer"
        [ "$changed" -eq 0 ] || systemctl start "$unit.service" 2>/dev/null ||
            say "$unit failed; the rest works. Run there: journalctl -u $unit"
    done
}

clean_up() {
    local old
    for old in "$root/bin/$title-"*; do
        case "$old" in "$program" | "$program.sha256") ;; *) rm -f "$old" ;; esac
    done
    paths >"$manifest"
}

# The other exporter of this host may still be there: what both have goes with the last.
remove_rest() {
    systemctl reset-failed "$service" 2>/dev/null || true
    [ -z "$(find "$root/bin" -type f 2>/dev/null || true)" ] || return 0
    rm -rf "$root" "$state" "$settings"
    userdel "$user" 2>/dev/null || true
}

# --- what is asked for

install_exporter() {
    require_host
    lock
    if [ "$driver" != none ] && ! nvidia-smi -L >/dev/null 2>&1; then
        [ "$driver" = auto ] || die "nvidia-smi doesn't answer here, and gpuExporter.hosts names this host." \
            "Install NVIDIA's driver, or take the host out; a GPU that a guest has is watched in the guest."
        remove_exporter
        say "no GPU whose driver runs here; nothing to install"
        return
    fi
    require_space
    stage=$(mktemp -d "$root/.stage.XXXXXX")
    trap 'rm -rf "$stage"' EXIT
    require_port
    changed=0 restart=0 unpacked=0
    make_user
    program_is_there || unpack_program
    mkdir -p "$textfiles" "$stage/old"
    write_files
    put_files
    if [ "$restart" -eq 1 ] || ! systemctl --quiet is-enabled "$service" || ! answers "$expected"; then
        changed=1
        start_service || roll_back
    fi
    start_timers
    clean_up
    if [ "$changed" -eq 1 ]; then say "$version is installed and answers"; else say "$version: nothing to change"; fi
}

remove_exporter() {
    local path
    [ -e "$manifest" ] || [ -e "/etc/systemd/system/$service" ] || { say "nothing to remove"; return; }
    for path in $( (known_paths; paths) | sort -u); do drop_file "$path"; done
    systemctl daemon-reload
    rm -rf "$root/bin/$title-"* "$manifest"
    remove_rest
    if [ -n "$upload" ]; then rm -f "$upload"; fi
    say "removed"
}

main() {
    case "${1-}" in
        install) install_exporter ;;
        remove) require_host; lock; remove_exporter ;;
        *) die "unknown order ${1-}; it is install or remove" ;;
    esac
}

# Standard input is this script: nothing that it starts may read from it.
main "$@" </dev/null
