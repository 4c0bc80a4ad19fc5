-- copal replay FILE: runs a recording again and says whether the same was sent.
local core = require "copal_core"
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local json = require "copal.json"

local M = {}

-- What the replay tells of itself; of the rest how much there was.
local function summary(counts)
  print(("%d datagrams and messages in, %d out, %d of them again"):format(
    counts["in"], counts.out + counts.again, counts.again))
  for _, line in ipairs(counts.notes) do print(line) end
end

local function replay(path, flags)
  local counts = { ["in"] = 0, out = 0, again = 0, notes = {} }
  local function each(line)
    if flags.verbose then
      print(line)
      return
    end
    local ev = json.decode(line) or {}
    if ev.ev == "replay" then
      table.insert(counts.notes, ("at %.3f s: %s"):format(ev.t / 1000, ev.what))
    elseif counts[ev.ev] then
      counts[ev.ev] = counts[ev.ev] + 1
    end
  end
  local ok, why, name = core.replay(path, each)
  if not flags.verbose and not flags.quiet then summary(counts) end
  return ok, why, name
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  if not flags[1] or flags[2] then exit.usage("copal replay wants one FILE") end
  local ok, why, name = replay(flags[1], flags)
  if ok then
    if not flags.quiet and not flags.verbose then print("the same again") end
    return exit.OK
  end
  if name == "ECHANGED" then exit.fail(1, "not the same: " .. why) end
  if name == "ENOTSUP" then exit.fail(1, why) end
  if name == "EFORMAT" then exit.fail(exit.DECODE, why) end
  exit.fail(exit.USAGE, why)
end

return M
