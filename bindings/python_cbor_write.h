/* From Python objects to CBOR. Part of python_bridge.i, after
 * python_bridge.h. */
#ifndef COPAL_PYTHON_CBOR_WRITE_H
#define COPAL_PYTHON_CBOR_WRITE_H

#include "python_cbor_types.h"
#include "base/buf.h"
#include "wire/cbor.h"

static int write_value(PyObject *o, struct cp_buf *out, int depth);

static int write_big(PyObject *o, struct cp_buf *out, bool is_negative)
{
    PyObject *n = is_negative ? PyNumber_Invert(o) : Py_NewRef(o);
    PyObject *bits = NULL, *bytes = NULL;

    if (n != NULL)
        bits = PyObject_CallMethod(n, "bit_length", NULL);
    if (bits != NULL)
        bytes = PyObject_CallMethod(n, "to_bytes", "ns",
                                    PyLong_AsSsize_t(bits) / 8 + 1, "big");
    if (bytes != NULL)
        cp_cbor_put_bignum(
            out,
            cp_bytes(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)),
            is_negative);
    Py_XDECREF(n);
    Py_XDECREF(bits);
    Py_XDECREF(bytes);
    return bytes == NULL ? -1 : 0;
}

static int write_integer(PyObject *o, struct cp_buf *out)
{
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(o, &overflow);

    if (overflow != 0)
        return write_big(o, out, overflow < 0);
    if (n == -1 && PyErr_Occurred())
        return -1;
    cp_cbor_put_int(out, n);
    return 0;
}

static int write_buffer(PyObject *o, struct cp_buf *out)
{
    Py_buffer view;

    if (PyObject_GetBuffer(o, &view, PyBUF_SIMPLE) < 0)
        return -1;
    cp_cbor_put_bytes(out, cp_bytes(view.buf, (size_t)view.len));
    PyBuffer_Release(&view);
    return 0;
}

static int write_text(PyObject *o, struct cp_buf *out)
{
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(o, &len);

    if (text == NULL)
        return -1;
    cp_cbor_put_text(out, cp_bytes(text, (size_t)len));
    return 0;
}

/* Whatever an item's conversion runs (an int may be of a class of the user's)
 * must not take it away from under us. */
static int write_held(PyObject *o, struct cp_buf *out, int depth)
{
    int result;

    Py_INCREF(o);
    result = write_value(o, out, depth);
    Py_DECREF(o);
    return result;
}

static int changed(void)
{
    PyErr_SetString(PyExc_RuntimeError, "CBOR: changed while it was written");
    return -1;
}

static int write_list(PyObject *o, struct cp_buf *out, int depth)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(o);

    cp_cbor_put_array(out, (uint64_t)count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i >= PySequence_Fast_GET_SIZE(o))
            return changed();
        if (write_held(PySequence_Fast_GET_ITEM(o, i), out, depth) < 0)
            return -1;
    }
    return 0;
}

static int write_pair(PyObject *key, PyObject *value, struct cp_buf *out,
                      int depth)
{
    int result;

    Py_INCREF(value);
    result = write_held(key, out, depth);
    if (result == 0)
        result = write_value(value, out, depth);
    Py_DECREF(value);
    return result;
}

static int write_map(PyObject *o, struct cp_buf *out, int depth)
{
    Py_ssize_t at = 0, count = PyDict_GET_SIZE(o), seen = 0;
    PyObject *key, *value;
    size_t begin;
    int err;

    cp_cbor_put_map(out, (uint64_t)count);
    begin = out->len;
    for (; PyDict_Next(o, &at, &key, &value); seen++)
        if (write_pair(key, value, out, depth) < 0)
            return -1;
    if (seen != count)
        return changed();
    err = cp_cbor_sort_map(out, begin, (size_t)count);
    if (err == COPAL_EINVAL)
        PyErr_SetString(PyExc_ValueError, "CBOR: the same key twice");
    else if (err != 0)
        PyErr_NoMemory();
    return err != 0 ? -1 : 0;
}

static int write_tag(PyObject *o, struct cp_buf *out, int depth)
{
    PyObject *number = PyStructSequence_GET_ITEM(o, 0);
    unsigned long long tag;

    if (!PyLong_Check(number)) {
        PyErr_SetString(PyExc_TypeError, "CBOR: a tag's number is an int");
        return -1;
    }
    tag = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return -1;
    cp_cbor_put_tag(out, tag);
    return write_value(PyStructSequence_GET_ITEM(o, 1), out, depth);
}

static int write_simple(PyObject *o, struct cp_buf *out)
{
    long n = PyLong_AsLong(PyStructSequence_GET_ITEM(o, 0));

    if (PyErr_Occurred())
        return -1;
    if (n < 0 || n > 255 || (n >= 24 && n < 32)) {
        PyErr_SetString(PyExc_ValueError,
                        "CBOR: a simple value is 0 to 23 or 32 to 255");
        return -1;
    }
    cp_cbor_put_simple(out, (uint8_t)n);
    return 0;
}

static int write_nested(PyObject *o, struct cp_buf *out, int depth)
{
    /* What contains itself ends here, too. */
    if (depth >= CP_CBOR_DEPTH) {
        PyErr_SetString(PyExc_ValueError, "CBOR: nested too deeply");
        return -1;
    }
    if (Py_TYPE(o) == tag_type)
        return write_tag(o, out, depth + 1);
    if (PyDict_Check(o))
        return write_map(o, out, depth + 1);
    return write_list(o, out, depth + 1);
}

static int write_value(PyObject *o, struct cp_buf *out, int depth)
{
    if (o == Py_None)
        cp_cbor_put_simple(out, CP_CBOR_NULL);
    else if (PyBool_Check(o))
        cp_cbor_put_simple(out, o == Py_True ? CP_CBOR_TRUE : CP_CBOR_FALSE);
    else if (PyLong_Check(o))
        return write_integer(o, out);
    else if (PyFloat_Check(o))
        cp_cbor_put_float(out, PyFloat_AS_DOUBLE(o));
    else if (PyUnicode_Check(o))
        return write_text(o, out);
    else if (Py_TYPE(o) == simple_type)
        return write_simple(o, out);
    else if (PyDict_Check(o) || PyList_Check(o) || PyTuple_Check(o))
        return write_nested(o, out, depth);
    else if (PyBytes_Check(o) || PyByteArray_Check(o) || PyMemoryView_Check(o))
        return write_buffer(o, out);
    else {
        PyErr_Format(PyExc_TypeError, "CBOR has no %s", Py_TYPE(o)->tp_name);
        return -1;
    }
    return 0;
}

/* Appends o to out. 0, or -1 with an exception. */
static int copal_python_cbor_encode(PyObject *o, struct cp_buf *out)
{
    if (write_value(o, out, 0) < 0)
        return -1;
    if (out->failed) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

#endif
