# copal completion: made from the tables that commands and flags are parsed by.
. "$(dirname "$0")/support/lib.sh"

check 2 completion
check 2 completion csh
for shell in bash zsh fish; do
    check 0 completion $shell
    out_has 'observe'
    out_has 'accept'
    cp "$work/out" "$work/$shell"
done

cat >"$work/try" <<E2
. "$work/bash"
COMP_WORDS=(copal wa) COMP_CWORD=1
_copal; echo "\${COMPREPLY[@]}"
COMP_WORDS=(copal get --max) COMP_CWORD=2
_copal; echo "\${COMPREPLY[@]}"
COMP_WORDS=(copal serve --re) COMP_CWORD=2
_copal; echo "\${COMPREPLY[@]}"
E2
if command -v bash >/dev/null 2>&1; then
    bash "$work/try" >"$work/out" 2>"$work/err" || fail 'bash takes it'
    out_has 'watch'
    out_has '--reload'
    err_is_empty
fi
if command -v zsh >/dev/null 2>&1; then
    zsh -n "$work/zsh" || fail 'zsh takes it'
fi
if command -v fish >/dev/null 2>&1; then
    fish -n "$work/fish" || fail 'fish takes it'
fi
exit 0
