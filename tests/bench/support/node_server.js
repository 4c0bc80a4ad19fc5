// node-coap as speed.py measures it beside copal: "node node_server.js PORT",
// with NODE_PATH, has what examples/c/bench-server.c has, and takes PUT /hello.
'use strict'
const coap = require('coap')
const hello = Buffer.from('hello, world')
const big = Buffer.alloc(1024)
const observers = new Set()
let version = 0

function put(req, res) {
  res.code = '2.04'
  res.end()
  if (req.url !== '/obs') return
  version++
  for (const o of observers) o.write('value ' + version)
}

const server = coap.createServer((req, res) => {
  if (req.method === 'PUT') return put(req, res)
  if (req.url !== '/obs' || req.headers.Observe !== 0) return res.end(req.url === '/big' ? big : hello)
  observers.add(res)
  res.on('finish', () => observers.delete(res))
  res.write('value ' + version)
})
server.listen(Number(process.argv[2]), '127.0.0.1')
