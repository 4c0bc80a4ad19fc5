-- parallel URI...: asks for all of them at once and prints a line for each as
-- it is answered, whatever the order.
local copal = require "copal"
local failed = false

for uri, res, err in copal.get_all({ ... }, { limit = 64 }) do
  if res then
    print(uri .. "  " .. tostring(res))
  else
    io.stderr:write(tostring(err), "\n")
    failed = true
  end
end
os.exit(not failed)
