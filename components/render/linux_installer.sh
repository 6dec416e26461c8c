# Everything is checked before anything is changed, and it can run again at any time: what is right already stays
# untouched. Exit codes: 0 done, or nothing to do; 1 a check failed and nothing was changed; 2 it is installed, but
# doesn't answer.
# shellcheck shell=sh disable=SC2154 # the constants above
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

name=node_exporter
user=pve-monitoring
service=pve-monitoring-node-exporter
folder=/usr/local/lib/pve-monitoring
program=$folder/bin/$name-$version
unit=/etc/systemd/system/$service.service
openrc=/etc/init.d/$service
# It is there while the files in tls_folder are this script's.
tls_mark=$folder/tls
scheme=http${own_tls:+s}
space_kib=61440
health_seconds=30

say() { echo "$name on $(uname -n): $*"; }
die() {
    code=$1
    shift
    for line in "$@"; do say "$line" >&2; done
    exit "$code"
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- checks

require_system() {
    [ "$(id -u)" -eq 0 ] || die 1 "run this as root (sudo sh $0)."
    case "$(uname -s)" in Linux) ;; *) die 1 "this is $(uname -s); the archive is for Linux." ;; esac
    case "$(uname -m)" in
        x86_64) machine=amd64 sha256=$sha256_amd64 ;;
        aarch64) machine=arm64 sha256=$sha256_arm64 ;;
        *) die 1 "this machine is $(uname -m); there are archives for x86_64 and aarch64." ;;
    esac
    [ -n "$sha256" ] || die 1 "the checksum of $version for $machine isn't known; set guestExporters.linux.sha256Arm64."
    if [ -d /run/systemd/system ]; then
        init=systemd
    elif have openrc-run && have rc-service; then
        init=openrc
    else
        die 1 "neither systemd nor OpenRC runs this machine; the exporter is a service of one of them." \
            "In an application container there is nothing to install: watch its host."
    fi
    for command in awk cmp sha256sum tar; do have "$command" || die 1 "$command is missing here; install it first."; done
}

require_download() {
    [ -n "$archive" ] && [ ! -f "$archive" ] && die 1 "$archive doesn't exist; give --archive the path of the archive."
    [ -n "$archive" ] || have curl || have wget || die 1 "neither curl nor wget is here; install one, or give --archive."
    free=$(df -Pk /usr/local | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$space_kib" ] || die 1 "only $((free / 1024)) MiB are free below /usr/local; $((space_kib / 1024)) are needed."
}

require_web_config() {
    [ -z "$web_config" ] || [ -n "$own_tls" ] || [ -f "$web_config" ] || die 1 "$web_config doesn't exist; the exporter wouldn't start without it."
}

# The port in hexadecimal, as the kernel's tables have it; 0A is a socket that listens.
listeners() {
    wanted=$(printf '%04X' "$port")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v wanted=":$wanted" '$4 == "0A" && $2 ~ wanted "$"' | wc -l
}

require_port() {
    [ "$(listeners)" -eq 0 ] && return
    runs && return
    die 1 "port $port is taken by something else (who: ss -ltnp); nothing was changed." \
        "A distribution's own exporter: apt-get remove prometheus-node-exporter, dnf remove node-exporter," \
        "apk del prometheus-node-exporter. Or change scrape.exporterPorts.linux."
}

# --- the service

runs() {
    case "$init" in
        systemd) systemctl --quiet is-active "$service" 2>/dev/null ;;
        openrc) rc-service --quiet "$service" status >/dev/null 2>&1 ;;
    esac
}

starts_at_boot() {
    case "$init" in
        systemd) systemctl --quiet is-enabled "$service" 2>/dev/null ;;
        openrc) [ -e "/etc/runlevels/default/$service" ] ;;
    esac
}

restart() {
    case "$init" in
        systemd)
            systemctl daemon-reload && systemctl --quiet enable "$service" && systemctl restart "$service"
            ;;
        openrc)
            rc-update --quiet add "$service" default && rc-service --quiet "$service" restart
            ;;
    esac
}

stop() {
    case "$init" in
        systemd) systemctl --quiet disable --now "$service" 2>/dev/null || true ;;
        openrc)
            rc-service --quiet "$service" stop 2>/dev/null || true
            rc-update --quiet delete "$service" default 2>/dev/null || true
            ;;
    esac
}

flags() {
    # Letters that neither systemd nor OpenRC read otherwise.
    echo "--web.listen-address=:$port${web_config:+ --web.config.file=$web_config}"
}

write_systemd() {
    cat <<EOF
# Written by the installer of pve-monitoring; changes by hand are overwritten by its next run.
[Unit]
Description=node_exporter for Prometheus
Wants=network-online.target
After=network-online.target

[Service]
User=$user
Group=$user
ExecStart=$program $(flags)
Restart=on-failure
RestartSec=5
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
# Not yes: it hides file systems that are mounted there, and their sizes would be those of an empty one.
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
# Netlink tells of network devices.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
UMask=0077
MemoryMax=256M
TasksMax=128

[Install]
WantedBy=multi-user.target
EOF
}

write_openrc() {
    cat <<EOF
#!/sbin/openrc-run
# Written by the installer of pve-monitoring; changes by hand are overwritten by its next run.
name="node_exporter for Prometheus"
command="$program"
command_args="$(flags)"
command_user="$user:$user"
command_background=true
pidfile="/run/$service.pid"
output_log="/var/log/$service.log"
error_log="/var/log/$service.log"
no_new_privs=yes
depend() { need net; }
start_pre() { checkpath --file --owner "$user:$user" --mode 0640 "\$output_log"; }
EOF
}

service_file() { if [ "$init" = systemd ]; then echo "$unit"; else echo "$openrc"; fi; }
service_text() { if [ "$init" = systemd ]; then write_systemd; else write_openrc; fi; }

put_service() {
    file=$(service_file)
    service_text >"$stage/service"
    cmp -s "$stage/service" "$file" && return
    mode=644
    [ "$init" = systemd ] || mode=755
    cp "$stage/service" "$file.new"
    chmod "$mode" "$file.new"
    mv "$file.new" "$file"
    changed=1
}

make_user() {
    grep -q "^$user:" /etc/passwd && return
    if have useradd; then
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
    else
        addgroup -S "$user" 2>/dev/null || true
        adduser -S -D -H -h /nonexistent -s /sbin/nologin -G "$user" "$user"
    fi
    changed=1
}

# --- certificate, key and web configuration: the exporter reads them anew at each connection

prepare_tls() {
    chown "$3" "$tls_folder/$1.new"
    chmod "$2" "$tls_folder/$1.new"
    cmp -s "$tls_folder/$1.new" "$tls_folder/$1" || renewed=1
}

put_tls() {
    mkdir -p "$tls_folder" "$folder"
    : >"$tls_mark"
    umask 077
    write_tls
    umask 022
    prepare_tls tls.crt 444 root
    prepare_tls tls.key 400 "$user"
    prepare_tls web.yml 400 "$user"
    # Certificate and key are exchanged within a moment; rights that somebody changed are mended with them.
    for part in tls.crt tls.key web.yml; do mv "$tls_folder/$part.new" "$tls_folder/$part"; done
}

remove_tls() {
    [ -e "$tls_mark" ] || return 0
    for part in tls.crt tls.key web.yml; do rm -f "$tls_folder/$part"; done
    rmdir "$tls_folder" 2>/dev/null || true
    rm -f "$tls_mark"
}

# --- the program

checksum() { sha256sum "$1" | cut -d ' ' -f 1; }

# It is what was unpacked from the archive with the given checksum, and nobody has changed it since.
program_is_there() {
    [ -x "$program" ] && [ "$(cat "$program.archive" 2>/dev/null)" = "$sha256" ] &&
        [ "$(checksum "$program")" = "$(cat "$program.sha256" 2>/dev/null)" ]
}

download() {
    if [ -n "$archive" ]; then
        cp "$archive" "$stage/archive"
    elif have curl; then
        curl --fail --silent --show-error --location --max-time 300 --output "$stage/archive" "$1" >&2
    else
        wget -q -T 60 -O "$stage/archive" "$1" >&2
    fi
}

unpack() {
    url=$base_url/prometheus/node_exporter/releases/download/v$version/node_exporter-$version.linux-$machine.tar.gz
    download "$url" || die 1 "${archive:-$url} can't be read (see above); nothing was changed. Does this machine reach it?" \
        "Else give guestExporters.linux.downloadBaseUrl a mirror, or run this with --archive and the path of the archive."
    found=$(checksum "$stage/archive")
    [ "$found" = "$sha256" ] ||
        die 1 "the archive's SHA-256 is $found, but $sha256 is expected; nothing was changed." \
            "If the version is new, take the checksum from $checksums_url; if it isn't, somebody has changed the archive."
    tar -xzf "$stage/archive" -C "$stage" || die 1 "the archive can't be unpacked (see above); nothing was changed."
    binary=$stage/node_exporter-$version.linux-$machine/node_exporter
    [ -f "$binary" ] || die 1 "the archive has no node_exporter $version for $machine in it; nothing was changed."
    mkdir -p "$folder/bin"
    cp "$binary" "$program.new"
    chmod 755 "$program.new"
    "$program.new" --version >"$stage/version" 2>&1 || {
        rm -f "$program.new"
        die 1 "the program doesn't run here: $(head -n 3 "$stage/version")"
    }
    checksum "$program.new" >"$program.sha256"
    echo "$sha256" >"$program.archive"
    mv "$program.new" "$program"
    changed=1
}

remove_old_programs() {
    for old in "$folder/bin/$name"-*; do
        case "$old" in "$program" | "$program.sha256" | "$program.archive") ;; *) rm -f "$old" ;; esac
    done
}

# --- the end: does it answer, and does the firewall let Prometheus in?

# This script knows no password: an exporter that speaks TLS is well if it asks for one. The certificate has
# another name than the address, and nothing is told to whoever has it.
asks_for_a_password() {
    page=https://127.0.0.1:$port/metrics
    if have curl; then
        [ "$(curl --noproxy '*' --silent --insecure --max-time 5 --output /dev/null --write-out '%{http_code}' "$page")" = 401 ]
    elif wget --help 2>&1 | grep -q no-check-certificate; then
        https_proxy='' wget --no-check-certificate -T 5 -O /dev/null "$page" 2>&1 | grep -q ' 401 '
    else
        [ "$(listeners)" -gt 0 ]
    fi
}

answers() {
    runs || return 1
    # Whom a site's own web configuration lets in isn't known here: that it listens has to do.
    if [ -n "$own_tls" ]; then
        asks_for_a_password
    elif [ -n "$web_config" ] || { ! have curl && ! have wget; }; then
        [ "$(listeners)" -gt 0 ]
    elif have curl; then
        curl --noproxy '*' --silent --max-time 5 "http://127.0.0.1:$port/metrics" | grep -q "^node_exporter_build_info{.*version=\"$version\""
    else
        wget -q -T 5 -O - "http://127.0.0.1:$port/metrics" | grep -q "^node_exporter_build_info{.*version=\"$version\""
    fi
}

wait_for_answer() {
    left=$health_seconds
    until answers; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}

last_lines() {
    if [ "$init" = systemd ]; then
        journalctl --unit "$service" --no-pager --output cat --lines 5 2>/dev/null || true
    else
        tail -n 5 "/var/log/$service.log" 2>/dev/null || true
    fi
}

# A firewall is the site's own: what it lacks is said, not done.
firewall_hint() {
    for address in $addresses; do
        case "$address" in *:*) family=ipv6 ip=ip6 ;; *) family=ipv4 ip=ip ;; esac
        if have firewall-cmd && firewall-cmd --state >/dev/null 2>&1; then
            rule="rule family=\"$family\" source address=\"$address\" port port=\"$port\" protocol=\"tcp\" accept"
            firewall-cmd --query-rich-rule="$rule" >/dev/null 2>&1 ||
                say "firewalld runs; let Prometheus in: firewall-cmd --permanent --add-rich-rule='$rule' && firewall-cmd --reload"
        elif have ufw && ufw status 2>/dev/null | grep -q '^Status: active'; then
            ufw status | grep -q "^$port/tcp .*ALLOW.* $address" ||
                say "ufw runs; let Prometheus in: ufw allow proto tcp from $address to any port $port"
        elif have nft && nft list chains 2>/dev/null | grep -q 'hook input.*policy drop'; then
            nft list ruleset 2>/dev/null | grep -q "$ip saddr $address tcp dport $port accept" ||
                say "nftables drops what comes in; let Prometheus in: nft insert rule inet filter input $ip saddr $address tcp dport $port accept (and note it in /etc/nftables.conf)"
        fi
    done
}

# --- what is asked for

clean_stage() { [ -z "${stage-}" ] || rm -rf "$stage"; }

install_exporter() {
    require_web_config
    require_port
    changed=0 renewed=0
    stage=$(mktemp -d)
    trap clean_stage EXIT
    trap 'exit 130' INT TERM
    if ! program_is_there; then
        require_download
        unpack
    fi
    make_user
    [ -z "$own_tls" ] || put_tls
    put_service
    if [ "$changed" -eq 1 ] || ! starts_at_boot || ! answers; then
        changed=1
        if ! restart || ! wait_for_answer; then
            die 2 "$version is installed, but doesn't answer at $scheme://127.0.0.1:$port/metrics within $health_seconds s." \
                "Its log: $(last_lines)"
        fi
    fi
    remove_old_programs
    [ -n "$own_tls" ] || remove_tls
    firewall_hint
    if [ "$changed" -eq 1 ]; then
        say "$version is installed and answers on port $port"
    elif [ "$renewed" -eq 1 ]; then
        say "$version goes on with a new certificate, key or password"
    else
        say "$version: nothing to change"
    fi
}

remove_exporter() {
    [ -e "$(service_file)" ] || [ -e "$folder" ] || { say "not installed: nothing to remove"; return; }
    stop
    remove_tls
    rm -f "$(service_file)" "/var/log/$service.log"
    [ "$init" != systemd ] || systemctl daemon-reload
    rm -rf "$folder"
    if have userdel; then userdel "$user" 2>/dev/null || true; else deluser "$user" 2>/dev/null || true; fi
    say "removed"
}

usage() {
    die 1 "unknown word $1. Usage: sh install-node-exporter.sh [--uninstall | --archive PATH]"
}

main() {
    order=install archive=
    while [ $# -gt 0 ]; do
        case "$1" in
            --uninstall) order=remove ;;
            --archive) [ $# -gt 1 ] || usage "$1"; archive=$2; shift ;;
            *) usage "$1" ;;
        esac
        shift
    done
    require_system
    "${order}_exporter"
}

# It is read to the end before anything happens: a script that breaks off does nothing. Standard input may be the
# script itself: nothing that it starts may read from it.
main "$@" </dev/null
