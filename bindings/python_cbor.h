/* The module's functions for CBOR; bindings/python/copal/cbor.py says what
 * becomes what. Part of python_bridge.i, after python_bridge.h. */
#ifndef COPAL_PYTHON_CBOR_H
#define COPAL_PYTHON_CBOR_H

#include "python_cbor_read.h"
#include "python_cbor_write.h"
#include "wire/cbor_print.h"

/* cbor_decode(buffer) -> object */
static PyObject *py_cbor_decode(PyObject *self, PyObject *args)
{
    Py_buffer view;
    PyObject *value;

    (void)self;
    if (!PyArg_ParseTuple(args, "y*", &view))
        return NULL;
    value = copal_python_cbor_decode(view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return value;
}

/* cbor_encode(object) -> bytes */
static PyObject *py_cbor_encode(PyObject *self, PyObject *args)
{
    struct cp_mem *mem;
    struct cp_buf out;
    PyObject *o, *bytes = NULL;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    mem = cp_mem_new(NULL, NULL);
    if (mem == NULL)
        return PyErr_NoMemory();
    out = cp_buf_new(mem);
    if (copal_python_cbor_encode(o, &out) == 0)
        bytes = to_bytes(cp_bytes(out.data, out.len));
    cp_buf_free(&out);
    cp_mem_release(mem);
    return bytes;
}

/* cbor_diagnostic(buffer, indented, is_sequence) -> str */
static PyObject *py_cbor_diagnostic(PyObject *self, PyObject *args)
{
    struct decoding d = {.as_key = false};
    struct cp_mem *mem;
    struct cp_buf out;
    Py_buffer view;
    PyObject *text = NULL;
    int indented, is_sequence;

    (void)self;
    if (!PyArg_ParseTuple(args, "y*pp", &view, &indented, &is_sequence))
        return NULL;
    mem = cp_mem_new(NULL, NULL);
    out = cp_buf_new(mem);
    d.in = cp_bytes(view.buf, (size_t)view.len);
    d.r = cp_cbor_read(d.in, CP_CBOR_DEPTH);
    d.r.is_sequence = is_sequence;
    if (mem == NULL)
        PyErr_NoMemory();
    else if (cp_cbor_print(&d.r,
                           indented ? CP_CBOR_INDENTED : CP_CBOR_ON_ONE_LINE,
                           &out) < 0)
        refuse_cbor(&d, NULL);
    else if (out.failed)
        PyErr_NoMemory();
    else
        text = PyUnicode_DecodeUTF8((const char *)out.data, (Py_ssize_t)out.len,
                                    NULL);
    if (mem != NULL) {
        cp_buf_free(&out);
        cp_mem_release(mem);
    }
    PyBuffer_Release(&view);
    return text;
}

/* cbor_items(buffer) -> [bytes, ...]: the items of a sequence, RFC 8742 */
static PyObject *py_cbor_items(PyObject *self, PyObject *args)
{
    struct decoding d = {.as_key = false};
    struct cp_cbor_item item;
    Py_buffer view;
    PyObject *list;
    int result = 1;

    (void)self;
    if (!PyArg_ParseTuple(args, "y*", &view))
        return NULL;
    d.in = cp_bytes(view.buf, (size_t)view.len);
    d.r = cp_cbor_read(d.in, CP_CBOR_DEPTH);
    d.r.is_sequence = true;
    list = PyList_New(0);
    while (list != NULL && result == 1) {
        const uint8_t *begin = d.r.in.at;
        PyObject *bytes;

        result = cp_cbor_next(&d.r, &item);
        if (result != 1 || cp_cbor_skip(&d.r, &item) != 0)
            break;
        bytes = to_bytes(cp_bytes(begin, (size_t)(d.r.in.at - begin)));
        if (bytes == NULL || PyList_Append(list, bytes) < 0)
            Py_CLEAR(list);
        Py_XDECREF(bytes);
    }
    if (list != NULL && d.r.error != 0) {
        Py_CLEAR(list);
        refuse_cbor(&d, NULL);
    }
    PyBuffer_Release(&view);
    return list;
}

#endif
