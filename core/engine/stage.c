#include "engine/stage.h"

int cp_pass_in(struct cp_stages s, copal_exchange *x, copal_msg **m)
{
    const struct cp_stage *const *end = s.list + s.count;

    for (; s.list < end; s.list++) {
        int verdict = (*s.list)->in(x, m);
        if (verdict != CP_PASS)
            return verdict;
    }
    return CP_PASS;
}

static int pass_out_from(struct cp_stages s, size_t top, copal_exchange *x,
                         copal_msg **m)
{
    while (top-- > 0) {
        int verdict = s.list[top]->out(x, m);
        if (verdict != CP_PASS)
            return verdict;
    }
    return CP_PASS;
}

int cp_pass_out(struct cp_stages s, copal_exchange *x, copal_msg **m)
{
    return pass_out_from(s, s.count, x, m);
}

int cp_pass_out_below(struct cp_stages s, const struct cp_stage *stage,
                      copal_exchange *x, copal_msg **m)
{
    size_t i = 0;

    while (i < s.count && s.list[i] != stage)
        i++;
    return pass_out_from(s, i, x, m);
}

void cp_pass_end(struct cp_stages s, copal_exchange *x)
{
    const struct cp_stage *const *end = s.list + s.count;

    for (; s.list < end; s.list++)
        if ((*s.list)->end != NULL)
            (*s.list)->end(x);
}
