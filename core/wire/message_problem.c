/* Problem details as the payload of a message. RFC 9290. */
#include "wire/message.h"
#include "wire/problem.h"

int copal_msg_problem(const copal_msg *m, copal_problem *out)
{
    copal_problem p = {.size = sizeof(p)};
    int err;

    if (m == NULL)
        return COPAL_ENOMEM;
    if (out == NULL || out->size < sizeof(p))
        return cp_why(m->mem, COPAL_EINVAL,
                      "problem: set size to sizeof(copal_problem)");
    if (copal_msg_format(m) != COPAL_PROBLEM)
        return COPAL_ENOENT;
    err = cp_problem_read(m->payload, &p);
    if (err != 0)
        return cp_why(m->mem, err, "the problem details of %s from %s %s",
                      cp_code_name(m->code), copal_msg_remote(m),
                      err == COPAL_ELIMIT ? "are too many, or nested too deep"
                                          : "are malformed");
    p.size = out->size;
    *out = p;
    return 0;
}

int copal_msg_set_problem(copal_msg *m, const copal_problem *p)
{
    int err = cp_msg_check_writable(m);
    copal_bytes payload;
    struct cp_buf out;

    if (err != 0)
        return err;
    if (p == NULL || p->size < sizeof(*p))
        return cp_why(m->mem, COPAL_EINVAL,
                      "problem: set size to sizeof(copal_problem)");
    if (p->response_code != 0 && p->response_code != m->code)
        return cp_why(m->mem, COPAL_EINVAL,
                      "problem: its response_code is %d, the message's %d",
                      p->response_code, m->code);
    out = cp_buf_new(m->mem);
    err = cp_problem_write(&out, p);
    if (err == 0)
        err = cp_buf_finish(&out, &payload);
    if (err == 0)
        err = copal_msg_set_payload(m, COPAL_PROBLEM, payload);
    else if (err == COPAL_EINVAL)
        cp_why(m->mem, err,
               "problem: give it a title or detail, of UTF-8, languages like "
               "\"en\", and as entries a map of maps");
    cp_buf_free(&out);
    return err;
}
