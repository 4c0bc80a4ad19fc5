# T8 to T26 and T28 of the guided tour, in Python.
set -- "$COPAL_BUILD"/python/copal/_copal.*.so
if [ ! -f "$1" ]; then
    echo 'skipped: the Python package is not built'
    exit 77
fi
if grep -q '^COPAL_SANITIZE:.*=.' "$COPAL_BUILD/CMakeCache.txt"; then
    echo "skipped: the sanitizers' runtime would have to be in Python"
    exit 77
fi
exec sh "$COPAL_ROOT/examples/tour.sh" python
