# examples/c/stream.c sends a file and counts what it is sent, block by block;
# examples/c/download.c takes what is more than fits.
. "$(dirname "$0")/check.sh"
head -c 2500000 /dev/urandom >"$work/file"
start_example stream "$work/file"

run 0 "$examples/download" "$uri/file"
cmp -s "$work/file" "$work/run.out" || fail "the file came otherwise"
"$examples/download" "$uri/file" >"$work/second" &
run 0 "$examples/download" "$uri/file"
wait $! || fail "the second download failed"
cmp -s "$work/file" "$work/run.out" || fail "one of two files came otherwise"
cmp -s "$work/file" "$work/second" || fail "one of two files came otherwise"

head -c 4096 /dev/urandom >"$work/blocks" # no block is shorter than the others
start_example stream "$work/blocks"
run 0 "$examples/download" "$uri/file"
cmp -s "$work/blocks" "$work/run.out" || fail "4 blocks came otherwise"

run 0 "$copal" put "$uri/count" "@$work/file"
out_is '2500000 bytes came'
run 0 "$copal" put "$uri/count" -p short
out_is '5 bytes came'
run 1 "$examples/download" "$uri/count"
err_has '4.05 Method Not Allowed'
