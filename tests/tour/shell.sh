# T1 to T12, T14 to T25 and T28 of the guided tour, with the copal program.
exec sh "$COPAL_ROOT/examples/tour.sh" shell
