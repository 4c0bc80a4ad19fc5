-- Messages as scripts see them: fields are read from C when touched. Those of
-- a received message, a userdata, are kept then; those of a message being built,
-- a table, are not, and may be assigned.
local build = require "copal.build"
local core = require "copal_core"
local errors = require "copal.error"
local value = require "copal.value"

local rawget, rawset, setmetatable = rawget, rawset, setmetatable

local M = {}
local methods, getters, setters = {}, {}, {}
local Message = {}

function Message.__index(m, key)
  local get = getters[key]
  if get then return get(m.handle, m) end
  return methods[key]
end

local function assign(m, key, v)
  local set = setters[key]
  if not set then
    if getters[key] then error("copal: " .. key .. " cannot be assigned", 3) end
    return false
  end
  local ok, text = set(m.handle, v)
  if not ok then error("copal: " .. key .. ": " .. tostring(text), 3) end
  return true
end

function Message.__newindex(m, key, v)
  if not assign(m, key, v) then rawset(m, key, v) end
end

function Message.__tostring(m)
  return core.msg_print(m.handle, core.LINE)
end

-- A message of our own. Its handle is also where C looks for it.
function M.own(handle)
  return setmetatable({ handle, handle = handle }, Message)
end

-- Where messages are made that no endpoint received: a simulated host, which
-- has no sockets.
local scratch

-- The message in a UDP datagram that came by no endpoint: of a capture, a test,
-- a transport of one's own. As if received, from nobody. nil, error: malformed,
-- which the error says with the byte where.
function M.decode(datagram)
  if type(datagram) ~= "string" then
    error("copal: decode: bytes expected, got " .. type(datagram), 2)
  end
  if not scratch then
    local sim = core.sim(1)
    scratch = { sim = sim, endpoint = core.sim_endpoint(sim, "scratch") }
  end
  local handle, text, name = core.msg_decode(scratch.endpoint, datagram)
  if not handle then return nil, errors.new(name, text) end
  return handle
end

-- Received messages are views, which C reads as they are touched: path, payload,
-- text and code by itself, all others here.
local View = { __metatable = "copal message" }
local view_keep, view_exchange = core.view_keep, core.view_exchange

local function view_index(m, key)
  local get = getters[key]
  if not get then return methods[key] end
  local v = get(m, m)
  if v ~= nil then view_keep(m, key, v) end
  return v
end

-- A request is its handler's, to be passed on with whatever it puts there.
function View.__newindex(m, key, v)
  if view_exchange(m) ~= nil or not assign(m, key, v) then view_keep(m, key, v) end
end

function View.__tostring(m)
  return core.msg_print(m, core.LINE)
end

function M.is(x)
  local kind = getmetatable(x)
  return kind == Message or kind == View.__metatable
end

M.Message = Message

local Params = {}

function Params.__index(p, name)
  local x = rawget(p, 1)
  if type(name) ~= "string" or not x then return nil end
  local v = core.exchange_param(x, name)
  rawset(p, name, v)
  return v
end

---- Addresses -----------------------------------------------------------------

local Address = {}
Address.__index = Address

function Address.__tostring(a)
  return a.uri
end

function Address.__eq(a, b)
  return a.uri == b.uri
end

local function is_multicast(host)
  local first = host:match("^(%d+)%.%d+%.%d+%.%d+$")
  if first then
    return tonumber(first) >= 224 and tonumber(first) <= 239
  end
  return host:match("^[fF][fF]%x%x:") ~= nil
end

-- The base of a URI taken apart; nil for "".
local function address(uri)
  local scheme, hostinfo = uri:match("^([%w+.-]+)://([^/?#]*)")
  if not scheme then return nil end
  local host, port = hostinfo:match("^%[(.*)%]:?(%d*)$")
  if not host then host, port = hostinfo:match("^(.*):(%d*)$") end
  host = host or hostinfo
  return setmetatable({ uri = scheme .. "://" .. hostinfo, scheme = scheme,
    hostinfo = hostinfo, host = host, port = tonumber(port),
    is_multicast = is_multicast(host) }, Address)
end
M.address = address

---- Lists ---------------------------------------------------------------------

local Path = {}

local function escaped(c)
  return string.format("%%%02X", c:byte())
end

local zero = _VERSION == "Lua 5.1" and "%z" or "\0"

-- p.text: as in a URI, but that only what would be mistaken is escaped.
function Path.__index(p, key)
  if key ~= "text" then return nil end
  local list = {}
  for i = 1, #p do list[i] = p[i]:gsub("[/" .. zero .. "]", escaped) end
  return "/" .. table.concat(list, "/")
end

function Path.__tostring(p)
  return p.text
end

function Path.__eq(a, b)
  return a.text == b.text
end

-- /a/b as { "a", "b" }; "/" is {}; a trailing slash is an empty last segment.
function getters.path(handle)
  return setmetatable(core.msg_list(handle, 11), Path)
end

-- In order, and by name: query.rt is "x" for "rt=x", true for "rt" alone.
function getters.query(handle)
  local list = core.msg_list(handle, 15)
  for i = 1, #list do
    local item = list[i]
    local key, v = item:match("^([^=]*)=(.*)$")
    key = key or item
    if list[key] == nil then list[key] = v or true end
  end
  return list
end

local Options = {}

function Options.__tostring(o)
  return o.text
end

-- options[1].name, .number, .value in wire order. Those of signals have names of
-- their own, as COPAL_SIGNAL_OPTION() has it.
function getters.options(handle)
  local flat = core.options(handle)
  local code = core.msg_code(handle)
  local kind = code >= 224 and code * 65536 or 0
  local list = { text = core.msg_print(handle, core.OPTION_LINES) }
  for i = 1, #flat, 2 do
    list[#list + 1] = { number = flat[i], value = flat[i + 1],
      name = core.name(core.OPTIONS, kind + flat[i]) or tostring(flat[i]) }
  end
  return setmetatable(list, Options)
end

-- The {name} segments of the path a request came by.
function getters.params(_, m)
  local x = view_exchange(m)
  if x == nil then return nil end
  return setmetatable({ x }, Params)
end

---- Fields --------------------------------------------------------------------

function getters.code(handle)
  return value.code(core.msg_code(handle))
end

function getters.payload(handle)
  return core.msg_payload(handle)
end

getters.text = getters.payload

function getters.identity(handle)
  return core.msg_identity(handle)
end

function getters.uri(handle)
  return core.msg_uri(handle)
end

function getters.format(handle)
  local number = core.msg_format(handle)
  return number >= 0 and value.format(number) or nil
end

function getters.remote(handle)
  local uri = core.msg_remote(handle) or ""
  return address(uri ~= "" and uri or core.msg_uri(handle) or "")
end

function getters.local_address(handle)
  return address(core.msg_local(handle) or "")
end

local types = { [0] = "CON", "NON", "ACK", "RST" }

function getters.wire(handle)
  return core.msg_wire(handle)
end

function getters.type(_, m)
  local wire = m.wire
  return wire and types[wire.type]
end

function getters.mid(_, m)
  local wire = m.wire
  return wire and wire.mid >= 0 and wire.mid or nil
end

function getters.token(_, m)
  local wire = m.wire
  return wire and wire.token
end

function getters.is_multicast(_, m)
  local wire = m.wire
  return wire ~= nil and wire.multicast
end

function getters.etag(handle)
  return core.msg_value(handle, 4, 0)
end

function getters.max_age(handle)
  return core.msg_uint(handle, 14)
end

-- What went wrong, RFC 9290; nil: the payload is something else, or malformed.
function getters.problem(handle)
  if core.msg_format(handle) ~= value.formats.PROBLEM then return nil end
  return (require "copal.problem".read(handle))
end

---- Assigning -----------------------------------------------------------------

setters.uri = core.msg_set_uri
setters.from = core.msg_set_from

local function payload_text(v)
  if type(v) == "string" then return v end
  if type(v) == "number" then return tostring(v) end
  return nil, "text expected, got " .. type(v)
end

function setters.payload(handle, v)
  local text, why = payload_text(v)
  if not text then return nil, why end
  return core.msg_set_payload(handle, core.msg_format(handle), text)
end

function setters.problem(handle, v)
  return require "copal.problem".set(handle, v)
end

function setters.format(handle, v)
  local f = value.format(v)
  if v ~= nil and not f then return nil, "unknown Content-Format" end
  return core.msg_set_payload(handle, f and f.number or core.NO_FORMAT,
    core.msg_payload(handle))
end

local function set_list(handle, option, list)
  core.msg_remove(handle, option)
  return build.add_list(handle, option, list)
end

-- { "a", "b" } or "/a/b"
function setters.path(handle, v)
  if type(v) == "string" then
    local list = {}
    local inner = v:gsub("^/", "")
    if inner ~= "" then
      for segment in (inner .. "/"):gmatch("([^/]*)/") do
        list[#list + 1] = segment
      end
    end
    v = list
  end
  return set_list(handle, 11, v)
end

function setters.query(handle, v)
  core.msg_remove(handle, 15)
  return build.add_query(handle, v)
end

---- Methods -------------------------------------------------------------------

local function option_number(m, option)
  return value.option(option, m.handle)
    or error("copal: no option " .. tostring(option), 3)
end

-- The i-th (from 1) value of an option, by number or name; nil: not there.
function methods.option(m, option, i)
  return (core.msg_value(m.handle, option_number(m, option), (i or 1) - 1))
end

function methods.uint(m, option)
  return (core.msg_uint(m.handle, option_number(m, option)))
end

function methods.add(m, option, v)
  return errors.check(build.add_option(m.handle, option, v))
end

-- Takes all values of an option away.
function methods.remove(m, option)
  return errors.check(core.msg_remove(m.handle, option_number(m, option)))
end

local function decoded(v, text)
  if v == nil then return nil, errors.new("EFORMAT", text) end
  return v
end

function methods.json(m)
  return decoded(require "copal.json".decode(m.payload))
end

-- link.uri is the whole URI of each, where the message came from somebody.
function methods.links(m, wanted)
  local links = require "copal.links"
  local list, text = links.parse(m.payload)
  local remote = list and m.remote
  for _, link in ipairs(remote and list or {}) do
    link.uri = links.resolve(remote.uri, link.href)
  end
  if list and wanted then list = list:filter(wanted) end
  return decoded(list, text)
end

-- opts as of copal.cbor.decode().
function methods.cbor(m, opts)
  return decoded(require "copal.cbor".decode(m.payload, opts))
end

-- The records of a SenML pack; JSON unless the format says CBOR.
function methods.senml(m)
  local f = m.format
  local syntax = f and value.kind(f) == "senml+cbor" and "cbor" or "json"
  return decoded(require "copal.senml".decode(m.payload, syntax))
end

local decoders = {
  json = methods.json,
  links = methods.links,
  cbor = methods.cbor,
  ["cbor-seq"] = function(m) return methods.cbor(m, { sequence = true }) end,
  ["senml+json"] = methods.senml,
  ["senml+cbor"] = methods.senml,
}

-- By Content-Format: JSON, CBOR, link format and SenML as tables, text and
-- bytes as they are.
function methods.decode(m)
  local f = m.format
  local decode = f and decoders[value.kind(f)]
  if decode then return decode(m) end
  return m.payload
end

-- The response itself if it is a success; else nil and an error with it.
function methods.check(m)
  local code = m.code
  if code.cls == 2 then return m end
  local message = code.name .. ": " .. (m.uri or "")
  local problem = m.problem
  if problem then
    message = message .. ": " .. tostring(problem)
  elseif m.payload ~= "" and (not m.format or m.format.number == 0) then
    message = message .. ": " .. m.payload
  end
  local e = errors.new("ESTATE", message, m)
  e.name, e.code = code.dotted, code.number
  return nil, e
end

function methods.copy(m)
  return M.own(core.msg_copy(m.handle))
end

core.views(View, view_index, value.code_objects, Path)

return M
