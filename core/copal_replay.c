/* A recording run again: the file, its head and sum. */
#include "replay.h"
#include "base/callback.h"
#include "base/siphash.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HEAD = CP_RECORDING_HEAD,
    MOST = 1 << 30, /* bytes: what RECORD_MEMORY can be */
    SUM = CP_RECORD_HEAD + 8
};

static bool has_good_sum(copal_bytes all)
{
    static const uint8_t key[16] = {0};
    struct cp_cursor c = cp_cursor_of(cp_bytes(all.data + all.len - SUM, SUM));

    return cp_take_u8(&c) == CP_RECORD_SUM && cp_record_take_32(&c) == 8 &&
           cp_record_take_64(&c) == cp_siphash(key, all.data, all.len - 8);
}

/* NULL, or what is wrong with it. */
static const char *read_head(struct cp_replay *r, copal_bytes all,
                             bool check_sum)
{
    static const char magic[] = CP_RECORDING_MAGIC;
    struct cp_cursor c = cp_cursor_of(all);
    copal_bytes mark = cp_take(&c, sizeof(magic) - 1);
    uint32_t version = cp_record_take_32(&c), flags = cp_record_take_32(&c);

    cp_record_take_64(&c);
    if (c.failed || !cp_bytes_is_text(mark, magic))
        return "this is not a recording of copal's";
    if (version != CP_RECORDING_VERSION)
        return "the recording is of a version that this copal does not know";
    if (all.len < HEAD + SUM || (check_sum && !has_good_sum(all)))
        return "the recording is not whole, or was changed: its sum is wrong";
    r->is_bare = (flags & CP_RECORDING_BARE) != 0;
    r->records = c;
    return NULL;
}

static void clear(struct cp_replay *r)
{
    r->is_over = true;
    cp_replay_user_clear(r);
    cp_replay_past_clear(r);
    if (r->c != NULL) {
        r->c->engine->random.tap_user = NULL;
        r->c->engine->in_turn = CP_NOT_IN_TURN;
        copal_free(r->c); /* which lets go of the memory, too */
        cp_replay_world_clear(r);
    } else {
        cp_replay_world_clear(r);
        cp_mem_release(r->mem);
    }
}

static void tell_end(copal_cb cb, int status, const char *why)
{
    if (cb.fn != NULL)
        cb.fn(&(copal_event){.kind = COPAL_END, .status = status, .text = why},
              cb.user);
}

int cp_replay_bytes(copal_bytes recording, bool check_sum, copal_cb cb)
{
    struct cp_replay r = {.user = cb};
    const char *wrong;

    r.mem = cp_mem_new(NULL, NULL);
    if (r.mem == NULL) {
        tell_end(cb, COPAL_ENOMEM, copal_strerror(COPAL_ENOMEM));
        return COPAL_ENOMEM;
    }
    cp_replay_world_init(&r);
    cp_replay_user_init(&r);
    cp_replay_past_init(&r);
    wrong = read_head(&r, recording, check_sum);
    if (wrong == NULL) {
        cp_replay_walk(&r);
    } else {
        r.status = COPAL_EFORMAT;
        snprintf(r.why, sizeof(r.why), "%s", wrong);
    }
    clear(&r);
    tell_end(cb, r.status, r.why);
    return r.status;
}

static int read_file(const char *path, uint8_t **out, size_t *len)
{
    FILE *f = path == NULL ? NULL : fopen(path, "rbe");
    long size = -1;
    int err = 0;

    *out = NULL;
    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size > MOST) { /* or a folder */
        size = -1;
        errno = EFBIG;
    }
    if (size >= 0)
        *out = malloc((size_t)size + 1);
    if (f == NULL || size < 0)
        err = errno == ENOENT   ? COPAL_ENOENT
              : errno == EACCES ? COPAL_EPERM
                                : COPAL_EIO;
    else if (*out == NULL)
        err = COPAL_ENOMEM;
    else if (fseek(f, 0, SEEK_SET) != 0 ||
             fread(*out, 1, (size_t)size, f) != (size_t)size)
        err = COPAL_EIO;
    *len = err == 0 ? (size_t)size : 0;
    if (f != NULL)
        fclose(f);
    return err;
}

int copal_replay(const char *path, copal_cb cb)
{
    uint8_t *data;
    size_t len;
    char why[CP_REPLAY_SENTENCE];
    int err;

    errno = ENOENT; /* of no path */
    err = read_file(path, &data, &len);
    if (err == 0) {
        err = cp_replay_bytes(cp_bytes(data, len), true, cb);
    } else {
        snprintf(why, sizeof(why), "%s: cannot be read: %s",
                 path == NULL ? "" : path, copal_strerror(err));
        tell_end(cb, err, why);
    }
    free(data);
    cp_cb_drop(cb);
    return err;
}
