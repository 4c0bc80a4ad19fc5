-- copal ping URI: a line a probe, a summary at the end.
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local host = require "copal.host"
local output = require "copal.cli.output"
local session = require "copal.cli.session"
local errors = require "copal.error"
local text = require "copal.cli.text"

local M = {}

local INTERVAL = 1 -- seconds from one probe to the next

local function summary(uri, times, sent)
  local lines = { "--- " .. uri .. " ---",
    string.format("%d probe%s, %d answered, %d%% lost", sent,
      sent == 1 and "" or "s", #times,
      sent > 0 and (sent - #times) * 100 // sent or 0) }
  if #times > 0 then
    local min, max, sum = math.huge, 0, 0
    for _, t in ipairs(times) do
      min, max, sum = math.min(min, t), math.max(max, t), sum + t
    end
    lines[3] = string.format("rtt min/avg/max %.2f/%.2f/%.2f ms", min * 1000,
      sum / #times * 1000, max * 1000)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function probe(coap, out, uri, seq, times)
  local began = host.clock()
  local ok, err = coap:ping(uri)
  local rtt = host.clock() - began
  if ok then
    times[#times + 1] = rtt
    if out.json then out:json_event("pong", nil, { uri = uri, rtt = rtt })
    else out:write(string.format("%s  seq %d  %s\n", uri, seq, text.ms(rtt))) end
  elseif out.json then
    out:json_event("error", nil, { uri = uri, error = err.name, reason = err.message })
  else
    out:say("seq " .. seq .. ": " .. err.message)
  end
  io.stdout:flush()
  return err
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local uri = session.uri_and_items(command, flags)
  local out = output.new(flags)
  local coap = session.open(flags)
  local times, sent, last = {}, 0, nil
  local started = host.clock()

  local function probes()
    while not flags.count or sent < flags.count do
      local began = host.clock()
      sent = sent + 1
      last = probe(coap, out, uri, sent, times)
      -- What cannot get better is not asked again.
      if last and (last.name == "EURI" or last.name == "ERESOLVE"
        or last.name == "ENOTSUP") then
        return
      end
      local rest = began + INTERVAL - host.clock()
      if flags.count and sent >= flags.count then return end
      if flags.during and host.clock() + rest - started > flags.during then return end
      if rest > 0 then coap:sleep(rest) end
    end
  end

  local ok, e = pcall(probes)
  if not ok and not errors.is(e, "ECANCEL") then error(e, 0) end
  if not out.json then out:write(summary(uri, times, sent)) end
  coap:free()
  if not ok then return exit.INTERRUPTED end
  if #times > 0 then return exit.OK end
  return last and exit.of_error(last) or exit.TIMEOUT
end

return M
