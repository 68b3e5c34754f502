# What the benchmarks share: a private cluster, statements that are timed, a run
# that is watched, lines of a table.
#
# Source it after tools/lib.sh, with CLUSTER (its folder), PORT, LOG, TIMES (a
# file of lines "case milliseconds"), CASES and ROWS.

finish()
{
    ! cluster_running "$CLUSTER" || cluster_stop "$CLUSTER"
    [ -n "${KEEP:-}" ] || as_pg rm -rf "$CLUSTER"
}

psql_here() { as_pg "$(pg_bin)/psql" -X -h "$SOCKET_DIR" -p "$PORT" -U postgres -d postgres -v ON_ERROR_STOP=1 "$@"; }
ask() { psql_here -qAt -c "$1"; }

# timed SQL: runs it; its milliseconds on stdout.
timed()
{
    local out
    out=$(psql_here -qAt -c '\timing on' -c "$1" 2>> "$LOG") || { echo "failed: $1" >&2; tail -5 "$LOG" >&2; return 1; }
    printf '%s\n' "$out" >> "$LOG"
    printf '%s\n' "$out" | awk '/^Time: /{ ms = $2 } END { print ms }'
}

# pipeline NAME [ROWS]: times a run of it, and makes sure that it loaded so many.
pipeline()
{
    timed "SELECT status, rows_read, rows_loaded, rows_failed FROM kaireon.run_pipeline('$1')" || return 1
    [ "$(ask "SELECT status IN ('success', 'partial') AND rows_read = ${2:-$ROWS}
                FROM kaireon.runs WHERE pipeline = '$1' ORDER BY started_at DESC LIMIT 1")" = t ] && return
    echo "the run of $1 did not load the file:" >&2
    psql_here -x -c "SELECT * FROM kaireon.runs WHERE pipeline = '$1' ORDER BY started_at DESC LIMIT 1" >&2
    return 1
}

# value KEY PID: kilobytes from /proc/PID/status.
value() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$2/status" 2> /dev/null; }

# watch NAME: one run of a pipeline; peaks in kilobytes: of the worker, and when it
# was first seen, of its private memory, and of the reader.
watch()
{
    local run worker='' reader='' v
    FIRST='' PEAK=0 PRIVATE=0 READER=0
    ask CHECKPOINT
    run=$(ask "SELECT kaireon.start_pipeline('$1')") || return 1
    while [ -z "$worker" ] && [ "$(ask "SELECT status IN ('queued', 'running') FROM kaireon.runs WHERE run_id = '$run'")" = t ]
    do
        worker=$(ask "SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon run' LIMIT 1")
    done
    while [ -n "$worker" ] && [ -d "/proc/$worker" ]
    do
        [ -n "$reader" ] || reader=$(cat "/proc/$worker/task/$worker/children" 2> /dev/null | awk '{ print $1 }')
        v=$(value VmHWM "$worker"); : "${FIRST:=$(value VmRSS "$worker")}"
        [ "${v:-0}" -le "$PEAK" ] || PEAK=$v
        v=$(value RssAnon "$worker")
        [ "${v:-0}" -le "$PRIVATE" ] || PRIVATE=$v
        if [ -n "$reader" ]
        then
            v=$(value VmHWM "$reader")
            [ "${v:-0}" -le "$READER" ] || READER=$v
        fi
        sleep 0.02
    done
    STATUS=$(ask "SELECT status || ' ' || round(EXTRACT(epoch FROM duration), 1) || ' s' FROM kaireon.runs WHERE run_id = '$run'")
}

mb() { awk "BEGIN { printf \"%.1f\", $1 / 1024 }"; }

# median CASE: of the measured rounds, in seconds.
median()
{
    awk -v c="$1" '$1 == c { print $2 / 1000 }' "$TIMES" | sort -n |
        awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# beside CASE WORDS [OTHER AT_MOST [ROWS]]: a line of the table, beside another case that it may take so many times as long as.
beside()
{
    [[ " $CASES " == *" $1 "* ]] || return 0
    awk -v words="$2" -v s="$(median "$1")" -v rows="${5:-$ROWS}" -v other="${3:-}" -v base="$([ -z "${3:-}" ] || median "$3")" -v most="${4:-}" 'BEGIN {
        printf "%-42s %8.2f %10.2f", words, s, rows / s / 1e6
        if (base > 0)
            printf "  %5.2f x the time of %s, wanted at most %s: %s", s / base, other, most, (s / base <= most ? "reached" : "MISSED")
        printf "\n"
    }'
}
