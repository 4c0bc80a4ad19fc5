-- SenML (RFC 8428): packs of measurements, in JSON or CBOR.
local cbor = require "copal.cbor"
local data = require "copal.data"
local json = require "copal.json"

local M = {}

local VERSION = 10 -- the newest understood, RFC 8428 4.4

-- Labels of CBOR, Table 4.
local labels = { bver = -1, bn = -2, bt = -3, bu = -4, bv = -5, bs = -6, n = 0,
  u = 1, v = 2, vs = 3, vb = 4, s = 5, t = 6, ut = 7, vd = 8 }
local names = {}
for name, label in pairs(labels) do names[label] = name end

local kinds = { bver = "number", bn = "string", bt = "number", bu = "string",
  bv = "number", bs = "number", n = "string", u = "string", v = "number",
  vs = "string", vb = "boolean", s = "number", t = "number", ut = "number",
  vd = "string" }

local function fail(i, what)
  error({ senml = "SenML: record " .. i .. ": " .. what }, 0)
end

---- Reading -------------------------------------------------------------------

-- CBOR may give a number as a decimal fraction, tag 4. RFC 8428 6.
local function number_of(v)
  if not data.is_tag(v, 4) or type(v.value) ~= "table" then return v end
  local exponent, mantissa = v.value[1], v.value[2]
  if type(exponent) ~= "number" or type(mantissa) ~= "number"
    or math.abs(exponent) > 400 then
    return v
  end
  -- One rounding, where 10 ^ 22 is exact: 27315 / 100 is 273.15.
  if exponent < 0 then return mantissa / 10 ^ -exponent end
  return mantissa * 10 ^ exponent
end

-- The fields by their names. What is not known is left alone, but for a label
-- that ends in "_". RFC 8428 4.4.
local function named(record, i, from_cbor)
  local fields = {}
  if type(record) ~= "table" or data.is_special(record) or data.is_array(record) then
    fail(i, "not a map")
  end
  for key, v in pairs(record) do
    local name = from_cbor and type(key) == "number" and names[key] or key
    if kinds[name] == "number" then v = number_of(v) end
    if kinds[name] and type(v) ~= kinds[name] then
      fail(i, name .. " is not a " .. kinds[name])
    elseif type(name) == "string" and name:match("_$") then
      fail(i, "'" .. name .. "' must be understood, and is not")
    end
    fields[name] = v
  end
  return fields
end

-- Base fields hold from their record on. RFC 8428 4.1.
local function keep_base(base, fields, i)
  for _, name in ipairs { "bn", "bt", "bu", "bv", "bs", "bver" } do
    if fields[name] ~= nil then base[name] = fields[name] end
  end
  if (base.bver or VERSION) > VERSION then
    fail(i, "version " .. base.bver .. " is not understood")
  end
end

-- The sum of what is there; nil: neither.
local function sum(a, b)
  if a == nil and b == nil then return nil end
  return (a or 0) + (b or 0)
end

local function data_of(fields, i, from_cbor)
  if fields.vd == nil or from_cbor then return fields.vd end
  local bytes = data.from_base64(fields.vd)
  if not bytes then fail(i, "vd is not base64") end
  return bytes
end

local function resolve(fields, base, i, from_cbor)
  local r = { name = (base.bn or "") .. (fields.n or ""), unit = fields.u or base.bu,
    time = (base.bt or 0) + (fields.t or 0), update_time = fields.ut,
    sum = sum(base.bs, fields.s), vs = fields.vs, vb = fields.vb,
    vd = data_of(fields, i, from_cbor) }
  local count = 0
  for _, name in ipairs { "v", "vs", "vb", "vd" } do
    if fields[name] ~= nil then count = count + 1 end
  end
  if count > 1 then fail(i, "more than one value") end
  if r.name == "" then fail(i, "no name") end
  if count == 0 or fields.v ~= nil then r.value = sum(base.bv, fields.v) end
  if r.value == nil then r.value = r.vs end
  if r.value == nil then r.value = r.vb end
  if r.value == nil then r.value = r.vd end
  if r.value == nil and r.sum == nil then fail(i, "no value") end
  return r
end

local function resolve_all(pack, from_cbor)
  local list, base = {}, {}
  if type(pack) ~= "table" or data.is_object(pack) or data.is_special(pack) then
    error({ senml = "SenML: not an array of records" }, 0)
  end
  for i, record in ipairs(pack) do
    local fields = named(record, i, from_cbor)
    keep_base(base, fields, i)
    -- A record of nothing but base fields says no value of its own.
    local own, of_base
    for name in pairs(fields) do
      if tostring(name):match("^b") then of_base = true
      elseif kinds[name] then own = true end
    end
    if own or not of_base then
      list[#list + 1] = resolve(fields, base, i, from_cbor)
    end
  end
  return list
end

-- { { name = "urn:dev:ow:10e2073a01080063temp", unit = "Cel", value = 21.5,
-- time = 1276020076 }, ... }: base fields are applied (RFC 8428 4.6). value is
-- a number, a string (also in .vs), a boolean (.vb) or bytes (.vd); time is
-- relative to now below 2^28 (4.5.3), 0 if none is said. Where they are told:
-- sum, update_time. format: "json" or "cbor". Or nil and what is wrong.
function M.decode(payload, format)
  local from_cbor = format == "cbor"
  local pack, why
  if from_cbor then pack, why = cbor.decode(payload) else pack, why = json.decode(payload) end
  if pack == nil then return nil, why end
  local ok, list = pcall(resolve_all, pack, from_cbor)
  if ok then return list end
  if type(list) == "table" and list.senml then return nil, list.senml end
  error(list, 0)
end

---- Writing -------------------------------------------------------------------

local long = { name = "n", unit = "u", time = "t", update_time = "ut", sum = "s" }
local value_labels = { number = "v", string = "vs", boolean = "vb" }

-- A record as scripts give it: RFC 8428's labels, or the names of decode().
local function labelled(record, i)
  local fields = {}
  for key, v in pairs(record) do
    if long[key] then
      fields[long[key]] = v
    elseif key ~= "value" then
      fields[key] = data.is_bytes(v) and v.bytes or v
    end
  end
  local v = record.value
  if v ~= nil and fields.vs == nil and fields.vb == nil and fields.vd == nil then
    if data.is_bytes(v) then
      fields.vd = v.bytes
    elseif value_labels[type(v)] then
      fields[value_labels[type(v)]] = v
    else
      fail(i, "a value cannot be a " .. type(v))
    end
  end
  if record.time == 0 then fields.t = nil end
  for name, kind in pairs(kinds) do
    if fields[name] ~= nil and type(fields[name]) ~= kind then
      fail(i, name .. " is not a " .. kind)
    end
  end
  return fields
end

local function encode_record(fields, to_cbor)
  local out = data.object()
  for name, v in pairs(fields) do
    if name == "vd" then v = to_cbor and data.bytes(v) or data.base64url(v) end
    out[to_cbor and labels[name] or name] = v
  end
  return out
end

-- The records under the labels of format, "json" or "cbor", as a value to be
-- encoded. Throws for what SenML cannot say.
function M.pack(list, format)
  local pack = data.array()
  if type(list) == "table" and #list == 0 and next(list) ~= nil then list = { list } end
  for i, record in ipairs(list) do
    local ok, fields = pcall(labelled, record, i)
    if not ok then error(type(fields) == "table" and fields.senml or fields, 0) end
    pack[i] = encode_record(fields, format == "cbor")
  end
  return pack
end

-- A list of records, or one, as text or bytes.
function M.encode(list, format)
  local pack = M.pack(list, format)
  return format == "cbor" and cbor.encode(pack) or json.encode(pack)
end

return M
