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
        and command ~= "trace" then
        print("\nAny parameter, times like 500ms or 5s:\n" .. flags_table.help_params())
      end
      if row[2] == "request" then io.write("\n", items) end
      if command == "serve" then io.write("\n", script) end
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
