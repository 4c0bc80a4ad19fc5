# examples/c/slow.c answers three seconds later, in a message of its own; an
# asker who leaves does it no harm.
. "$(dirname "$0")/check.sh"
start_example slow

run 7 "$copal" get -T 500ms "$uri/slow"
run 0 "$copal" get -v "$uri/slow"
out_matches '^worth the wait'
err_has '< ACK (empty)'
err_has '< CON 2.05'
