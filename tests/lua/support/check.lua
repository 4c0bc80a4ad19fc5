-- A small test kit: each test is a sentence and a function; a failure names
-- the sentence and goes on. check.done() ends the file.
local M = { count = 0, failures = 0 }

-- Lua 5.4 tells an iterator that its loop was left.
M.has_close = _VERSION == "Lua 5.4"

-- For the rest of a file that needs a module which is not everywhere.
function M.needs(module)
  local ok, loaded = pcall(require, module)
  if ok then return loaded end
  print("skipped: no " .. module .. " for this Lua; examples/setup.sh installs it")
  os.exit(77)
end

-- For the rest of a file where coroutines cannot wait: there is none.
function M.needs_coroutines()
  if not coroutine.isyieldable then
    print("skipped: in Lua 5.1 coroutines cannot wait")
    os.exit(77)
  end
end

function M.test(sentence, fn)
  M.count = M.count + 1
  local ok, e = xpcall(fn, function(text)
    return type(text) == "string" and debug.traceback(text, 2) or text
  end)
  if not ok then
    M.failures = M.failures + 1
    io.stderr:write("not ok: ", sentence, "\n  ", tostring(e), "\n")
  end
end

function M.equal(got, wanted)
  if got ~= wanted then
    error("wanted " .. tostring(wanted) .. ", got " .. tostring(got), 2)
  end
end

-- fn throws, and the text contains what.
function M.throws(what, fn, ...)
  local ok, e = pcall(fn, ...)
  if ok then error("no error, wanted one with '" .. what .. "'", 2) end
  if not tostring(e):find(what, 1, true) then
    error("wanted an error with '" .. what .. "', got: " .. tostring(e), 2)
  end
end

-- Waits until holds() is true, three seconds at most: how long something takes
-- on a busy machine is not what is tested.
function M.eventually(coap, holds)
  for _ = 1, 300 do
    if holds() then return end
    coap:sleep(0.01)
  end
  error("did not come true within three seconds", 2)
end

function M.done()
  print(string.format("%d tests, %d failed", M.count, M.failures))
  if M.failures > 0 then os.exit(1, true) end
end

return M
