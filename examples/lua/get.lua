-- get URI: fetches one representation and prints it.
local copal = require "copal"
local uri = assert(..., "usage: get.lua URI")

local res = assert(copal.get(uri))
assert(res:check()) -- a 4.xx or 5.xx is a response, here it shall be an error
io.write(res.payload)
