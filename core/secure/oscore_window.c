#include "secure/oscore_window.h"
#include <string.h>

static uint64_t bit_of(uint64_t seq)
{
    return UINT64_C(1) << (seq % 64);
}

static uint64_t *word_of(struct cp_oscore_window *w, uint64_t seq)
{
    return &w->seen[seq % CP_OSCORE_WINDOW_MOST / 64];
}

bool cp_oscore_window_is_new(const struct cp_oscore_window *w, uint64_t seq)
{
    if (seq >= w->next)
        return true;
    if (w->next - seq > w->size)
        return false;
    return (w->seen[seq % CP_OSCORE_WINDOW_MOST / 64] & bit_of(seq)) == 0;
}

void cp_oscore_window_note(struct cp_oscore_window *w, uint64_t seq)
{
    if (seq >= w->next) {
        uint64_t on = seq + 1 - w->next;

        if (on >= CP_OSCORE_WINDOW_MOST)
            memset(w->seen, 0, sizeof(w->seen));
        else
            for (uint64_t s = w->next; s <= seq; s++)
                *word_of(w, s) &= ~bit_of(s);
        w->next = seq + 1;
    }
    *word_of(w, seq) |= bit_of(seq);
}

void cp_oscore_window_begin(struct cp_oscore_window *w, uint64_t seq)
{
    w->next = seq + 1;
    memset(w->seen, 0xff, sizeof(w->seen));
}
