# The resources the ETSI plugtests ask for behave as they say.
. "$(dirname "$0")/support/lib.sh"
serve --test --listen coap://127.0.0.1:0

check 0 get "$uri/"
check 0 get "$uri/test"
check 0 post "$uri/test" -p x --expect 2.01 -vv
err_has 'Location-Path: location1'
check 0 get "$uri/location1/location2/location3"
check 0 put "$uri/test" -p x --expect 2.04
check 0 delete "$uri/test" --expect 2.02
check 0 get "$uri/seg1/seg2/seg3"
check 0 get "$uri/query?first=1&second=2"
out_has 'second=2'
check 0 post "$uri/location-query" --expect 2.01 -vv
err_has 'Location-Query: first=1'
check 0 get "$uri/whoami"
out_has '127.0.0.1'
out_has 'scheme:   coap'

# Blocks, both ways.
check 0 get "$uri/large"
[ "$(wc -c <"$work/out")" -ge 1280 ] || fail "/large is small"
check 0 get --block-size 64 "$uri/large"
[ "$(wc -c <"$work/out")" -ge 1280 ] || fail "/large by 64 is small"
i=0
while [ $i -lt 300 ]; do
    echo "line $i"
    i=$((i + 1))
done >"$work/large"
for path in other/block large-update; do
    check 0 put "$uri/$path" @"$work/large" --expect 2.04
    check 0 get "$uri/$path"
    cmp -s "$work/out" "$work/large" || fail "/$path does not keep what it was given"
done
check 0 post "$uri/large-create" @"$work/large" --expect 2.01
check 0 get "$uri/large-create/1"
cmp -s "$work/out" "$work/large" || fail "/large-create/1 is another"
check 0 post "$uri/large-post" @"$work/large" --expect 2.04

# Conditions.
check 0 get "$uri/validate" -vv
etag=$(sed -n 's/^ *ETag: *//p' "$work/err" | head -n 1)
[ -n "$etag" ] || fail "/validate has no ETag"
check 0 get "$uri/validate" ETag:0x01 --expect 2.03
check 0 put "$uri/validate" If-Match:0x01 -p two --expect 2.04
check 4 put "$uri/validate" If-Match:0x01 -p three
err_has '4.12'
check 0 put "$uri/create1" If-None-Match: -p x --expect 2.01
check 4 put "$uri/create1" If-None-Match: -p x
err_has '4.12'
check 0 delete "$uri/create1"

# Formats.
check 0 get -a text "$uri/multi-format"
out_is copal
check 0 get -a xml "$uri/multi-format"
out_has '<name>copal</name>'
check 4 get -a json "$uri/multi-format"
err_has '4.06'

# Links.
check 0 get -f json "$uri/path"
out_has '/path/sub2'
check 0 get "$uri/path/sub2"
out_is sub2
check 0 get "$uri/alternate"
stop TERM
