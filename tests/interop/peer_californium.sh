# Californium, both ways.
needs=
. "$(dirname "$0")/check.sh"
. "$(dirname "$0")/support/matrix.sh"

peer=Californium
needs_tool javac default-jdk-headless
needs_tool mvn maven
is_built californium || {
    fetch 240 mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib \
        -DincludeScope=runtime
    compile 120 javac -cp 'lib/*' -d . Peer.java
    built
}
driver="java -XX:TieredStopAtLevel=1 -Xshare:auto -cp $made:$made/lib/* Peer"
ask_and_serve
