# examples/c/find.c and examples/lua/find.lua hear the members of a group on
# loopback, and say so when there is none.
. "$(dirname "$0")/check.sh"

cat >"$work/member.lua" <<'E2'
local coap = ...
coap:serve("/member", { rt = "member", get = function() return "yes" end })
assert(coap:listen "coap://*:0")
local group = "coap://224.0.1.187" .. coap:addresses()[1]:match ":%d+$"
assert(coap:join(group, "lo"))
coap.listening = true
print("joined " .. group)
E2
start member "$copal" serve --leisure 0 "$work/member.lua"
group=$(sed -n 's/^joined //p' "$work/member.out")
"$copal" find lo --group "$group" --wait 500ms >/dev/null 2>&1 || {
    echo 'skipped: no multicast on lo'
    exit 77
}
run 0 "$examples/find" lo "$group"
grep -q '</member>;rt="member"' "$work/run.out" || fail "no link of the member"
run 1 "$examples/find" lo "coap://224.0.1.188:${group##*:}"
err_has 'nobody in the group answered'
run 0 "$copal" run "$COPAL_ROOT/examples/lua/find.lua" lo "$group"
grep -q '/member	member' "$work/run.out" || fail "no link of the member"
run 1 "$copal" run "$COPAL_ROOT/examples/lua/find.lua" lo \
    "coap://224.0.1.188:${group##*:}"
err_has 'nobody in the group answered'
