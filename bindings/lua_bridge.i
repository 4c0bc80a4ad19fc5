/* How the functions of copal.i look in Lua: handles are checked boxes, bytes
 * are strings, integers are integers, and what fails gives nil, text, NAME. */
%{
#include "lua_bridge.h"
#include "lua_data.h"
%}

/* ---- Handles ------------------------------------------------------------ */

%typemap(in) copal * %{ $1 = check_box(L, $input, &endpoint_type); %}
%typemap(in) copal_msg * %{ $1 = check_box(L, $input, &message_type); %}
%typemap(in) copal_exchange * %{ $1 = check_box(L, $input, &exchange_type); %}

/* A message made for us is ours; one that is shown to us is not. */
/* Its box is there before it is: later there may be no memory for one. */
%exception copal_msg_new %{ new_box(L, &message_type); $action %}
%exception copal_msg_copy %{ new_box(L, &message_type); $action %}
%typemap(out) copal_msg * %{ SWIG_arg += fill_box(L, $1); %}
%typemap(out) const copal_msg * %{
    SWIG_arg += push_shown(L, &message_type, (void *)$1);
%}
%typemap(out) copal_exchange * %{
    SWIG_arg += $1 == NULL ? push_error(L, COPAL_ENOMEM, NULL)
                           : push_shown(L, &exchange_type, $1);
%}

/* ---- Numbers, text, bytes ----------------------------------------------- */

%typemap(in) int, copal_registry, copal_param, copal_log, copal_text
%{ $1 = ($1_ltype)check_integer(L, $input, INT32_MIN, INT32_MAX); %}
%typemap(in) unsigned, uint32_t
%{ $1 = ($1_ltype)check_integer(L, $input, 0, UINT32_MAX); %}
%typemap(in) uint64_t, size_t
%{ $1 = ($1_ltype)check_integer(L, $input, 0, INT64_MAX); %}
%typemap(in) int64_t
%{ $1 = ($1_ltype)check_integer(L, $input, INT64_MIN, INT64_MAX); %}
%typemap(out) int, int64_t, uint64_t
%{ lua_pushinteger(L, (lua_Integer)$1); SWIG_arg++; %}

%typemap(in) const char * %{ $1 = (char *)check_text(L, $input); %}
%typemap(in) const char *optional
%{ $1 = lua_isnoneornil(L, $input) ? NULL : (char *)check_text(L, $input); %}
%typemap(out) const char * %{ lua_pushstring(L, $1); SWIG_arg++; %}
%typemap(freearg) const char *, const char *optional ""

%typemap(in) copal_bytes
%{ $1.data = (const uint8_t *)luaL_checklstring(L, $input, &$1.len); %}
%typemap(out) copal_bytes
%{ lua_pushlstring(L, $1.len == 0 ? "" : (const char *)$1.data, $1.len);
   SWIG_arg++; %}

/* ---- Errors and callbacks ----------------------------------------------- */

%typemap(out) copal_rc
%{ if ($1 < 0) SWIG_arg += push_error(L, (int)$1, why(L));
   else { lua_pushboolean(L, 1); SWIG_arg++; } %}
%typemap(out) copal_count
%{ if ($1 < 0) SWIG_arg += push_error(L, (int)$1, why(L));
   else { lua_pushinteger(L, (lua_Integer)$1); SWIG_arg++; } %}

/* A callback is always the last argument, so nothing that may still raise an
 * error stands between making the cell and handing it over. */
%typemap(in) copal_cb %{ check_callback(L, $input, &$1); %}

/* ---- What needs a hand-written function --------------------------------- */

%native(endpoint) int l_endpoint(lua_State *L);
%native(free) int l_free(lua_State *L);
%native(run) int l_run(lua_State *L);
%native(wait) int l_wait(lua_State *L);
%native(look) int l_look(lua_State *L);
%native(catch_signals) int l_catch_signals(lua_State *L);
%native(caught) int l_caught(lua_State *L);
%native(record_on_signal) int l_record_on_signal(lua_State *L);
%native(replay) int l_replay(lua_State *L);
%native(on_error) int l_on_error(lua_State *L);
%native(views) int l_views(lua_State *L);
%native(view_keep) int l_view_keep(lua_State *L);
%native(view_exchange) int l_view_exchange(lua_State *L);
%native(handlers) int l_handlers(lua_State *L);
%native(handling) int l_handling(lua_State *L);
%native(serve_handler) int l_serve_handler(lua_State *L);
%native(lookup_handler) int l_lookup_handler(lua_State *L);
%native(store_handler) int l_store_handler(lua_State *L);
%native(asking) int l_asking(lua_State *L);
%native(ask) int l_ask(lua_State *L);
%native(ask_plainly) int l_ask_plainly(lua_State *L);
%native(options) int l_options(lua_State *L);
%native(msg_value) int l_msg_value(lua_State *L);
%native(msg_list) int l_msg_list(lua_State *L);
%native(msg_uint) int l_msg_uint(lua_State *L);
%native(msg_decode) int l_msg_decode(lua_State *L);
%native(msg_wire) int l_msg_wire(lua_State *L);
%native(stats) int l_stats(lua_State *L);
%native(interfaces) int l_interfaces(lua_State *L);
%native(open_exchanges) int l_open_exchanges(lua_State *L);
%native(params) int l_params(lua_State *L);
%native(errors) int l_errors(lua_State *L);
%native(data_kinds) int l_data_kinds(lua_State *L);
%native(is_utf8) int l_is_utf8(lua_State *L);
%native(cbor_encode) int l_cbor_encode(lua_State *L);
%native(cbor_decode) int l_cbor_decode(lua_State *L);
%native(cbor_diagnostic) int l_cbor_diagnostic(lua_State *L);
%native(json_decode) int l_json_decode(lua_State *L);
%native(sim) int l_sim(lua_State *L);
%native(sim_free) int l_sim_free(lua_State *L);
%native(sim_endpoint) int l_sim_endpoint(lua_State *L);
%native(sim_set_path) int l_sim_set_path(lua_State *L);
%native(sim_lose) int l_sim_lose(lua_State *L);
%native(sim_move) int l_sim_move(lua_State *L);
%native(sim_refuse) int l_sim_refuse(lua_State *L);
%native(sim_inject) int l_sim_inject(lua_State *L);
%native(sim_run) int l_sim_run(lua_State *L);
%native(sim_stop) int l_sim_stop(lua_State *L);
%native(sim_now) int l_sim_now(lua_State *L);
%native(sim_transcript) int l_sim_transcript(lua_State *L);
%native(sim_keep) int l_sim_keep(lua_State *L);

%init %{ init_bridge(L); %}

/* SWIG's own tables are filled in by whoever comes first, without a lock:
 * programs with a Lua state a thread take turns here. */
%wrapper %{
#include "lua_open.h"
%}
