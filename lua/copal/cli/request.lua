-- copal get, put, post, delete, fetch, patch, ipatch; of a group every answer.
local copal = require "copal"
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local host = require "copal.host"
local items_of = require "copal.cli.items"
local output = require "copal.cli.output"
local session = require "copal.cli.session"

local M = {}

local function spec_of(command, flags, items, uri)
  local spec = session.request_options(flags, items)
  local payload, number = items_of.payload(flags, items)
  spec.code = flags.code or command
  spec.uri = uri
  spec.payload, spec.format = payload, number
  local code = copal.code(spec.code)
  if not code or code.cls ~= 0 or code.number == 0 then
    exit.usage("-X " .. tostring(spec.code) .. ": a method is 0.01 to 0.31")
  end
  if payload and not flags.code and (command == "get" or command == "delete") then
    exit.usage(command .. " has no payload; for a query write name==value")
  end
  return spec
end

-- How far a transfer is, on one line of a terminal, after its first second.
local function progress_line()
  local began, shown = host.clock(), false
  local function show(offset, total)
    if host.clock() - began < 1 then return end
    shown = true
    io.stderr:write("\r  ", total > 0
      and string.format("%3d%%  %.1f/%.1f KiB", offset * 100 // total,
        offset / 1024, total / 1024)
      or string.format("%.1f KiB", offset / 1024), "\27[K")
  end
  return show, function()
    if shown then io.stderr:write("\r\27[K") end
  end
end

local function status_of(res, tests, out)
  if #tests == 0 then return exit.of_code(res.code) end
  local failed = require "copal.cli.expect".failed(tests, res)
  if failed then
    out:say("expected " .. failed .. ", got " .. res.code.name)
    return exit.EXPECT
  end
  return exit.OK
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local uri, words = session.uri_and_items(command, flags)
  local items = items_of.parse(words)
  local tests = flags.expect
    and require "copal.cli.expect".compile(flags.expect) or {}
  local spec = spec_of(command, flags, items, uri)
  local out = output.new(flags)
  if session.is_group(uri) then
    local status = session.ask_group(session.open(flags), flags, spec, function(res)
      out:answer(res, uri)
      return status_of(res, tests, out)
    end)
    out:close()
    return status
  end
  spec.sink = out:sink()
  local coap = session.open(flags)

  local clear
  if host.isatty(2) and not flags.quiet and not flags.verbose then
    spec.progress, clear = progress_line()
  end
  local began = host.clock()
  local res, err = coap:request(spec)
  local rtt = host.clock() - began
  if clear then clear() end
  coap:free()
  if not res then
    if out.json then
      out:json_event("error", nil, { uri = uri, error = err.name, reason = err.message })
    end
    exit.fail(exit.of_error(err), not flags.quiet and err.message or nil)
  end
  if res == true then return exit.OK end -- no answer was wanted
  out:response(res, uri, rtt)
  out:close()
  return status_of(res, tests, out)
end

return M
