-- The command line: which command, and what its failures mean for the exit
-- code.
local exit = require "copal.cli.exit"

local commands = require "copal.cli.commands"
local visible = require "copal.cli.text".visible

local by_name = {}
for _, row in ipairs(commands) do by_name[row[1]] = row end

-- It may quote what a peer said.
local function say(text)
  io.stderr:write("copal: ", visible(text), "\n")
end

local function run_command(name, argv)
  local row = by_name[name]
  if not row[2] then exit.not_built_in("copal " .. name) end
  return require("copal.cli." .. row[2]).main(name, argv)
end

local function dispatch(argv)
  local first = argv[1]
  if first == nil then
    local host = require "copal.host"
    if host.isatty(0) and host.isatty(1) then
      return require "copal.cli.repl".main()
    end
  end
  if first == nil or first == "--help" or first == "-h" then
    run_command("help", {})
    return first == nil and exit.USAGE or exit.OK
  end
  if first == "--version" or first == "-V" then
    print("copal " .. require "copal_core".version())
    return exit.OK
  end
  -- copal -v get URI; and copal URI, flags before or after it
  for i, word in ipairs(argv) do
    if by_name[word] and (i == 1 or first:match("^%-")) then
      table.remove(argv, i)
      return run_command(word, argv)
    elseif word:find("://", 1, true) then
      if i > 1 and first:match("^%a+$") then break end -- a command misspelt
      return run_command("get", argv)
    end
  end
  exit.usage("unknown command '" .. first .. "'; see copal help")
end

local function with_traceback(e)
  if type(e) == "string" then return debug.traceback(e, 2) end
  return e
end

-- What a failure means: a status, and a sentence for people.
local function failure(e)
  if type(e) == "table" and e.exit then
    return e.exit, e.text
  elseif require "copal.error".is(e) then
    local status = exit.of_error(e)
    return status, status ~= exit.INTERRUPTED and e.message or nil
  end
  return exit.INTERNAL, tostring(e)
end

return function(...)
  local ok, status = xpcall(dispatch, with_traceback, { ... })
  local session = package.loaded["copal.cli.session"]
  if session then session.finish() end
  if ok then return status or exit.OK end
  local text
  status, text = failure(status)
  if text then say(text) end
  return status
end
