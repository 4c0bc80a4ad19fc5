# sh table.sh DIR: what the interop tests wrote there, a row a behaviour, a
# column a direction. Nothing if they did not run.
[ -s "$1/client" ] || [ -s "$1/server" ] || exit 0
for column in client server; do
    [ -f "$1/$column" ] && sed "s/^/$column	/" "$1/$column"
done | awk -F '\t' '
    !($2 in known) { known[$2] = 1; row[++rows] = $2 }
    { verdict[$1, $2] = $3; if (length($2) > wide) wide = length($2) }
    function cell(column, name) {
        return (column, name) in verdict ? verdict[column, name] : "-"
    }
    END {
        line = "  %-" wide "s  %-15s  %s\n"
        print "\nWith libcoap 4.3.1:"
        printf line, "", "copal asks", "copal serves"
        for (i = 1; i <= rows; i++)
            printf line, row[i], cell("client", row[i]), cell("server", row[i])
        print ""
    }'
