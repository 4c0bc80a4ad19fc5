# T8 to T26 and T28 of the guided tour, in C.
exec sh "$COPAL_ROOT/examples/tour.sh" c
