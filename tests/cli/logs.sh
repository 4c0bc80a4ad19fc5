# What the program writes where nobody asked for it to be told: nothing of what
# strangers send, however much that is; and all of it, a line of JSON each, where
# --trace says so.
. "$(dirname "$0")/support/lib.sh"
python=${COPAL_PYTHON:-/usr/bin/python3}
command -v "$python" >/dev/null || { echo "skipped: no Python"; exit 77; }

cat >"$work/throws.lua" <<'EOF'
local coap = ...
coap:serve("/throws", { any = function() error "the handler's own words" end })
coap:serve("/keeps", { put = function() return "kept" end })
EOF
serve "$work/throws.lua" --listen coap://127.0.0.1:0 --trace "$work/trace"

# Tokens, payloads, options and message ids of which each would be recognised.
"$python" - "${uri##*:}" <<'EOF' || fail "the traffic"
import random, socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect(("127.0.0.1", int(sys.argv[1])))
dice = random.Random(1)
def send(data):
    out.send(data)
    try:
        while True: out.recv(2048, socket.MSG_DONTWAIT)
    except BlockingIOError: pass
for i in range(3000):
    mid = i.to_bytes(2, "big")
    path = b"\xb6throws" if i % 3 else b"\xb5keeps"
    send(b"\x54\x03" + mid + b"TOKN" + path + b"\x4bQUERYsecret" + b"\xffPAYLOADsecret\x00\xff\"\\")
    send(bytes(dice.randrange(256) for _ in range(dice.randrange(60))))
    send(b"\x40\x01" + mid + b"\xbb" + bytes(dice.randrange(256) for _ in range(11)) + b"\xff\xc3(\"\n")
EOF
check 0 put "$uri/keeps" -p x
stop TERM

for secret in TOKN 544f4b4e QUERYsecret PAYLOADsecret; do
    if grep -qF -e "$secret" "$work/server.err" "$work/server.out"; then fail "$secret is in the log"; fi
done
told=$(grep -c "the handler's own words" "$work/server.err")
[ "$told" -ge 10 ] || fail "only $told errors are told"
[ "$told" -le 70 ] || fail "$told errors are told"

# Every line of the trace is one JSON object, as strict as Python reads it.
"$python" - "$work/trace" <<'EOF' || fail "the trace is not JSON"
import json, sys
def refuse(word): raise ValueError(word)
kinds = {}
for line in open(sys.argv[1], "rb"):
    event = json.loads(line.decode("utf-8"), parse_constant=refuse)
    assert isinstance(event, dict) and isinstance(event["t"], int), line
    kinds[event["ev"]] = kinds.get(event["ev"], 0) + 1
assert kinds["in"] > 5000 and kinds["out"] > 1000, kinds
EOF

check 1 serve "$work/throws.lua" --trace "$work/no/such/folder"
err_has '--trace'
