# T27: the tour by OSCORE whose keys EDHOC makes with the first request, of keys
# that both ends draw here and show to each other.
. ./support/protected.sh

# add FILE SCOPE WORDS...: what is shown of the key that is drawn is in $shown.
add() {
    creds=$1
    shift
    "$copal" creds add "$@" --creds "$creds" >"$work/shown" 2>"$work/add.err" ||
        fail "copal creds add $*"
    shown=$(sed -n 's/^credential //p' "$work/shown")
}

# The client's key is drawn first, so that the server knows it when it begins.
give_server() {
    add "$work/$1.server.json" '*' private_key=random subject="server of $1"
    theirs=$shown
    add "$work/$1.drawn.json" coap://nobody/ private_key=random subject="$1" \
        peer_credential="$theirs"
    add "$work/$1.server.json" '*' peer_credential="$shown"
}

give_client() {
    sed "s|coap://nobody/|$uri/|" "$work/$1.drawn.json" >"$work/$1.json"
    chmod 600 "$work/$1.json"
}

tour EDHOC
identities
