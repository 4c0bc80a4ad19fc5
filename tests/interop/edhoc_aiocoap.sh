# EDHOC with aiocoap, whose EDHOC is lakers': method 3, suite 2, both roles, with
# credentials by kid and by value, message 3 by itself and with the first request.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/aiocoap.sh"
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
    timeout 60 "$venv/bin/python" "$here/support/edhoc_aiocoap.py" "$@"
}

field() {
    sed "s/.*\"$1\": *\"\([0-9a-f]*\)\".*/\1/" "$work/ours.json"
}

# copal asks: $1 is what aiocoap has.
copal_asks() {
    served=$(mktemp "$work/served.XXXXXX")
    their serve "$work/$1.json" >"$served" 2>"$work/err" </dev/null &
    pids="$pids $!"
    within 10 grep -q '^listening on ' "$served" ||
        fail "aiocoap's server does not listen"
    base=$(sed -n 's/^listening on //p' "$served")
    (
        umask 077
        printf '{"%s/": {"edhoc": {"method": 3, "suite": 2, "private_key": "0x%s",
            "credential": "0x%s", "peer_credential": "0x%s"}}}' "$base" \
            "$(field private_key)" "$(field credential)" \
            "$(field peer_credential)" >"$work/creds.json"
    )
    copal 0 get --creds "$work/creds.json" "$base/hello"
    grep -q '^hello ' "$work/out" || fail "no hello"
}

# aiocoap asks, twice.
copal_answers() {
    served=$(mktemp "$work/served.XXXXXX")
    timeout 60 "$COPAL_BIN" run "$here/support/edhoc.lua" serve "$work" \
        >"$served" 2>"$work/err" </dev/null &
    pids="$pids $!"
    within 10 grep -q '^listening on ' "$served" ||
        fail "copal does not listen"
    base=$(sed -n 's/^listening on //p' "$served")
    their ask "$work/$1.json" "$base/hello" >"$work/out" 2>"$work/err" ||
        fail "aiocoap failed"
    grep -q '^hello aiocoap$' "$work/out" || fail "another hello"
}

in_column edhoc_aiocoap
behaviour "copal asks, their credential by kid" "copal_asks by-key-id"
behaviour "copal asks, their credential by value" "copal_asks by-value"
behaviour "copal answers, by kid, message 3 alone" "copal_answers by-key-id"
behaviour "copal answers, by value, message 3 alone" "copal_answers by-value"
behaviour "copal answers, by kid, combined" "copal_answers by-key-id-combined"
behaviour "copal answers, by value, combined" "copal_answers by-value-combined"
finish
