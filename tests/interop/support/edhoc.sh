# EDHOC with what lives in aiocoap's environment, after check.sh and aiocoap.sh: keys
# of both in $work, and both ends. A script sets $program, that of support/ which is
# the peer.
limit=30

here=$(cd "$(dirname "$0")" && pwd)

unavailable() {
    echo "skipped: $*"
    exit 77
}

install_aiocoap unavailable
"$venv/bin/python" -c 'import lakers' 2>"$work/out" ||
    unavailable "aiocoap has no lakers: $(tail -n 1 "$work/out")"

"$COPAL_BIN" run "$here/support/edhoc.lua" keys "$work" >"$work/out" 2>&1 ||
    unavailable "copal was built without GnuTLS: $(tail -n 1 "$work/out")"

their() {
    TMPDIR=$work timeout 60 "$venv/bin/python" "$here/support/$program.py" "$@"
}

# field NAME [FILE]
field() {
    sed "s/.*\"$1\": *\"\([0-9a-f]*\)\".*/\1/" "${2:-$work/ours.json}"
}

# started COMMAND...: in the background; $base is where it says it listens.
started() {
    served=$(mktemp "$work/served.XXXXXX")
    "$@" >"$served" 2>"$served.err" </dev/null &
    pids="$pids $!"
    within 20 grep -q '^listening on ' "$served" ||
        fail "$1 does not listen: $(tail -n 3 "$served.err")"
    base=$(sed -n 's/^listening on //p' "$served")
}

# serve_edhoc KEYS [WORDS]: the peer serves, with those; copal's are in creds.json.
serve_edhoc() {
    keys=$1
    shift
    started their serve "$work/$keys.json" "$@"
    (
        umask 077
        printf '{"%s/": {"edhoc": {"method": 3, "suite": 2, "private_key": "0x%s",
            "credential": "0x%s", "peer_credential": "0x%s"}}}' "$base" \
            "$(field private_key)" "$(field credential)" \
            "$(field peer_credential)" >"$work/creds.json"
    )
}

start_copal_edhoc() {
    started timeout 60 "$COPAL_BIN" run "$here/support/edhoc.lua" serve "$work"
}
