# T27: the tour by OSCORE. The many endpoints of one tour share a context without a
# store: each makes new keys of it, RFC 8613 B.2.
. ./support/protected.sh
secret=0x000102030405060708090a0b0c0d0e0f

give_server() {
    cat >"$work/$1.server.json" <<END2
{ "*": { "oscore": { "secret": "$secret", "sender_id": "s", "recipient_id": "$1",
    "rederives": true } } }
END2
    chmod 600 "$work/$1.server.json"
}

give_client() {
    cat >"$work/$1.json" <<END2
{ "$uri/": { "oscore": { "secret": "$secret", "sender_id": "$1", "recipient_id": "s",
    "rederives": true } } }
END2
    chmod 600 "$work/$1.json"
}

tour OSCORE
identities oscore:
