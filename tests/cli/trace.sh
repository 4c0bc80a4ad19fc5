# copal trace: ladders of captures, as text, SVG and HTML; JSON, numbers, filters;
# what strangers put into captures stays text; broken files are told.
. "$(dirname "$0")/support/lib.sh"
export COLUMNS=80
python=${COPAL_PYTHON:-$(command -v python3)}
"$COPAL_BIN" run "$(dirname "$0")/support/captures.lua" "$work" || fail "no captures"
cp "$work/lossy.pcapng" "$work/bug.pcapng"
cd "$work" || exit 1
case $COPAL_BIN in /*) ;; *) COPAL_BIN=$OLDPWD/$COPAL_BIN ;; esac

# ---- Text ----

check 0 trace lossy.pcapng
err_is_empty
out_is '  t(ms)  client                                         server
      0  |-- CON GET /temp?u=Cel -------------- 29da:4828 -->|
   2252  |-- CON GET /temp?u=Cel -------------- 29da:4828 -->|  again +2.25 s
   2292  |<-- ACK 2.05 "21.5" ------------------ 29da:4828 --|  2.29 s
   2292  |-- CON GET /temp -------------------- 29db:19c6 -->|
   4922  |-- CON GET /temp -------------------- 29db:19c6 -->|  no answer
'
cp out lossy.txt
check 0 trace --ladder=text lossy.pcapng -o lossy.out
out_is_empty
cmp -s lossy.txt lossy.out || fail "-o has other text"
"$COPAL_BIN" trace - <lossy.pcapng | cmp -s - lossy.txt || fail "standard input is read otherwise"
cat lossy.pcapng | "$COPAL_BIN" trace - | cmp -s - lossy.txt || fail "a pipe is read otherwise"

check 0 trace mixed.pcapng
out_is '  t(ms)  client                                         server
      0  |-- CON GET /slow -------------------- 29da:4828 -->|
    290  |<-- ACK empty ----------------------------- 29da --|
   7040  |<-- CON 2.05 "worth the wait" -------- e9e6:4828 --|  separate, 7.04 s
   7040  |-- ACK empty ----------------------------- e9e6 -->|
   7040  |-- CON GET /no/such ----------------- 29db:19c6 -->|
   7080  |<-- ACK 4.04 ------------------------- 29db:19c6 --|  40 ms
   7080  |-- CON PUT /fw 1:0/1/16 "xxxxxxxxxx.. 29dc:609e -->|
   7120  |<-- ACK 2.31 1:0/1/16 ---------------- 29dc:609e --|  40 ms
   7120  |-- CON PUT /fw 1:1/1/16 "xxxxxxxxxx.. 29dd:609e -->|
   7160  |<-- ACK 2.31 1:1/1/16 ---------------- 29dd:609e --|  40 ms
   7160  |-- CON PUT /fw 1:2/0/16 "xxxxxxxx" -- 29de:609e -->|
   7200  |<-- ACK 2.04 1:2/0/16 "40 bytes" ----- 29de:609e --|  40 ms
   7200  |-- CON GET /temp obs=0 -------------- 29df:dcee -->|
   7240  |<-- ACK 2.05 obs=231040 "20" --------- 29df:dcee --|  40 ms
   7260  |<-- CON 2.05 obs=231680 "21" --------- e9e7:dcee --|
   7260  |-- ACK empty ----------------------------- e9e7 -->|
   7300  |<-- CON 2.05 obs=232320 "22" --------- e9e8:dcee --|
   7300  |-- ACK empty ----------------------------- e9e8 -->|
   7300  |-- CON GET /temp obs=1 -------------- 29e0:dcee -->|
   7340  |<-- ACK 2.05 "22" -------------------- 29e0:dcee --|  40 ms
'
check 0 trace three.pcapng
out_is '  t(ms)  client1 client2 client3 server
      0  |---------------------->|  CON GET /temp?i=1 1c2d:2946
      0  |<----------------------|  ACK 2.05 "21.5" 1c2d:2946
     40  |       |-------------->|  CON GET /temp?i=2 7245:8148
     40  |       |<--------------|  ACK 2.05 "21.5" 7245:8148
     80  |       |       |------>|  CON GET /temp?i=3 65e7:0f66
     80  |       |       |<------|  ACK 2.05 "21.5" 65e7:0f66
'

# As wide as it was said to be, whatever that is; and no colour.
for width in 40 60 72 80 100 140; do
    for file in lossy.pcapng mixed.pcapng three.pcapng; do
        COLUMNS=$width check 0 trace $file
        [ "$(awk '{ print length($0) }' out | sort -n | tail -n 1)" -le $width ] ||
            fail "$file is wider than $width"
        grep -q "$(printf '\033')" out && fail "colour in a file"
    done
done

# ---- Some of it ----

check 0 trace mixed.pcapng --path /fw
[ "$(wc -l <out)" = 7 ] || fail "--path has other messages"
check 0 trace mixed.pcapng --follow 609e
[ "$(wc -l <out)" = 7 ] || fail "--follow has not all blocks"
check 0 trace mixed.pcapng --follow dcee --json
[ "$(wc -l <out)" = 8 ] || fail "--follow has not all of an observation"
check 0 trace lossy.pcapng --follow 4828
[ "$(wc -l <out)" = 4 ] || fail "--follow has no retransmission"
check 0 trace three.pcapng --host client2
[ "$(wc -l <out)" = 3 ] || fail "--host has others"
check 0 trace mixed.pcapng -C 2
[ "$(wc -l <out)" = 3 ] || fail "-C has more"
check 2 trace mixed.pcapng --follow ffff
err_has 'no message of token ffff among 20'

# ---- JSON, numbers ----

check 0 trace lossy.pcapng --json -C 2
out_is '{"code":"0.01","from":"client","group":1,"kind":"message","len":30,"mid":10714,"number":1,"options":[["Uri-Host","server"],["Uri-Path","temp"],["Uri-Query","u=Cel"]],"t":0,"to":"server","token":"4828cf74afe577ee","type":"CON"}
{"after_ms":2252,"again":2,"code":"0.01","from":"client","group":1,"kind":"message","len":30,"mid":10714,"number":2,"options":[["Uri-Host","server"],["Uri-Path","temp"],["Uri-Query","u=Cel"]],"t":2252,"to":"server","token":"4828cf74afe577ee","type":"CON"}
'
check 0 trace lossy.pcapng --stats
out_is 'datagrams                   5, 126 bytes, 4 of payload
hosts                       2
time                        4.92 s
GET                         2
2.05 Content                1
sent again                  2
no answer                   1 of 2 requests
answered after              p50 2.29 s  p90 2.29 s  p99 2.29 s  max 2.29 s
'
check 0 trace lossy.pcapng --stats --json
out_has '"retransmissions":2'
out_has '"unanswered":1'

# ---- Pictures ----

cat >read.py <<'PYTHON'
import base64, hashlib, re, sys, xml.dom.minidom
from html.parser import HTMLParser

def fail(what):
    sys.exit("not ok: " + what)

for name in sys.argv[1:]:
    svg = xml.dom.minidom.parse(name + ".svg")
    if svg.getElementsByTagName("script"):
        fail(name + ": a script in the SVG")
    wide = float(svg.documentElement.getAttribute("width"))
    for e in svg.getElementsByTagName("*"):
        for a, value in e.attributes.items() if e.attributes else ():
            if a.startswith("on") or (a.endswith("href") or "url(" in value):
                fail(f"{name}: {a}={value}")
    # Labels stand within the picture: their middle, and half of what they need.
    for t in svg.getElementsByTagName("text"):
        at = re.match(r"translate\(([\d.]+) ", t.getAttribute("transform"))
        text = "".join(n.data for s in [t, *t.getElementsByTagName("tspan")] for n in s.childNodes if n.nodeType == 3)
        if at and not len(text) * 3.9 <= float(at[1]) <= wide - len(text) * 3.9:
            fail(f"{name}: '{text}' runs out of the picture")

    class Page(HTMLParser):
        scripts, tags = [], set()
        inside = False

        def handle_starttag(self, tag, attributes):
            self.tags.add(tag)
            for a, value in attributes:
                if a.startswith("on") or a in ("src", "href") or "javascript:" in (value or ""):
                    fail(f"{name}: {tag} with {a}={value}")
            self.inside = tag == "script" and not attributes

        def handle_data(self, data):
            if self.inside:
                self.scripts.append(data)

        def handle_endtag(self, tag):
            self.inside = False

    page = Page()
    text = open(name + ".html", encoding="utf-8").read()
    page.feed(text)
    page.close()
    if len(page.scripts) != 1 or text.count("<script") != 2:
        fail(name + ": other scripts than the page's own")
    if page.tags & {"b", "img", "link", "iframe", "object", "base"}:
        fail(f"{name}: tags of strangers: {page.tags}")
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    if f"script-src 'sha256-{digest}'" not in text:
        fail(f"HASH of lua/copal/cli/trace/page.lua is not that of its script: sha256-{digest}")
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202e]", text):
        fail(name + ": control characters")
PYTHON

for file in lossy.pcapng mixed.pcapng three.pcapng hostile.pcap; do
    check 0 trace $file --ladder=svg -o ${file%.*}.svg
    check 0 trace $file --ladder html -o ${file%.*}.html
done
if [ -n "$python" ]; then
    "$python" read.py lossy mixed three hostile || fail "a picture is not as it should be"
else
    echo "no Python: pictures are not read" >&2
fi
[ "$(grep -c '<g class="m ' mixed.svg)" = 20 ] || fail "not every message has an arrow"
grep -q 'class="m request again open"' lossy.svg || fail "what was sent again looks like all else"
grep -q '+6.75 s' mixed.svg || fail "a long silence is not cut"
check 0 trace mixed.pcapng --ladder=svg -C 3
out_has '17 more messages: -C N shows more'

# ---- What nobody should send ----

check 0 trace hostile.pcap
out_has 'CON POST /\x1b[31mred\x00\x07\xff'
out_has 'byte 4: a payload marker with no payload behind it'
out_has 'encrypted, 43 bytes'
LC_ALL=C grep -q "$(printf '[\001-\010\013-\037]')" out && fail "control characters on the terminal"

# ---- What is no capture, or half of one ----

check 2 trace
err_has 'wants a file'
check 2 trace no-such-file
err_has 'no-such-file'
check 2 trace a b
check 2 trace lossy.pcapng --ladder=png
check 2 trace lossy.pcapng --follow xyz
check 2 trace lossy.pcapng --port 99999
check 2 trace "$work"
: >empty
check 10 trace empty
err_has 'empty: neither pcapng nor pcap nor a recording (byte 0): it is empty'
echo 'GET /temp' >text
check 10 trace text
err_has 'it begins with 47 45 54 20'
printf '\037\213\010\000' >packed.gz
check 10 trace packed.gz
err_has 'gzip -dc packed.gz | copal trace -'
head -c 500 mixed.pcapng >cut.pcapng
check 10 trace cut.pcapng
out_has 'CON GET /slow'
err_has 'cut.pcapng: block 7 at byte 480: it is cut off, 20 of 120 bytes; what stands before it is shown'
head -c 60 lossy.pcapng | head -c 48 >nothing.pcapng
check 10 trace nothing.pcapng
err_has 'no CoAP message in it'
check 0 help trace
out_has '--ladder KIND'
