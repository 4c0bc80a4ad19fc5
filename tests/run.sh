#!/bin/sh
# Builds copal in build/ and runs its tests.
#
#   sh tests/run.sh                   everything but the fuzzers, the benchmarks and
#                                     what fetches other CoAP programs (peers)
#   sh tests/run.sh NAME...           parts: a label (unit sim net lua python cli tour interop
#                                     peers corpus install style cost bench), or a
#                                     test (sim.block, block); interop has peers
#                                     in it and ends with the tables
#   sh tests/run.sh asan              unit, sim, net, corpus, python under ASan and
#                                     UBSan
#   sh tests/run.sh fuzz [SECONDS]    each fuzzer with and without assertions, for
#                                     20 seconds if not told; ends with a table
#   sh tests/run.sh soak [SECONDS]    servers amid strangers, 180 seconds in all if
#                                     not told
#   sh tests/run.sh weather [SEEDS]   each program of bad weather with 1,000 seeds if
#                                     not told; COPAL_SEED=N PROGRAM shows one that
#                                     failed
#
# The last line is "N passed, N failed, N skipped"; a build that fails and a
# name that fits no test count as one failed. Exits with 0 if nothing failed.
set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
jobs=$(nproc 2>/dev/null || echo 2)
passed=0
failed=0
skipped=0

fail() {
    echo "== failed: $*"
    failed=$((failed + 1))
}

# quietly LOG WHAT COMMAND...: what it prints is shown if it fails.
quietly() {
    log=$1
    what=$2
    shift 2
    echo "== $what"
    "$@" >"$log" 2>&1 && return 0
    cat "$log"
    fail "$what"
    return 1
}

# build DIR CMAKE-OPTION...
build() {
    dir=$1
    shift
    mkdir -p "$dir" &&
        quietly "$dir/configure.log" "configure $dir" \
            cmake -S "$root" -B "$dir" -DCOPAL_WERROR=ON "$@" &&
        quietly "$dir/build.log" "build $dir" cmake --build "$dir" -j "$jobs"
}

build_once() {
    [ -z "${built:-}" ] || return "$built"
    build "$root/build"
    built=$?
    return "$built"
}

# check DIR CTEST-OPTION...: one line of ctest's a test is what we count.
check() {
    dir=$1
    shift
    rm -rf "$dir/interop" # what those tests leave for the table
    ctest --test-dir "$dir" -j "$jobs" --output-on-failure "$@" 2>&1 |
        tee "$dir/check.log"
    sh "$root/tests/interop/support/table.sh" "$dir/interop"
    set -- "$*" $(awk '
        /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
            if (/ Passed +[0-9.]+ sec/) passed++
            else if (/\*\*\*(Skipped|Not Run \(Disabled\))/) skipped++
            else failed++
        }
        END { print passed + 0, failed + 0, skipped + 0 }' "$dir/check.log")
    passed=$((passed + $2))
    failed=$((failed + $3))
    skipped=$((skipped + $4))
    [ $(($2 + $3 + $4)) -gt 0 ] || fail "no such test: $1"
}

# What measures is asked for to be read.
check_named() {
    build_once || return
    case $1 in bench | *speed | scripts | cost) aloud=--verbose ;; *) aloud= ;; esac
    if ctest --test-dir "$root/build" --print-labels | grep -qx "  $1"; then
        check "$root/build" -L "^$1\$" $aloud
    else
        check "$root/build" -R "(^|\\.)$1\$" $aloud
    fi
}

# Debug keeps the assertions, which the main build goes without. What the
# sanitizers look at runs in half the time with the least of optimization.
check_asan() {
    build "$root/build/asan" -DCMAKE_BUILD_TYPE=Debug \
        "-DCMAKE_C_FLAGS_DEBUG=-g -O1" -DCOPAL_LUA=OFF -DCOPAL_EXAMPLES=OFF \
        "-DCOPAL_SANITIZE=address;undefined" || return
    ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$root/tests/lsan.supp \
        check "$root/build/asan" -L '^(unit|sim|net|corpus|python)$'
}

# What is asserted must never be what keeps a fuzzer's input out, so there are
# two builds: one with the assertions, which also lets the fuzzer see what is
# compared with what, and one with NDEBUG and without that, which is faster.
build_fuzzers() {
    build "$root/build/$1" -DCMAKE_C_COMPILER=clang-14 -DCOPAL_FUZZ=ON \
        -DCOPAL_WERROR=OFF -DCMAKE_BUILD_TYPE=None "-DCMAKE_C_FLAGS=-O2 -g $2" \
        -DCOPAL_LUA=OFF -DCOPAL_PYTHON=OFF -DCOPAL_EXAMPLES=OFF \
        -DCOPAL_TESTS=OFF
}

# run_fuzzer BUILD NAME SECONDS: new inputs go to build/, the seeds stay as they
# are. Sequences begin with long inputs, as short ones do next to nothing.
run_fuzzer() {
    found=$root/build/fuzz/found/$2
    log=$found-$1.log
    mkdir -p "$found" "$root/build/fuzz/seeds/$2"
    case $2 in
    ask | engine | serve) options="-max_len=400 -len_control=0" ;;
    lua) options="-max_len=512 -detect_leaks=0" ;; # it collects now and then
    *) options=-max_len=512 ;;
    esac
    set -- "$1" "$2" "$3" "$root/tests/fuzz/corpus/$2"
    quietly "$log" "fuzz $2 for $3 s, $1" "$root/build/$1/fuzz/fuzz_$2" \
        -max_total_time="$3" -timeout=10 -rss_limit_mb=2048 $options \
        -entropic=0 -print_final_stats=1 -report_slow_units=2 \
        -artifact_prefix="$found-" "$found" "$root/build/fuzz/seeds/$2" \
        $([ ! -d "$4" ] || echo "$4") && passed=$((passed + 1))
    awk -v build="$1" -v name="$2" '
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::average_exec_per_sec/ { rate = $2 }
        /slow-unit-/ { slow = ", slow inputs: see the log" }
        / cov: / { cov = $0; sub(/.* cov: /, "", cov); sub(/ .*/, "", cov) }
        END { printf "%-14s %-12s %9d /s %12d runs %6d edges%s\n",
              name, build, rate, runs, cov, slow }' "$log" >>"$table"
}

# fuzz SECONDS: half of them in each build.
fuzz() {
    sh "$root/examples/setup.sh" fuzz || exit 2
    build_fuzzers fuzz "" && build_fuzzers fuzz-ndebug \
        "-DNDEBUG -fno-sanitize-coverage=trace-cmp" || return
    /usr/bin/python3 "$root/tests/fuzz/seeds.py" "$root/build/fuzz/seeds" ||
        fail "seeds out of tests/vectors"
    # Deep stacks and a long quarantine cost more than half of the speed.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-malloc_context_size=2:quarantine_size_mb=8}"
    table=$root/build/fuzz/table
    : >"$table"
    for fuzzer in "$root"/build/fuzz/fuzz/fuzz_*; do
        [ -x "$fuzzer" ] || continue
        run_fuzzer fuzz "${fuzzer##*/fuzz_}" $((($1 + 1) / 2))
        run_fuzzer fuzz-ndebug "${fuzzer##*/fuzz_}" $((($1 + 1) / 2))
    done
    cat "$table"
    [ $((passed + failed)) -gt 0 ] || fail "no fuzzers in tests/fuzz"
}

# soak SECONDS: shows its table; each of its checks counts.
soak() {
    build_once || return
    COPAL_ROOT=$root COPAL_BUILD=$root/build sh "$root/tests/soak/soak.sh" "$1" |
        tee "$root/build/soak.log"
    set -- $(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$root/build/soak.log")
    passed=$((passed + ${1:-0}))
    failed=$((failed + ${2:-1}))
}

# weather SEEDS: which programs these are stands in their source.
weather() {
    build_once || return
    for source in $(grep -lE 'bad_weather|STORM\(' "$root"/tests/sim/test_*.c); do
        program=$(basename "$source" .c)
        [ -x "$root/build/tests/sim/$program" ] || continue
        COPAL_SEEDS=$1 quietly "$root/build/$program.log" "$program, $1 seeds" \
            "$root/build/tests/sim/$program" && passed=$((passed + 1))
    done
}

sh "$root/examples/setup.sh" || exit 2
if [ $# -eq 0 ]; then
    build_once && check "$root/build" -LE '^(bench|peers)$'
    check_asan
fi
while [ $# -gt 0 ]; do
    case $1 in
    asan) check_asan ;;
    fuzz)
        case ${2:-} in
        '' | *[!0-9]*) fuzz 20 ;;
        *)
            fuzz "$2"
            shift
            ;;
        esac
        ;;
    soak)
        case ${2:-} in
        '' | *[!0-9]*) soak 180 ;;
        *)
            soak "$2"
            shift
            ;;
        esac
        ;;
    weather)
        case ${2:-} in
        '' | *[!0-9]*) weather 1000 ;;
        *)
            weather "$2"
            shift
            ;;
        esac
        ;;
    *) check_named "$1" ;;
    esac
    shift
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
