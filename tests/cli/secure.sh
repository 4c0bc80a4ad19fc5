# Credentials: the file, copal creds, and TLS between two copals.
. "$(dirname "$0")/support/lib.sh"
XDG_CONFIG_HOME=$work/config
export XDG_CONFIG_HOME
creds=$work/config/copal/creds.json

"$COPAL_BIN" get --creds "$work/none" coap://127.0.0.1:1/ 2>"$work/err"
if grep -q 'without GnuTLS' "$work/err"; then
    echo "skipped: built without GnuTLS"
    exit 77
fi
err_has "$work/none"

# copal creds: no secret on the command line, none in a list.
check 2 creds
check 3 creds list
err_has 'not there'
check 2 creds add coaps+tcp:// psk-id=me psk=secret
err_has 'seen by everybody'
check 2 creds add coaps+tcp:// nonsense=1
check 2 creds add coap:// psk-id=me psk-cmd='echo x'
err_has 'coap://'
[ ! -e "$creds" ] || fail "a bad entry was kept"
echo 0x000102030405060708090a0b0c0d0e0f >"$work/in"
"$COPAL_BIN" creds add coaps+tcp:// psk-id=me psk=- <"$work/in" 2>"$work/err" ||
    fail "creds add"
[ "$(stat -c %a "$creds")" = 600 ] || fail "others can read what was added"
check 0 creds list
out_has 'coaps+tcp://  psk me'
grep -q 0001 "$work/out" "$work/err" && fail "a secret was shown"

# The server has a file of its own.
cat >"$work/server.json" <<'END'
{ "*": [ { "psk-id": "me", "psk": "0x000102030405060708090a0b0c0d0e0f" } ] }
END
chmod 644 "$work/server.json"
check 6 get --creds "$work/server.json" coap://127.0.0.1:1/
err_has 'chmod 600'
chmod 600 "$work/server.json"
serve --test --creds "$work/server.json" --listen coaps+tcp://127.0.0.1:0
case $uri in
coaps+tcp://127.0.0.1:[1-9]*) ;;
*) fail "listens on '$uri'" ;;
esac
check 0 get "$uri/link1"
out_is link1
[ ! -r "/proc/$server/limits" ] ||
    grep -q '^Max core file size *0 ' "/proc/$server/limits" ||
    fail "a crash would leave a core, and keys in it"
check 0 creds test "$uri"
out_has 'ok'
cat >"$work/get.lua" <<'END'
print(assert(require "copal".get(arg[1])).text)
END
check 0 run "$work/get.lua" "$uri/link1"
out_has link1
check 0 get --keylog "$work/keys" "$uri/link1"
grep -q '^CLIENT_TRAFFIC_SECRET_0 ' "$work/keys" || fail "no keys were logged"
[ "$(stat -c %a "$work/keys")" = 600 ] || fail "others can read the keys"
SSLKEYLOGFILE=$work/keys2 "$COPAL_BIN" get "$uri/link1" >/dev/null
[ ! -e "$work/keys2" ] || fail "keys were logged unasked"
SSLKEYLOGFILE=$work/keys2 "$COPAL_BIN" get --keylog env "$uri/link1" >/dev/null
[ -s "$work/keys2" ] || fail "keys were not logged"

# A wrong key, and one that is not known, say the same.
sed 's/0e0f/0e0e/' "$creds" >"$work/wrong.json"
sed 's/"me"/"nobody"/' "$creds" >"$work/unknown.json"
chmod 600 "$work/wrong.json" "$work/unknown.json"
check 6 get --creds "$work/wrong.json" "$uri/link1"
cp "$work/err" "$work/first"
check 6 get --creds "$work/unknown.json" "$uri/link1"
cmp -s "$work/first" "$work/err" || fail "an identity can be probed"
stop TERM

# OSCORE: a context is made, listed without its secret, and used.
check 2 creds add coap://127.0.0.1 secret=s3cret sender_id=c recipient_id=s
err_has 'seen by everybody'
XDG_CONFIG_HOME=$work/oscore
oscore=$work/oscore/copal/creds.json
check 0 creds add coap://127.0.0.1 secret=random sender_id=c recipient_id=s
grep -q '"state": "begun"' "$oscore" || fail "its numbers were not begun"
state=$(echo "$work/oscore/copal/creds.state/oscore/"*)
cp "$state" "$work/begun" || fail "its numbers were begun nowhere"
check 0 creds list
out_has 'coap://127.0.0.1  oscore c > s'
secret=$(sed -n 's/.*"secret": "0x\([0-9a-f]*\)".*/\1/p' "$oscore")
[ ${#secret} = 32 ] || fail "no secret of 16 bytes"
grep -q "$secret" "$work/out" "$work/err" && fail "a secret was shown"
cmp -s "$state" "$work/begun" || fail "a look at it changed the state"
cat >"$work/server.json" <<END
{ "*": { "oscore": { "secret": "0x$secret", "sender_id": "s", "recipient_id": "c" } } }
END
serve --test --creds "$work/server.json" --listen coap://127.0.0.1:0
check 0 get "$uri/whoami"
out_has 'oscore:63'
check 0 get "$uri/oscore/hello/1"
out_is 'Hello World!'
"$COPAL_BIN" serve --test --creds "$work/server.json" \
    --listen coap://127.0.0.1:0 >"$work/out" 2>"$work/err" &&
    fail "two programs use one context"
err_has "$work/server.state"
stop TERM
serve --test --creds "$work/server.json" --listen coap://127.0.0.1:0
check 0 get "$uri/oscore/hello/1"
stop TERM

# A state that was begun and is gone is no first use: only another key begins anew.
rm -r "$work/oscore/copal/creds.state"
check 2 get "$uri/oscore/hello/1"
err_has 'coap://127.0.0.1": the state of these OSCORE keys was begun, and is not in the store'
err_has 'give both ends a new secret'
check 2 get --store "$work/elsewhere" "$uri/oscore/hello/1"
err_has 'was begun, and is not in the store'
check 0 creds add coap://127.0.0.1 secret=random sender_id=c recipient_id=s
check 8 get "$uri/oscore/hello/1"
check 0 creds add coap://127.0.0.1 secret=random sender_id=c recipient_id=s \
    --store "$work/elsewhere"
check 8 get --store "$work/elsewhere" "$uri/oscore/hello/1"
XDG_CONFIG_HOME=$work/config

# Certificates, made now so that they are never too old.
if command -v openssl >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout "$work/own.key" -out "$work/own.pem" -days 2 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        >"$work/log" 2>&1 || fail "openssl"
    chmod 600 "$work/own.key"
    cat >"$work/server.json" <<'END'
{ "*": { "cert": "own.pem", "key": "own.key" } }
END
    cat >"$work/client.json" <<'END'
{ "coaps+ws://localhost": { "ca": "own.pem" } }
END
    chmod 600 "$work/client.json"
    serve --test --creds "$work/server.json" --listen coaps+ws://127.0.0.1:0
    port=${uri##*:}
    check 0 get --creds "$work/client.json" "coaps+ws://localhost:$port/link1"
    out_is link1
    check 6 get "coaps+ws://localhost:$port/link1"
    err_has 'signed by itself'
    stop TERM

    # What is no copal sees the same.
    serve --test --creds "$work/server.json" --listen coaps+tcp://127.0.0.1:0
    port=${uri##*:}
    openssl s_client -connect "127.0.0.1:$port" -CAfile "$work/own.pem" \
        -alpn coap -verify_return_error </dev/null >"$work/out" 2>&1 ||
        fail "openssl does not get in"
    out_has 'ALPN protocol: coap'
    openssl s_client -connect "127.0.0.1:$port" -alpn h2 </dev/null \
        >"$work/out" 2>&1 && fail "another protocol was agreed on"
    openssl s_client -connect "127.0.0.1:$port" -tls1_1 </dev/null \
        >"$work/out" 2>&1 && fail "TLS 1.1 was agreed on"
    openssl s_client -connect "127.0.0.1:$port" -tls1_2 \
        -cipher ECDHE-ECDSA-AES128-SHA </dev/null >"$work/out" 2>&1 &&
        fail "CBC was agreed on"
    openssl s_client -connect "127.0.0.1:$port" -tls1_2 -alpn coap \
        -cipher ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0 </dev/null \
        >"$work/out" 2>&1 || fail "no AES-CCM-8 with TLS 1.2"
    stop TERM
fi
