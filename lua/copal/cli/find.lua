-- copal find [IFACE...] [ATTR=VALUE...]: who is out there, by multicast.
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local ls = require "copal.cli.ls"
local output = require "copal.cli.output"
local session = require "copal.cli.session"
local text = require "copal.cli.text"

local M = {}

local function options_of(flags)
  local interfaces, query = {}, {}
  for _, word in ipairs(flags) do
    table.insert(word:find("=", 1, true) and query or interfaces, word)
  end
  return {
    interface = #interfaces > 0 and interfaces or nil,
    query = query,
    group = flags.group,
    hops = flags.params.hops,
    wait = flags.wait,
  }
end

local function json_links(list)
  local out = {}
  for i, link in ipairs(list) do
    local one = { href = link.href, uri = link.uri }
    for _, name in ipairs(link.names) do one[name] = link[name] end
    out[i] = one
  end
  return out
end

local function show_json(dev, list)
  io.stdout:write(require "copal.json".encode { event = "found",
    remote = dev.remote.uri, links = json_links(list) }, "\n")
  io.stdout:flush()
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  output.new(flags)
  local opts = options_of(flags)
  flags.params.hops = nil
  local coap = session.open(flags)
  local ok, found = pcall(coap.find, coap, opts)
  if not ok then exit.fail(exit.NO_ROUTE, (tostring(found):gsub("^copal: find: ", ""))) end
  local count = 0
  for dev in found do
    local list, why = dev:links()
    if list then
      count = count + 1
      if flags.json then show_json(dev, list)
      else ls.of_device(dev.remote, list, flags) end
    elseif not flags.quiet then
      io.stderr:write(text.visible("copal: " .. dev.remote.uri .. ": " .. tostring(why)), "\n")
    end
  end
  coap:free()
  if count == 0 then
    exit.fail(found.error and exit.of_error(found.error) or exit.TIMEOUT,
      not flags.quiet and "nobody answered" or nil)
  end
  if not flags.quiet then
    io.stderr:write(count == 1 and "1 device\n" or count .. " devices\n")
  end
  return exit.OK
end

return M
