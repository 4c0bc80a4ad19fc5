-- -v: messages as they pass, on stderr. -vv with options, -vvv with bytes.
-- --trace FILE: all that copal_trace() tells, a line of JSON each.
local core = require "copal_core"
local exit = require "copal.cli.exit"
local json = require "copal.json"
local text = require "copal.cli.text"

local M = {}

local methods = { ["0.01"] = "GET", ["0.02"] = "POST", ["0.03"] = "PUT",
  ["0.04"] = "DELETE", ["0.05"] = "FETCH", ["0.06"] = "PATCH", ["0.07"] = "iPATCH",
  ["7.01"] = "CSM", ["7.02"] = "Ping", ["7.03"] = "Pong", ["7.04"] = "Release", ["7.05"] = "Abort" }

local function payload_of(ev)
  if ev.payload_hex then return text.from_hex(ev.payload_hex) end
  return ev.payload or ""
end

-- What of the options one line shows: the path, and whether it observes.
local function essence(ev)
  local path, query, more = "", {}, {}
  for _, o in ipairs(ev.options or {}) do
    local name, v = o[1], o[2]
    if name == "Uri-Path" then path = path .. "/" .. v
    elseif name == "Uri-Query" then query[#query + 1] = v
    elseif name == "Observe" then more[#more + 1] = "obs=" .. v
    elseif name == "Content-Format" then more[#more + 1] = "ct=" .. v
    elseif name == "Block1" then more[#more + 1] = "block1 " .. v
    elseif name == "Block2" then more[#more + 1] = "block2 " .. v end
  end
  if ev.code:match("^0%.") and ev.code ~= "0.00" then
    if path == "" then path = "/" end
    if #query > 0 then path = path .. "?" .. table.concat(query, "&") end
    table.insert(more, 1, path)
  end
  return table.concat(more, " ")
end

local function line_of(ev)
  local arrow = ev.ev == "in" and "<" or ">"
  if ev.malformed then
    return string.format("%s malformed, %d B  %s", arrow, ev.len, ev.peer)
  end
  local what = methods[ev.code] or ev.code == "0.00" and "(empty)" or ev.code
  local line = ev.type and string.format("%s %s %-4s %-30s mid %04x", arrow,
    ev.type, what, essence(ev), ev.mid)
    or string.format("%s %-7s %-30s", arrow, what, essence(ev)) -- by a connection
  if (ev.token or "") ~= "" then line = line .. " tok " .. ev.token end
  return line .. string.format("  %d B", ev.len or 0)
end

local function tell(ev, level, state, paint)
  if ev.ev == "again" then
    state.again[ev.mid] = (state.again[ev.mid] or 0) + 1
    io.stderr:write(paint("dim", string.format(
      "  ...  no answer in %.1f s, retransmission %d",
      (ev.t - (state.sent[ev.mid] or ev.t)) / 1000, state.again[ev.mid])), "\n")
  elseif ev.ev == "out" then
    if ev.mid then state.sent[ev.mid] = ev.t end
  end
  local line = line_of(ev)
  local sent = ev.ev == "in" and ev.type == "ACK" and state.sent[ev.mid]
  if sent then line = line .. string.format("  rtt %d ms", ev.t - sent) end
  io.stderr:write(text.visible(line), "\n")
  if level >= 2 then
    for _, o in ipairs(ev.options or {}) do
      io.stderr:write("    ", text.visible(o[1] .. ": " .. tostring(o[2])), "\n")
    end
  end
  local payload = payload_of(ev)
  if level >= 3 and payload ~= "" then
    io.stderr:write(text.dump(payload, "    "), "\n")
  elseif level >= 3 and ev.malformed then
    io.stderr:write(text.dump(text.from_hex(ev.hex or ""), "    "), "\n")
  end
end

-- Writes lines to path, "-" for stderr, each at once; where the disk is full that
-- is said, and the trace is over.
local function line_writer(path)
  local file, why = io.stderr, nil
  if path ~= "-" then
    file, why = io.open(path, "w")
    if not file then exit.fail(exit.INTERNAL, "--trace " .. why) end
    file:setvbuf("line")
  end
  return function(line)
    if not file then return end
    local ok, failure = file:write(line, "\n")
    if ok then return end
    file = nil
    io.stderr:write("copal: --trace ", path, ": ", failure, "\n")
  end
end

-- What a line of the wire shows for people.
local function teller(flags)
  local state = { sent = {}, again = {} }
  local paint = text.painter(flags, 2)
  return function(line)
    local ev = json.decode(line)
    if ev and ev.peer then tell(ev, flags.verbose, state, paint) end
  end
end

function M.attach(coap, flags)
  local groups, sinks = core.TRACE_WIRE, {}
  if flags.verbose then sinks[#sinks + 1] = teller(flags) end
  if flags.trace then
    sinks[#sinks + 1] = line_writer(flags.trace)
    groups = groups + core.TRACE_STATE + core.TRACE_SECURITY
  end
  core.trace(coap.handle, groups, function(kind, line)
    if kind ~= core.TRACE then return end
    for _, sink in ipairs(sinks) do sink(line) end
  end)
end

return M
