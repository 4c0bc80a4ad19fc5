# aiocoap lives in an environment of its own in the build folder, $venv; the
# first test that needs it makes it, while others wait.
build=${COPAL_BUILD:-$(dirname "$0")/../../build}
python=${COPAL_PYTHON:-/usr/bin/python3}
venv=$build/interop-venv
wanted="aiocoap[oscore,prettyprint,linkheader,ws]==0.4.17"

# install_aiocoap FUNCTION: which is called with the reason if it cannot be had.
install_aiocoap() {
    exec 9>"$venv.lock"
    flock 9
    [ "$(cat "$venv/ready" 2>/dev/null)" = "$wanted" ] || make_venv "$1"
    exec 9>&-
}

make_venv() {
    rm -rf "$venv"
    for interpreter in "$python" python3; do
        "$interpreter" -m venv "$venv" >"$work/out" 2>&1 && break
        rm -rf "$venv"
    done
    [ -x "$venv/bin/pip" ] ||
        "$1" "python3 -m venv does not work here (Debian: python3-venv)"
    timeout 120 "$venv/bin/pip" install -q --disable-pip-version-check \
        --timeout 10 --retries 1 "$wanted" >"$work/out" 2>&1 &&
        "$venv/bin/python" -c 'import aiocoap' 2>"$work/out" || {
        rm -rf "$venv"
        "$1" "$wanted cannot be installed: $(tail -n 1 "$work/out")"
    }
    echo "$wanted" >"$venv/ready"
}
