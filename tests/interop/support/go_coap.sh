# go-coap's program, fetched and built once: two tests may want it at a time.
peer=go-coap
needs_tool go golang
exec 8>"$COPAL_BUILD/interop-go-coap.lock"
flock 8
is_built go-coap || {
    export GOTOOLCHAIN=local CGO_ENABLED=0
    fetch 120 go mod download
    compile 400 go build -o peer .
    built
}
exec 8>&-
driver=$made/peer
