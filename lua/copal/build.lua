-- Messages made from what scripts give: a body, and a table of options and
-- parameters.
local core = require "copal_core"
local errors = require "copal.error"
local value = require "copal.value"

local M = {}

-- v: text, a number, true for an empty value, or a list of these.
function M.add_option(handle, option, v)
  local number = value.option(option, handle)
  if not number then
    return nil, "no option " .. tostring(option), "EINVAL"
  end
  if type(v) == "number" then
    return core.msg_add_uint(handle, number, v)
  elseif v == true then
    return core.msg_add(handle, number, "")
  elseif type(v) == "string" then
    return core.msg_add(handle, number, v)
  elseif type(v) == "table" then
    for _, item in ipairs(v) do
      local ok, text, name = M.add_option(handle, number, item)
      if not ok then return nil, text, name end
    end
    return true
  end
  return nil, "an option's value cannot be a " .. type(v), "EINVAL"
end

local setup = {} -- what a key of the options table does to the message

function setup.accept(handle, v)
  local f = value.format(v)
  if not f then return nil, "unknown Content-Format " .. tostring(v), "EINVAL" end
  return core.msg_add_uint(handle, 17, f.number)
end

function setup.options(handle, v)
  for key, item in pairs(v) do
    local ok, text, name
    if type(item) == "table" and type(key) == "number" and #item == 2
      and value.option(item[1], handle) then
      ok, text, name = M.add_option(handle, item[1], item[2])
    else
      ok, text, name = M.add_option(handle, key, item)
    end
    if not ok then return nil, text, name end
  end
  return true
end

-- The values of an option that may be there several times.
function M.add_list(handle, option, list)
  for _, v in ipairs(list) do
    local ok, text, name = core.msg_add(handle, option, tostring(v))
    if not ok then return nil, text, name end
  end
  return true
end

-- v: { "obs", rt = "temperature" }
function M.add_query(handle, v)
  local list = {}
  for i, item in ipairs(v) do list[i] = item end
  for key, item in pairs(v) do
    if type(key) == "string" then
      list[#list + 1] = item == true and key or key .. "=" .. tostring(item)
    end
  end
  return M.add_list(handle, 15, list)
end
setup.query = M.add_query

-- v: a table as copal.problem has it, or a title
function setup.problem(handle, v)
  return require "copal.problem".set(handle, v)
end

-- v: an offset, or { offset, etag }
function setup.resume(handle, v)
  if type(v) ~= "table" then v = { v } end
  return core.msg_resume(handle, v[1], v[2] or "")
end

setup.from = core.msg_set_from

local plain = { etag = 4, if_match = 1, if_none_match = 5, max_age = 14,
  observe = 6, hop_limit = 16, proxy_uri = 35, proxy_scheme = 39,
  no_response = 258, echo = 252, request_tag = 292, size1 = 60, size2 = 28,
  uri_host = 3, location_path = 8, location_query = 20 }

-- Used by those who send; they set no option of the message.
local others = { format = true, flags = true, confirmable = true, non = true,
  progress = true, sink = true, limit = true, code = true,
  payload = true, uri = true, raw_blocks = true, any_port = true,
  no_cache = true }

local function flags_of(opts)
  local flags = opts.flags or 0
  if opts.non or opts.confirmable == false then
    flags = flags + core.NON
  elseif opts.non == false or opts.confirmable then
    flags = flags + core.CON
  end
  if opts.raw_blocks then flags = flags + core.RAW_BLOCKS end
  if opts.any_port then flags = flags + core.ANY_PORT end
  if opts.no_cache then flags = flags + core.NO_CACHE end
  if opts.progress then flags = flags + core.TELL_PROGRESS end
  if opts.sink then flags = flags + core.STREAM_IN end
  return flags
end

-- Of a network interface by name: { name =, index = }, or nil and an error. An
-- index is taken as it is.
function M.interface(endpoint, name)
  if type(name) == "number" then return { index = name } end
  for _, one in ipairs(core.interfaces(endpoint)) do
    if one.name == name then return one end
  end
  return nil, errors.new("ENOENT", tostring(name)
    .. ": this host has no such network interface, or it is down")
end

-- A parameter as C wants it -> number, value; nil: there is none of that name;
-- nil and an error: no such interface.
function M.param(endpoint, name, v)
  if name == "interface" and type(v) == "string" then
    local one, err = M.interface(endpoint, v)
    if not one then return nil, err end
    v = one.index
  end
  return value.param(name, v)
end

-- What was wrong with key; sentences about parameters begin with their name.
function M.about(key, text)
  key, text = tostring(key), tostring(text)
  return text:sub(1, #key + 1) == key .. ":" and text or key .. ": " .. text
end

local function apply_one(endpoint, handle, key, v)
  if setup[key] then return setup[key](handle, v) end
  if plain[key] then
    if v == false then return true end
    return M.add_option(handle, plain[key], v)
  end
  if others[key] then return true end
  local number, n = M.param(endpoint, key, v)
  if not number then
    if n then return nil, n.message, n.name end
    error("copal: no such option or parameter: " .. tostring(key), 0)
  end
  return core.msg_tune(handle, number, n)
end

local function apply(endpoint, handle, opts)
  local flags = flags_of(opts)
  for key, v in pairs(opts) do
    local ok, text, name = apply_one(endpoint, handle, key, v)
    if not ok then return nil, M.about(key, text), name end
  end
  if flags ~= 0 then return core.msg_set_flags(handle, flags) end
  return true
end

-- How tables are written, by the kind of a Content-Format.
local writers = {
  json = function(v) return require "copal.json".encode(v) end,
  cbor = function(v) return require "copal.cbor".encode(v) end,
  ["senml+json"] = function(v) return require "copal.senml".encode(v, "json") end,
  ["senml+cbor"] = function(v) return require "copal.senml".encode(v, "cbor") end,
}

-- A body as scripts give it -> text, format number. Strings are sent as they
-- are. Tables are written as format wants them, JSON if there is none; where
-- format wants CBOR, so are numbers and booleans.
function M.encode(body, format)
  local f = format ~= nil and value.format(format) or nil
  if format ~= nil and not f then
    return nil, "unknown Content-Format " .. tostring(format)
  end
  local number, kind = f and f.number, f and value.kind(f)
  local is_plain = type(body) == "number" or type(body) == "boolean"
  if type(body) == "string" then return body, number end
  if is_plain and kind ~= "cbor" then return tostring(body), number end
  if type(body) ~= "table" and not is_plain then
    return nil, "a body cannot be a " .. type(body)
  end
  local write = writers[f and (kind or "") or "json"]
  if not write then return nil, f.name .. ": not built in", "ENOTSUP" end
  local ok, text = pcall(write, body)
  if not ok then return nil, tostring(text) end
  return text, number or 50
end

-- Whether a table is written as copal.problem does it, not as the map of numbers
-- that it is on the wire.
local function is_problem(body, format)
  local f = format ~= nil and value.format(format) or nil
  return f ~= nil and f.number == value.formats.PROBLEM
    and type((next(body))) ~= "number"
end

-- A new message's handle, or nil and an error. body may be nil.
function M.build(endpoint, code, uri, body, opts)
  local handle, text, name = core.msg_new(endpoint, code)
  if not handle then return nil, errors.new(name, text) end
  -- A URI that is not understood is told by END, with the sentence.
  if uri then core.msg_set_uri(handle, uri) end
  if type(body) == "table" and is_problem(body, opts and opts.format) then
    local ok
    ok, text, name = setup.problem(handle, body)
    if not ok then return nil, errors.new(name, "problem: " .. text) end
  elseif body ~= nil then
    local payload, number, kind = M.encode(body, opts and opts.format)
    if not payload then return nil, errors.new(kind or "EINVAL", number) end
    local ok
    ok, text, name = core.msg_set_payload(handle, number or core.NO_FORMAT, payload)
    if not ok then return nil, errors.new(name, text) end
  elseif opts and opts.format ~= nil then
    local f = value.format(opts.format)
    if not f then
      return nil, errors.new("EINVAL", "unknown Content-Format " .. tostring(opts.format))
    end
    core.msg_set_payload(handle, f.number, "")
  end
  if opts then
    local ok
    ok, text, name = apply(endpoint, handle, opts)
    if not ok then return nil, errors.new(name or "EINVAL", text) end
  end
  return handle
end

return M
