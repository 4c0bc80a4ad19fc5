-- What differs between the versions of Lua: 5.4, 5.3, LuaJIT (2.1), and 5.1
-- without coroutines.
local M = {}

M.unpack = table.unpack or unpack

-- In Lua 5.1 a coroutine cannot wait inside pcall() or an iterator. LuaJIT,
-- which calls itself 5.1, can.
M.can_wait = coroutine.isyieldable ~= nil

M.isyieldable = coroutine.isyieldable or function()
  return coroutine.running() ~= nil
end

if _VERSION == "Lua 5.1" then
  -- Tables have no __gc here: a userdata that lives as long as the table does.
  function M.on_collect(t, fn)
    local sentinel = newproxy(true)
    getmetatable(sentinel).__gc = function() fn(t) end
    rawset(t, "sentinel", sentinel)
  end
else
  -- fn(t) when nobody knows t any more; fn is its metatable's __gc.
  function M.on_collect() end
end

return M
