/* From CBOR to Python objects. Part of python_bridge.i, after
 * python_bridge.h. */
#ifndef COPAL_PYTHON_CBOR_READ_H
#define COPAL_PYTHON_CBOR_READ_H

#include "python_cbor_types.h"
#include "wire/cbor.h"

struct decoding {
    struct cp_cbor_reader r;
    copal_bytes in;
    bool as_key; /* arrays are tuples */
};

static PyObject *refuse_cbor(const struct decoding *d, const char *why)
{
    size_t at = cp_cbor_offset(&d->r, d->in);
    char text[120];

    if (why == NULL && d->r.error == COPAL_ELIMIT)
        why = "nested too deeply";
    else if (why == NULL && at >= d->in.len)
        why = "incomplete";
    else if (why == NULL)
        why = "not well-formed, or longer than what there is";
    snprintf(text, sizeof(text), "CBOR: %s at byte %zu", why, at + 1);
    raise_error(COPAL_EFORMAT, text);
    return NULL;
}

/* The next item; false: there is none, why not is an exception. END does not
 * count as one, and gives no exception. */
static bool next_item(struct decoding *d, struct cp_cbor_item *item)
{
    if (cp_cbor_next(&d->r, item) == 1)
        return item->kind != CP_CBOR_END;
    refuse_cbor(d, NULL);
    return false;
}

static PyObject *read_value(struct decoding *d,
                            const struct cp_cbor_item *item);

static PyObject *read_integer(uint64_t n, bool is_negative)
{
    PyObject *number = PyLong_FromUnsignedLongLong(n), *inverted;

    if (number == NULL || !is_negative)
        return number;
    inverted = PyNumber_Invert(number); /* -1 - n */
    Py_DECREF(number);
    return inverted;
}

/* The chunks up to the END, put together. The sum is known before anything is
 * copied: appending piece by piece would take the square of their number. */
static PyObject *read_chunks(struct decoding *d)
{
    struct cp_cbor_reader ahead = d->r;
    struct cp_cbor_item chunk;
    PyObject *whole;
    char *at;
    size_t len = 0;

    while (cp_cbor_next(&ahead, &chunk) == 1 && chunk.kind != CP_CBOR_END)
        len += chunk.bytes.len;
    whole = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);
    if (whole == NULL)
        return NULL;
    at = PyBytes_AS_STRING(whole);
    while (next_item(d, &chunk)) {
        if (chunk.bytes.len > 0)
            memcpy(at, chunk.bytes.data, chunk.bytes.len);
        at += chunk.bytes.len;
    }
    if (PyErr_Occurred())
        Py_CLEAR(whole);
    return whole;
}

static PyObject *to_str(const char *text, Py_ssize_t len)
{
    return PyUnicode_DecodeUTF8(len == 0 ? "" : text, len, NULL);
}

static PyObject *read_string(struct decoding *d,
                             const struct cp_cbor_item *item)
{
    bool is_text = item->kind == CP_CBOR_TEXT;
    PyObject *whole;

    if (!item->indefinite)
        return is_text ? to_str((const char *)item->bytes.data,
                                (Py_ssize_t)item->bytes.len)
                       : to_bytes(item->bytes);
    whole = read_chunks(d);
    if (whole != NULL && is_text)
        Py_SETREF(whole,
                  to_str(PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole)));
    return whole;
}

static PyObject *read_array(struct decoding *d)
{
    PyObject *list = PyList_New(0);
    struct cp_cbor_item item;

    while (list != NULL && next_item(d, &item)) {
        PyObject *value = read_value(d, &item);

        if (value == NULL || PyList_Append(list, value) < 0)
            Py_CLEAR(list);
        Py_XDECREF(value);
    }
    if (list != NULL && PyErr_Occurred())
        Py_CLEAR(list);
    if (list != NULL && d->as_key)
        Py_SETREF(list, PyList_AsTuple(list));
    return list;
}

/* A key that can be one in Python and is none yet. RFC 8949 5.6. */
static PyObject *read_key(struct decoding *d, const struct cp_cbor_item *item,
                          PyObject *map)
{
    bool outer = d->as_key;
    PyObject *key;
    int found;

    d->as_key = true;
    key = read_value(d, item);
    d->as_key = outer;
    if (key == NULL)
        return NULL;
    found = PyDict_Contains(map, key);
    if (found < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        refuse_cbor(d, "a map as a key");
    } else if (found > 0) {
        refuse_cbor(d, "a map with the same key twice");
    }
    if (found != 0)
        Py_CLEAR(key);
    return key;
}

static PyObject *read_map(struct decoding *d)
{
    PyObject *map = PyDict_New();
    struct cp_cbor_item item;

    while (map != NULL && next_item(d, &item)) {
        PyObject *key = read_key(d, &item, map), *value = NULL;

        if (key != NULL && next_item(d, &item))
            value = read_value(d, &item);
        if (value == NULL || PyDict_SetItem(map, key, value) < 0)
            Py_CLEAR(map);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    if (map != NULL && PyErr_Occurred())
        Py_CLEAR(map);
    return map;
}

/* Bignums are integers. RFC 8949 3.4.3. */
static PyObject *read_bignum(PyObject *bytes, bool is_negative)
{
    PyObject *n = PyObject_CallMethod((PyObject *)&PyLong_Type, "from_bytes",
                                      "Os", bytes, "big");

    Py_DECREF(bytes);
    if (n != NULL && is_negative)
        Py_SETREF(n, PyNumber_Invert(n));
    return n;
}

static PyObject *read_tag(struct decoding *d, uint64_t number)
{
    struct cp_cbor_item item;
    PyObject *value = NULL;

    if (next_item(d, &item))
        value = read_value(d, &item);
    if (value == NULL)
        return NULL;
    if (cp_cbor_next(&d->r, &item) != 1) { /* the tag's END */
        Py_DECREF(value);
        return refuse_cbor(d, NULL);
    }
    if ((number == 2 || number == 3) && PyBytes_Check(value))
        return read_bignum(value, number == 3);
    return new_sequence(tag_type, PyLong_FromUnsignedLongLong(number), value);
}

static PyObject *read_simple(uint64_t n)
{
    switch (n) {
    case CP_CBOR_FALSE: return Py_NewRef(Py_False);
    case CP_CBOR_TRUE: return Py_NewRef(Py_True);
    case CP_CBOR_NULL: return Py_NewRef(Py_None);
    default:
        return new_sequence(simple_type, PyLong_FromUnsignedLongLong(n), NULL);
    }
}

/* Never deeper than the reader allows. */
static PyObject *read_value(struct decoding *d, const struct cp_cbor_item *item)
{
    switch (item->kind) {
    case CP_CBOR_UNSIGNED: return read_integer(item->n, false);
    case CP_CBOR_NEGATIVE: return read_integer(item->n, true);
    case CP_CBOR_BYTES:
    case CP_CBOR_TEXT: return read_string(d, item);
    case CP_CBOR_ARRAY: return read_array(d);
    case CP_CBOR_MAP: return read_map(d);
    case CP_CBOR_TAG: return read_tag(d, item->n);
    case CP_CBOR_SIMPLE: return read_simple(item->n);
    case CP_CBOR_FLOAT: return PyFloat_FromDouble(item->number);
    default: return refuse_cbor(d, NULL);
    }
}

/* The one item that data holds; NULL with an exception. */
static PyObject *copal_python_cbor_decode(const uint8_t *data, size_t len)
{
    struct decoding d = {.in = cp_bytes(data, len)};
    struct cp_cbor_item item;
    PyObject *value;

    d.r = cp_cbor_read(d.in, CP_CBOR_DEPTH);
    if (!next_item(&d, &item))
        return NULL;
    value = read_value(&d, &item);
    if (value != NULL && cp_cbor_next(&d.r, &item) != 0) {
        Py_DECREF(value);
        return refuse_cbor(&d, NULL);
    }
    return value;
}

#endif
