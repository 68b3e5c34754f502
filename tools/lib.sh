# What the scripts of the quickstart, the tests and the benchmark share: where
# private clusters live, who runs them, starting and stopping them.
#
# Source it from bash with ROOT set to the checkout.  PostgreSQL refuses to run
# as root, so a script run by root does everything that touches a cluster as
# user postgres (as_pg); otherwise the caller's own user does.  A cluster is a
# folder with data/, server.log and (when the path is short enough) its socket;
# it trusts whoever can reach the socket, which only its owner and root can.

# PostgreSQL's test modules unset LC_ALL; without LANG their clusters would be SQL_ASCII.
export LC_ALL=C.UTF-8 LANG=C.UTF-8
PG_CONFIG=${PG_CONFIG:-pg_config}
PG_USER=$(id -un)
[ "$(id -u)" -ne 0 ] || PG_USER=postgres

# Where the server's programs are; only after PostgreSQL is installed.
pg_bin() { "$PG_CONFIG" --bindir; }

# as_pg COMMAND...: runs it as the user that owns the clusters, away from
# folders that user may not enter.
as_pg()
{
    local at=/
    [ -z "${PG_CWD:-}" ] || at=$PG_CWD
    if [ "$(id -u)" -eq 0 ]
    then
        (cd "$at" && exec runuser -u "$PG_USER" -- env HOME=/tmp "$@")
    else
        (cd "$at" && exec "$@")
    fi
}

# as_root COMMAND...: for apt-get and make install.
as_root()
{
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo > /dev/null; then sudo -E "$@"
    else echo "this needs root, and sudo is not there: $*" >&2; return 1
    fi
}

# work_dir NAME: a folder that PG_USER owns and can reach, in WORK_DIR.
# build/NAME of the checkout where possible, else one under /var/tmp that is
# named after the checkout; WORK_DIR_ELSEWHERE then says so.
work_dir()
{
    local sum
    WORK_DIR=$ROOT/build/$1
    WORK_DIR_ELSEWHERE=
    mkdir -p "$WORK_DIR"
    [ "$(id -u)" -ne 0 ] || chown "$PG_USER" "$WORK_DIR"
    as_pg test -w "$WORK_DIR" 2> /dev/null && return 0
    rmdir "$WORK_DIR" 2> /dev/null || true
    sum=$(printf '%s' "$ROOT" | cksum)
    WORK_DIR=/var/tmp/kaireon-${sum%% *}-$1
    WORK_DIR_ELSEWHERE="user $PG_USER cannot enter $ROOT, so this lives in $WORK_DIR"
    mkdir -m 700 "$WORK_DIR" 2> /dev/null || true
    [ "$(id -u)" -ne 0 ] || chown -h "$PG_USER" "$WORK_DIR"
    if [ -L "$WORK_DIR" ] || [ "$(stat -c %U "$WORK_DIR")" != "$PG_USER" ]
    then
        echo "$WORK_DIR belongs to somebody else" >&2
        return 1
    fi
}

# socket_dir DIR: a folder for the socket of the cluster in DIR, in SOCKET_DIR.
# A socket's whole path has to fit into 107 bytes.
socket_dir()
{
    local sum
    SOCKET_DIR=$1
    if [ ${#SOCKET_DIR} -gt 85 ]
    then
        sum=$(printf '%s' "$1" | cksum)
        SOCKET_DIR=/tmp/kaireon-${sum%% *}
        as_pg mkdir -p -m 700 "$SOCKET_DIR"
    fi
    if ! as_pg test -O "$SOCKET_DIR"
    then
        echo "$SOCKET_DIR belongs to somebody else" >&2
        return 1
    fi
}

# free_port FROM: the first port from there on that nobody listens on, on stdout.
free_port()
{
    local port=$1
    while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null
    do
        port=$((port + 1))
    done
    echo "$port"
}

# cluster_create DIR PORT [SETTING...]: makes DIR/data; does not start it.
cluster_create()
{
    local dir=$1 port=$2 setting
    shift 2
    socket_dir "$dir" || return 1
    as_pg "$(pg_bin)/initdb" -D "$dir/data" -U postgres --auth-local=trust --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --no-instructions || return 1
    {
        echo "port = $port"
        echo "listen_addresses = '127.0.0.1'"
        echo "unix_socket_directories = '$SOCKET_DIR'"
        echo "unix_socket_permissions = 0700"
        echo "max_worker_processes = 32"
        echo "cluster_name = 'kaireon'"
        for setting in "$@"; do echo "$setting"; done
    } | as_pg tee -a "$dir/data/postgresql.conf" > /dev/null
}

cluster_running() { as_pg "$(pg_bin)/pg_ctl" -D "$1/data" status > /dev/null 2>&1; }

# cluster_start DIR: starts it and waits; its words go to DIR/server.log.
cluster_start()
{
    as_pg "$(pg_bin)/pg_ctl" -D "$1/data" -l "$1/server.log" -w -t 120 -s start < /dev/null
}

# cluster_stop DIR: stops it and waits.
cluster_stop()
{
    as_pg "$(pg_bin)/pg_ctl" -D "$1/data" -m fast -w -t 120 -s stop < /dev/null
}

# cluster_port DIR: the port it was made with, on stdout.
cluster_port() { as_pg sed -n 's/^port = //p' "$1/data/postgresql.conf" | tail -1; }

# build_only, build_and_install: make, and make install, with all cores, quiet;
# for scripts that log it.
build_only() { make -C "$ROOT" -s -j"$(nproc)" all; }

# The same files are installed already: a server that runs them needs no restart.
installed_already()
{
    local lib ext script
    lib=$("$PG_CONFIG" --pkglibdir)
    ext=$("$PG_CONFIG" --sharedir)/extension
    cmp -s "$ROOT/kaireon.so" "$lib/kaireon.so" && cmp -s "$ROOT/build/kaireon-reader" "$lib/kaireon-reader" &&
        cmp -s "$ROOT/kaireon.control" "$ext/kaireon.control" &&
        for script in "$ROOT"/build/kaireon--*.sql; do cmp -s "$script" "$ext/${script##*/}" || return 1; done
}

build_and_install()
{
    build_only || return 1
    ! installed_already || return 0
    as_root make -C "$ROOT" -s install PG_CONFIG="$PG_CONFIG"
}
