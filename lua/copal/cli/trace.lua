-- copal trace FILE: the exchange that a capture or a recording holds, as a ladder
-- of text or a picture, as JSON, or in numbers.
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local host = require "copal.host"
local text = require "copal.cli.text"

local M = {}

local WIDTH = 80 -- where nobody says how wide the terminal is

local function width()
  local said = tonumber((os.getenv("COLUMNS") or ""):match("^%d+$"))
  local n = said or host.isatty(1) and host.columns(1) or WIDTH
  return math.max(40, math.min(n, 1000))
end

local function ports_of(flags)
  if not flags.port then return nil end
  local ports = {}
  for _, given in ipairs(flags.port) do
    local n = given:match("^%d+$") and tonumber(given)
    if not n or n < 1 or n > 65535 then exit.usage("--port wants a port, 1 to 65535, got '" .. given .. "'") end
    ports[n] = true
  end
  return ports
end

local function token_of(digits)
  if not digits then return nil end
  local hex = digits:gsub("^0x", "")
  if hex == "" or #hex % 2 == 1 or hex:find("%X") then
    exit.usage("--follow wants a token in hexadecimal digits, got '" .. digits .. "'")
  end
  return text.from_hex(hex)
end

---- Where it goes ---------------------------------------------------------------

-- A function that writes, and one that ends it.
local function output(flags)
  if not flags.output then
    return function(s) io.write(s) end, function() end
  end
  local file, why = io.open(flags.output, "wb")
  if not file then exit.usage("-o " .. why) end
  local function write(s)
    local ok, failed = file:write(s)
    if not ok then exit.fail(exit.INTERNAL, flags.output .. ": " .. failed) end
  end
  return write, function()
    local ok, failed = file:close()
    if not ok then exit.fail(exit.INTERNAL, flags.output .. ": " .. failed) end
  end
end

local ladders = {}

function ladders.text(ladder, out, flags)
  local paint = flags.output and function(_, s) return s end or text.painter(flags, 1)
  return require "copal.cli.trace.text".write(ladder, out, width(), paint, flags.count)
end

function ladders.svg(ladder, out, flags)
  return require "copal.cli.trace.svg".write(ladder, out, flags.count)
end

function ladders.html(ladder, out, flags)
  return require "copal.cli.trace.html".write(ladder, out, flags.count, flags[1])
end

local function write(ladder, flags)
  local out, done = output(flags)
  if flags.stats and flags.json then
    out(require "copal.json".encode(require "copal.cli.trace.stats".json(ladder)) .. "\n")
  elseif flags.stats then
    out(require "copal.cli.trace.stats".lines(ladder))
  elseif flags.json then
    require "copal.cli.trace.json".write(ladder, out, flags.count)
  else
    ladders[flags.ladder or "text"](ladder, out, flags)
  end
  done()
end

---- The command -----------------------------------------------------------------

local function check(flags)
  if not flags[1] then exit.usage("copal trace wants a file: pcapng, pcap or a recording; - is standard input") end
  if flags[2] then exit.usage("copal trace reads one file, got '" .. flags[1] .. "' and '" .. flags[2] .. "'") end
  if flags.ladder and not ladders[flags.ladder] then
    exit.usage("--ladder wants text, svg or html, got '" .. flags.ladder .. "'")
  end
  if flags.ladder and (flags.stats or flags.json) then
    exit.usage("--ladder does not go with --stats or --json")
  end
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  check(flags)
  local want = { ports = ports_of(flags), follow = token_of(flags.follow), path = flags.path, host = flags.host }
  local source = require "copal.cli.trace.source".open(flags[1])
  local ladder = require "copal.cli.trace.ladder".new(source, want):survey()
  local broken = ladder.broken
  local function say(sentence)
    if not flags.quiet then io.stderr:write("copal: ", text.visible(sentence), "\n") end
  end

  local is_empty = #ladder.hosts == 0
  if not is_empty then write(ladder, flags) end
  for _, remark in ipairs(ladder:remarks()) do say(remark) end
  source:close()
  if broken then exit.fail(exit.DECODE, text.visible(broken)) end
  if is_empty then
    local status, why = ladder:nothing()
    exit.fail(status, text.visible(source.stream.name) .. ": " .. why)
  end
  return exit.OK
end

return M
