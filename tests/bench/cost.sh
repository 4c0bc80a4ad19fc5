# How many instructions one request, answer or notification takes, compared with
# what instructions.txt says: not over 5 % more. Unlike times they are the same
# on a busy machine; and what the flight recorder adds to one. Counted by
# valgrind's callgrind, of the programs support/cost.*, between their marks.
#
#   sh tests/run.sh cost                       the test
#   COPAL_COST=write sh tests/run.sh cost      and the counts into instructions.txt
#   COPAL_COST=profile sh tests/run.sh cost    and where they go: build/bench/cost/
#
# Counts are of the machine and the compiler that instructions.txt names. Where
# one of them is another the test says what it counted, and passes.
root=${COPAL_ROOT:-$(dirname "$0")/../..}
build=${COPAL_BUILD:-$root/build}
copal=${COPAL_BIN:-$build/copal}
python=${COPAL_PYTHON:-/usr/bin/python3}
support=$root/tests/bench/support
noted=$root/tests/bench/instructions.txt
out=$build/bench/cost
wish=${COPAL_COST:-}
export PYTHONPATH="$build/python" PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0

command -v valgrind >/dev/null || {
    echo "skipped: no valgrind, which counts instructions (Debian: valgrind)"
    exit 77
}
[ -x "$build/tests/bench/cost" ] || {
    echo "skipped: tests/bench/cost is not built; it needs valgrind/callgrind.h"
    exit 77
}
if grep -q '^CMAKE_BUILD_TYPE:STRING=Debug' "$build/CMakeCache.txt" ||
    grep -q '^COPAL_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
    echo "skipped: a debug build is not what is counted"
    exit 77
fi

mkdir -p "$out" || exit 1
counts=$out/counts
: >"$counts"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# cost NAME OPTION COUNT COMMAND...: instructions for one of COUNT, which is
# COMMAND's last word.
cost() {
    name=$1
    option=$2
    count=$3
    shift 3
    timeout 120 valgrind --tool=callgrind --instr-atstart=no $option \
        --callgrind-out-file="$out/$name" "$@" "$count" >"$work/said" 2>&1 || {
        cat "$work/said"
        echo "$* $count: failed"
        exit 1
    }
    total=$(sed -n 's/.*Collected : //p' "$work/said")
    printf '%s %d\n' "$name" $((total / count)) >>"$counts"
}

# A handler's part is all that a host of the simulator does with a datagram.
handler=--toggle-collect=cp_host_receive
mark=$build/tests/bench/mark.so

c=$build/tests/bench/cost
for what in get put block; do
    cost c-$what '' 4096 "$c" $what
done
cost c-notify-non '' 5000 "$c" non
cost c-notify-con '' 5000 "$c" con
cost c-client '' 4096 "$c" ask
cost c-get-recorded '' 4096 "$c" recorded-get
cost c-put-recorded '' 4096 "$c" recorded-put
cost c-notify-non-recorded '' 5000 "$c" recorded-non
cost c-client-recorded '' 4096 "$c" recorded-ask
if grep -q '^COPAL_TLS:STRING=none' "$build/CMakeCache.txt"; then
    echo "built without GnuTLS: OSCORE is not counted"
else
    cost c-oscore '' 4096 "$c" oscore
    cost c-aead '' 4096 "$c" aead
fi
# As many as the collector of Lua comes round for several times.
if [ -x "$copal" ]; then
    for what in serve ask; do
        case $what in ask) option= ;; *) option=$handler ;; esac
        cost lua-$what "$option" 6400 "$copal" run "$support/cost.lua" "$mark" $what
    done
fi
if "$python" -c 'import copal' 2>/dev/null; then
    for what in serve async ask await; do
        case $what in ask | await) option= ;; *) option=$handler ;; esac
        cost python-$what "$option" 1600 "$python" "$support/cost.py" "$mark" $what
    done
fi

# ---- Compared ----------------------------------------------------------------

here="$(uname -m), $(cc --version | head -n 1), $(
    valgrind --version), lua $(pkg-config --modversion lua5.4 2>/dev/null), $(
    "$python" --version 2>&1)"

if [ "$wish" = write ]; then
    {
        echo "# Instructions a request, answer or notification takes, by"
        echo "# cost.sh, which says how these are written anew."
        echo "on $here"
        cat "$counts"
    } >"$noted"
fi
if [ "$wish" = profile ]; then
    for name in $(cut -d ' ' -f 1 "$counts"); do
        callgrind_annotate --auto=no --threshold=100 "$out/$name" \
            >"$out/$name.txt" 2>/dev/null
    done
    echo "where they go: $out/*.txt"
fi

there=$(sed -n 's/^on //p' "$noted" 2>/dev/null)
[ "$there" = "$here" ] ||
    echo "not compared: counted on $here, noted on $there"
# What the recorder may add is in instructions, too: its part of a request grows
# by every step that a request is spared otherwise. It copies what comes: of 1 KiB
# that alone is 130.
awk -v same="$([ "$there" = "$here" ] && echo 1)" '
    BEGIN {
        most["c-notify-non-recorded"] = 99
        most["c-get-recorded"] = 175
        most["c-put-recorded"] = 318
        most["c-client-recorded"] = 350
    }
    FNR == NR { if ($1 !~ /^(#|on$)/) was[$1] = $2; next }
    {
        is[$1] = $2
        change = was[$1] > 0 ? ($2 / was[$1] - 1) * 100 : 0
        printf "  %-24s %7d instructions, noted %7d, %+.1f %%\n",
            $1, $2, was[$1], change
        plain = $1
        if (sub(/-recorded$/, "", plain)) {
            more = $2 - is[plain]
            printf "    by the recorder %+d, %+.1f %%\n", more, more / is[plain] * 100
            if (same && more > most[$1]) {
                print "    more than " most[$1] " more"
                worse = 1
            }
        }
        if (!same) next
        if (change > 5) { print "    more than 5 % more"; worse = 1 }
        if (!was[$1]) { print "    not noted"; worse = 1 }
        if (change < -5) better = 1
    }
    END {
        if (worse) print "to accept it: COPAL_COST=write sh tests/run.sh cost"
        else if (better) print "better; to hold it: COPAL_COST=write sh tests/run.sh cost"
        exit worse
    }' "$noted" "$counts"
