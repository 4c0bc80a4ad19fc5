/* No editing of lines: who finds the module empty reads standard input. */
#include "line/line.h"

int copal_open_line(lua_State *L)
{
    lua_newtable(L);
    return 1;
}
