-- Responses on stdout: exact bytes on a pipe, pretty on a terminal. All else
-- goes to stderr.
local copal = require "copal"
local exit = require "copal.cli.exit"
local host = require "copal.host"
local payload = require "copal.cli.payload"
local text = require "copal.cli.text"

local M = {}
local Output = {}
Output.__index = Output

local formats = { auto = true, json = true, cbor = true, senml = true,
  link = true, links = true, hex = true, raw = true, none = true }

function M.new(flags)
  local wanted = flags.print or "auto"
  if not formats[wanted] then
    exit.usage("-f " .. wanted .. ": auto json cbor senml link hex raw none")
  end
  local self = setmetatable({ flags = flags, wanted = wanted,
    tty = host.isatty(1) and not flags.output, paint = text.painter(flags, 2),
    json = flags.json, template = flags.template }, Output)
  if flags.output and flags.output ~= "-" then
    local file, why = io.open(flags.output, "wb")
    if not file then exit.usage(why) end
    self.file = file
  end
  return self
end

function Output:write(s)
  local ok, why = (self.file or io.stdout):write(s)
  if not ok then exit.fail(exit.INTERNAL, "cannot write: " .. tostring(why)) end
end

function Output:close()
  if self.file then
    local ok, why = self.file:close()
    self.file = nil
    if not ok then exit.fail(exit.INTERNAL, "cannot write: " .. tostring(why)) end
  end
end

function Output:say(line)
  if not self.flags.quiet then
    io.stderr:write("copal: ", text.visible(line), "\n")
  end
end

-- With -o and nothing to convert, the body goes to the file as it comes; how
-- long it is does not matter then. Diagnostics of a 4.xx or 5.xx stay text.
function Output:sink()
  if not self.file or self.json or self.template
    or not (self.wanted == "auto" or self.wanted == "raw") then
    return nil
  end
  return function(piece, _, _, response)
    if response.code.cls == 2 then return self:write(piece) end
    self.diagnostic = (self.diagnostic or "") .. piece
  end
end

---- Payloads ------------------------------------------------------------------

local function undecodable(why)
  exit.fail(exit.DECODE, "the payload did not decode: " .. text.visible(tostring(why)))
end

local render = {}

function render.json(m)
  local v, why = payload.for_json(m)
  if v == nil then undecodable(why) end
  return copal.json.encode(v, true) .. "\n"
end

function render.cbor(m)
  local s, why = payload.diagnostic(m)
  if not s then undecodable(why) end
  return text.visible(s) .. "\n"
end

function render.senml(m)
  local s, why = payload.senml(m)
  if not s then undecodable(why) end
  return s ~= "" and s .. "\n" or ""
end

function render.link(m)
  local links, why = m:links()
  if not links then undecodable(why) end
  return #links > 0 and payload.link_lines(links) .. "\n" or ""
end
render.links = render.link

function render.hex(m)
  return text.hex(m.payload) .. "\n"
end

function render.none()
  return ""
end

-- Pretty if it can be, for a terminal.
local function pretty(m)
  local s = payload.pretty(m)
  if s then return s end
  if text.is_text(m.payload) then return text.visible(m.payload) end
  return text.dump(m.payload)
end

-- each: one of several, so that a newline stands between them also on a pipe.
function Output:payload(m, each)
  local how = render[self.wanted]
  if how then return self:write(how(m)) end
  if m.payload == "" and not each then return end
  if self.wanted == "auto" and self.tty then
    local s = pretty(m)
    return self:write(s:sub(-1) == "\n" and s or s .. "\n")
  end
  self:write(m.payload)
  if (each or self.tty) and m.payload:sub(-1) ~= "\n" then self:write("\n") end
end

---- Templates and JSON --------------------------------------------------------

local function iso_time()
  return os.date("!%Y-%m-%dT%H:%M:%SZ")
end

local function expand(template, m, extra)
  local values = {
    t = iso_time, c = function() return m.code.name end,
    p = function() return m.payload end,
    r = function() return extra.rtt and string.format("%.1f", extra.rtt * 1000) or "-" end,
    u = function() return extra.uri or m.uri end,
    a = function() return m.remote and m.remote.uri or "-" end,
    o = function() return tostring(m:uint(6) or "-") end,
    ["%"] = function() return "%" end,
  }
  local escapes = { n = "\n", t = "\t", ["\\"] = "\\" }
  return (template:gsub("\\([nt\\])", escapes):gsub("%%(.)", function(c)
    local get = values[c]
    return get and get() or "%" .. c
  end))
end

-- Text; a bare number as a number, so that jq can compare it.
local function text_for_json(m)
  if not text.is_text(m.payload) then return nil end
  return m.payload:match("^%-?%d+%.?%d*$") and tonumber(m.payload) or m.payload
end

local function json_payload(event, m)
  if m.payload == "" then return end
  local v = payload.for_json(m, text_for_json)
  if v ~= nil then
    event.payload = v
  else
    event.payload_hex = text.hex(m.payload)
  end
end

-- { "event": ..., "time": ..., "uri": ..., "code": ..., "payload": ... }
function Output:json_event(kind, m, extra)
  local event = copal.json.object { event = kind, time = iso_time(), uri = extra.uri }
  if extra.rtt then event.rtt_ms = math.floor(extra.rtt * 1e6 + 0.5) / 1000 end
  if m then
    event.uri = event.uri or m.uri
    event.remote = m.remote and m.remote.uri
    event.code = m.code.dotted
    event.observe = m:uint(6)
    if m.format then event.format = m.format.name end
    json_payload(event, m)
  end
  if extra.reason then event.reason = extra.reason end
  if extra.error then event.error = extra.error end
  self:write(copal.json.encode(event) .. "\n")
  io.stdout:flush()
end

---- Whole responses ------------------------------------------------------------

local function header(m, rtt, paint)
  local words = { paint(m.code.cls == 2 and "good" or "bad", m.code.name) }
  if m.format then words[#words + 1] = text.format(m.format) end
  if m.max_age then words[#words + 1] = "Max-Age " .. m.max_age end
  if m.etag then words[#words + 1] = "ETag " .. text.hex(m.etag) end
  local location, i = "", 1
  while m:option(8, i) do
    location = location .. "/" .. m:option(8, i)
    i = i + 1
  end
  if location ~= "" then words[#words + 1] = "Location " .. text.visible(location) end
  if rtt then words[#words + 1] = paint("dim", "  " .. text.ms(rtt)) end
  return table.concat(words, "  ")
end

-- A 4.xx or 5.xx for people, on stderr.
function Output:refusal(m, uri)
  self:say(m.code.name .. "  " .. uri)
  if m.problem and not self.flags.quiet then
    local lines = payload.problem_lines(m.problem)
    io.stderr:write("  ", table.concat(lines, "\n  "), "\n")
    return
  end
  local reason = self.diagnostic or m.payload
  if reason ~= "" and not self.flags.quiet then
    io.stderr:write(text.is_text(reason) and "  " .. text.visible(reason)
      or text.dump(reason, "  "), "\n")
  end
end

-- What a one-shot command prints of its response.
function Output:response(m, uri, rtt)
  if self.json then
    return self:json_event("response", m, { uri = uri, rtt = rtt })
  elseif self.template then
    return self:write(expand(self.template, m, { uri = uri, rtt = rtt }) .. "\n")
  elseif m.code.cls ~= 2 then
    return self:refusal(m, uri)
  end
  if self.tty and not self.flags.quiet and self.wanted == "auto" then
    io.stderr:write(header(m, rtt, self.paint), "\n")
  end
  self:payload(m)
end

-- One of a group's answers, with who gave it.
function Output:answer(m, uri)
  if self.json then
    return self:json_event("response", m, { uri = uri })
  elseif self.template then
    self:write(expand(self.template, m, { uri = uri }) .. "\n")
  elseif m.code.cls ~= 2 then
    self:refusal(m, m.remote.uri)
  else
    if self.wanted ~= "none" then self:write(m.remote.uri .. "  ") end
    self:payload(m, true)
  end
  (self.file or io.stdout):flush()
end

-- One of many values.
function Output:value(m, uri, several)
  if self.json then
    return self:json_event("value", m, { uri = uri })
  elseif self.template then
    self:write(expand(self.template, m, { uri = uri }) .. "\n")
  elseif m.code.cls ~= 2 then
    self:refusal(m, uri)
  else
    if several and self.wanted ~= "none" then self:write(uri .. "  ") end
    self:payload(m, true)
  end
  (self.file or io.stdout):flush()
end

return M
