# Handshakes of EDHOC a second, both ends on one core: copal's in each method, and
# lakers' in the one that it has, where tests/interop/ has fetched it.
#
#   sh tests/bench/edhoc.sh [MS]     for each method
root=${COPAL_ROOT:-$(dirname "$0")/../..}
build=${COPAL_BUILD:-$root/build}
ms=${1:-300}

[ -x "$build/tests/bench/edhoc" ] || {
    echo "skipped: tests/bench/edhoc is not built"
    exit 77
}
made=$("$build/tests/bench/edhoc" "$ms") || exit
echo "who     method suite  handshakes/s"
echo "$made" | while read -r method suite rate; do
    printf '%-7s %6s %5s %13s\n' copal "$method" "$suite" "$rate"
done
python=$build/interop-venv/bin/python
[ -x "$python" ] && "$python" -c 'import lakers' 2>/dev/null || exit 0
"$python" "$root/tests/bench/support/edhoc_lakers.py" "$ms" |
    while read -r method suite rate; do
        printf '%-7s %6s %5s %13s\n' lakers "$method" "$suite" "$rate"
    done
