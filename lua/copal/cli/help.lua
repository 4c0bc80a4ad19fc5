-- copal help, copal help COMMAND, copal COMMAND --help.
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"

local M = {}

local items = [[
Items: name=text  name:=json  Option:value  query==value  @file  0xHEX  -
       copal put URI temp:=21 unit=Cel Accept:json room==kitchen
Exit: 0 2.xx, 1 internal, 2 usage, 3 no route, 4 4.xx, 5 5.xx, 6 security,
      7 timeout, 8 refused, 9 --expect false, 10 not decoded, 130 interrupted
]]

local script = [[
FILE.lua gets the endpoint, which listens at --listen or coap://*:
  local coap = ...
  coap:serve("/hello", function(req) return "hello" end)
]]

local workers = [[
With --workers N as many processes share the port, for as many cores. The system
gives each client to one of them, by its address and port, and its repeats,
blocks and observations stay there. They share nothing: each has a Lua state of its
own and runs FILE.lua by itself, so variables, value() and timers are there N times,
and limits hold for each; what all are to know is kept outside, as in a file.
  coap.worker              its number, 1 to N; for what only one is to do
  coap:notify(path)        tells the observers of all
  coap:join(group)         is done by the first alone, as --join is
  coap:stop()              ends all
One that ends is started again, after 0.1 s to 5 s; its clients wait meanwhile, the
others' do not. SIGHUP starts them anew, one after the other, and refuses no request
over UDP; connections are closed, observers told 5.03, bodies on their way begin
again, and if FILE.lua does not load all stay as they are. SIGTERM and SIGINT end all
in an orderly way.
OSCORE with fixed keys is not for workers: numbers that are used once cannot be shared.
With --reload each loads FILE.lua again by itself. --metrics PLACE is a page for
each: the second one's at the next port, and so on. --pcap and --trace write a file
for each: FILE.1, FILE.2, ...
]]

local bench = [[
Without -R a window of -W requests is kept full. With -R they begin at that rate,
and an answer's time counts from when its request was due, so that a server
which stands still is seen; beyond -W outstanding they begin late, but count so.
Each endpoint (-E) has 65,536 message ids, good for 247 s: 265 requests/s, or 451
with -N. A run in which one comes again sooner says how many endpoints would do:
servers may take such requests for repeats of old ones.

What is there to spare servers and networks does not hold it back (nstart,
probing_rate, max_exchanges) unless it is set by its flag.

--observe: gaps are states that other observers were told of and this one was not,
told apart by their payloads. Where a payload has a time of today in it, seconds
since 1970 or ms, us, ns, with or without a fraction, latency counts from then.

Hooks: FILE.lua returns a table of functions, any of them:
  init(run)           before; run has uri, window, endpoints, rate, number, ...
  request(i)          the i-th: method, path or URI, payload, options as in
                      coap:request; nil for what the command line says, false
                      for no more
  response(res, ms, err)   an answer, or nil and the error that took its place
  done(summary)       after, with the fields of --json; returns the exit status,
                      or false and why the run failed (9); nothing: as below
A request that a hook makes costs more than one that is the same each time.

--json: an object a line; times of latency in ms, elapsed and at in seconds
  {"event":"interval", "at", "sent", "ok", "rate", "outstanding", "latency"}
  {"event":"summary", "mode", "uri", "elapsed", "rate", "target_rate", "window",
   "endpoints", "sent", "ok", "client_errors", "server_errors", "timeouts",
   "resets", "failed", "unanswered", "unsent", "delayed", "retransmissions",
   "retransmitted_percent", "duplicates", "late", "strays", "bytes_in",
   "bytes_out", "datagrams_in", "datagrams_out", "cpu", "generator_bound",
   "reused_ids", "endpoints_needed", "interrupted", "error", "reason",
   "latency": {"count", "min", "mean", "p50", "p90", "p99", "p99_9", "max",
     "bars": [{"upto", "count"}]},
   "observe": {"notifications", "rate", "gaps"},
   "transfer": {"down": {"transfers", "bytes", "blocks", "bytes_per_second",
     "blocks_per_second", "latency"}, "up": ...}}
sent is ok (2.xx), client_errors (4.xx), server_errors, timeouts, resets, failed
(by any other error) and unanswered (cut off when the run ended) together.
unsent were due and never begun, delayed began over 1 ms late: raise -W, if not
the generator was the limit. late came when nobody waited for them any more.
retransmitted_percent is of the datagrams that left. cpu is the generator's, in
cores. Fields may be added.

Exit: 0 when all were answered with 2.xx; else as below, of what went wrong first.
]]

local replay = [[
Runs what the flight recorder wrote (--record FILE, log_to recording) again
without a network and compares all that is sent, byte for byte. A recording that
begins amid things is compared as far as what it holds began in it. -v shows the
trace of the run, a line of JSON each; copal trace FILE shows the recording itself.

Exit: 0 the same was sent, 1 not the same: which record, when, and what was sent
then and now; 10 no recording, or damaged; 2 no such file.
]]

local function commands()
  return require "copal.cli.commands"
end

function M.of(command)
  for _, row in ipairs(commands()) do
    if row[1] == command then
      print("copal " .. command .. " " .. (row[3] or "") .. "\n  "
        .. (row[4] or "not built in"))
      local help = row[2] and flags_table.help(command) or ""
      if help ~= "" then print("\nFlags:\n" .. help) end
      if row[2] and command ~= "run" and command ~= "help" and command ~= "codec"
        and command ~= "trace" and command ~= "replay" then
        print("\nAny parameter, times like 500ms or 5s:\n" .. flags_table.help_params())
      end
      if row[2] == "request" then io.write("\n", items) end
      if command == "replay" then io.write("\n", replay) end
      if command == "serve" then io.write("\n", script, "\n", workers) end
      if command == "bench" then io.write("\n", bench, "\n", items) end
      return exit.OK
    end
  end
  exit.usage("unknown command '" .. command .. "'; see copal help")
end

function M.main(_, argv)
  if argv[1] then return M.of(argv[1]) end
  print("copal URI | COMMAND [FLAGS] ...\n")
  local absent = {}
  for _, row in ipairs(commands()) do
    if row[2] then
      print(string.format("  %-8s %-20s %s", row[1], row[3], row[4]))
    else
      absent[#absent + 1] = row[1]
    end
  end
  print("\nWithout any word, on a terminal: a Lua prompt with everything loaded.")
  print("Not built in yet: " .. table.concat(absent, " "))
  print("Flags of a command: copal help COMMAND")
  return exit.OK
end

return M
