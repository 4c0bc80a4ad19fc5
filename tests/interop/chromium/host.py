"""host.py PAGE: serves it, prints "port N", and each report that a page sends."""

import http.server
import sys

with open(sys.argv[1], "rb") as file:
    page = file.read()


class Host(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(204)
        self.end_headers()
        print(text + "end", flush=True)

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
print("port", server.server_port, flush=True)
server.serve_forever()
