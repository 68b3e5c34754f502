# The rings of tests, one function each; sourced by test/run, which describes
# the whole.  A ring_<name> runs its tests, writes what they print to
# LOGS/<name>*.log, and calls count_* for each file; it may call skip.

# The tests where PG_USER can read them.
prepare_tree()
{
    rm -rf "$TREE" "$LOGS"
    mkdir -p "$TREE" "$LOGS"
    cp -r "$ROOT/test" "$ROOT/expected" "$ROOT/quickstart" "$ROOT/tools" "$TREE/"
    [ "$(id -u)" -ne 0 ] || chown -R "$PG_USER" "$TREE" "$LOGS"
}

cleanup()
{
    if [ -n "${CLUSTER:-}" ] && cluster_running "$CLUSTER"
    then
        cluster_stop "$CLUSTER"
    fi
    CLUSTER=
}

# chosen FILE: whether TESTS wants it.
chosen()
{
    local name
    [ -n "$TESTS" ] || return 0
    name=$(basename "$1"); name=${name%.*}
    case " $TESTS " in *" $name "*) return 0 ;; *) return 1 ;; esac
}

skip()
{
    ring_skipped=$((ring_skipped + 1))
    ring_remark="${ring_remark:+$ring_remark; }$1"
}

# show_failure NAME LOG PATTERN: what a reader of CI's output wants to see first.
show_failure()
{
    echo "  FAILED: $1 ($2)"
    grep -E -A8 "$3" "$2" | head -40 | sed 's/^/    /'
}

# count_tap NAME LOG STATUS: counts the top level of a TAP stream; a program
# that fails without saying which test did counts as one failure.
count_tap()
{
    local passed failed skipped planned
    skipped=$(grep -ciE '^ok\b.*# *(SKIP|TODO)|^not ok\b.*# *TODO|^1\.\.0 *# *SKIP' "$2")
    passed=$(($(grep -cE '^ok\b' "$2") - $(grep -ciE '^ok\b.*# *(SKIP|TODO)' "$2")))
    failed=$(($(grep -cE '^not ok\b' "$2") - $(grep -ciE '^not ok\b.*# *TODO' "$2")))
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$2" | awk '{n += $1} END {print n + 0}')
    if [ "$failed" -eq 0 ]
    then
        if [ "$3" -ne 0 ] || [ "$planned" -ne "$(grep -cE '^(not )?ok\b' "$2")" ] ||
            ! grep -qE '^1\.\.' "$2"
        then
            failed=1
            echo "  $1 ended with status $3 after $passed of $planned tests; its last words:"
            tail -12 "$2" | sed 's/^/    /'
        fi
    else
        show_failure "$1" "$2" '^not ok\b'
    fi
    ring_passed=$((ring_passed + passed))
    ring_failed=$((ring_failed + failed))
    ring_skipped=$((ring_skipped + skipped))
    [ "$skipped" -eq 0 ] || ring_remark="${ring_remark:+$ring_remark; }$(
        grep -iE '# *(SKIP|TODO)' "$2" | sed -E 's/.*# *(SKIP|TODO):? */'"$1"': /I' | sort | uniq -c |
            sed -E 's/^ *1 //; s/^ *([0-9]+) (.*)/\2 (\1)/' | head -5 | paste -sd ';' | sed 's/;/; /g')"
}

# run_ring NAME: runs it, times it, says how it went.
run_ring()
{
    local from=$SECONDS
    ring_passed=0 ring_failed=0 ring_skipped=0 ring_remark=
    printf '%s\n' "== $1"
    "ring_$1"
    [ $((ring_passed + ring_failed + ring_skipped)) -gt 0 ] || skip "no tests there"
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" $ring_passed $ring_failed $ring_skipped \
        $((SECONDS - from)) "$ring_remark" >> "$RESULTS"
}

# summary SECONDS: the table; the status says whether all passed.
summary()
{
    local passed failed skipped
    printf '\n%-8s %8s %8s %8s %8s  %s\n' ring passed failed skipped seconds 'not run, and why'
    awk -F '\t' '{ printf "%-8s %8d %8d %8d %8d  %s\n", $1, $2, $3, $4, $5, $6 }' "$RESULTS"
    passed=$(awk -F '\t' '{ n += $2 } END { print n + 0 }' "$RESULTS")
    failed=$(awk -F '\t' '{ n += $3 } END { print n + 0 }' "$RESULTS")
    skipped=$(awk -F '\t' '{ n += $4 } END { print n + 0 }' "$RESULTS")
    printf '%s seconds; logs in %s\n' "$1" "$LOGS"
    printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}

# ---- checks of the sources

ring_wall()
{
    "$ROOT/tools/check-wall" > "$LOGS/wall.log" 2>&1
    count_tap wall "$LOGS/wall.log" $?
}

ring_style()
{
    "$ROOT/tools/check-style" > "$LOGS/style.log" 2>&1
    count_tap style "$LOGS/style.log" $?
}

ring_warnings()
{
    "$ROOT/tools/check-warnings" > "$LOGS/warnings.log" 2>&1
    count_tap warnings "$LOGS/warnings.log" $?
}

# ---- the reader's side: no server needed

# Unit tests print TAP; they run from the root of the checkout, where they find
# test/data and build/kaireon-reader.
ring_unit()
{
    local program name status
    if ! make -C "$ROOT" -s -j"$(nproc)" unit-tests > "$LOGS/unit-build.log" 2>&1
    then
        tail -20 "$LOGS/unit-build.log"
        ring_failed=1
        return
    fi
    for program in "$ROOT"/build/unit/*
    do
        [ -f "$program" ] && [ -x "$program" ] && chosen "$program" || continue
        name=$(basename "$program")
        (cd "$ROOT" && timeout 300 "$program" < /dev/null) > "$LOGS/unit-$name.log" 2>&1
        status=$?
        count_tap "$name" "$LOGS/unit-$name.log" $status
    done
}

# fuzz_one PROGRAM: runs a target for FUZZ_SECONDS from its corpus, with its
# dictionary; its log and its status go to LOGS, and so does a finding.
fuzz_one()
{
    local name=$(basename "$1") dict
    mkdir -p "$TREE/corpus-new/$name"
    dict=$TREE/test/fuzz/$name.dict
    set -- "$1" "$TREE/corpus-new/$name"
    [ ! -d "$TREE/test/fuzz/corpus/$name" ] || set -- "$@" "$TREE/test/fuzz/corpus/$name"
    [ ! -f "$dict" ] || set -- "$@" "-dict=$dict"
    # Filling fresh memory would take half the time; inputs may grow sooner than by default.
    ASAN_OPTIONS=max_malloc_fill_size=0 timeout $((FUZZ_SECONDS + 120)) \
        "$@" -max_total_time="$FUZZ_SECONDS" -timeout=10 -len_control=20 \
        -rss_limit_mb=2048 -artifact_prefix="$LOGS/fuzz-$name-" < /dev/null > "$LOGS/fuzz-$name.log" 2>&1
    echo $? > "$LOGS/fuzz-$name.status"
}

# in_turn COMMAND FILE...: runs COMMAND FILE for each chosen file, as many at a
# time as there are processors, up to four.
in_turn()
{
    local command=$1 file jobs
    shift
    jobs=$(nproc); [ "$jobs" -le 4 ] || jobs=4
    for file in "$@"
    do
        [ -f "$file" ] && chosen "$file" || continue
        [ "$(jobs -rp | wc -l)" -lt "$jobs" ] || wait -n
        "$command" "$file" &
    done
    wait
}

ring_fuzz()
{
    local program name log
    if ! command -v clang > /dev/null
    then
        skip "no clang"
        return
    fi
    if ! make -C "$ROOT" -s -j"$(nproc)" fuzz-targets > "$LOGS/fuzz-build.log" 2>&1
    then
        tail -20 "$LOGS/fuzz-build.log"
        ring_failed=1
        return
    fi
    in_turn fuzz_one "$ROOT"/build/fuzz/*
    for program in "$ROOT"/build/fuzz/*
    do
        [ -f "$program" ] && chosen "$program" || continue
        name=$(basename "$program")
        log=$LOGS/fuzz-$name.log
        if [ "$(cat "$LOGS/fuzz-$name.status")" = 0 ]
        then
            ring_passed=$((ring_passed + 1))
        else
            ring_failed=$((ring_failed + 1))
            show_failure "$name" "$log" 'ERROR|SUMMARY|Test unit written'
        fi
    done
}

# ---- with a server

# A private cluster for the sql and pgtap rings, started once.
need_cluster()
{
    local port
    [ -z "${CLUSTER:-}" ] || return 0
    CLUSTER=$WORK_DIR/cluster
    ! cluster_running "$CLUSTER" || cluster_stop "$CLUSTER"
    as_pg rm -rf "$CLUSTER"
    as_pg mkdir -p -m 700 "$CLUSTER"
    port=$(free_port 55100)
    if ! {
        cluster_create "$CLUSTER" "$port" \
            "shared_preload_libraries = 'kaireon'" \
            "kaireon.local_fs_roots = '$TREE/test/data, $WORK_DIR/cluster/files'" \
            "listen_addresses = ''" "fsync = off" "log_min_messages = info" &&
            as_pg mkdir -p "$CLUSTER/files" && cluster_start "$CLUSTER"
    } > "$LOGS/cluster.log" 2>&1
    then
        cat "$LOGS/cluster.log"
        [ ! -f "$CLUSTER/server.log" ] || tail -5 "$CLUSTER/server.log"
        CLUSTER=
        ring_failed=$((ring_failed + 1))
        return 1
    fi
    export PGHOST=$SOCKET_DIR PGPORT=$port PGUSER=postgres
}

# regress RING PROGRAM INPUTDIR EXPECTED OUTPUTDIR NAME...: pg_regress or its like
# over files of INPUTDIR; counts what it says.  Paths are relative to TREE.
regress()
{
    local program=$2 input=$3 expected=$4 output=$5 name log=$LOGS/$1.log
    shift 5
    [ $# -gt 0 ] || return 0
    need_cluster || return 0
    # It gives up where a result is missing: an empty one only fails.
    as_pg mkdir -p "$TREE/$expected" "$TREE/$output"
    for name in "$@"; do [ -f "$TREE/$expected/$name.out" ] || as_pg touch "$TREE/$expected/$name.out"; done
    PG_CWD=$TREE as_pg env PGHOST="$PGHOST" PGPORT="$PGPORT" PGUSER=postgres \
        KAIREON_DATA="$TREE/test/data" "$(dirname "$("$PG_CONFIG" --pgxs)")/../test/$program" \
        --bindir="$(pg_bin)" --inputdir="$input" --outputdir="$output" --dbname=contrib_regression \
        --host="$PGHOST" --port="$PGPORT" --user=postgres "$@" > "$log" 2>&1
    # 15 prints "test x ... ok", 16 and later "ok 1 - x".
    ring_passed=$(grep -cE '^(test +\S+ +\.\.\. ok|ok [0-9])' "$log")
    ring_failed=$(grep -cE '^(test +\S+ +\.\.\. FAILED|not ok [0-9])' "$log")
    if [ $((ring_passed + ring_failed)) -eq 0 ]
    then
        ring_failed=1
        tail -5 "$log"
    fi
    if [ "$ring_failed" -gt 0 ] && [ -f "$TREE/$output/regression.diffs" ]
    then
        echo "  the differences ($TREE/$output/regression.diffs), at most 100 lines:"
        head -100 "$TREE/$output/regression.diffs" | sed 's/^/    /'
    fi
}

# chosen_names FILE...: the names of those that are there and that TESTS wants.
chosen_names()
{
    local file
    for file in "$@"; do if [ -f "$file" ] && chosen "$file"; then file=${file##*/}; echo "${file%.*}"; fi; done
}

# The tests' data has to be readable by the run's worker and reader.
ring_sql()
{
    # shellcheck disable=SC2046
    regress sql regress/pg_regress test expected . $(chosen_names "$TREE"/test/sql/*.sql)
}

# What two sessions do to each other, step by step.
ring_isolation()
{
    if [ ! -x "$(dirname "$("$PG_CONFIG" --pgxs)")/../test/isolation/pg_isolation_regress" ]
    then
        skip "pg_isolation_regress is not installed"
        return
    fi
    # shellcheck disable=SC2046
    regress isolation isolation/pg_isolation_regress test/isolation test/isolation/expected isolation $(chosen_names "$TREE"/test/isolation/specs/*.spec)
}

# Each file gets a database of its own, with both extensions.
ring_pgtap()
{
    local file name log status
    if ! as_pg test -f "$("$PG_CONFIG" --sharedir)/extension/pgtap.control"
    then
        skip "pgtap is not installed"
        return
    fi
    for file in "$TREE"/test/pgtap/*.sql
    do
        [ -f "$file" ] && chosen "$file" || continue
        need_cluster || return 0
        name=$(basename "$file" .sql)
        log=$LOGS/pgtap-$name.log
        {
            as_pg "$(pg_bin)/psql" -Xq -h "$PGHOST" -p "$PGPORT" -U postgres -d postgres -v ON_ERROR_STOP=1 \
                -c "DROP DATABASE IF EXISTS \"pgtap_$name\" (FORCE)" -c "CREATE DATABASE \"pgtap_$name\"" &&
            as_pg env PGOPTIONS='-c client_min_messages=warning' \
                "$(pg_bin)/psql" -Xq -h "$PGHOST" -p "$PGPORT" -U postgres -d "pgtap_$name" -v ON_ERROR_STOP=1 \
                -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION kaireon'
        } > "$log" 2>&1 &&
            as_pg env PGOPTIONS='-c client_min_messages=warning' timeout 300 \
                "$(pg_bin)/psql" -Xqt -A -P pager=off -h "$PGHOST" -p "$PGPORT" -U postgres \
                -d "pgtap_$name" -v ON_ERROR_STOP=1 -v data="$TREE/test/data" -f "$file" > "$log" 2>&1
        status=$?
        count_tap "$name" "$log" $status
    done
}

# tap_one FILE: runs it; its log and its status go to LOGS.  PostgreSQL's own
# Perl modules start the nodes, as PGXS's prove_installcheck does; they give
# each its port and its folder, also to files that run at a time.
tap_one()
{
    local name=$(basename "$1" .t) log status pgxs
    pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/..
    log=$LOGS/tap-$name.log
    PG_CWD=$TREE/test as_pg env -u PGHOST -u PGUSER PATH="$(pg_bin):$PATH" TESTDIR="$TREE/test" \
        TESTLOGDIR="$LOGS" TESTDATADIR="$TREE/test/tmp_check" PGPORT=65432 \
        PG_REGRESS="$pgxs/test/regress/pg_regress" \
        KAIREON_DATA="$TREE/test/data" KAIREON_PG_CONFIG="$PG_CONFIG" \
        timeout 600 perl -I "$pgxs/test/perl" -I "$TREE/test/t" "$1" < /dev/null > "$log" 2>&1
    status=$?
    # What a test says besides its TAP goes to a file of PostgreSQL's modules.
    [ $status -eq 0 ] || tail -20 "$TREE/test/tmp_check/log/regress_log_$name" >> "$log" 2> /dev/null
    echo $status > "$LOGS/tap-$name.status"
}

# install_peers NAME...: servers that tests read from, in $KAIREON_PEERS.
install_peers()
{
    "$ROOT/tools/peers" "$@"
    export KAIREON_PEERS=$ROOT/build/peers
    # where the user of the tests can't look in, they get a copy
    as_pg test -x "$KAIREON_PEERS" || { cp -r "$KAIREON_PEERS" "$WORK_DIR/" && KAIREON_PEERS=$WORK_DIR/peers; }
}

ring_tap()
{
    local file name pgxs
    pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/..
    if ! command -v prove > /dev/null || ! perl -MIPC::Run -e 1 2> /dev/null
    then
        skip "no prove or IPC::Run"
        return
    fi
    if [ ! -d "$pgxs/test/perl" ]
    then
        skip "PostgreSQL's test modules are not installed"
        return
    fi
    # MinIO takes minutes to build
    # shellcheck disable=SC2046
    install_peers seaweedfs azurite fake_gcs versitygw ec2_metadata toxiproxy nginx $([ "${PEERS:-}" != all ] || echo minio)
    in_turn tap_one "$TREE"/test/t/*.t
    for file in "$TREE"/test/t/*.t
    do
        [ -f "$file" ] && chosen "$file" || continue
        name=$(basename "$file" .t)
        count_tap "$name" "$LOGS/tap-$name.log" "$(cat "$LOGS/tap-$name.status")"
    done
}

# A server of its own, with injection points, under $WORK_DIR/torture/server.
build_torture()
{
    local at=$WORK_DIR/torture kind path
    rm -rf "$at"
    mkdir -p "$at/source" "$at/server"
    (cd "$ROOT" && cp -a Makefile mk src sql connectors tools kaireon.control "$at/source/" && mkdir "$at/source/build" &&
        cp -a build/reader build/kaireon-reader "$at/source/build/") || return 1
    rm -f "$at"/source/src/pg/*.o
    for kind in bindir sharedir pkglibdir
    do
        path=$("$PG_CONFIG" --$kind)
        mkdir -p "$at/server$path"
        tar -C "$path" --exclude=./bitcode -cf - . | tar -C "$at/server$path" -xf - || return 1
    done
    make -C "$at/source" -s -j"$(nproc)" INJECTION=1 with_llvm=no all &&
        make -C "$at/source" -s INJECTION=1 with_llvm=no DESTDIR="$at/server" install
}

# The kill test: SEEDS loads, from seed SEED on, each with something dying in it.
ring_torture()
{
    local log=$LOGS/torture.log pgxs
    pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/..
    if ! perl -MIPC::Run -e 1 2> /dev/null || [ ! -d "$pgxs/test/perl" ]
    then
        skip "no IPC::Run, or PostgreSQL's test modules are not installed"
        return
    fi
    if ! build_torture > "$LOGS/torture-build.log" 2>&1
    then
        tail -20 "$LOGS/torture-build.log"
        ring_failed=1
        return
    fi
    install_peers seaweedfs
    PG_CWD=$TREE/test as_pg env -u PGHOST -u PGUSER PATH="$WORK_DIR/torture/server$(pg_bin):$PATH" TESTDIR="$TREE/test" \
        TESTLOGDIR="$LOGS" TESTDATADIR="$TREE/test/tmp_check" PGPORT=65432 PG_REGRESS="$pgxs/test/regress/pg_regress" \
        KAIREON_SOURCES="$WORK_DIR/torture/source" \
        perl -I "$pgxs/test/perl" -I "$TREE/test/t" "$TREE/test/torture/torture.pl" "$SEED" "$SEEDS" < /dev/null > "$log" 2>&1
    count_tap torture "$log" $?
}

# The converters against the server's own input functions, value by value, and
# JSON against its own.  The scripts build what they ask, change the user and
# start their server themselves.
ring_diff()
{
    local file name status
    if ! perl -MIPC::Run -e 1 2> /dev/null
    then
        skip "no IPC::Run"
        return
    fi
    for file in "$ROOT"/test/diff/*.pl
    do
        [ -f "$file" ] && chosen "$file" || continue
        name=$(basename "$file" .pl)
        PG_CONFIG=$PG_CONFIG PG_USER=$PG_USER timeout 600 perl "$file" < /dev/null > "$LOGS/diff-$name.log" 2>&1
        status=$?
        count_tap "$name" "$LOGS/diff-$name.log" $status
    done
}
