/* The flight recorder: what it begins with, and the file that it is written to. */
#include "endpoint.h"
#include "base/siphash.h"
#include "engine/record.h"
#include "engine/record_bare.h"
#include "engine/record_put.h"
#include <stdio.h>
#include <time.h>

/* ---- What an endpoint was told before ---- */

struct setting {
    copal *endpoint;
    struct cp_buf *out;
};

/* What memory there is differs where it is run again. */
static void put_param(void *user, const char *scope, int param, int64_t value)
{
    if (param != COPAL_P_RECORD_MEMORY && param != COPAL_P_MAX_MEMORY)
        cp_record_put_call(user, CP_RECORD_TUNE, (uint64_t)param,
                           (uint64_t)value, 1, &scope);
}

static void put_serve(void *user, int method, const char *path, unsigned flags,
                      bool has_callback)
{
    cp_record_put_call(user, CP_RECORD_SERVE, (uint64_t)method,
                       flags | (has_callback ? CP_RECORD_HEARD : 0), 1, &path);
}

static void put_describe(void *user, const char *path, const char *name,
                         const char *value)
{
    const char *texts[] = {path, name, value};

    cp_record_put_call(user, CP_RECORD_DESCRIBE, 0, 0, 3, texts);
}

/* That there are keys, but none of them. */
static void put_keyed(struct cp_buf *out)
{
    static const uint8_t head[CP_RECORD_HEAD] = {CP_RECORD_KEYED};

    cp_put_bytes(out, cp_bytes(head, sizeof(head)));
}

static void put_setting(void *user, struct cp_buf *out)
{
    copal *c = user;
    const struct cp_engine *e = c->engine;
    const struct cp_site_calls calls = {put_serve, put_describe, out};

    cp_params_each(&e->params, put_param, out);
    for (size_t i = 0; i < e->understood_count; i++)
        cp_record_put_call(out, CP_RECORD_UNDERSTAND, e->understood[i], 0, 0,
                           NULL);
    if (e->has_stray)
        cp_record_put_call(out, CP_RECORD_STRAYS, 1, 0, 0, NULL);
    if (c->oscore != NULL)
        put_keyed(out);
    if (cp_site_each(c->site, &calls) != 0)
        out->failed = true;
    if (e->closing)
        cp_record_put_call(out, CP_RECORD_CLOSE, 0, 0, 0, NULL);
}

int cp_endpoint_record(copal *c, uint64_t bytes)
{
    if (bytes == (uint64_t)c->engine->params.value[COPAL_P_RECORD_MEMORY])
        return 0;
    return cp_record_begin(c->engine, bytes, put_setting, c);
}

/* ---- The file ---- */

static uint64_t ms_of_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void cp_endpoint_recording_head(const copal *c, uint64_t now,
                                uint8_t out[CP_RECORDING_HEAD])
{
    bool is_bare = c->engine->params.value[COPAL_P_RECORD_PAYLOADS] == 0;
    bool is_virtual = c->driver->ops->is_virtual;
    uint8_t *p = cp_record_bytes(out, cp_bytes_of_text(CP_RECORDING_MAGIC));

    p = cp_record_le32(p, CP_RECORDING_VERSION);
    p = cp_record_le32(p, is_bare ? CP_RECORDING_BARE : 0);
    cp_record_le64(p, is_virtual ? 0 : ms_of_clock() - now);
}

static void put_sum(struct cp_buf *out)
{
    static const uint8_t key[16] = {0};
    uint8_t sum[CP_RECORD_HEAD + 8];

    sum[0] = CP_RECORD_SUM;
    cp_record_le32(sum + 1, 8);
    cp_put_bytes(out, cp_bytes(sum, CP_RECORD_HEAD));
    if (out->failed)
        return;
    cp_record_le64(sum, cp_siphash(key, out->data, out->len));
    cp_put_bytes(out, cp_bytes(sum, 8));
}

static int put_recording(copal *c, struct cp_buf *out, copal_bytes *all)
{
    bool is_bare = c->engine->params.value[COPAL_P_RECORD_PAYLOADS] == 0;
    copal_bytes parts[CP_RECORD_PARTS];
    size_t count = cp_record_parts(c->engine, parts), begin;
    uint8_t head[CP_RECORDING_HEAD];

    cp_endpoint_recording_head(c, copal_now(c), head);
    cp_put_bytes(out, cp_bytes(head, sizeof(head)));
    begin = out->len;
    for (size_t i = 0; i < count; i++)
        cp_put_bytes(out, parts[i]);
    if (is_bare && !out->failed)
        cp_record_strip(out->data + begin, out->len - begin);
    put_sum(out);
    return cp_buf_finish(out, all);
}

/* What secure associations carried stands in it: it is nobody else's. */
static int write_out(copal *c, const char *path, copal_bytes all)
{
    FILE *f = cp_endpoint_private_file(path);
    bool is_written;

    if (f == NULL)
        return cp_endpoint_file_error(c, path);
    is_written = fwrite(all.data, 1, all.len, f) == all.len;
    if (fclose(f) != 0 || !is_written)
        return cp_endpoint_file_error(c, path);
    return 0;
}

int cp_endpoint_write_recording(copal *c, const char *path)
{
    struct cp_buf out = cp_buf_new(c->mem);
    copal_bytes all;
    int err;

    if (c->engine->record == NULL && c->engine->frozen == NULL)
        return cp_why(c->mem, COPAL_ESTATE,
                      "%s: nothing is recorded; set record_memory before, "
                      "1048576 say",
                      path);
    err = put_recording(c, &out, &all);
    if (err == 0)
        err = write_out(c, path, all);
    cp_buf_free(&out);
    return err;
}
