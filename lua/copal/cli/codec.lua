-- copal codec FORMAT: what stdin holds, on stdout in another format.
local cbor = require "copal.cbor"
local data = require "copal.data"
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local host = require "copal.host"
local json = require "copal.json"
local links = require "copal.links"
local payload = require "copal.cli.payload"
local senml = require "copal.senml"
local text = require "copal.cli.text"

local M = {}

local function undecodable(why)
  exit.fail(exit.DECODE, "stdin did not decode: " .. text.visible(tostring(why)))
end

-- What was read, or the end of the command.
local function checked(v, why)
  if v == nil then undecodable(why) end
  return v
end

---- Values: CBOR, diagnostic notation, JSON -------------------------------------

local writers = {}

function writers.cbor(v)
  return cbor.encode(v), true
end

function writers.diag(v)
  return checked(cbor.diagnostic(cbor.encode(v), { indent = true })) .. "\n"
end

function writers.json(v)
  return json.encode(data.for_json(v), true) .. "\n"
end

-- A pack of SenML, as a value.
function writers.senml(v)
  return payload.senml_table(checked(senml.decode(cbor.encode(v), "cbor"))) .. "\n"
end

---- Formats: what they are read as, what they are written as unless told ---------

local readers = {}

readers.cbor = { to = "diag", read = function(s, to)
  if to == "diag" then -- as it was written, not as we would
    return nil, checked(cbor.diagnostic(s, { indent = true })) .. "\n"
  end
  return checked(cbor.decode(s, { exact = true }))
end }

readers["cbor-seq"] = { to = "diag", read = function(s, to)
  if to == "diag" then
    return nil, checked(cbor.diagnostic(s, { indent = true, sequence = true })) .. "\n"
  end
  return checked(cbor.decode(s, { exact = true, sequence = true }))
end }

readers.diag = { to = "cbor", read = function(s)
  return checked(cbor.from_diagnostic(s))
end }

readers.json = { to = "json", read = function(s, to)
  if to == "senml" then
    return nil, payload.senml_table(checked(senml.decode(s, "json"))) .. "\n"
  end
  return checked(json.decode(s))
end }

-- An array opens with "[" in JSON, with 0x80 to 0x9f in CBOR.
readers.senml = { to = "senml", read = function(s, to)
  local first = s:byte() or 0
  local syntax = first >= 0x80 and first <= 0x9f and "cbor" or "json"
  local records = checked(senml.decode(s, syntax))
  if to == "senml" then return nil, payload.senml_table(records) .. "\n" end
  return senml.pack(records, to == "json" and "json" or "cbor")
end }

readers.link = { to = "text", read = function(s, to)
  local list = checked(links.parse(s))
  if to == "text" or to == "link" then
    return nil, #list > 0 and payload.link_lines(list) .. "\n" or ""
  end
  return payload.link_table(list)
end }
readers.links = readers.link

-- Formats that a value of this one cannot be.
local function check_target(format, to)
  local known = writers[to] or format:match("^links?$") and (to == "text" or to == "link")
  if not known or to == "senml" and format:match("^links?$") then
    exit.usage("codec " .. format .. " --to " .. to
      .. ": cbor diag json" .. (format:match("^links?$") and " text" or " senml"))
  end
end

---- Bytes ------------------------------------------------------------------------

local function from_hex(s)
  local digits = s:gsub("%s", ""):gsub("^0x", "")
  if #digits % 2 == 1 or digits:find("%X") then
    undecodable("not hexadecimal digits")
  end
  return text.from_hex(digits)
end

local function convert(format, to, s)
  local v, out = readers[format].read(s, to)
  if out then return out end
  local ok, is_bytes
  ok, out, is_bytes = pcall(writers[to], v)
  if ok then return out, is_bytes end
  if type(out) == "table" then error(out, 0) end
  exit.fail(exit.DECODE, "cannot be written as " .. to .. ": " .. text.visible(out))
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local format = flags[1]
  if not format then exit.usage("copal codec wants a format: cbor diag json senml link") end
  if not readers[format] or flags[2] then
    exit.usage("copal codec " .. table.concat(flags, " ") .. ": cbor cbor-seq diag json senml link")
  end
  local to = flags.to or readers[format].to
  check_target(format, to)
  local s = io.read("a")
  if flags.hex and (format:match("^cbor") or format == "senml") then s = from_hex(s) end

  local out, is_bytes = convert(format, to, s)
  if is_bytes then
    if flags.hex then out = text.hex(out) .. "\n"
    elseif host.isatty(1) then out = text.dump(out) .. "\n" end
  elseif host.isatty(1) then
    out = text.visible(out)
  end
  io.write(out)
  return exit.OK
end

return M
