# What coaps costs a server beside libcoap's: a handshake by each kind of
# credentials, a peer that is idle, a request over an association beside one in
# clear. CPU time and memory of the servers, with copal as client of both, in the
# same run. Then what coaps adds to a request of a server in C, beside what the
# cipher alone takes, and the memory of 10,000 peers. Run by name only: ctest does
# not know it.
#
#   sh tests/bench/dtls.sh [--quick]
root=${COPAL_ROOT:-$(dirname "$0")/../..}
build=${COPAL_BUILD:-$root/build}

[ -x "$build/copal" ] || {
    echo "skipped: no $build/copal"
    exit 77
}
export COPAL_ROOT="$root" COPAL_BUILD="$build" PYTHONDONTWRITEBYTECODE=1
exec "${COPAL_PYTHON:-/usr/bin/python3}" "$root/tests/bench/support/dtls.py" "$@"
