# copal find, and copal serve --join: discovery by multicast, on loopback; with
# IPv6, for which Linux wants another interface, in a network of its own.
. "$(dirname "$0")/support/lib.sh"

cat >"$work/member.lua" <<'E2'
local coap = ...
coap:serve("/hello", { rt = "greeting", group = true, get = function() return "hello" end })
assert(coap:listen "coap://*:0")
local group = "coap://224.0.1.187" .. coap:addresses()[1]:match ":%d+$"
assert(coap:join(group, "lo"))
coap.listening = true
print("joined " .. group)
E2

check 2 find --nonsense
check 3 find no-such-interface0
err_has 'no-such-interface0: this host has no such network interface'
check 0 help find
out_has '--wait TIME'
out_has '--group URI'

serve --leisure 0 "$work/member.lua"
group=$(sed -n 's/^joined //p' "$work/server.out")
"$COPAL_BIN" find lo --group "$group" --wait 1s >"$work/out" 2>"$work/err"
status=$?
if [ $status = 3 ] || [ $status = 7 ]; then
    echo "skipped: no multicast on lo"
    exit 77
fi
[ $status = 0 ] || fail "copal find: exit $status"
out_has '/hello'
out_has 'rt=greeting'
err_has '1 device'
check 0 find lo --group "$group" --wait 500ms rt=greeting --json -q
out_has '"event":"found"'
out_has '"rt":"greeting"'
err_is_empty
check 7 find lo --group "$group" --wait 300ms rt=nothing
out_is_empty
err_has 'nobody answered'

# get, ls and observe of a group: every answer, with who gave it.
by="-i lo -T 500ms"
check 0 get $by "$group/hello"
member=$(sed -n 's/  hello$//p' "$work/out")
[ "${member##*:}" = "${group##*:}" ] || fail "who answered is not told"
check 0 get $by --json "$group/hello"
out_has "\"remote\":\"$member\""
check 0 get $by -F '%a %p' "$group/hello"
out_is "$member hello
"
check 0 ls $by "$group"
out_has "$member  2 resources"
out_has 'rt=greeting'
check 7 get $by "$group/nothing"
err_has 'nobody in the group answered'
check 0 observe -i lo -C 1 "$group/hello"
out_is 'hello
'
stop TERM

# The groups of all CoAP nodes at the port of their own.
unshare -rn true 2>/dev/null || exit 0
unshare -rn ip link add v0 type veth peer name v1 2>/dev/null || exit 0
cat >"$work/network.sh" <<'E2'
ip link set lo up
ip link add v0 type veth peer name v1
ip addr add 192.0.2.1/24 dev v0
ip link set v0 up
ip link set v1 up
sleep 2.5 # until IPv6 knows that its address is nobody else's
"$COPAL_BIN" serve --test --join all --leisure 0 >"$work/all.out" 2>&1 &
for _ in $(seq 50); do
    grep -q '^listening on' "$work/all.out" && break
    sleep 0.1
done
"$COPAL_BIN" find v0 --wait 2s rt=test >"$work/out" 2>"$work/err"
echo $? >"$work/status"
kill $!
wait
E2
COPAL_BIN=$COPAL_BIN work=$work unshare -rn sh "$work/network.sh"
cat "$work/all.out" >>"$work/err"
grep -qx 0 "$work/status" || fail "copal find v0: exit $(cat "$work/status")"
out_has 'coap://192.0.2.1'
out_has 'coap://[fe80::'
out_has '%v0]'
out_has '/test'
