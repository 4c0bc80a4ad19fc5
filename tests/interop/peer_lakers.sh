# EDHOC with lakers by itself, both ways: method 3, suite 2, message by message,
# then OSCORE by the keys that it exports, and who is refused.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/aiocoap.sh"
. "$(dirname "$0")/support/edhoc.sh"

# copal_asks KEYS [WORDS]: what lakers has, and does.
copal_asks() {
    serve_edhoc "$@"
    copal 0 get --creds "$work/creds.json" "$base/hello"
    out_is 'hello lakers'
}

# As somebody else, who says the same kid.
copal_is_refused() {
    serve_edhoc by-key-id
    other=$work/other
    mkdir -p "$other"
    "$COPAL_BIN" run "$here/support/edhoc.lua" keys "$other" || fail "no other keys"
    for name in private_key credential; do
        sed -i "s/$(field $name)/$(field $name "$other/ours.json")/" "$work/creds.json"
    done
    copal 6 get --creds "$work/creds.json" "$base/hello"
    said '^copal: .*the peer says: .*Mac'
}

copal_refuses() {
    serve_edhoc by-key-id other-key
    copal 6 get --creds "$work/creds.json" "$base/hello"
    said '^copal: '
}

# copal_answers KEYS [WORDS]
copal_answers() {
    start_copal_edhoc
    keys=$1
    shift
    their ask "$work/$keys.json" "$base/hello" "$@" >"$work/out" 2>"$work/err" ||
        fail "lakers failed"
    out_is 'hello aiocoap
'
}

# lakers_is_refused WORDS: and another one is not after that.
lakers_is_refused() {
    start_copal_edhoc
    their ask "$work/by-key-id.json" "$base/hello" "$@" >"$work/out" 2>"$work/err"
    [ $? = 4 ] || fail "it was not refused"
    said '^refused: 4.0'
    their ask "$work/by-key-id.json" "$base/hello" >"$work/out" 2>"$work/err" ||
        fail "who is known is refused"
}

program=edhoc_lakers
in_column lakers-asks
behaviour "credential by kid" "copal_asks by-key-id"
behaviour "credential by value" "copal_asks by-value"
behaviour "no message 4" "copal_asks by-key-id unread"
behaviour "somebody else of that kid: refused" copal_is_refused
behaviour "the peer's is another: refused" copal_refuses
in_column lakers-serves
behaviour "credential by kid" "copal_answers by-key-id"
behaviour "credential by value" "copal_answers by-value"
behaviour "message 4 unread" "copal_answers by-key-id unread"
behaviour "message 1 twice" "copal_answers by-key-id again"
behaviour "another key than shown: refused" "lakers_is_refused other-key"
behaviour "message 3 changed: refused" "lakers_is_refused changed"
finish
