/* What a replay tells: where it differs, what is wrong with it, what it saw. */
#include "replay.h"
#include "base/buf.h"
#include <stdio.h>

static void end_with(struct cp_replay *r, int status, const char *format,
                     va_list list)
{
    char where[80];
    size_t len;

    if (r->is_over)
        return;
    r->is_over = true;
    r->status = status;
    len = (size_t)snprintf(where, sizeof(where), "record %llu, at %llu ms: ",
                           (unsigned long long)r->number,
                           (unsigned long long)r->clock);
    memcpy(r->why, where, len);
    vsnprintf(r->why + len, sizeof(r->why) - len, format, list);
}

static void add_keyed(struct cp_replay *r)
{
    size_t len = strlen(r->why);

    snprintf(r->why + len, sizeof(r->why) - len,
             "; OSCORE or EDHOC had keys, which no recording holds: what they "
             "seal cannot be run again, copal trace shows it");
}

void cp_replay_differs(struct cp_replay *r, const char *format, ...)
{
    bool is_first = !r->is_over;
    va_list list;

    va_start(list, format);
    end_with(r, r->is_keyed ? COPAL_ENOTSUP : COPAL_ECHANGED, format, list);
    va_end(list);
    if (is_first && r->is_keyed)
        add_keyed(r);
}

void cp_replay_damaged(struct cp_replay *r, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    end_with(r, COPAL_EFORMAT, format, list);
    va_end(list);
}

void cp_replay_malformed(struct cp_replay *r, const char *what)
{
    cp_replay_damaged(r, "%s is malformed; the recording is damaged", what);
}

void cp_replay_note(struct cp_replay *r, const char *format, ...)
{
    struct cp_buf b = cp_buf_new(r->mem);
    char text[256];
    va_list list;
    const char *line;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    cp_put_format(&b, "{\"t\":%llu,\"ev\":\"replay\",\"what\":\"",
                  (unsigned long long)r->clock);
    cp_put_json(&b, cp_bytes_of_text(text));
    cp_put_text(&b, "\"}");
    line = cp_buf_text(&b);
    if (line != NULL && r->user.fn != NULL)
        r->user.fn(&(copal_event){.kind = COPAL_TRACE, .text = line},
                   r->user.user);
    cp_buf_free(&b);
}
