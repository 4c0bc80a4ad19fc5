# Californium, both ways.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

. "$(dirname "$0")/support/californium.sh"
ask_and_serve
