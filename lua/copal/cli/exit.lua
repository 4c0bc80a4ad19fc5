-- Exit codes: documented, tested, never changed.
local M = {
  OK = 0, INTERNAL = 1, USAGE = 2, NO_ROUTE = 3, CLIENT_ERROR = 4,
  SERVER_ERROR = 5, SECURITY = 6, TIMEOUT = 7, REFUSED = 8, EXPECT = 9,
  DECODE = 10, INTERRUPTED = 130,
}

local by_error = {
  EURI = M.USAGE, EINVAL = M.USAGE, ENOTSUP = M.USAGE,
  ERESOLVE = M.NO_ROUTE, EUNREACH = M.NO_ROUTE,
  EAUTH = M.SECURITY,
  ETIMEOUT = M.TIMEOUT,
  ENOTOBS = M.REFUSED, -- the server will not tell of changes
  EREFUSED = M.REFUSED, ERESET = M.REFUSED, ECLOSED = M.REFUSED,
  EFORMAT = M.DECODE,
  ECANCEL = M.INTERRUPTED,
}

function M.of_error(e)
  return by_error[e.name] or M.INTERNAL
end

function M.of_code(code)
  if code.cls == 4 then return M.CLIENT_ERROR end
  if code.cls == 5 then return M.SERVER_ERROR end
  return M.OK
end

-- Ends a command from anywhere in it; main() prints text and exits.
function M.fail(status, text)
  error({ exit = status, text = text }, 0)
end

function M.usage(text)
  M.fail(M.USAGE, text)
end

function M.not_built_in(what)
  M.fail(M.USAGE, what .. ": not built in")
end

return M
