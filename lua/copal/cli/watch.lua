-- copal watch URI...: goes on by itself, and tells on stderr when it is
-- silent.
local exit = require "copal.cli.exit"
local expect = require "copal.cli.expect"
local flags_table = require "copal.cli.flags"
local follow = require "copal.cli.observe".follow
local options = require "copal.cli.observe".options
local output = require "copal.cli.output"
local session = require "copal.cli.session"

local M = {}

local function uris_and_items(flags)
  local uris, words = {}, {}
  for _, word in ipairs(flags) do
    if word:find("://", 1, true) then uris[#uris + 1] = word
    else words[#words + 1] = word end
  end
  if #uris == 0 then exit.usage("copal watch wants a URI") end
  return uris, words
end

local function tell(out, note, several)
  if out.json then
    out:json_event(note.event, nil, { uri = note.uri, reason = note.reason,
      error = note.error and note.error.name })
    return
  end
  local where = several and "  " .. note.uri or ""
  if note.event == "resumed" then
    out:say("heard again" .. where)
  elseif note.event == "silent" then
    out:say("silent: " .. tostring(note.reason or "nothing heard") .. where)
  elseif note.error and note.error.name ~= "ECANCEL" then
    out:say("ended: " .. note.error.message .. where)
  end
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  local uris, words = uris_and_items(flags)
  local opts = options(command, flags, words)
  local tests = expect.compile(flags.expect)
  local out = output.new(flags)
  local coap = session.open(flags)

  local status = follow(coap, flags, out, uris, opts, "watch", function(note)
    if note.event ~= "value" then
      tell(out, note, #uris > 1)
      local e = note.event == "ended" and note.error
      return e and e.name ~= "ECANCEL" and exit.of_error(e) or exit.OK
    end
    out:value(note, note.uri, #uris > 1)
    local failed = expect.failed(tests, note)
    if failed then
      out:say("expected " .. failed .. ", got " .. note.code.name)
      return exit.EXPECT
    end
    return #tests > 0 and exit.OK or exit.of_code(note.code)
  end)
  out:close()
  return status
end

return M
