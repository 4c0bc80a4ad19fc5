---@meta
-- What editors with the Lua language server show for copal. Nothing loads this
-- file.

---@alias copal.Seconds number
---@alias copal.FormatLike string|integer|copal.Format
---@alias copal.CodeLike string|integer|copal.Code
---@alias copal.Body string|number|boolean|table|file*|fun(offset: integer, want: integer): string?, boolean?

---@class copal.Code
---@field number integer
---@field dotted string "2.05"
---@field cls integer
---@field detail integer
---@field is_successful boolean
---@field name string "2.05 Content"

---@class copal.Format
---@field number integer
---@field name string

---@class copal.Error
---@field name string "ETIMEOUT"; of a failed check() "4.04"
---@field code integer
---@field message string
---@field hint string
---@field response copal.Message? of check()

---@class copal.Address
---@field uri string
---@field scheme string
---@field hostinfo string
---@field host string
---@field port integer?
---@field is_multicast boolean

---@class copal.Problem
---@field title string?
---@field title_lang string?
---@field title_direction "ltr"|"rtl"|nil
---@field detail string?
---@field detail_lang string?
---@field detail_direction "ltr"|"rtl"|nil
---@field instance string?
---@field response_code copal.Code?
---@field base_uri string?
---@field base_lang string?
---@field base_direction "ltr"|"rtl"|nil
---@field options integer[]?
---@field entries table<integer|string, any>

---@class copal.Link one line of link format; its attributes are fields, true without a value
---@field href string as it was told, often relative
---@field uri string? whole, by who told it
---@field names string[] its attributes in order
---@field rt string|true|nil

---@class copal.Message
---@field code copal.Code
---@field payload string
---@field text string
---@field format copal.Format?
---@field uri string
---@field remote copal.Address
---@field local_address copal.Address
---@field identity string?
---@field options { number: integer, name: string, value: string }[]
---@field path string[] other requests of a resource may have the same table: copy it to change it later
---@field query table<string|integer, string|true>
---@field type "CON"|"NON"|"ACK"|"RST"|nil
---@field mid integer?
---@field token string?
---@field is_multicast boolean
---@field etag string?
---@field max_age integer?
---@field problem copal.Problem?
---@field event "value"? of a watch
local Message = {}
---@param option string|integer
---@param i? integer which of several, from 1
---@return string?
function Message:option(option, i) end
---@param option string|integer
---@return integer?
function Message:uint(option) end
---@param option string|integer
---@param value string|integer|true|(string|integer)[]
---@return true?, copal.Error?
function Message:add(option, value) end
---@param option string|integer
---@return true?, copal.Error?
function Message:remove(option) end
---@return any, copal.Error?
function Message:json() end
---@param opts? { exact: boolean?, sequence: boolean? }
---@return any, copal.Error?
function Message:cbor(opts) end
---@return table[]?, copal.Error?
function Message:senml() end
---@param wanted? table<string, string|boolean>
---@return copal.Link[]?, copal.Error?
function Message:links(wanted) end
---By Content-Format.
---@return any, copal.Error?
function Message:decode() end
---Itself if it is a success.
---@return copal.Message?, copal.Error?
function Message:check() end
---@return copal.Message
function Message:copy() end

---@class copal.Incoming : copal.Message a request to be answered
---@field params table<string, string> the {name} segments of its path
---@field chunks fun(self): fun(): string?, integer?, boolean? of a streamed resource: for piece, offset, last in req:chunks(); throws a copal.Error (ETIMEOUT, ECLOSED, ...) if the body breaks off, so that a loop that ends had all of it

---What a handler may return: nothing; copal.Body; a code; a code and a body; a
---code, a body and its Content-Format; a message; or this, when there is more to
---say. A table of its own is sent as JSON, or as the format has it: with
---copal.PROBLEM its keys are those of copal.Problem.
---@class copal.Answer
---@field code? copal.CodeLike not given: what the method usually answers
---@field payload? copal.Body
---@field format? copal.FormatLike of the payload
---@field problem? copal.Problem|table|string in place of a payload, RFC 9290; wants a code
---@field etag? string
---@field max_age? integer seconds
---@field location_path? string[] of what was created
---@field options? table<string|integer, string|integer|true|table> any other
---@field non? boolean not confirmed

---@class copal.Options parameters named as in copal.h, times in seconds; options: max_age, if_match, request_tag, ...; and:
---@field format? copal.FormatLike
---@field accept? copal.FormatLike
---@field query? table<string|integer, string|number|true>
---@field options? table<string|integer, string|integer|true|table>
---@field non? boolean not confirmed; false: confirmed, whatever profile() says
---@field no_cache? boolean ask, whatever the cache or a 4.29 says
---@field raw_blocks? boolean hands off Block1 and Block2
---@field any_port? boolean the answer may come from another port
---@field problem? copal.Problem|table|string as the payload; a string is its title
---@field from? string
---@field etag? string
---@field timeout? copal.Seconds of the whole exchange; not given: until it was sent max_retransmit times in vain; of a group: 5 s (leisure) and 3 s
---@field interface? string|integer to leave by: its name or index
---@field ack_timeout? copal.Seconds
---@field max_retransmit? integer
---@field silence? copal.Seconds
---@field sink? fun(piece: string, offset: integer, last: boolean, response: copal.Message)
---@field progress? fun(offset: integer, total: integer)
---@field resume? integer|table goes on there: { offset, etag } with the rest of a download; offset, and the same request_tag, with an upload, where progress said or at another multiple of 16: 4.08 then means that the server has not kept the beginning; begin again, without it
---@field limit? integer of get_all

---@class copal.Request
local Request = {}
---@return boolean
function Request:cancel() end

---@class copal.Timer
local Timer = {}
---@return boolean
function Timer:cancel() end

---@class copal.Task
local Task = {}
---@return boolean
function Task:cancel() end
---@return boolean ok, any ...
function Task:wait() end
---@return any ...
function Task:join() end

---@class copal.Note : copal.Message
---@field event "value"|"silent"|"resumed"|"ended"|nil
---@field reason string?
---@field error copal.Error?

---@class copal.Observation
---@field error copal.Error? why it ended
---@overload fun(): copal.Note?
local Observation = {}
---@return boolean
function Observation:cancel() end

---@class copal.Resource
---@field get? fun(req: copal.Incoming): any, any, any what it returns: copal.Answer
---@field put? fun(req: copal.Incoming): any, any, any
---@field post? fun(req: copal.Incoming): any, any, any
---@field delete? fun(req: copal.Incoming): any, any, any
---@field fetch? fun(req: copal.Incoming): any, any, any
---@field patch? fun(req: copal.Incoming): any, any, any
---@field ipatch? fun(req: copal.Incoming): any, any, any
---@field any? fun(req: copal.Incoming): any, any, any
---@field observable? boolean
---@field streamed? boolean
---@field unlisted? boolean
---@field secure? boolean
---@field group? boolean
---@field per_peer? boolean
---@field rt? string
---@field ct? copal.FormatLike

---@class copal.Value
---@field value any to assign it tells every observer

---@class copal.Device one that answered find()
---@field remote copal.Address
---@field response copal.Message
local Device = {}
---@param wanted? table<string, string|boolean>
---@return copal.Link[]?, copal.Error?
function Device:links(wanted) end

---@class copal.Endpoint
---@field worker integer? its number, 1 to N, in copal serve --workers N: each worker is a process that shares nothing with the others
local Endpoint = {}
---Asks for a representation. A group (coap://224.0.1.187/...) is asked with non =
---true: this gives its first answer, when the time for all of them is over, which
---is opts.timeout, or the 5 s of leisure that servers may take and 3 s. answers()
---gives each as it comes, find() who is there.
---@param uri string
---@param opts? copal.Options
---@return copal.Message?, copal.Error?
---@overload fun(self, uri: string, opts: copal.Options?, fn: fun(res: copal.Message?, err: copal.Error?)): copal.Request?
---@overload fun(self, uri: string, fn: fun(res: copal.Message?, err: copal.Error?)): copal.Request?
function Endpoint:get(uri, opts) end
---@param uri string
---@param opts? copal.Options
---@return copal.Message?, copal.Error?
function Endpoint:delete(uri, opts) end
---@param uri string
---@param body? copal.Body
---@param opts? copal.Options
---@return copal.Message?, copal.Error?
---@overload fun(self, uri: string, body: copal.Body?, opts: copal.Options?, fn: fun(res: copal.Message?, err: copal.Error?)): copal.Request?
function Endpoint:put(uri, body, opts) end
Endpoint.post, Endpoint.fetch = Endpoint.put, Endpoint.put
Endpoint.patch, Endpoint.ipatch = Endpoint.put, Endpoint.put
---@param code copal.CodeLike
---@param uri? string
---@param opts? copal.Options
---@return copal.Message?, copal.Error?
function Endpoint:message(code, uri, opts) end
---@param m copal.Message|table
---@return copal.Message?, copal.Error?
function Endpoint:request(m) end
---@param m copal.Message
---@param to string
---@return true?, copal.Error?
function Endpoint:send(m, to) end
---@param uri string
---@return true?, copal.Error?
function Endpoint:ping(uri) end
---@param uris string[]
---@param opts? copal.Options
---@return fun(): string?, copal.Message?, copal.Error?
function Endpoint:get_all(uris, opts) end
---@param uri string
---@param opts? copal.Options
---@return copal.Observation
function Endpoint:observe(uri, opts) end
---@param uri string|string[]
---@param opts? copal.Options
---@return copal.Observation
function Endpoint:watch(uri, opts) end
---@return fun(): copal.Message?
function Endpoint:strays() end
---@param path string
---@param spec copal.Resource|fun(req: copal.Incoming): any, any, any
---@return true?, copal.Error?
function Endpoint:serve(path, spec) end
---@param path string
---@param initial any
---@param spec? copal.Resource
---@return copal.Value?, copal.Error?
function Endpoint:value(path, initial, spec) end
---@param path string
---@return true?, copal.Error?
function Endpoint:unserve(path) end
---@param path string
---@param name string
---@param value? string
---@return true?, copal.Error?
function Endpoint:describe(path, name, value) end
---The representation at path changed: how many observers of this endpoint will be
---told. In copal serve --workers those of the other workers are told, too.
---@param path string
---@return integer?, copal.Error?
function Endpoint:notify(path) end
---Each answer to a request to a group as it comes, until opts.timeout, or the 5 s
---that servers may take and 3 s are over.
---@param uri string
---@param opts? table<string, any>
---@return fun(): copal.Message?
function Endpoint:answers(uri, opts) end
---Who is out there, by multicast: rt, query, group, interface, hops, wait.
---@param opts? { rt: string?, query: table?, group: string|string[]?, interface: string|integer|table?, hops: integer?, wait: number? }
---@return fun(): copal.Device?
function Endpoint:find(opts) end
---Those that reach groups; loopback is the last.
---@return { name: string, index: integer }[]
function Endpoint:interfaces() end
---What is listed in /.well-known/core; tostring() gives the link format.
---@param wanted? table<string, string|boolean>
---@return copal.Link[]?, copal.Error?
function Endpoint:links(wanted) end
---@param option string|integer
---@return true?, copal.Error?
function Endpoint:understand(option) end
---reuse_port: one endpoint of several, each in a process or Lua state of its own,
---among which the system spreads the clients; they share nothing.
---@param uri string
---@param opts? { reuse_address: boolean?, reuse_port: boolean? }
---@return true?, copal.Error?
function Endpoint:listen(uri, opts) end
---@return string[]
function Endpoint:addresses() end
---Accepts at a UDP socket that is bound already: of hand_over(), of systemd. The
---descriptor stays yours.
---@param fd integer
---@return true?, copal.Error?
function Endpoint:take_over(fd) end
---Reads no more at the i-th of addresses(): what comes waits in the socket, of
---which this gives a descriptor, for who goes on there with take_over().
---@param i integer
---@return integer? fd, copal.Error?
function Endpoint:hand_over(i) end

---Lets pages of one more origin connect by WebSocket, besides those of the host
---that they connect to; "*": of any. RFC 6455 10.2.
---@param origin string "https://example.org"
---@return true? ok
---@return copal.Error? err EINVAL, ENOTSUP
function Endpoint:allow_origin(origin) end

---One more name of this host by which its own pages may connect by WebSocket,
---besides an address, localhost and the names of its certificates, as anybody can
---lead a name here (DNS rebinding); "*": any name.
---@param name string "device.example"
---@return true? ok
---@return copal.Error? err EINVAL, ENOTSUP
function Endpoint:allow_host(name) end
---@param group string
---@param interface? string
---@return true?, copal.Error?
function Endpoint:join(group, interface) end
---@param group string
---@param interface? string
---@return true?, copal.Error?
function Endpoint:leave(group, interface) end
---@param scope string?
---@param parameters table<string, number|boolean>
---@return true?, copal.Error?
function Endpoint:tune(scope, parameters) end
---What devices under a URI prefix (nil: everywhere) want that do as RFC 7252 says in
---a way of their own: parameters, critical options that are accepted, and what each
---request gets that is not in it. In place of the one before there; name nil: no
---more, but parameters stay.
---@param scope string?
---@param name "samsung-ocf"|"shelly"|"thread-sleepy"|"tradfri"|string?
---@return true? ok
---@return copal.Error? err EINVAL, ELIMIT
function Endpoint:profile(scope, name) end
---Closes connections and associations under a URI prefix; none: all.
---@param scope? string
---@return true?, copal.Error?
function Endpoint:disconnect(scope) end
---@param what string of "wire", "state" and "security", with spaces between
---@param fn? fun(event: table, text: string)
---@return true?, copal.Error?
function Endpoint:trace(what, fn) end
---A pre-shared key. scope: the beginning of a URI for whom we ask, "*" for who
---asks us.
---@param scope string
---@param identity string
---@param key string
---@return true?, copal.Error?
function Endpoint:use_psk(scope, identity, key) end
---A certificate or a bare public key, and whom to trust: PEM texts.
---@param scope string
---@param pem { cert: string?, key: string?, trusted: string? }
---@return true?, copal.Error?
function Endpoint:use_cert(scope, pem) end
---An OSCORE context (RFC 8613), with which messages are protected end to end:
---for requests to what is under scope, or with "*" those of one peer. Needs a
---store, see Endpoint:store(), unless rederives is true at both ends. What the two
---ends share, but for the IDs, which are the other way round there.
---@class copal.Oscore
---@field secret string 16 random bytes are a good one
---@field salt string?
---@field sender_id string? 0 to 7 bytes with most algorithms
---@field recipient_id string? another one
---@field id_context string? at most 64 bytes
---@field aead integer? of COSE; 10, AES-CCM-16-64-128
---@field hkdf integer? of COSE; -10, HKDF with SHA-256
---@field replay_window integer? messages; 32
---@field rederives boolean? new keys whenever one end began anew, RFC 8613 B.2
---@param scope string
---@param context copal.Oscore
---@return true?, copal.Error?
function Endpoint:use_oscore(scope, context) end
---Keys for EDHOC (RFC 9528), which makes an OSCORE context with a host before the
---first request to what is under scope, or with "*" with whoever asks us; there each
---call adds. Credentials: a CWT Claims Set or a CWT in CBOR, or a certificate in DER
---or PEM.
---@class copal.Edhoc
---@field method integer? 0 to 3
---@field suite integer? 0 to 6
---@field private_key string? 32 bytes, or PEM
---@field credential string? what belongs to it
---@field peer_credential string? whom we believe, one or more
---@field combined boolean? the last message goes along with the first request, RFC 9668
---@field identifier string? a header map of COSE in CBOR; by kid, or by value
---@param scope string
---@param keys copal.Edhoc
---@return true?, copal.Error?
function Endpoint:use_edhoc(scope, keys) end
---All of a credentials file, which nobody else may read.
---@param path string
---@return true?, copal.Error?
function Endpoint:use_file(path) end
---Keys on demand: of "psk" fn(identity) gives the key, of "rpk" fn(name) whether
---that public key is to be trusted; it may wait.
---@param kind "psk"|"rpk"
---@param fn fun(identity: string): string|boolean|nil
---@return true?, copal.Error?
function Endpoint:use_lookup(kind, fn) end
---Where state is kept that must survive a crash: a directory, or a table of
---functions, which may wait, and throw, or give nil and why, if they fail.
---@param where string|{ get: (fun(path: string): string?, any), put: (fun(path: string, bytes: string): any, any), delete: (fun(path: string): any, any) }
---@return true?, copal.Error?
function Endpoint:store(where) end
---@param scope string
---@return true?, copal.Error?
function Endpoint:forget(scope) end
---Writes to a file: "capture", plaintext messages as pcapng; "keys", those of TLS
---in NSS format. No path: no more.
---"recording": at once, what the flight recorder holds (record_memory), for
---copal.replay(), copal replay and copal trace.
---@param what "capture"|"keys"|"recording"
---@param path string?
---@return true?, copal.Error?
function Endpoint:log_to(what, path) end
---@return copal.Seconds
function Endpoint:now() end
---@param seconds copal.Seconds
function Endpoint:sleep(seconds) end
---@param seconds copal.Seconds
---@param fn fun()
---@return copal.Timer?, copal.Error?
function Endpoint:after(seconds, fn) end
---@param seconds copal.Seconds
---@param fn fun()
---@return copal.Timer?, copal.Error?
function Endpoint:every(seconds, fn) end
---@param fn function
---@return copal.Task
function Endpoint:spawn(fn, ...) end
---@return "idle"|"stopped"|"closed"|nil, copal.Error?
function Endpoint:run() end
function Endpoint:stop() end
function Endpoint:forever() end
---@param seconds? copal.Seconds
function Endpoint:close(seconds) end
function Endpoint:free() end
---@return table<string, integer>
function Endpoint:stats() end
---Counters as text that Prometheus reads (exposition format 0.0.4).
---@return string
function Endpoint:metrics_text() end
---Gives it by HTTP to who asks for /metrics, at "127.0.0.1:9100", which 9100
---means as well, or "[::1]:9100"; port 0 is any free one. No place: no more.
---@param where? string|integer
---@return integer? port, copal.Error?
function Endpoint:metrics(where) end
---@return integer?, copal.Error?
function Endpoint:pollfd() end
---@return copal.Seconds?
function Endpoint:timeout() end
---@return true?, copal.Error?
function Endpoint:step() end

---@class copal.Sim
---@field transcript string
local Sim = {}
---@param host string
---@param parameters? table
---@return copal.Endpoint?, copal.Error?
function Sim:endpoint(host, parameters) end
---@param path { from: string?, to: string?, delay: copal.Seconds?, jitter: copal.Seconds?, loss: integer?, duplication: integer?, reordering: integer? }
---@return true?, copal.Error?
function Sim:set_path(path) end
---@param host string
---@param count? integer
---@return true?, copal.Error?
function Sim:lose(host, count) end
---@param host string
---@return true?, copal.Error?
function Sim:move(host) end
---@param host string
---@param refuses? boolean
---@return true?, copal.Error?
function Sim:refuse(host, refuses) end
---@param from string
---@param host string
---@param datagram string
---@return true?, copal.Error?
function Sim:inject(from, host, datagram) end
---@param bytes integer
---@return true?, copal.Error?
function Sim:keep(bytes) end
---@param seconds copal.Seconds
---@return integer underway
function Sim:run(seconds) end
---@return copal.Seconds
function Sim:now() end
function Sim:close() end

---What copal bench tells init() of the run.
---@class copal.BenchRun
---@field uri string
---@field window integer requests outstanding at most
---@field endpoints integer
---@field rate number? requests a second
---@field number integer? of requests
---@field duration copal.Seconds?
---@field non boolean

---@class copal.BenchLatency in ms
---@field count integer
---@field min number
---@field mean number
---@field p50 number
---@field p90 number
---@field p99 number
---@field p99_9 number
---@field max number
---@field bars { upto: number, count: integer }[]

---What copal bench --json prints at the end, and done() gets. sent is the sum of
---ok, client_errors, server_errors, timeouts, resets, failed and unanswered.
---@class copal.BenchSummary
---@field mode "requests"
---@field uri string
---@field elapsed copal.Seconds
---@field rate number
---@field target_rate number?
---@field window integer
---@field endpoints integer
---@field sent integer
---@field ok integer
---@field client_errors integer
---@field server_errors integer
---@field timeouts integer
---@field resets integer
---@field failed integer
---@field unanswered integer cut off when the run ended
---@field unsent integer due and never begun
---@field delayed integer begun over 1 ms late
---@field retransmissions integer
---@field retransmitted_percent number of the datagrams that left
---@field duplicates integer
---@field late integer came when nobody waited any more
---@field strays integer
---@field bytes_in integer
---@field bytes_out integer
---@field datagrams_in integer
---@field datagrams_out integer
---@field cpu number of this program, in cores
---@field generator_bound boolean
---@field reused_ids boolean
---@field endpoints_needed integer
---@field interrupted boolean
---@field error string? "EREFUSED", what ended the run
---@field reason string?
---@field latency copal.BenchLatency

---What the file of copal bench -s returns.
---@class copal.BenchHooks
---@field init? fun(run: copal.BenchRun)
---@field request? fun(i: integer): (copal.CodeLike|false)?, string?, copal.Body?, copal.Options? the i-th: method, path or URI, payload, options (of which parameters do not count); nil: what the command line says; false: no more
---@field response? fun(res: copal.Message?, ms: number, err: copal.Error?)
---@field done? fun(summary: copal.BenchSummary): (boolean|integer)?, string? the exit status, or false and why the run failed; nothing: what it was

---@class copal : copal.Endpoint
---@field version string
local copal = {}
---@param parameters? table
---@return copal.Endpoint?, copal.Error?
function copal.endpoint(parameters) end
---@param fn fun(coap: copal.Endpoint, ...): ...
---@return any ...
function copal.run(fn, ...) end
---@return copal.Endpoint
function copal.default() end
---@param coap copal.Endpoint
function copal.set_default(coap) end
---@param code copal.CodeLike
---@return copal.Code?
function copal.code(code) end
---A new key for EDHOC: its secret, and the credential that is shown of it, a CWT
---Claims Set. Or nil, error.
---@param curve "P-256"|"X25519"|"Ed25519"
---@param subject string?
---@param kid string?
---@return string?, string|copal.Error
function copal.make_edhoc(curve, subject, kid) end
---@param format copal.FormatLike
---@return copal.Format?
function copal.format(format) end
---Errors of handlers, tasks and timers that nobody waits for; not given: to stderr.
---Of each kind log_burst (10) at once and log_rate (1) a second are told; left_out
---is how many like it were not, since the last.
---@param fn fun(e: any, left_out: integer)
function copal.on_error(fn) end
---@param e any
---@param name? string "ETIMEOUT"
---@return boolean
function copal.is_error(e, name) end
---@param x any
---@return boolean
function copal.is_message(x) end
---The message in a UDP datagram that came by no endpoint: of a capture, a test,
---a transport of one's own; as if received, from nobody. EFORMAT: malformed, and
---the error says how and at which byte.
---@param datagram string
---@return copal.Message?, copal.Error?
function copal.decode(datagram) end
---Runs a recording again; fn sees each event of its trace, as of Endpoint:trace().
---True if all that is sent is what was sent; else nil and an error, ECHANGED: not
---so, ENOTSUP: not so, and OSCORE or EDHOC had keys, which no recording holds,
---EFORMAT: no recording, or damaged.
---@param path string
---@param fn fun(event: table, line: string)?
---@return true?, copal.Error?
function copal.replay(path, fn) end
---@param which "luv"|"own"
---@return true?, copal.Error?
function copal.use_loop(which) end
---@param options? { seed: integer?, delay: copal.Seconds?, jitter: copal.Seconds?, loss: integer?, duplication: integer?, reordering: integer? }
---@return copal.Sim?, copal.Error?
function copal.sim(options) end

return copal
