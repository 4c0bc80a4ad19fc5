// The matrix's program on go-coap: see support/matrix.sh.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"math/bits"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/plgd-dev/go-coap/v3/udp"
)

const fetch = codes.Code(5) // RFC 8132; go-coap has no name for it

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// ---- Serving ---------------------------------------------------------------

type observer struct {
	conn  mux.Conn
	token message.Token
}

type value struct {
	sync.Mutex
	body      []byte
	observers map[string]observer
	changes   uint32
}

func reply(w mux.ResponseWriter, code codes.Code, body []byte, opts ...message.Option) {
	if body == nil {
		check(w.SetResponse(code, message.TextPlain, nil, opts...))
	} else {
		check(w.SetResponse(code, message.AppOctets, bytes.NewReader(body), opts...))
	}
}

func body(r *mux.Message) []byte {
	all, err := r.ReadBody()
	check(err)
	return all
}

func (v *value) get(w mux.ResponseWriter, r *mux.Message) {
	if v.body == nil {
		reply(w, codes.NotFound, nil)
		return
	}
	reply(w, codes.Content, v.body)
	observe, err := r.Observe()
	key := w.Conn().RemoteAddr().String() + r.Token().String()
	if err != nil || v.observers == nil {
		return
	}
	if observe == 0 {
		v.observers[key] = observer{w.Conn(), append(message.Token{}, r.Token()...)}
		w.Message().SetObserve(v.changes)
	} else {
		delete(v.observers, key)
	}
}

func (v *value) put(w mux.ResponseWriter, r *mux.Message) {
	code := codes.Changed
	if v.body == nil {
		code = codes.Created
	}
	v.body = append([]byte{}, body(r)...)
	v.changes++
	reply(w, code, nil)
	for key, o := range v.observers {
		go notify(o, v.body, v.changes)
		if o.conn.Context().Err() != nil {
			delete(v.observers, key)
		}
	}
}

func notify(o observer, body []byte, sequence uint32) {
	m := o.conn.AcquireMessage(o.conn.Context())
	defer o.conn.ReleaseMessage(m)
	m.SetCode(codes.Content)
	m.SetToken(o.token)
	m.SetType(message.Confirmable)
	m.SetObserve(sequence)
	m.SetContentFormat(message.TextPlain)
	m.SetBody(bytes.NewReader(body))
	if err := o.conn.WriteMessage(m); err != nil {
		log.Print(err)
	}
}

func (v *value) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	v.Lock()
	defer v.Unlock()
	switch r.Code() {
	case codes.PUT:
		v.put(w, r)
	case codes.DELETE:
		v.body = nil
		reply(w, codes.Deleted, nil)
	default:
		v.get(w, r)
	}
}

func echo(w mux.ResponseWriter, r *mux.Message) {
	code := codes.Changed
	if r.Code() == fetch {
		code = codes.Content
	}
	reply(w, code, body(r))
}

// Without a response go-coap acknowledges; the response is a message of its own.
func separate(w mux.ResponseWriter, r *mux.Message) {
	conn := w.Conn()
	token := append(message.Token{}, r.Token()...)
	time.AfterFunc(time.Second, func() {
		m := conn.AcquireMessage(conn.Context())
		defer conn.ReleaseMessage(m)
		m.SetCode(codes.Content)
		m.SetToken(token)
		m.SetType(message.Confirmable)
		m.SetContentFormat(message.TextPlain)
		m.SetBody(strings.NewReader("done"))
		check(conn.WriteMessage(m))
	})
}

func tagged(w mux.ResponseWriter, r *mux.Message) {
	tag := message.Option{ID: message.ETag, Value: []byte{1, 2}}
	if known, err := r.ETag(); err == nil && bytes.Equal(known, tag.Value) {
		reply(w, codes.Valid, nil, tag)
		return
	}
	reply(w, codes.Content, []byte("tagged"), tag)
}

func serve(file string) {
	large, err := os.ReadFile(file)
	check(err)
	router := mux.NewRouter()
	constant := func(path string, body []byte) {
		check(router.Handle(path, mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
			reply(w, codes.Content, body)
		})))
	}
	constant("/", []byte("made with go-coap"))
	constant("/large", large)
	check(router.Handle("/store", &value{}))
	check(router.Handle("/obs", &value{observers: map[string]observer{}}))
	check(router.Handle("/echo", mux.HandlerFunc(echo)))
	check(router.Handle("/separate", mux.HandlerFunc(separate)))
	check(router.Handle("/etag", mux.HandlerFunc(tagged)))

	listen(router)
}

// By the scheme that the environment names.
func listen(router *mux.Router) {
	const where = "127.0.0.1:0"
	scheme := os.Getenv("PEER_SCHEME")
	switch scheme {
	case "coap+tcp":
		listener, err := coapnet.NewTCPListener("tcp4", where)
		check(err)
		fmt.Printf("listening on %s://%v\n", scheme, listener.Addr())
		check(tcp.NewServer(options.WithMux(router)).Serve(listener))
	case "coaps+tcp":
		listener, err := coapnet.NewTLSListener("tcp4", where, tlsConfig("server", "client"))
		check(err)
		fmt.Printf("listening on %s://%v\n", scheme, listener.Addr())
		check(tcp.NewServer(options.WithMux(router)).Serve(listener))
	case "coaps":
		listener, err := coapnet.NewDTLSListener("udp4", where, dtlsConfig("server"))
		check(err)
		fmt.Printf("listening on %s://%v\n", scheme, listener.Addr())
		check(dtls.NewServer(options.WithMux(router)).Serve(listener))
	default:
		listener, err := coapnet.NewListenUDP("udp4", where)
		check(err)
		fmt.Printf("listening on coap://%v\n", listener.LocalAddr())
		check(udp.NewServer(options.WithMux(router)).Serve(listener))
	}
}

// ---- Asking ----------------------------------------------------------------

func dial(uri string, szx blockwise.SZX) (mux.Conn, string) {
	where, err := url.Parse(uri)
	check(err)
	blocks := options.WithBlockwise(true, szx, 50*time.Second)
	var conn mux.Conn
	switch where.Scheme {
	case "coap+tcp":
		conn, err = tcp.Dial(where.Host, blocks)
	case "coaps+tcp":
		conn, err = tcp.Dial(where.Host, blocks, options.WithTLS(tlsConfig("client", "server")))
	case "coaps":
		conn, err = dtls.Dial(where.Host, dtlsConfig("client"), blocks)
	default:
		conn, err = udp.Dial(where.Host, blocks)
	}
	check(err)
	return conn, where.Path
}

func number(text string) uint32 {
	n, err := strconv.ParseUint(text, 10, 32)
	check(err)
	return uint32(n)
}

func ask(method, uri string, words []string) {
	said := map[string]string{}
	for _, word := range words {
		name, is, _ := strings.Cut(word, "=")
		said[name] = is
	}
	szx := blockwise.SZX1024
	if size, ok := said["block"]; ok {
		szx = blockwise.SZX(bits.TrailingZeros32(number(size)) - 4)
	}
	conn, path := dial(uri, szx)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	req, err := conn.NewGetRequest(ctx, path)
	check(err)
	req.SetCode(map[string]codes.Code{"GET": codes.GET, "POST": codes.POST,
		"PUT": codes.PUT, "DELETE": codes.DELETE, "FETCH": fetch}[method])
	dress(req, said, szx)
	resp, err := conn.Do(req)
	check(err)
	show(resp)
}

func dress(req *pool.Message, said map[string]string, szx blockwise.SZX) {
	if file, ok := said["body"]; ok {
		content, err := os.ReadFile(file)
		check(err)
		req.SetContentFormat(message.AppOctets)
		req.SetBody(bytes.NewReader(content))
	} else if _, ok := said["block"]; ok {
		block, err := blockwise.EncodeBlockOption(szx, 0, false)
		check(err)
		req.SetOptionUint32(message.Block2, block)
	}
	if _, ok := said["non"]; ok {
		req.SetType(message.NonConfirmable)
	}
	if tag, ok := said["etag"]; ok {
		known, err := hex.DecodeString(tag)
		check(err)
		check(req.SetETag(known))
	}
	if option, ok := said["option"]; ok {
		req.SetOptionString(message.OptionID(number(option)), "x")
	}
}

func show(resp *pool.Message) {
	if resp.Body() != nil {
		_, err := io.Copy(os.Stdout, resp.Body())
		check(err)
	}
	if tag, err := resp.ETag(); err == nil {
		fmt.Fprintln(os.Stderr, "etag", hex.EncodeToString(tag))
	}
	fmt.Fprintf(os.Stderr, "code %d.%02d\n", resp.Code()>>5, resp.Code()&31)
}

func observe(uri string, left int) {
	conn, path := dial(uri, blockwise.SZX1024)
	done := make(chan bool)
	observation, err := conn.Observe(context.Background(), path, func(note *pool.Message) {
		text, err := note.ReadBody()
		check(err)
		fmt.Println(string(text))
		left--
		if left == 0 {
			close(done)
		}
	})
	check(err)
	<-done
	check(observation.Cancel(context.Background()))
	fmt.Println("let go")
	time.Sleep(2 * time.Second)
}

func ping(uri string) {
	conn, _ := dial(uri, blockwise.SZX1024)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	check(conn.Ping(ctx))
	fmt.Println("answered")
}

func main() {
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "ask":
		ask(os.Args[2], os.Args[3], os.Args[4:])
	case "observe":
		observe(os.Args[2], int(number(os.Args[3])))
	case "ping":
		ping(os.Args[2])
	}
}
