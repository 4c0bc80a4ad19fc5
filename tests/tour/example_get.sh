# examples/c/get.c prints the exact bytes, and says why if it cannot.
. "$(dirname "$0")/check.sh"
start_demo

run 0 "$examples/get" "$uri/link1"
out_is link1
run 1 "$examples/get" "$uri/others/separate"
run 1 "$examples/get" coap://127.0.0.1:1/
out_is ''
err_has 'nothing listens at 127.0.0.1:1'
run 1 "$examples/get" localhost/time
err_has 'a URI needs a scheme'
run 2 "$examples/get"
err_has usage
