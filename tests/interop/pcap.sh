# What --pcap writes is read by a dissector that is not ours: each message,
# asking and serving, over IPv4 and IPv6, as CoAP and with nothing to complain
# about.
needs=
. "$(dirname "$0")/check.sh"

command -v tshark >/dev/null || skip "skipped: no tshark"

start_copal --test --listen coap://127.0.0.1:0 --pcap "$work/server"

# read_as FILE FILTER: how many packets of a capture it matches.
read_as() {
    tshark -n -r "$work/$1" -Y "$2" 2>/dev/null | wc -l
}

complaint='_ws.malformed || _ws.expert.severity >= 0x600000 ||
    ip.checksum.status == 0 || udp.checksum.status == 0'

check_file() {
    all=$(read_as "$1" frame)
    [ "$all" -ge "$2" ] || fail "only $all packets in $1"
    [ "$(read_as "$1" coap)" = "$all" ] || fail "not all of $1 is CoAP"
    tshark -n -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE \
        -r "$work/$1" -Y "$complaint" >"$work/bad" 2>/dev/null
    [ ! -s "$work/bad" ] || fail "complaints about $1: $(head -n 3 "$work/bad")"
}

a_client_is_captured() {
    copal 0 get --pcap "$work/client" "$uri/large"
    check_file client 4
    [ "$(read_as client 'coap.opt.uri_path == "large"')" -ge 2 ] ||
        fail "the path is not seen"
}

a_server_is_captured() {
    copal 0 put "$uri/large-update" -p "@$large" -t octets
    copal 4 get "$uri/nothing"
    check_file server 20
}

ipv6_is_captured() {
    start_copal --test --listen 'coap://[::1]:0'
    copal 0 get --pcap "$work/six" "$uri/test"
    check_file six 2
    [ "$(read_as six ipv6)" -ge 2 ] || fail "not over IPv6"
}

behaviour "a client's capture" a_client_is_captured
behaviour "a server's capture" a_server_is_captured
behaviour "a capture over IPv6" ipv6_is_captured
finish
