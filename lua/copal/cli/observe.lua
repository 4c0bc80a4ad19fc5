-- copal observe URI: RFC 7641 as it is; ends when the observation does.
local exit = require "copal.cli.exit"
local expect = require "copal.cli.expect"
local flags_table = require "copal.cli.flags"
local items_of = require "copal.cli.items"
local output = require "copal.cli.output"
local session = require "copal.cli.session"

local M = {}

-- Takes notes from obs until it ends, -C or -W. each(note) prints one and
-- returns an exit code. Returns the first of these that was not 0: within -W no
-- value at all is a timeout.
local function follow(coap, flags, obs, each)
  local status, seen = exit.OK, 0
  local is_late = false
  if flags.during then
    coap:after(flags.during, function()
      is_late = true
      obs:cancel()
    end)
  end
  while not flags.count or seen < flags.count do
    local note = obs()
    if not note then break end
    local result = each(note)
    if status == exit.OK then status = result end
    if note.code then seen = seen + 1 end
  end
  if status == exit.OK and seen == 0 and is_late then
    return exit.TIMEOUT, "no value in the time of -W"
  end
  return status
end

-- Observes or watches (kind) uris. Returns the status of follow() and the
-- observation. Also when a signal ends it, the server is told.
function M.follow(coap, flags, out, uris, opts, kind, each)
  local obs = coap[kind](coap, uris, opts)
  local ok, status, why = pcall(follow, coap, flags, obs, each)
  obs:cancel()
  coap:close(1)
  if not ok then error(status, 0) end
  if why and out.json then
    out:json_event("error", nil, { uri = table.concat(uris, " "), error = "ETIMEOUT",
      reason = why })
  elseif why then
    out:say(why .. ": " .. table.concat(uris, ", "))
  end
  return status, obs
end

function M.options(command, flags, words)
  local items = items_of.parse(words)
  local opts = session.request_options(flags, items)
  opts.payload, opts.format = items_of.payload(flags, items)
  if opts.payload then opts.code = "fetch" end
  if opts.payload == nil and opts.format then
    exit.usage("copal " .. command .. ": -t without a payload")
  end
  return opts
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local uri, words = session.uri_and_items(command, flags)
  local opts = M.options(command, flags, words)
  if session.is_group(uri) then opts.non = true end
  local tests = expect.compile(flags.expect)
  local out = output.new(flags)
  local coap = session.open(flags)

  local status, obs = M.follow(coap, flags, out, { uri }, opts, "observe", function(note)
    out:value(note, uri)
    local failed = expect.failed(tests, note)
    if failed then
      out:say("expected " .. failed .. ", got " .. note.code.name)
      return exit.EXPECT
    end
    return #tests > 0 and exit.OK or exit.of_code(note.code)
  end)
  local err = obs.error
  out:close()
  if err and err.name ~= "ECANCEL" and status == exit.OK then
    exit.fail(exit.of_error(err), not flags.quiet and err.message or nil)
  end
  return status
end

return M
