// The matrix's program on node-coap: see support/matrix.sh.
'use strict'
const fs = require('fs')
const coap = require('coap')

coap.registerOption('2049', (text) => Buffer.from(text), (buffer) => buffer)

// ---- Serving ---------------------------------------------------------------

const ETAG = Buffer.from([1, 2])
const kept = {}
let large
const observers = new Set()

function answer (res, code, payload) {
  res.code = code
  if (payload !== undefined) res.setOption('Content-Format', 'text/plain')
  res.end(payload)
}

function observed (req, res) {
  observers.add(res)
  res.on('finish', () => observers.delete(res))
  res.write(kept['/obs'])
}

function value (path, req, res) {
  if (req.method === 'PUT') {
    const code = kept[path] ? '2.04' : '2.01'
    kept[path] = req.payload
    answer(res, code)
    if (path === '/obs') observers.forEach((o) => o.write(kept[path]))
  } else if (req.method === 'DELETE') {
    delete kept[path]
    answer(res, '2.02')
  } else if (!kept[path]) {
    answer(res, '4.04')
  } else if (path === '/obs' && req.headers.Observe === 0) {
    observed(req, res)
  } else {
    answer(res, '2.05', kept[path])
  }
}

const routes = {
  '/': (req, res) => answer(res, '2.05', 'made with node-coap'),
  '/large': (req, res) => answer(res, '2.05', large),
  '/store': (req, res) => value('/store', req, res),
  '/obs': (req, res) => value('/obs', req, res),
  '/echo': (req, res) => answer(res, req.method === 'FETCH' ? '2.05' : '2.04', req.payload),
  '/separate': (req, res) => setTimeout(() => answer(res, '2.05', 'done'), 1000),
  '/etag': (req, res) => {
    const known = req.options.some((o) => o.name === 'ETag' && ETAG.equals(Buffer.from(o.value)))
    res.setOption('ETag', ETAG)
    if (known) answer(res, '2.03')
    else answer(res, '2.05', 'tagged')
  }
}

function serve (file) {
  large = fs.readFileSync(file)
  const server = coap.createServer((req, res) => {
    const route = routes[req.url.split('?')[0]]
    if (route) route(req, res)
    else answer(res, '4.04')
  })
  server.listen(0, '127.0.0.1', () => {
    console.log('listening on coap://127.0.0.1:' + server._sock.address().port)
  })
}

// ---- Asking ----------------------------------------------------------------

function parameters (uri, method) {
  const url = new URL(uri)
  return { hostname: url.hostname, port: +url.port, pathname: url.pathname, method }
}

// NUM 0, M 0 and the size, as one byte.
function block (size) {
  return Buffer.from([Math.log2(size) - 4])
}

function ask (method, uri, ...words) {
  const wanted = parameters(uri, method)
  const said = Object.fromEntries(words.map((w) => w.split('=')))
  if ('non' in said) wanted.confirmable = false
  const req = coap.request(wanted)
  if (said.block) req.setOption(said.body ? 'Block1' : 'Block2', block(+said.block))
  if (said.body) req.setOption('Content-Format', 'application/octet-stream')
  if (said.etag) req.setOption('ETag', Buffer.from(said.etag, 'hex'))
  if (said.option) req.setOption(said.option, Buffer.from('x'))
  req.on('response', (res) => {
    process.stdout.write(res.payload)
    const tag = res.options.find((o) => o.name === 'ETag')
    if (tag) console.error('etag ' + Buffer.from(tag.value).toString('hex'))
    console.error('code ' + res.code)
  })
  req.on('error', (e) => { console.error(e); process.exitCode = 1 })
  req.end(said.body && fs.readFileSync(said.body))
}

function observe (uri, count) {
  const req = coap.request({ ...parameters(uri, 'GET'), observe: true })
  req.on('response', (res) => {
    res.on('data', (payload) => {
      console.log(payload.toString())
      if (--count !== 0) return
      res.close(true)
      console.log('let go')
      setTimeout(() => process.exit(), 2000)
    })
  })
  req.end()
}

const verbs = { serve, ask, observe }
const [verb, ...words] = process.argv.slice(2)
verbs[verb](...words)
