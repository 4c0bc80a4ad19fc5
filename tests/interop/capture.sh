# A dissector that is not ours finds nothing malformed in what copal sends,
# asking and serving.
. "$(dirname "$0")/check.sh"

command -v tshark >/dev/null || skip "skipped: no tshark"

start_copal --test --listen coap://127.0.0.1:0
port=${uri##*:}
timeout 120 tshark -q -n -i lo -f "udp port $port" -w "$work/pcap" \
    >"$work/tshark" 2>&1 </dev/null &
pids="$pids $!"
shark=$!
captures() {
    kill -0 $shark && [ -s "$work/pcap" ]
}
within 10 captures || skip "skipped: tshark may not capture on lo"

# Warnings, but for those about option numbers that it does not know.
complaint='_ws.malformed || (_ws.expert.severity >= 0x600000 &&
    !coap.unknown_option_number)'

# dissected FILTER: how many datagrams of the capture it matches.
dissected() {
    tshark -n -r "$work/pcap" -d "udp.port==$port,coap" -Y "$1" 2>/dev/null |
        wc -l
}

talk() {
    copal 0 get "$uri/"
    copal 0 get -N "$uri/test"
    copal 0 post "$uri/test" -p x
    copal 0 delete "$uri/test" first==1 second==2
    copal 4 get "$uri/nothing"
    copal 0 get "$uri/separate"
    copal 0 get "$uri/seg1/seg2/seg3" -O ETag=0x01020304 -a text
    copal 0 get "$uri/query" a==1 "b==$(printf '%0200d' 0)"
    copal 4 get "$uri/test" -O 2049=critical
    copal 0 get "$uri/test" -O 65000=far
    copal 0 ls "$uri"
    copal 0 put "$uri/large-update" -p "@$large" -t octets
    copal 0 get -o "$work/got" "$uri/large-update"
    copal 0 put --block-size 64 "$uri/large-update" -p "@$large" -t octets
    copal 0 get --block-size 16 "$uri/large"
    copal 0 post "$uri/large-create" -p "@$large" -t octets
    copal 0 observe -C 2 "$uri/obs-large"
    copal 0 observe -N -C 1 "$uri/obs"
    copal 0 ping -C 1 "$uri"
    within 5 all_captured || fail "the end is not captured"
}

# The last thing said is the ping's Reset. The capture lags a little.
all_captured() {
    [ "$(dissected 'coap.type == 3')" -ge 1 ]
}

is_well_formed() {
    all=$(dissected udp)
    [ "$all" -gt 3000 ] || fail "only $all datagrams captured"
    [ "$(dissected coap)" = "$all" ] || fail "not all of them are CoAP"
    bad=$(dissected "$complaint")
    [ "$bad" = 0 ] || {
        tshark -n -r "$work/pcap" -d "udp.port==$port,coap" -O coap -Y \
            "$complaint" 2>/dev/null | head -n 60
        fail "$bad of $all are malformed"
    }
}

behaviour "talk of copal with itself" talk
kill $shark
wait $shark
behaviour "nothing malformed" is_well_formed
finish
