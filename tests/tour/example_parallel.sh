# examples/c/parallel.c prints answers as they come, the slow one last.
. "$(dirname "$0")/check.sh"
start_demo

run 0 "$examples/parallel" "$uri/separate" "$uri/link1" "$uri/link2"
[ "$(wc -l <"$work/run.out")" -eq 3 ] || fail "not three answers"
tail -n 1 "$work/run.out" | grep -qF "$uri/separate  2.05 Content from $uri" ||
    fail "the slow one is not last"
run 1 "$examples/parallel" "$uri/link1" coap://127.0.0.1:1/
out_matches 'link1  2\.05 Content'
err_has 'nothing listens'
