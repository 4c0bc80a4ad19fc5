-- Request items: name=str n:=42 Opt:value q==query @file 0xHEX -
local exit = require "copal.cli.exit"
local session = require "copal.cli.session"
local text_of = require "copal.cli.text"

local M = {}

local function read_all(file, name)
  local text, why = file:read("a")
  if not text then exit.fail(exit.INTERNAL, name .. ": " .. tostring(why)) end
  return text
end

local LARGE = 1048576 -- bytes; a longer file is sent as it is read

-- Its text, or the file itself where it is large.
function M.read_file(path)
  if path == "-" then return read_all(io.stdin, "stdin") end
  local file, why = io.open(path, "rb")
  if not file then exit.fail(exit.USAGE, why) end
  local size = file:seek("end")
  if size and size > LARGE then return file end
  if size then file:seek("set") end
  local text = read_all(file, path)
  file:close()
  return text
end

local function from_hex(digits, word)
  if #digits % 2 == 1 then
    exit.usage("odd number of hexadecimal digits in '" .. word .. "'")
  end
  return text_of.from_hex(digits)
end

local function body(out, text, word)
  if out.body or out.fields then
    exit.usage("more than one payload: '" .. word .. "'")
  end
  out.body = text
end

local function field(out, name, v, word)
  if out.body then exit.usage("more than one payload: '" .. word .. "'") end
  out.fields = out.fields or require "copal.json".object()
  out.fields[name] = v
end

local function named(out, word)
  local name = word:match("^[^:=]+")
  local rest = name and word:sub(#name + 1) or ""
  if rest:sub(1, 2) == ":=" then
    local v, why = require "copal.json".decode(rest:sub(3))
    if v == nil then exit.usage("'" .. word .. "': " .. why) end
    field(out, name, v, word)
  elseif rest:sub(1, 2) == "==" then
    table.insert(out.query, name .. "=" .. rest:sub(3))
  elseif rest:sub(1, 1) == ":" then
    table.insert(out.options,
      { session.option_number(name), session.option_value(rest:sub(2)) })
  elseif rest:sub(1, 1) == "=" then
    field(out, name, rest:sub(2), word)
  else
    exit.usage("request item '" .. word .. "' not understood; "
      .. "name=text name:=json Option:value query==value @file 0xHEX -")
  end
end

-- { query = {...}, options = {...}, body = text or nil, fields = {...} or nil }
function M.parse(words)
  local out = { query = {}, options = {} }
  for _, word in ipairs(words) do
    local path, digits = word:match("^@(.+)$"), word:match("^0x(%x+)$")
    if word == "-" then
      body(out, M.read_file("-"), word)
    elseif path then
      body(out, M.read_file(path), word)
    elseif digits then
      body(out, from_hex(digits, word), word)
    else
      named(out, word)
    end
  end
  return out
end

-- The payload and its Content-Format's number, from the flags and the items.
function M.payload(flags, items)
  local number = flags.format and session.format_number("-t", flags.format)
  local payload = flags.payload
  if payload and (items.body or items.fields) then
    exit.usage("-p and a request item both say what to send")
  end
  if items.body then
    payload = items.body
  elseif items.fields then
    local found
    payload, found = require "copal.build".encode(items.fields, number)
    if not payload then exit.usage("fields as " .. found) end
    number = found
  elseif payload and payload:sub(1, 1) == "@" then
    payload = M.read_file(payload:sub(2))
  end
  return payload, number
end

return M
