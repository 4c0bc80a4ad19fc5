# What an endpoint keeps of who asked once and of who observes, in bytes: as it
# counts them (copal_stats.memory), and of the process's resident memory. Run by
# name only: sh tests/run.sh bench. That it is no more than it may be is tested
# by sim.weight.
build=${COPAL_BUILD:-$(dirname "$0")/../../build}
weight=$build/tests/bench/weight

[ -x "$weight" ] || {
    echo "skipped: no $weight"
    exit 77
}
echo "|           |       | bytes each, counted | resident |"
echo "|-----------|------:|--------------------:|---------:|"
for what in clients observers; do
    for count in 1000 10000 100000; do
        said=$("$weight" $what $count) || exit 1
        printf '| %-9s | %6d | %s | %s |\n' $what $count $said
    done
done
