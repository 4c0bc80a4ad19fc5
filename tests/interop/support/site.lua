-- What copal serves in the matrix: the resources of support/matrix.sh.
local copal = require "copal"
local coap = ...

local function value(path, observable)
  local kept
  coap:serve(path, {
    observable = observable,
    get = function()
      if not kept then return copal.NOT_FOUND end
      return { payload = kept.payload, format = kept.format }
    end,
    put = function(req)
      local code = kept and copal.CHANGED or copal.CREATED
      kept = { payload = req.payload, format = req.format or copal.OCTETS }
      if observable then coap:notify(path) end
      return code
    end,
    delete = function()
      kept = nil
      return copal.DELETED
    end,
  })
end

local function echo(code)
  return function(req)
    return { code = code, payload = req.payload, format = req.format or copal.OCTETS }
  end
end

coap:serve("/", function() return "made with copal" end)
value("/store", false)
value("/obs", true)
coap:serve("/echo", { post = echo(copal.CHANGED), fetch = echo(copal.CONTENT) })
coap:serve("/separate", function()
  coap:sleep(1)
  return "done"
end)
coap:serve("/etag", function() return { payload = "tagged", etag = "\1\2" } end)
coap:serve("/secret", { secure = true, get = function() return "between us" end })
