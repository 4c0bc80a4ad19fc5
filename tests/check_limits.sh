#!/bin/sh
# The table of limits in SECURITY.md says what copal.h and the code say: each limit
# that is built in has a row, with its default and the name by which the state
# trace tells that it was hit.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
header=$root/core/include/copal.h
ranges=$root/core/wire/params.c
failed=0

complain() {
    echo "SECURITY.md: $*"
    failed=1
}

# NAME DEFAULT of all rows of COPAL_PARAMS.
params=$(sed -n '/define COPAL_PARAMS/,/^$/s/^ *X(\([A-Z_0-9]*\), *[0-9]*, *\([0-9]*\),.*/\1 \2/p' "$header")
# NAME DEFAULT TRACE of all rows of the table.
rows=$(sed -n 's/^| \([A-Z_][A-Z_]*\) | \([0-9]*\) |.* | `*\([a-z_]*\)`* |$/\1 \2 \3/p' \
    "$root/SECURITY.md")
[ -n "$params" ] && [ -n "$rows" ] || complain "no table, or no COPAL_PARAMS"

while read -r name value trace; do
    [ -n "$name" ] || continue
    echo "$params" | grep -qx "$name $value" ||
        complain "$name with default $value is not in COPAL_PARAMS"
    grep -rq "\"$trace\"" "$root/core" ||
        complain "$name: nothing is traced as $trace"
done <<EOF
$rows
EOF

while read -r name _; do
    case $name in
    MAX_RETRANSMIT) continue ;; # a timing
    MAX_* | PEER_* | ADDR_* | *_MEMORY) ;;
    *) continue ;;
    esac
    grep -q "COPAL_P_$name\].*true" "$ranges" && continue # not built in
    echo "$rows" | grep -q "^$name " || complain "$name has no row"
done <<EOF
$params
EOF
exit $failed
