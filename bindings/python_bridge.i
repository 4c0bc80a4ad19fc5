/* How the functions of copal.i look in Python: handles are checked objects,
 * bytes are anything with a buffer on the way in and bytes on the way out, and
 * what fails raises. */
%{
#include "python_bridge.h"
#include "python_cbor.h"
%}

/* What core functions let go of is let go of for good when they are done. */
%exception %{ $action
    bury(); %}

/* ---- Handles ------------------------------------------------------------ */

%typemap(in) copal *
%{ $1 = check_endpoint($input); if ($1 == NULL) SWIG_fail; %}
%typemap(in) copal_msg *
%{ $1 = check_message($input); if ($1 == NULL) SWIG_fail; %}
%typemap(in) copal_exchange *
%{ $1 = check_exchange($input); if ($1 == NULL) SWIG_fail; %}

/* A message made for us is ours; one that is shown to us is not. */
%typemap(out) copal_msg * %{ $result = own_message($1); %}
%typemap(out) const copal_msg * %{ $result = show_message($1); %}
%typemap(out) copal_exchange * %{ $result = show_exchange($1); %}

/* ---- Numbers, text, bytes ----------------------------------------------- */

%typemap(in) int, copal_registry, copal_param, copal_log, copal_text
%{ { int64_t n;
     if (!check_integer($input, INT32_MIN, INT32_MAX, &n)) SWIG_fail;
     $1 = ($1_ltype)n; } %}
%typemap(in) unsigned, uint32_t
%{ { int64_t n;
     if (!check_integer($input, 0, UINT32_MAX, &n)) SWIG_fail;
     $1 = ($1_ltype)n; } %}
%typemap(in) uint64_t, size_t
%{ { int64_t n;
     if (!check_integer($input, 0, INT64_MAX, &n)) SWIG_fail;
     $1 = ($1_ltype)n; } %}
%typemap(in) int64_t
%{ if (!check_integer($input, INT64_MIN, INT64_MAX, &$1)) SWIG_fail; %}
%typemap(out) int, int64_t, uint64_t
%{ $result = PyLong_FromLongLong((long long)$1); %}

%typemap(in) const char *
%{ $1 = (char *)check_text($input); if ($1 == NULL) SWIG_fail; %}
%typemap(in) const char *optional
%{ $1 = NULL;
   if ($input != Py_None && ($1 = (char *)check_text($input)) == NULL)
       SWIG_fail; %}
%typemap(out) const char * %{ $result = to_text($1); %}
%typemap(freearg) const char *, const char *optional ""

%typemap(in) copal_bytes (Py_buffer view)
%{ if (PyObject_GetBuffer($input, &view, PyBUF_SIMPLE) < 0) SWIG_fail;
   $1 = (copal_bytes){view.buf, (size_t)view.len}; %}
/* The argument's data says whether its buffer was taken. */
%typemap(arginit) copal_bytes
%{ $1 = (copal_bytes){NULL, 0}; view$argnum.obj = NULL; %}
%typemap(freearg) copal_bytes
%{ if (view$argnum.obj != NULL) PyBuffer_Release(&view$argnum); %}
%typemap(out) copal_bytes %{ $result = to_bytes($1); %}

/* ---- Errors and callbacks ----------------------------------------------- */

%typemap(out) copal_rc
%{ if ($1 < 0) { fail((int)$1, swig_obj[0]); SWIG_fail; }
   $result = Py_NewRef(Py_None); %}
%typemap(out) copal_count
%{ if ($1 < 0) { fail((int)$1, swig_obj[0]); SWIG_fail; }
   $result = PyLong_FromLongLong((long long)$1); %}

/* A callback is always the last argument and an endpoint the first, so nothing
 * that may still fail stands between making the cell and handing it over. */
%typemap(in) copal_cb
%{ if (!check_callback(swig_obj[0], $input, &$1)) SWIG_fail; %}

/* ---- What needs a hand-written function --------------------------------- */

%native(endpoint) PyObject *py_endpoint(PyObject *self, PyObject *args);
%native(free) PyObject *py_free(PyObject *self, PyObject *args);
%native(why) PyObject *py_why(PyObject *self, PyObject *args);
%native(post) PyObject *py_post(PyObject *self, PyObject *args);
%native(set_classes) PyObject *py_set_classes(PyObject *self, PyObject *args);
%native(live) PyObject *py_live(PyObject *self, PyObject *args);
%native(is_alive) PyObject *py_is_alive(PyObject *self, PyObject *args);
%native(key) PyObject *py_key(PyObject *self, PyObject *args);
%native(options) PyObject *py_options(PyObject *self, PyObject *args);
%native(run_in_place) PyObject *py_run_in_place(PyObject *self, PyObject *args);
%native(set_tasks) PyObject *py_set_tasks(PyObject *self, PyObject *args);
%native(serve_handler) PyObject *py_serve_handler(PyObject *self, PyObject *args);
%native(lookup_handler) PyObject *py_lookup_handler(PyObject *self, PyObject *args);
%native(store_handler) PyObject *py_store_handler(PyObject *self, PyObject *args);
%native(msg_value) PyObject *py_msg_value(PyObject *self, PyObject *args);
%native(msg_uint) PyObject *py_msg_uint(PyObject *self, PyObject *args);
%native(msg_decode) PyObject *py_msg_decode(PyObject *self, PyObject *args);
%native(msg_wire) PyObject *py_msg_wire(PyObject *self, PyObject *args);
%native(replay) PyObject *py_replay(PyObject *self, PyObject *args);
%native(stats) PyObject *py_stats(PyObject *self, PyObject *args);
%native(interfaces) PyObject *py_interfaces(PyObject *self, PyObject *args);
%native(params) PyObject *py_params(PyObject *self, PyObject *args);
%native(errors) PyObject *py_errors(PyObject *self, PyObject *args);
%native(cbor_decode) PyObject *py_cbor_decode(PyObject *self, PyObject *args);
%native(cbor_encode) PyObject *py_cbor_encode(PyObject *self, PyObject *args);
%native(cbor_diagnostic) PyObject *py_cbor_diagnostic(PyObject *self, PyObject *args);
%native(cbor_items) PyObject *py_cbor_items(PyObject *self, PyObject *args);
%native(sim_new) PyObject *py_sim_new(PyObject *self, PyObject *args);
%native(sim_free) PyObject *py_sim_free(PyObject *self, PyObject *args);
%native(sim_endpoint) PyObject *py_sim_endpoint(PyObject *self, PyObject *args);
%native(sim_run) PyObject *py_sim_run(PyObject *self, PyObject *args);
%native(sim_until) PyObject *py_sim_until(PyObject *self, PyObject *args);
%native(sim_now) PyObject *py_sim_now(PyObject *self, PyObject *args);
%native(sim_set_path) PyObject *py_sim_set_path(PyObject *self, PyObject *args);
%native(sim_lose) PyObject *py_sim_lose(PyObject *self, PyObject *args);
%native(sim_move) PyObject *py_sim_move(PyObject *self, PyObject *args);
%native(sim_refuse) PyObject *py_sim_refuse(PyObject *self, PyObject *args);
%native(sim_inject) PyObject *py_sim_inject(PyObject *self, PyObject *args);
%native(sim_transcript) PyObject *py_sim_transcript(PyObject *self, PyObject *args);
%native(sim_keep) PyObject *py_sim_keep(PyObject *self, PyObject *args);

%init %{ if (!init_bridge(m) || !init_cbor(m)) return NULL; %}
