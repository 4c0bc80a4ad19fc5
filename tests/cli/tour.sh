# T1 to T7 of the guided tour, through copal serve --test.
. "$(dirname "$0")/support/lib.sh"

# T1: the demo server says where it listens and ends with 0 on SIGTERM and
# SIGINT.
serve --test --listen coap://127.0.0.1:0
case $uri in
coap://127.0.0.1:[1-9]*) ;;
*) fail "T1: listens on '$uri'" ;;
esac
stop TERM
[ "$stopped" = 0 ] || fail "T1: SIGTERM gives $stopped"

# Without job control the shell has background commands ignore SIGINT.
cat >"$work/int.sh" <<EOF
trap - INT
exec "\$@"
EOF
if command -v setsid >/dev/null && command -v python3 >/dev/null; then
    python3 - "$COPAL_BIN" <<'EOF' || fail "T1: SIGINT does not give 0"
import signal, subprocess, sys
p = subprocess.Popen([sys.argv[1], "serve", "--test", "--listen",
    "coap://127.0.0.1:0"], stdout=subprocess.PIPE,
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
assert p.stdout.readline().startswith(b"listening on coap://127.0.0.1:")
p.send_signal(signal.SIGINT)
sys.exit(p.wait(10))
EOF
fi

# T1: host *: every address family this host has.
serve --test --listen 'coap://*:0'
stop TERM
[ "$stopped" = 0 ] || fail "T1: coap://*: $stopped"

serve --test --listen coap://127.0.0.1:0

# T2: what .well-known/core lists, and its filters.
core=$uri/.well-known/core
check 0 get "$core"
for link in '</time>;obs' '</.well-known/core>;ct=40' '</other/separate>' \
    '</other/block>' '</large>' '</obs>' '</path>;ct=40'; do
    out_has "$link"
done
check 0 get "$core?rt=Type1"
out_has '</link1>'
out_has '</link3>'
grep -qF '</link2>' "$work/out" && fail "T2: rt filter lets link2 pass"
check 0 get "$core?if=If2"
out_has '</link2>'
check 0 get "$core?href=/t*"
out_has '</time>'
grep -qF '</other' "$work/out" && fail "T2: href filter lets /other pass"
check 0 get "$core?ct=40"
out_has '</.well-known/core>'
check 0 get "$core?obs"
out_has '</time>'
grep -qF '</link1>' "$work/out" && fail "T2: obs filter lets link1 pass"

# T3: link format is read, also as JSON.
check 0 get -f json "$core?href=/time"
out_has '"href": "/time"'
check 0 ls "$uri"
out_has '/time'
err_has 'observable'
check 0 ls "$uri" rt=Type1
out_has '/link1'
check 0 ls -t "$uri"
out_has 'separate'

# T4: on a pipe the exact bytes.
check 0 get "$uri/link1"
out_is link1

# T4: on a terminal a newline is added.
if command -v python3 >/dev/null; then
    python3 - "$COPAL_BIN" "$uri" >"$work/out" <<'EOF' || fail "T4: terminal"
import os, pty, sys
def read(fd):
    return os.read(fd, 1024)
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execv(sys.argv[1], [sys.argv[1], "get", "-q", sys.argv[2] + "/link1"])
text = b""
try:
    while True:
        piece = os.read(fd, 1024)
        if not piece: break
        text += piece
except OSError:
    pass
os.waitpid(pid, 0)
sys.exit(0 if text == b"link1\r\n" else repr(text))
EOF
fi

# T5: the time, piggybacked.
check 0 -v get "$uri/time"
grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$' "$work/out" ||
    fail "T5: not a time"
err_has '< ACK 2.05'

# T6: an empty ACK first, a confirmable response later, acknowledged.
check 0 -v get "$uri/other/separate"
out_has 'Three seconds later'
err_has '< ACK (empty)'
err_has '< CON 2.05'
err_has '> ACK (empty)'

# T7: 4.04 on stderr, exit 4.
check 4 get "$uri/others/separate"
out_is_empty
err_has "copal: 4.04 Not Found  $uri/others/separate"

stop TERM
[ "$stopped" = 0 ] || fail "T1: SIGTERM after work gives $stopped"
