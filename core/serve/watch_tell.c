/* What the user of a watch hears: values, silence, and its end; never the same
 * twice only because the watch asked again. */
#include "serve/watch_core.h"
#include "wire/message.h"

/* ---- To a user who may be paused ---- */

static void forget_owed(struct cp_watch *w)
{
    copal_msg_unref(w->owed.value);
    cp_free(w->mem, w->owed.text);
    w->owed = (struct cp_watch_owed){0};
}

static void owe_silence(struct cp_watch *w, int status, const char *text)
{
    w->owed.silent = true;
    w->owed.status = status;
    cp_free(w->mem, w->owed.text);
    w->owed.text = cp_copy_text(w->mem, text, strlen(text));
}

/* A silence that began and ended meanwhile need not be told; one that had been
 * told before must be. */
static void owe_return(struct cp_watch *w)
{
    if (w->owed.silent)
        w->owed.silent = false;
    else
        w->owed.resumed = true;
}

static void owe_value(struct cp_watch *w, const copal_msg *msg)
{
    copal_msg_unref(w->owed.value);
    w->owed.value = copal_msg_ref(msg);
}

static void tell(struct cp_watch *w, int kind, int status, const char *text,
                 const copal_msg *msg)
{
    if (!w->is_paused)
        w->face.tell(w->face.user, kind, status, text, msg);
    else if (kind == COPAL_SILENT)
        owe_silence(w, status, text);
    else if (kind == COPAL_RESUMED)
        owe_return(w);
    else
        owe_value(w, msg);
}

void cp_watch_pause(struct cp_watch *w, bool paused)
{
    struct cp_watch_owed owed = w->owed;

    w->is_paused = paused;
    if (paused || w->state == CP_WATCH_OVER)
        return;
    w->owed = (struct cp_watch_owed){0};
    if (owed.resumed)
        tell(w, COPAL_RESUMED, 0, NULL, NULL);
    if (owed.value != NULL)
        tell(w, COPAL_RESPONSE, 0, NULL, owed.value);
    if (owed.silent)
        tell(w, COPAL_SILENT, owed.status, owed.text == NULL ? "" : owed.text,
             NULL);
    copal_msg_unref(owed.value);
    cp_free(w->mem, owed.text);
}

/* ---- Silence ---- */

void cp_watch_tell_silent(struct cp_watch *w, int status, const char *text)
{
    if (w->is_silent)
        return;
    w->is_silent = true;
    tell(w, COPAL_SILENT, status, text, NULL);
}

static void tell_return(struct cp_watch *w)
{
    if (!w->is_silent)
        return;
    w->is_silent = false;
    tell(w, COPAL_RESUMED, 0, NULL, NULL);
}

/* ---- Values ---- */

static bool has_etag(const copal_msg *kept, copal_bytes etag)
{
    copal_bytes its;

    return kept != NULL &&
           copal_msg_value(kept, COPAL_OPT_ETAG, 0, &its) == 0 &&
           cp_bytes_equal(its, etag);
}

/* What the user is to see of msg: itself, or what a 2.03 says is valid. */
static const copal_msg *meant_by(const struct cp_watch *w, const copal_msg *msg)
{
    copal_bytes etag;

    if (copal_msg_code(msg) != COPAL_VALID ||
        copal_msg_value(msg, COPAL_OPT_ETAG, 0, &etag) != 0)
        return msg;
    if (has_etag(w->offered, etag))
        return w->offered;
    return has_etag(w->latest, etag) ? w->latest : msg;
}

static bool is_same(const copal_msg *a, const copal_msg *b)
{
    copal_bytes etag = {0}, other = {0};

    if (a == NULL || copal_msg_code(a) != copal_msg_code(b) ||
        copal_msg_format(a) != copal_msg_format(b))
        return false;
    copal_msg_value(a, COPAL_OPT_ETAG, 0, &etag);
    copal_msg_value(b, COPAL_OPT_ETAG, 0, &other);
    return cp_bytes_equal(etag, other) &&
           cp_bytes_equal(copal_msg_payload(a), copal_msg_payload(b));
}

void cp_watch_tell_value(struct cp_watch *w, const copal_msg *msg, bool is_news)
{
    const copal_msg *meant = copal_msg_ref(meant_by(w, msg));

    is_news = is_news || w->is_silent || !is_same(w->latest, meant);
    w->last_code = 0;
    copal_msg_unref(w->latest);
    w->latest = copal_msg_ref(meant);
    tell_return(w);
    if (is_news)
        tell(w, COPAL_RESPONSE, 0, NULL, meant);
    copal_msg_unref(meant);
}

void cp_watch_tell_last(struct cp_watch *w, const copal_msg *msg)
{
    int code = copal_msg_code(msg);
    bool is_value = cp_code_class(code) == 2;

    if (code == w->last_code &&
        (!is_value || is_same(w->latest, meant_by(w, msg))))
        return;
    if (is_value) {
        cp_watch_tell_value(w, msg, false);
    } else {
        tell_return(w);
        tell(w, COPAL_RESPONSE, 0, NULL, msg);
    }
    w->last_code = code;
}

void cp_watch_forget_told(struct cp_watch *w)
{
    forget_owed(w);
    copal_msg_unref(w->latest);
    copal_msg_unref(w->offered);
    w->latest = w->offered = NULL;
}
