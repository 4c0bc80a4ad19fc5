# examples/c/server.c has a clock, greets by name and keeps a note (T26).
. "$(dirname "$0")/check.sh"
start_example server

run 0 "$copal" get "$uri/time"
out_matches '[0-9]+:[0-9]+:[0-9]+'
run 0 "$copal" get "$uri/hello/Ann%C3%A9"
out_is 'Hello, Anné!'
run 0 "$copal" get "$uri/note"
out_is ''
run 0 "$copal" put "$uri/note" -p 'milk, eggs'
run 0 "$copal" get "$uri/note"
out_is 'milk, eggs'
run 4 "$copal" delete "$uri/note"
run 0 "$copal" get "$uri/.well-known/core"
out_matches '</time>;obs'
out_matches '</note>'
