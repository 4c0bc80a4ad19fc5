# examples/c/observe.c prints as many values as it is told to, then leaves.
. "$(dirname "$0")/check.sh"
start_example server

run 0 "$examples/observe" "$uri/time" 2
[ "$(grep -c : "$work/run.out")" -eq 2 ] || fail "not two values"
run 1 "$examples/observe" coap://127.0.0.1:1/ 2
err_has 'nothing listens'
