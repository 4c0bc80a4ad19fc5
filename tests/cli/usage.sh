# Usage errors exit with 2, what is not there yet says so, help is help.
. "$(dirname "$0")/support/lib.sh"

check 0 help
out_has 'copal URI | COMMAND'
out_has 'watch'
check 0 --help
check 0 --version
check 2
for command in get put observe watch ls ping serve run codec trace bench; do
    check 0 help $command
    out_has "copal $command"
    check 0 $command --help
done
check 2 help nonsense

# Flags: one table, an unknown one is named.
check 2 get --nonsense coap://127.0.0.1/
err_has '--nonsense'
check 2 get -Z coap://127.0.0.1/
err_has '-Z'
check 2 get
err_has 'wants a URI'
check 2 get -p
err_has '-p wants TEXT'
check 2 get --json=x coap://127.0.0.1/
err_has 'takes no value'
check 2 get -T soon coap://127.0.0.1/
err_has 'a time like'
check 2 get --max-retransmit many coap://127.0.0.1/
err_has 'wants a number'
check 2 get -f nonsense coap://127.0.0.1/
check 2 get -a no/such coap://127.0.0.1/
check 2 get -O nonsense coap://127.0.0.1/
check 2 get -O Nonsense=1 coap://127.0.0.1/
check 2 get -X 2.05 coap://127.0.0.1/
check 2 get -p x coap://127.0.0.1/
check 2 get --expect 'json ..' coap://127.0.0.1/
check 2 put coap://127.0.0.1/ nonsense
err_has "request item 'nonsense'"
check 2 put coap://127.0.0.1/ -p a b=c
check 2 put coap://127.0.0.1/ @"$work/no-such-file"
check 2 put coap://127.0.0.1/ 0x123
check 2 put coap://127.0.0.1/ 'a:={'
check 2 nonsense
err_has "unknown command 'nonsense'"
check 2 serve
check 2 serve --test --listen coap://127.0.0.1:0 --allow-host http://device.example
err_has 'no name of a host'
check 2 serve --test --listen coap://127.0.0.1:0 --allow-origin device.example
err_has 'no origin'
check 2 run
check 2 run "$work/no-such-file.lua"

# Nothing that was asked for is passed over.
check 2 serve --test "$work/no-such-file.lua"
err_has 'not both'
check 2 get --q-block 7 coap://127.0.0.1/
err_has 'copal: q_block: 7 is out of range, 0 to 1'

# What is not there yet.
check 0 help get
grep -q -e '--resume .*(not built in)' "$work/out" || fail "resume is not marked"
grep -q -e '--q-block .*(not built in)' "$work/out" && fail "q-block is marked"
for command in shell ui top proxy tap record sim \
    fleet check doctor; do
    check 2 $command
    err_has 'not built in'
done
for flag in --resume; do
    check 2 get $flag x coap://127.0.0.1/
    err_has 'not built in'
done
check 2 put -t xml coap://127.0.0.1/ a=b
err_has 'not built in'

# URIs: each its own sentence.
check 2 get localhost/x
err_has 'localhost/x'
for bad in 'coap:///x' 'coap://h:99999/' 'coap://h/%zz' 'coap://h/#x' 'http://h/'; do
    check 2 get "$bad"
    err_has "$bad"
    out_is_empty
done

# A refused port fails fast.
began=$(date +%s)
check 8 get coap://127.0.0.1:1/
[ $(($(date +%s) - began)) -le 1 ] || fail "a refused port took long"
err_has '127.0.0.1:1'
check 8 coap://127.0.0.1:1/
check 8 get -q coap://127.0.0.1:1/
err_is_empty

# Unless ICMP is said to lie.
check 7 get --ignore-icmp -T 300ms coap://127.0.0.1:1/

# A name that does not resolve.
check 2 gte coap://localhost/
err_has "unknown command 'gte'"
check 3 get coap://no-label-of-a-name-in-the-dns-is-longer-than-sixty-three-characters/
err_has 'no-label-of-a-name-in-the-dns-is-longer-than-sixty-three-characters'
