# Californium's program, fetched and built once: more tests than one may want it at a time.
peer=Californium
needs_tool javac default-jdk-headless
needs_tool mvn maven
exec 8>"$COPAL_BUILD/interop-californium.lock"
flock 8
is_built californium || {
    fetch 240 mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib \
        -DincludeScope=runtime
    compile 120 javac -cp 'lib/*' -d . Peer.java Secure.java Oscore.java
    built
}
exec 8>&-
driver="java -XX:TieredStopAtLevel=1 -Xshare:auto -cp $made:$made/lib/* Peer"
