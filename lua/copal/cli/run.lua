-- copal run FILE.lua ARGS: the main chunk is a task, so it may wait; the loop
-- goes on until nothing is left to wait for. copal.get() and the like are who
-- the usual file of credentials says, as copal get is.
local core = require "copal_core"
local copal = require "copal"
local errors = require "copal.error"
local exit = require "copal.cli.exit"
local session = require "copal.cli.session"

local M = {}

-- The chunk of a script, with arg as the lua program would set it.
function M.load(path, argv)
  local chunk, why = loadfile(path ~= "-" and path or nil)
  if not chunk then exit.fail(exit.USAGE, why) end
  arg = { [0] = path, table.unpack(argv, 2) }
  -- A script finds its neighbours.
  local folder = path:match("^(.*)/[^/]*$") or "."
  package.path = folder .. "/?.lua;" .. package.path
  return chunk
end

function M.main(command, argv)
  local path = argv[1]
  if path == "-h" or path == "--help" then
    return require "copal.cli.help".of(command)
  end
  if not path then exit.usage("copal run wants a file") end
  local chunk = M.load(path, argv)
  core.catch_signals()
  local ok, e = pcall(copal.run, function(coap)
    session.use_creds(coap, {})
    return chunk(table.unpack(argv, 2))
  end)
  if ok then return exit.OK end
  if errors.is(e, "ECANCEL") then return exit.INTERRUPTED end
  exit.fail(exit.INTERNAL, tostring(e))
end

return M
