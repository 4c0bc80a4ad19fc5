# EDHOC with aiocoap, whose EDHOC is lakers': method 3, suite 2, both roles, with
# credentials by kid and by value, message 3 by itself and with the first request.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/aiocoap.sh"
. "$(dirname "$0")/support/edhoc.sh"

# copal asks: $1 is what aiocoap has.
copal_asks() {
    serve_edhoc "$1"
    copal 0 get --creds "$work/creds.json" "$base/hello"
    grep -q '^hello ' "$work/out" || fail "no hello"
}

# aiocoap asks, twice.
copal_answers() {
    start_copal_edhoc
    their ask "$work/$1.json" "$base/hello" >"$work/out" 2>"$work/err" ||
        fail "aiocoap failed"
    out_is 'hello aiocoap
'
}

program=edhoc_aiocoap
in_column edhoc_aiocoap
behaviour "copal asks, their credential by kid" "copal_asks by-key-id"
behaviour "copal asks, their credential by value" "copal_asks by-value"
behaviour "copal answers, by kid, message 3 alone" "copal_answers by-key-id"
behaviour "copal answers, by value, message 3 alone" "copal_answers by-value"
behaviour "copal answers, by kid, combined" "copal_answers by-key-id-combined"
behaviour "copal answers, by value, combined" "copal_answers by-value-combined"
finish
