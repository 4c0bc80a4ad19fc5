-- Every command: its name, the module that does it, its arguments, one line of
-- help. Without a module it is not built in.
return {
  { "get", "request", "URI [ITEM...]", "fetch a representation" },
  { "put", "request", "URI [ITEM...]", "store one" },
  { "post", "request", "URI [ITEM...]", "hand something over" },
  { "delete", "request", "URI", "remove a resource" },
  { "fetch", "request", "URI [ITEM...]", "fetch what the payload asks for (RFC 8132)" },
  { "patch", "request", "URI [ITEM...]", "change a part (RFC 8132)" },
  { "ipatch", "request", "URI [ITEM...]", "change a part, repeatable (RFC 8132)" },
  { "observe", "observe", "URI", "every notification (RFC 7641)" },
  { "watch", "watch", "URI...", "values for ever; tells when it is silent" },
  { "ls", "ls", "URI [ATTR=VALUE...]", "what a server offers" },
  { "find", "find", "[IFACE...] [ATTR=VALUE...]", "who is out there, by multicast" },
  { "ping", "ping", "URI", "is anybody there" },
  { "serve", "serve", "FILE.lua | --test", "offer resources" },
  { "run", "run", "FILE.lua [ARGS]", "a script with everything loaded" },
  { "codec", "codec", "FORMAT [--to FORMAT]", "convert stdin: cbor diag json senml link" },
  { "completion", "completion", "bash|zsh|fish", "what a shell needs to complete commands and flags" },
  { "help", "help", "[COMMAND]", "this" },
  { "shell" }, { "ui" }, { "top" }, { "proxy" }, { "tap" },
  { "trace" }, { "record" }, { "replay" }, { "bench" }, { "sim" }, { "fleet" },
  { "check" }, { "creds" }, { "doctor" },
}
