# What a request, a notification and a client cost: CPU time over what the kernel
# charges the least program that can be, memory by the client and the observer. A
# table and a chart in build/bench/. Run by name only: sh tests/run.sh bench.
#
# COPAL_SPEED="--rounds 9 --only w16,con-10k" goes to support/speed.py, which says
# what there is: COPAL_SPEED=--help sh tests/run.sh speed
root=${COPAL_ROOT:-$(dirname "$0")/../..}
build=${COPAL_BUILD:-$root/build}

[ -x "$build/tests/bench/load" ] || {
    echo "skipped: no $build/tests/bench/load"
    exit 77
}
command -v python3 >/dev/null || {
    echo "skipped: no python3"
    exit 77
}
export COPAL_ROOT="$root" COPAL_BUILD="$build" PYTHONDONTWRITEBYTECODE=1
# shellcheck disable=SC2086
exec "${COPAL_PYTHON:-/usr/bin/python3}" "$root/tests/bench/support/speed.py" ${COPAL_SPEED:-}
