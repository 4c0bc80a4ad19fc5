#!/bin/sh
# The guided tour: builds copal, starts the demo server and shows what copal
# does, step by step, with the copal program, in C, in Lua and in Python.
#
#   sh examples/tour.sh           all of it
#   sh examples/tour.sh shell     with the program only
#   sh examples/tour.sh c         in C only; so with lua, python, and any of
#                                 them together
#   sh examples/tour.sh --by coaps+tcp
#                                 by another scheme: only the URI changes, and
#                                 what says who is who: a key made for this run
#
# Exits with 0 if everything was as it says. COPAL_BUILD in the environment
# names a folder where copal is built already.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
root=$(dirname "$here")
scheme=coap
if [ "${1:-}" = --by ]; then
    scheme=${2:?tour: --by wants a scheme}
    shift 2
fi
parts=${*:-shell c lua python}
broken=0
server=
others=
work=$(mktemp -d) || exit 1

# ---- What is started here ends here ------------------------------------------

finish() {
    trap '' INT TERM
    for pid in $server $others; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

give_up() {
    echo "tour: $*" >&2
    for log in "$work"/*.log; do
        [ ! -s "$log" ] || tail -n 20 "$log" >&2
    done
    exit 1
}

# ---- How the tour speaks -----------------------------------------------------

step() {
    printf '\n%-4s %s\n' "$1" "$2"
}

indent() {
    awk -v before="$1" '{ print before $0 }' "$2"
}

# shown WORDS...: as one would type them.
shown() {
    printf '   $ copal'
    for word in "$@"; do
        case $word in
        *[!a-zA-Z0-9:/.@%_,=+-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    echo
}

# run WORDS...: the program, quietly: $out, $err, $status, and how long: $ms.
out=$work/out
err=$work/err
run() {
    began=$(date +%s%3N)
    "$copal" "$@" >"$out" 2>"$err"
    status=$?
    ms=$(($(date +%s%3N) - began))
}

# does WORDS...: the same, seen.
does() {
    shown "$@"
    run "$@" </dev/null
    indent '     ' "$out"
    indent '  2> ' "$err"
}

# lua: the same for a few lines of Lua, from the standard input; $uri is
# their argument.
lua() {
    cat >"$work/script.lua"
    shown run - "$uri"
    indent '   | ' "$work/script.lua"
    run run - "$uri" <"$work/script.lua"
    indent '     ' "$out"
    indent '  2> ' "$err"
}

# hold SENTENCE COMMAND...: a fact, and how to see it.
hold() {
    sentence=$1
    shift
    if "$@"; then
        echo "  ok: $sentence"
    else
        echo "  NOT SO: $sentence"
        broken=$((broken + 1))
    fi
}

has() { # FILE TEXT
    grep -qF -e "$2" "$1"
}

has_but_lacks() { # TEXT TEXT
    has "$out" "$1" && ! has "$out" "$2"
}

matches() { # FILE PATTERN
    grep -qE -e "$2" "$1"
}

gives() { # STATUS
    [ "$status" = "$1" ]
}

gives_soon() { # STATUS
    gives "$1" && [ "$ms" -lt 3000 ]
}

took() { # MILLISECONDS AT LEAST, AT MOST
    [ "$ms" -ge "$1" ] && [ "$ms" -le "$2" ]
}

says_soon() { # STATUS TEXT
    gives_soon "$1" && has "$err" "$2"
}

# ---- Before it begins --------------------------------------------------------

# The modules for Lua and Python that can be built here.
modules() {
    cmake --build "$root/build" --target help 2>/dev/null |
        grep -oE 'copal_(lua[0-9]*_module|python(_sources)?)' | sort -u
}

build() {
    sh "$here/setup.sh" || give_up "what is needed could not be installed"
    echo "tour: building in $root/build"
    cmake -S "$root" -B "$root/build" -DCOPAL_LUA=ON >"$work/cmake.log" 2>&1 &&
        cmake --build "$root/build" -j "$(nproc)" >"$work/build.log" 2>&1 \
            --target copal_program example-tour $(modules) ||
        give_up "it does not build"
    COPAL_BUILD=$root/build
}

# The key: the program finds it where it looks by itself, the others are told.
make_credentials() {
    creds=
    identity=none
    case $scheme in
    coaps*) ;;
    *) return ;;
    esac
    XDG_CONFIG_HOME=$work/config
    export XDG_CONFIG_HOME
    creds=$XDG_CONFIG_HOME/copal/creds.json
    identity=traveller
    head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' | sed 's/^/0x/' >"$work/key"
    for scope in '*' "$scheme://"; do
        "$copal" creds add "$scope" psk-id=traveller psk=- <"$work/key" ||
            give_up "copal creds add does not work"
    done
}

# By UDP messages are acknowledged and bodies cut in blocks, by connections not.
by_udp() {
    case $scheme in
    *+*) return 1 ;;
    esac
}

has_ipv6() {
    grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null
}

# start FILE ARGS...: a demo server; its process id is in $started, what it
# says in FILE. Also one in the background is to hear SIGINT, which the shell
# would have it ignore.
start() {
    says=$1
    shift
    : >"$says"
    env --default-signal=INT "$copal" serve --test "$@" \
        >>"$says" 2>"$work/server.log" &
    started=$!
    others="$others $started"
    tries=0
    until grep -q '^listening on ' "$says"; do
        tries=$((tries + 1))
        kill -0 "$started" 2>/dev/null && [ $tries -lt 100 ] ||
            give_up "copal serve --test $* does not listen"
        sleep 0.1
    done
}

# stop SIGNAL PID: $status and $ms of its end.
stop() {
    began=$(date +%s%3N)
    kill "-$1" "$2"
    wait "$2"
    status=$?
    ms=$(($(date +%s%3N) - began))
}

start_server() {
    uri6=
    set -- --listen "$scheme://127.0.0.1:0"
    ! has_ipv6 || set -- "$@" --listen "$scheme://[::1]:0"
    start "$work/server" "$@"
    server=$started
    others=
    uri=$(sed -n 's/^listening on //p' "$work/server" | head -n 1)
    ! has_ipv6 || uri6=$(sed -n 's/^listening on //p' "$work/server" | tail -n 1)
    started_with=$*
}

# ---- T1 to T7: the server, and asking it -------------------------------------

t1_server() {
    step T1 'The demo server'
    for signal in INT TERM; do
        shown serve --test --listen "$scheme://*:0"
        start "$work/other" --listen "$scheme://*:0"
        indent '     ' "$work/other"
        stop "$signal" "$started"
        hold "it serves until SIG$signal and exits with 0" gives 0
    done
    shown serve --test $started_with
    indent '     ' "$work/server"
    hold 'it is ready when it says so' kill -0 "$server"
}

t2_links() {
    core=$uri/.well-known/core
    step T2 'What the server offers'
    does get -f link "$core"
    for link in '</time>;obs' '</.well-known/core>;ct=40' '</other/separate>' \
        '</other/block>'; do
        run get "$core"
        hold "among them $link" has "$out" "$link"
    done
    does get "$core?rt=Type1"
    hold 'by resource type: link1, not link2' has_but_lacks '</link1>' '</link2>'
    does get "$core?if=If2"
    hold 'by interface: link2, not link1' has_but_lacks '</link2>' '</link1>'
    does get "$core?href=/t*"
    hold 'by the beginning of the path' has_but_lacks '</time>' '</other'
    does get "$core?ct=40"
    hold 'by format' has "$out" '</path>;ct=40'
    does get "$core?obs"
    hold 'by what can be observed' has_but_lacks '</obs>' '</link1>'
}

t3_format() {
    step T3 'Link format needs nothing installed'
    does ls "$uri" href=/time
    hold 'ls reads it' has "$out" /time
    does get -f json "$core?href=/time"
    hold 'and so does get, as JSON' has "$out" '"href": "/time"'
}

t4_newline() {
    step T4 'A newline at the end'
    echo "   \$ copal get $uri/link1 | od -c"
    "$copal" get "$uri/link1" | od -c | sed 's/^/     /'
    hold 'a pipe gets the exact bytes' \
        test "$("$copal" get "$uri/link1" | wc -c)" -eq 5
    if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
        TERM=dumb script -qec "'$copal' get -q '$uri/link1'" /dev/null \
            >"$out" </dev/null
        hold 'a terminal gets a newline after them' \
            test "$(tr -d '\r' <"$out" | od -An -c | tr -d ' ')" = 'link1\n'
    else
        echo '   (this system gives no terminal to show the other half on)'
    fi
}

t5_time() {
    step T5 'An answer piggybacked on the acknowledgement'
    does get -v "$uri/time"
    hold 'the date and the time' \
        matches "$out" '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$'
    if by_udp; then
        hold 'two messages: CON there, ACK with the answer back' \
            matches "$err" '^< ACK 2\.05'
    else
        hold 'an answer, in a message without a type' matches "$err" '^< 2\.05'
    fi
}

t6_separate() {
    step T6 'An answer that takes three seconds'
    does get -v "$uri/other/separate"
    if by_udp; then
        hold 'first an empty ACK' matches "$err" '^< ACK \(empty\)'
        hold 'later the response, confirmable' matches "$err" '^< CON 2\.05'
        hold 'acknowledged' matches "$err" '^> ACK \(empty\)'
    else
        hold 'nothing is acknowledged' has_but_lacks 'seconds later' 'ACK'
        hold "the answer came after $ms ms" took 2900 9000
    fi
}

t7_not_found() {
    step T7 'A path that does not exist'
    does get "$uri/others/separate"
    hold 'the message is on stderr' has "$err" '4.04 Not Found'
    hold 'the exit status is 4' gives 4
}

# ---- T8 to T14: messages, requests -------------------------------------------

t8_t9_t10_message() {
    step T8 'Build a message from code and URI, print it'
    lua <<'EOF'
local copal = require "copal"
print(copal.message("GET", "coap://localhost/other/separate"))
EOF
    hold 'one line, the same in every language' \
        has "$out" 'GET coap://localhost/other/separate'

    step T9 'Print its options'
    lua <<'EOF'
local copal = require "copal"
print(copal.message("GET", "coap://[::1]/other/separate").options)
EOF
    hold 'a line for each, in the order of the wire' \
        has "$out" 'Uri-Path: other / separate'
    does get -vv -f none "$uri/link1"
    hold 'and while messages pass' matches "$err" '^ +Uri-Path: link1'

    step T10 'The path, segment by segment'
    lua <<'EOF'
local copal = require "copal"
local m = copal.message("GET", "coap://localhost/caf%C3%A9/")
for i, segment in ipairs(m.path) do print(i, '"' .. segment .. '"') end
EOF
    hold 'percent-decoded' has "$out" '"café"'
    hold 'a slash at the end is an empty last segment' matches "$out" '^2.*""$'
}

t11_t12_wait() {
    step T11 'A request that does not block'
    echo "   \$ copal get $uri/separate &"
    : >"$out"
    "$copal" get "$uri/separate" >>"$out" 2>"$err" &
    asked=$!
    others=$asked
    echo "     process $asked"
    hold 'nothing came yet' test ! -s "$out"

    step T12 'Wait for it'
    echo "   \$ wait $asked"
    wait "$asked"
    status=$?
    others=
    indent '     ' "$out"
    hold 'the exit status is that of the answer' gives 0
    does get --json "$uri/time"
    hold 'as JSON with code, format, payload, time it took' \
        matches "$out" '"code":"2.05".*"payload":.*"rtt_ms":'
}

t14_endpoint() {
    step T14 'One endpoint, client and server in one'
    lua <<'EOF'
local copal = require "copal"
local coap = copal.endpoint()
coap:serve("/hello", function() return "hello" end)
coap:listen "coap://127.0.0.1:0"
local own = coap:addresses()[1]
for i = 1, 100 do assert(coap:get(own .. "/hello")) end
print(coap:get(own .. "/hello").payload .. ", 101 times")
coap:free()
EOF
    hold 'it answers itself' has "$out" 'hello, 101 times'
}

# ---- T15 to T19: a response --------------------------------------------------

t15_to_t19_response() {
    step T15 'The code of a response'
    does get -F '%c' "$uri/time"
    hold 'by number and name' has "$out" '2.05 Content'
    lua <<'EOF'
local copal = require "copal"
local code = copal.get((...) .. "/time").code
print(code, code.number, code.dotted, code.cls, code.detail, code.is_successful)
print(copal.code "2.30")
EOF
    hold 'and its parts' matches "$out" '^2\.05 Content.69.2\.05.2.5.true$'
    hold 'a code nobody named shows its number' matches "$out" '^2\.30$'

    step T16 'Who answered'
    step T17 'Is it multicast'
    lua <<'EOF'
local copal = require "copal"
local m = copal.get((...) .. "/time")
print(m.remote, m.remote.hostinfo, m.remote.scheme, m.remote.is_multicast)
print(m.local_address)
print(copal.message("GET", "coap://224.0.1.187/").remote.is_multicast,
  copal.message("GET", "coap://[ff02::fd]/").remote.is_multicast)
EOF
    hold 'host, port and scheme' has "$out" \
        "$(printf '%s\t%s\t%s\tfalse' "$uri" "${uri#*://}" "$scheme")"
    hold 'the two groups are groups' matches "$out" '^true.true$'

    step T18 'The payload'
    does get -f raw "$uri/link1"
    hold 'as it is' test "$(cat "$out")" = link1
    does get -f hex "$uri/link1"
    hold 'in hex' has "$out" 6c696e6b31
    lua <<'EOF'
local copal = require "copal"
local m = copal.get((...) .. "/link1")
print(m.payload, m.text, m:decode(), #m.payload)
EOF
    hold 'in Lua a string, or decoded by its Content-Format' \
        matches "$out" '^link1.link1.link1.5$'

    step T19 'Its format'
    does get -vv -f none "$uri/link1"
    hold '0 is text/plain;charset=utf-8' \
        has "$err" 'Content-Format: 0 text/plain;charset=utf-8'
}

# ---- T20 to T25: several, errors, observing, blocks --------------------------

t20_parallel() {
    step T20 'Three at once, taken as they finish'
    : >"$out"
    for path in /other/separate /time /link1; do
        echo "   \$ copal get -F '%u  %c' $uri$path &"
        "$copal" get -F '%u  %c' "$uri$path" >>"$out" &
        others="$others $!"
    done
    for pid in $others; do
        wait "$pid"
    done
    others=
    indent '     ' "$out"
    hold 'three answers' test "$(wc -l <"$out")" -eq 3
    hold 'the slow one last' \
        test "$(tail -n 1 "$out")" = "$uri/other/separate  2.05 Content"
}

# fails STATUS WORD URI: an error of its own, soon.
fails() {
    does get "$3"
    hold "exit status $1 after $ms ms" says_soon "$1" "$2"
}

t21_errors() {
    step T21 'Errors'
    fails 8 'nothing listens' "$scheme://127.0.0.1:1/"
    fails 3 'not known' "$scheme://a-label-of-a-name-in-the-dns-has-at-most-63-characters-this-has-more/"
    fails 2 scheme 127.0.0.1/time
    fails 2 host "$scheme:///time"
    fails 2 port "$scheme://127.0.0.1:99999/"
    fails 2 % "$scheme://127.0.0.1/%zz"
    fails 2 fragment "$scheme://127.0.0.1/#part"
    fails 2 proxy http://127.0.0.1/
}

t22_refusals() {
    step T22 '4.xx and 5.xx are responses'
    does delete "$uri/time"
    hold 'its class is the exit status' gives 4
    does get --expect 4.04 "$uri/others/separate"
    hold 'unless it is what one wants' gives 0
}

t23_observe() {
    step T23 'Observe /time: the first value, and one every 5 s'
    does observe -v -C 3 "$uri/time"
    hold 'three values' test "$(wc -l <"$out")" -eq 3
    hold "the last after $ms ms" took 4000 12000
    hold 'then the server is told (obs=1)' matches "$err" 'GET +/time obs=1'
}

t24_blocks() {
    step T24 'PUT, then GET a body of several blocks'
    awk 'BEGIN { for (i = 1; i <= 120; i++) print "line", i, "of a long text" }' \
        >"$work/long.txt"
    does put -v "$uri/other/block" "@$work/long.txt"
    ! by_udp || hold 'it went in blocks' has "$err" 'block1 1/'
    hold 'it was taken' gives 0
    does get -v -o "$work/back.txt" "$uri/other/block"
    ! by_udp || hold 'it came in blocks' has "$err" 'block2 1/'
    hold 'the same' cmp -s "$work/long.txt" "$work/back.txt"
}

t25_whoami() {
    step T25 'Who am I to the server'
    for base in $uri $uri6; do
        does get "$base/whoami"
        hold 'the scheme' grep -qxF "scheme:   $scheme" "$out"
        hold 'my address' matches "$out" '^peer: +.*:[0-9]+$'
        hold "the server's" has "$out" "${base#*://}"
        hold 'who I have proved to be, if anybody' \
            matches "$out" "^identity: +$identity"
    done
}

# ---- T28 ---------------------------------------------------------------------

t28_shutdown() {
    step T28 'Shut down'
    echo "   \$ copal get $uri/other/separate &"
    env --default-signal=INT "$copal" get "$uri/other/separate" \
        >"$out" 2>"$err" &
    asked=$!
    others=$asked
    sleep 0.5
    echo "   \$ kill -INT $asked"
    stop INT "$asked"
    others=
    hold "a request under way ends: exit status 130 after $ms ms" \
        gives_soon 130
    echo "   \$ kill -TERM $server    # the server"
    stop TERM "$server"
    server=
    hold "so does the server: exit status 0 after $ms ms" \
        gives_soon 0
}

# ---- The tour ----------------------------------------------------------------

# heading WHERE: of a part.
heading() {
    printf '\nThe guided tour %s\n' "$1"
}

lua_tour() {
    heading 'in Lua: copal run examples/lua/tour.lua'
    "$copal" run "$here/lua/tour.lua" ${creds:+--creds "$creds"} "$uri" $uri6 || broken=$((broken + 1))
}

# By the interpreter that the package was built for.
python_tour() {
    python=$(sed -n 's/^_\{0,1\}Python3_EXECUTABLE:[A-Z]*=//p' \
        "$COPAL_BUILD/CMakeCache.txt" | tail -n 1)
    set -- "$COPAL_BUILD"/python/copal/_copal.*.so
    if [ ! -f "$1" ] || [ -z "$python" ]; then
        heading 'in Python'
        echo "   not built in: there is no $COPAL_BUILD/python/copal/_copal.*.so;"
        echo '   it needs Python 3.11 or later with its headers, and SWIG'
        return
    fi
    heading "in Python: $python examples/python/tour.py"
    PYTHONPATH=$COPAL_BUILD/python PYTHONDONTWRITEBYTECODE=1 \
        "$python" "$here/python/tour.py" ${creds:+--creds "$creds"} "$uri" $uri6 || broken=$((broken + 1))
}

shell_tour() {
    t1_server
    t2_links
    t3_format
    t4_newline
    t5_time
    t6_separate
    t7_not_found
    t8_t9_t10_message
    t11_t12_wait
    # A script is told its credentials, as in the tour in Lua.
    if [ -z "$creds" ]; then
        t14_endpoint
        t15_to_t19_response
    fi
    t20_parallel
    t21_errors
    t22_refusals
    t23_observe
    t24_blocks
    t25_whoami
}

for part in $parts; do
    case $part in
    shell | c | lua | python) ;;
    *) give_up "no part called '$part': shell, c, lua, python" ;;
    esac
done
[ -n "${COPAL_BUILD:-}" ] || build
copal=$COPAL_BUILD/copal
make_credentials
start_server
for part in $parts; do
    case $part in
    shell)
        heading 'with the copal program'
        shell_tour
        ;;
    c)
        heading 'in C: examples/c/tour/'
        "$COPAL_BUILD/examples/tour" ${creds:+--creds "$creds"} "$uri" $uri6 || broken=$((broken + 1))
        ;;
    lua) lua_tour ;;
    python) python_tour ;;
    esac
done
case $parts in
*shell*) t28_shutdown ;;
esac

if [ $broken -gt 0 ]; then
    printf '\nThe tour ends; NOT SO: %d\n' "$broken"
    exit 1
fi
printf '\nThe tour ends; everything was so.\n'
