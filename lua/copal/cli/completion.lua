-- copal completion SHELL: the script that teaches a shell our commands and
-- flags, made from the tables they are parsed by.
--   bash: eval "$(copal completion bash)"    zsh: the same
--   fish: copal completion fish | source
local commands = require "copal.cli.commands"
local exit = require "copal.cli.exit"
local flags = require "copal.cli.flags"

local M = {}

local function built_in()
  local list = {}
  for _, row in ipairs(commands) do
    if row[2] then list[#list + 1] = { name = row[1], help = row[4] } end
  end
  return list
end

local function names()
  local list = {}
  for i, command in ipairs(built_in()) do list[i] = command.name end
  return list
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Flags whose argument is a file; that of the others is not completed.
local function takes_file(flag)
  return flag.argument == "FILE"
end

---- bash ----------------------------------------------------------------------

local bash = [[
# Completion of copal for bash.
_copal() {
    local word command= words= cur=${COMP_WORDS[COMP_CWORD]}
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
        %s) command=$word; break ;;
        esac
    done
    case $command in
    '') words='%s' ;;
%s    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _copal copal
]]

function M.bash()
  local cases = {}
  for _, command in ipairs(built_in()) do
    local words = {}
    for _, flag in ipairs(flags.of(command.name)) do
      if flag.short then words[#words + 1] = "-" .. flag.short end
      words[#words + 1] = "--" .. flag.long
    end
    if command.name == "completion" then words = { "bash", "zsh", "fish" } end
    if command.name == "help" then words = names() end
    cases[#cases + 1] = ("    %s) words='%s' ;;\n"):format(command.name,
      table.concat(words, " "))
  end
  return bash:format(table.concat(names(), "|"), table.concat(names(), " "),
    table.concat(cases))
end

---- zsh -----------------------------------------------------------------------

local zsh = [[
#compdef copal
# Completion of copal for zsh.
_copal() {
    local word command=
    local -a commands
    commands=(
%s    )
    for word in ${words[2,CURRENT-1]}; do
        if (( ${commands[(I)$word:*]} )); then command=$word; break; fi
    done
    case $command in
    '') _describe command commands ;;
%s    esac
}
compdef _copal copal
]]

local function zsh_flag(flag)
  local help = flag.help:gsub("[%[%]:]", "\\%0")
  local tail = flag.argument
    and ":" .. flag.argument:gsub(":", "\\:") .. ":" .. (takes_file(flag) and "_files" or "")
    or ""
  local list = {}
  for _, name in ipairs { flag.short and "-" .. flag.short or "", "--" .. flag.long } do
    if name ~= "" then
      list[#list + 1] = quoted((flag.list and "*" or "") .. name .. "[" .. help .. "]" .. tail)
    end
  end
  return table.concat(list, " ")
end

function M.zsh()
  local described, cases = {}, {}
  for _, command in ipairs(built_in()) do
    described[#described + 1] = "        "
      .. quoted(command.name .. ":" .. command.help:gsub(":", "\\:")) .. "\n"
    local list = {}
    for _, flag in ipairs(flags.of(command.name)) do
      list[#list + 1] = zsh_flag(flag)
    end
    if command.name == "completion" then list = { "'*:shell:(bash zsh fish)'" } end
    list[#list + 1] = command.name ~= "completion" and "'*:argument:_files'" or nil
    cases[#cases + 1] = ("    %s) _arguments %s ;;\n"):format(command.name,
      table.concat(list, " \\\n        "))
  end
  return zsh:format(table.concat(described), table.concat(cases))
end

---- fish ----------------------------------------------------------------------

function M.fish()
  local lines = { "# Completion of copal for fish." }
  local all = table.concat(names(), " ")
  for _, command in ipairs(built_in()) do
    lines[#lines + 1] = ("complete -c copal -n 'not __fish_seen_subcommand_from %s' -a %s -d %s")
      :format(all, command.name, quoted(command.help))
    for _, flag in ipairs(flags.of(command.name)) do
      lines[#lines + 1] = ("complete -c copal -n '__fish_seen_subcommand_from %s'%s -l %s%s -d %s")
        :format(command.name, flag.short and " -s " .. flag.short or "", flag.long,
          flag.argument and (takes_file(flag) and " -r" or " -x") or "", quoted(flag.help))
    end
  end
  lines[#lines + 1] = "complete -c copal -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'"
  return table.concat(lines, "\n") .. "\n"
end

function M.main(command, argv)
  local shell = argv[1]
  if shell == "-h" or shell == "--help" then
    return require "copal.cli.help".of(command)
  end
  if shell ~= "bash" and shell ~= "zsh" and shell ~= "fish" then
    exit.usage("copal completion wants bash, zsh or fish")
  end
  io.write(M[shell]())
  return exit.OK
end

return M
