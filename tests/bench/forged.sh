# What a million made up addresses cost a server with the default limits: memory,
# and the work of a datagram after some of them beside that after many. Work is
# counted in instructions where valgrind is there (which takes minutes), else in
# CPU time. Run by name only: sh tests/run.sh bench.
#
# COPAL_FLOOD=N: addresses (1000000).
root=${COPAL_ROOT:-$(dirname "$0")/../..}
build=${COPAL_BUILD:-$root/build}
forged=$build/tests/bench/forged
all=${COPAL_FLOOD:-1000000}
sample=5000
early=60000

[ -x "$forged" ] || {
    echo "skipped: no $forged"
    exit 77
}

# figure N FROM TO: the N-th of what it says.
figure() {
    n=$1
    shift
    "$forged" "$@" | cut -d ' ' -f "$n"
}

# instructions FROM: of each of the sample after FROM addresses.
instructions() {
    n=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        --toggle-collect=measured "$forged" "$1" $(($1 + sample)) 2>&1 >/dev/null |
        sed -n 's/.*Collected : //p')
    [ -n "$n" ] && echo $((n / sample))
}

# nanoseconds FROM: likewise, the least of five.
nanoseconds() {
    for _ in 1 2 3 4 5; do
        figure 3 "$1" $(($1 + sample))
    done | sort -n | head -n 1
}

growth=$(figure 1 0 "$all")
counted=$(figure 2 0 "$all")
echo "$all forged addresses: $((growth / 1024)) MiB more of RSS, stats.memory $((counted / 1024)) MiB"

# Tables are full long before the end, and valgrind takes a minute for so many.
late=$((all < 200000 ? all : 200000))
unit=instructions
first=$(instructions $early) && last=$(instructions "$late") || {
    unit="ns of CPU"
    late=$all
    first=$(nanoseconds $early)
    last=$(nanoseconds "$all")
}
echo "A datagram after $early: $first $unit; after $late: $last, $((last * 100 / first - 100)) percent more"

[ "$growth" -lt 65536 ] || {
    echo "more than 64 MiB"
    exit 1
}
if [ "$unit" = instructions ] && [ $((last * 100)) -gt $((first * 110)) ]; then
    echo "more than 10 percent"
    exit 1
fi
