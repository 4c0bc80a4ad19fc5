# go-coap, both ways.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

peer=go-coap
needs_tool go golang
is_built go-coap || {
    export GOTOOLCHAIN=local CGO_ENABLED=0
    fetch 120 go mod download
    compile 400 go build -o peer .
    built
}
driver=$made/peer

asks_non() {
    copal 0 get -v -N "$uri/"
    out_has "made with $peer"
    said '> NON GET'
    said '< CON 2.05'
    peers_fault "answers a NON by a CON, RFC 7252 5.2.3"
}

# Each block of copal's has a token of its own, and go-coap sees as many
# uploads, and keeps the last.
asks_block1() {
    limit=$block_limit
    copal 0 put -v --block-size "$1" "$uri/store" -p "@$large" -t octets
    said "> CON PUT .* block1 $(last_block "$1")/0/$1 "
    copal 0 get -o "$work/got" "$uri/store"
    tail -c "$1" "$large" >"$work/end"
    same "$work/end" "$work/got"
    peers_fault "knows the blocks of a body by their token, RFC 7959 3.4"
}

ask_and_serve
