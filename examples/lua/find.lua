-- find.lua [INTERFACE [GROUP]]: who is there, and what each device offers.
local copal = require "copal"

local found = copal.find { wait = 3, interface = arg[1], group = arg[2] }
for device in found do
  print(device)
  for _, link in ipairs(device:links()) do
    print("  " .. link.uri, link.rt or "")
  end
end
if found.error then
  io.stderr:write(tostring(found.error), "\n")
  os.exit(1)
end
