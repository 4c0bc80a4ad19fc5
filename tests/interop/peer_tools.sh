# TLS and DTLS with the tools of OpenSSL and GnuTLS, which know nothing of CoAP:
# that both sides are content with the handshake, and that bytes get through.
needs=
. "$(dirname "$0")/check.sh"
needs_tls
. "$(dirname "$0")/support/matrix.sh"
. "$(dirname "$0")/support/secured.sh"
unavailable() {
    echo "skipped: $*"
    exit 77
}
needs_tool openssl openssl
make_keys
hex=$(cut -c 3- "$keys/psk")
echo "me:$hex" >"$keys/psk.passwd"

# A server that says where is asked for on a port that is free at the moment.
free_port() {
    "$COPAL_BIN" run "$COPAL_ROOT/tests/interop/support/free_port.lua"
}

# tool SCHEME WORDS...: in the background; its input stays open.
[ -p "$work/in" ] || mkfifo "$work/in"
tool() {
    : >"$work/tool" # not what the one before said
    timeout 60 "$@" <>"$work/in" >"$work/tool" 2>&1 &
    pids="$pids $!"
}

# What copal asks for gets there; nobody answers.
is_asked() { # SCHEME
    copal 7 get $creds -T 6s "$1://localhost:$port/from-copal"
    within 5 grep -aq '^CIPHER is' "$work/tool" ||
        fail "no handshake: $(tail -n 5 "$work/tool")"
    [ "$1" != coaps ] || within 5 grep -aq 'from-copal' "$work/tool" ||
        fail "nothing came: $(tail -n 5 "$work/tool")"
}

kind_of() { # psk | cert
    kind=$1
    credentials "$scheme://" client server
}

openssl_serves() { # SCHEME KIND
    scheme=$1
    kind_of "$2"
    port=$(free_port)
    case $1 in
    coaps) set -- "$2" -dtls1_2 -listen ;;
    *) set -- "$2" -alpn coap ;;
    esac
    case $1 in
    psk)
        shift
        set -- -nocert -psk_identity me -psk "$hex" -cipher 'PSK:@SECLEVEL=0' "$@"
        ;;
    *)
        shift
        set -- -cert "$keys/server.pem" -key "$keys/server.key" \
            -CAfile "$keys/ca.pem" -Verify 2 -verify_return_error "$@"
        ;;
    esac
    tool openssl s_server -accept "127.0.0.1:$port" "$@"
    within 10 grep -q ACCEPT "$work/tool" || fail "openssl: $(cat "$work/tool")"
    is_asked "$scheme"
}

gnutls_serves() { # SCHEME KIND
    scheme=$1
    kind_of "$2"
    port=$(free_port)
    case $1 in
    coaps) over=--udp ;;
    *) over=--alpn=coap ;;
    esac
    case $2 in
    psk) tool gnutls-serv $over --port "$port" --pskpasswd "$keys/psk.passwd" \
        --priority NORMAL:+PSK:+ECDHE-PSK:+AES-128-CCM:+AES-128-CCM-8 ;;
    *) tool gnutls-serv $over --port "$port" --x509certfile "$keys/server.pem" \
        --x509keyfile "$keys/server.key" --x509cafile "$keys/ca.pem" --require-client-cert ;;
    esac
    within 10 grep -q 'listening on' "$work/tool" || fail "gnutls-serv: $(cat "$work/tool")"
    # By UDP it says after us what we say, so that copal answers itself. By TCP
    # it has no CSM to begin with.
    case $scheme in
    coaps) copal 4 get $creds -T 20s "$scheme://localhost:$port/from-copal" ;;
    *)
        copal 7 get $creds -T 6s "$scheme://localhost:$port/from-copal"
        within 5 grep -aq 'Channel bindings' "$work/tool" ||
            fail "no handshake: $(tail -n 5 "$work/tool")"
        ;;
    esac
}

serve_copal() { # SCHEME KIND
    scheme=$1
    kind=$2
    credentials '*' server client
    start_copal "$COPAL_ROOT/tests/interop/support/site.lua" $creds --listen "$scheme://127.0.0.1:0"
    port=${uri##*:}
}

openssl_asks() { # SCHEME KIND
    serve_copal "$1" "$2"
    over=
    [ "$1" != coaps ] || over=-dtls1_2
    case $2 in
    psk) set -- -psk_identity me -psk "$hex" -cipher 'PSK:@SECLEVEL=0' ;;
    *) set -- -cert "$keys/client.pem" -key "$keys/client.key" -CAfile "$keys/ca.pem" -verify_return_error ;;
    esac
    tool openssl s_client $over -connect "127.0.0.1:$port" -alpn coap "$@"
    within 20 grep -q 'Verify return code: 0' "$work/tool" || fail "no handshake: $(tail -n 9 "$work/tool")"
    grep -q 'Cipher is (NONE)' "$work/tool" && fail "no cipher"
    return 0
}

gnutls_asks() { # SCHEME KIND
    serve_copal "$1" "$2"
    over=
    [ "$1" != coaps ] || over=--udp
    case $2 in
    psk) set -- --pskusername me --pskkey "$hex" --priority NORMAL:-KX-ALL:+PSK:+ECDHE-PSK:+AES-128-CCM:+AES-128-CCM-8 ;;
    *) set -- --x509certfile "$keys/client.pem" --x509keyfile "$keys/client.key" --x509cafile "$keys/ca.pem" ;;
    esac
    tool gnutls-cli $over --port "$port" --alpn coap "$@" localhost
    within 20 grep -q 'Handshake was completed' "$work/tool" || fail "no handshake: $(tail -n 9 "$work/tool")"
}

for tool in openssl gnutls; do
    in_column "tools_$tool"
    if [ $tool = gnutls ] && ! command -v gnutls-serv >/dev/null; then
        printf 'asked\tskipped\t%s\n' 'no gnutls-serv (Debian: gnutls-bin)' >>"$results"
        continue
    fi
    for scheme in coaps coaps+tcp; do
        for kind in psk cert; do
            behaviour "$scheme $kind: its server is asked" "${tool}_serves $scheme $kind"
            behaviour "$scheme $kind: its client is let in" "${tool}_asks $scheme $kind"
        done
    done
done
finish
