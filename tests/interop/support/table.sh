# sh table.sh DIR [tour]: what the interop tests wrote there, a row a behaviour,
# a column a peer; what is not plainly ok is told of below. Nothing of those that
# did not run. With tour nothing but the table of tests/tour/schemes.sh.
dir=$1

# table TITLE FILE=HEAD...
table() {
    title=$1
    shift
    for column in "$@"; do
        [ -s "$dir/${column%%=*}" ] &&
            sed "s/^/${column#*=}	/" "$dir/${column%%=*}"
    done | awk -F '\t' -v title="$title" -v heads="$(printf '%s\t' "$@")" '
        !($2 in known) { known[$2] = 1; row[++rows] = $2 }
        { verdict[$1, $2] = $3; if (length($2) > wide) wide = length($2) }
        $4 != "" && !(($1, $4) in number) {
            number[$1, $4] = ++notes
            note[notes] = $1 ": " $4
        }
        $4 != "" { mark[$1, $2] = " " number[$1, $4] }
        function cell(column, name) {
            if (!((column, name) in verdict)) return "-"
            return verdict[column, name] mark[column, name]
        }
        END {
            if (rows == 0) exit
            columns = split(heads, head, "\t") - 1
            for (i = 1; i <= columns; i++) sub(/^[^=]*=/, "", head[i])
            printf "\n%s:\n  %-" wide "s", title, ""
            for (i = 1; i <= columns; i++) printf "  %-12s", head[i]
            for (r = 1; r <= rows; r++) {
                printf "\n  %-" wide "s", row[r]
                for (i = 1; i <= columns; i++)
                    printf "  %-12s", cell(head[i], row[r])
            }
            print ""
            for (i = 1; i <= notes; i++) printf "  %2d %s\n", i, note[i]
            print ""
        }' | sed 's/ *$//'
}

# matrix TITLE DIRECTION
matrix() {
    table "$1" "libcoap-$2=libcoap" "aiocoap-$2=aiocoap" \
        "node-coap-$2=node-coap" "go-coap-$2=go-coap" \
        "Californium-$2=Californium" "coap-rs-$2=coap-rs"
}

table "The tour by other schemes (T27)" "tour-shell=shell" "tour-C=C" \
    "tour-Lua=Lua" "tour-Python=Python"
[ "${2:-}" != tour ] || exit 0
table "With libcoap 4.3.1" "client=copal asks" "server=copal serves"
table "With aiocoap 0.4.17" "aiocoap-copal=copal asks" "aiocoap-lua=Lua asks" \
    "aiocoap-python=Python asks" "aiocoap-server=copal serves"
table "OSCORE, copal asks" "oscore-aiocoap-asks=aiocoap" \
    "oscore-californium-asks=Californium"
table "OSCORE, copal serves" "oscore-aiocoap-serves=aiocoap" \
    "oscore-californium-serves=Californium"
table "EDHOC with aiocoap 0.4.17, by lakers" "edhoc_aiocoap=both ways"
table "EDHOC with lakers 0.6.2 alone" "lakers-asks=copal asks" \
    "lakers-serves=copal serves"
matrix "copal asks" asks
matrix "copal serves" serves

# secured TITLE DIRECTION: by other schemes, and with keys
secured() {
    table "$1" "go-coap-secured-$2=go-coap" "Californium-secured-$2=Californium" \
        "aiocoap-secured-$2=aiocoap"
}

secured "copal asks by other schemes" asks
secured "copal serves by other schemes" serves
table "coaps with libcoap 4.3.1, both builds" "dtls_libcoap=libcoap"
table "With the tools of OpenSSL and GnuTLS" "tools_openssl=openssl" \
    "tools_gnutls=gnutls"
table "A browser's WebSocket" "peer_chromium=Chromium"
