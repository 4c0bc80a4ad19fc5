-- --expect: a code, or 'json PATH', or 'json PATH OP VALUE'.
local exit = require "copal.cli.exit"
local json = require "copal.json"
local payload = require "copal.cli.payload"

local M = {}

local compare = {
  ["=="] = function(a, b) return a == b end,
  ["!="] = function(a, b) return a ~= b end,
  [">"] = function(a, b) return type(a) == type(b) and a > b end,
  ["<"] = function(a, b) return type(a) == type(b) and a < b end,
  [">="] = function(a, b) return type(a) == type(b) and a >= b end,
  ["<="] = function(a, b) return type(a) == type(b) and a <= b end,
}

-- ".a.b[0]" -> { "a", "b", 1 }; "." is the whole.
local function path_of(text)
  local path, i = {}, 1
  if text == "." then return path end
  while i <= #text do
    local name, j = text:match("^%.([%w_%-]+)()", i)
    local index
    if not name then
      index, j = text:match("^%.?%[(%d+)%]()", i)
      name = index and tonumber(index) + 1
    end
    if not name then return nil end
    path[#path + 1], i = name, j
  end
  return #path > 0 and path or nil
end

local function walk(v, path)
  for _, step in ipairs(path) do
    if type(v) ~= "table" or v == json.null then return nil end
    v = v[step]
  end
  return v
end

-- CBOR is asked as if it were JSON, by the same names.
local function decoded(res)
  if res.payload == "" then return nil end
  return (payload.for_json(res, function(m) return json.decode(m.payload) end))
end

local function json_test(text)
  local where, op, right = text:match("^(%S+)%s*([!=<>]=?)%s*(.-)%s*$")
  if not where then where = text:match("^(%S+)%s*$") end
  local path = where and path_of(where)
  if not path or op and not compare[op] then return nil end
  local wanted
  if op then
    wanted = json.decode(right)
    if wanted == nil then wanted = right end
  end
  return function(res)
    local v = walk(decoded(res), path)
    if op then return v ~= nil and compare[op](v, wanted) end
    return v ~= nil and v ~= false and v ~= json.null
  end
end

local function code_test(text)
  local cls = text:match("^(%d)%.[xX][xX]$")
  if cls then
    return function(res) return res.code.cls == tonumber(cls) end
  end
  local code = require "copal".code(text)
  return code and function(res) return res.code == code end
end

-- The tests, checked before anything is sent.
function M.compile(list)
  local tests = {}
  for _, text in ipairs(list or {}) do
    local inner = text:match("^json%s+(.+)$")
    local test
    if inner then test = json_test(inner) else test = code_test(text) end
    if not test then
      exit.usage("--expect '" .. text .. "' not understood; a code, "
        .. "or 'json .name > 20'")
    end
    tests[#tests + 1] = { text = text, holds = test }
  end
  return tests
end

-- The first that does not hold, as text; nil: all hold.
function M.failed(tests, res)
  for _, test in ipairs(tests) do
    if not test.holds(res) then return test.text end
  end
end

return M
