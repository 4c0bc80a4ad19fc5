/* Numbers that are never used twice, whenever the process dies: RFC 8613 B.1.1.
 * And requests that are not taken twice after that: B.1.2. */
#include "secure/oscore_context.h"
#include "base/secret.h"
#include "engine/core.h"
#include <stdio.h>

enum {
    RESERVED =
        2048, /* numbers by one write; half of them are lost by a crash */
    ECHO_SLOT_MS = 15000,
    VALUE = 9, /* bytes kept: a version, and the ceiling */
    VERSION = 1
};

static const char lost[] =
    "the state of these OSCORE keys was begun, and is not in the store: name "
    "the "
    "store that has it. Where it is gone for good the keys must not be used "
    "any "
    "more: give both ends a new secret with copal creds add";
static const char out_of_numbers[] =
    "its OSCORE context has no sequence number left; give both ends new keys";

/* ---- The store ---- */

static void ready(struct cp_oscore_context *c, int status, const char *why)
{
    if (c->all != NULL)
        cp_guard_ready(c->all->engine, &c->guard, status, why);
}

static void on_written(struct cp_store_wait *w, int status, copal_bytes value,
                       const char *why)
{
    struct cp_oscore_context *c =
        cp_container_of(w, struct cp_oscore_context, wait);

    (void)value;
    c->is_writing = false;
    c->error = status;
    cp_guard_ref(&c->guard); /* what is ready may be all that has it */
    if (status == 0)
        c->ceiling = c->asked;
    if (status == 0 || c->next >= c->ceiling)
        ready(c, status, why);
    cp_guard_unref(&c->guard);
}

/* Nothing at or above the ceiling is used before this is durable. */
static int write_ceiling(struct cp_oscore_context *c, uint64_t ceiling)
{
    uint8_t bytes[VALUE];
    struct cp_buf b = cp_buf_fixed(bytes, sizeof(bytes));
    int err;

    if (c->is_writing || c->all == NULL || c->all->store == NULL)
        return c->is_writing ? 0 : COPAL_ECLOSED;
    c->asked =
        ceiling > CP_OSCORE_LAST_SEQ + 1 ? CP_OSCORE_LAST_SEQ + 1 : ceiling;
    cp_put_u8(&b, VERSION);
    cp_put_u32(&b, (uint32_t)(c->asked >> 32));
    cp_put_u32(&b, (uint32_t)c->asked);
    c->wait.done = on_written;
    err =
        cp_store_put(c->all->store, c->path, cp_bytes(bytes, b.len), &c->wait);
    c->is_writing = err == 0;
    return err;
}

static int read_value(struct cp_oscore_context *c, int status,
                      copal_bytes value)
{
    if (status != 0 && status != COPAL_ENOENT)
        return status;
    if (status == 0 && (value.len != VALUE || value.data[0] != VERSION))
        return COPAL_EFORMAT;
    if (status == COPAL_ENOENT && c->start == CP_OSCORE_BEGUN)
        return cp_why(c->mem, COPAL_ENOENT, "%s", lost);
    c->is_known = true;
    if (status == 0)
        c->next = c->ceiling =
            cp_bytes_uint(cp_bytes(value.data + 1, VALUE - 1));
    c->is_synced = c->next == 0; /* it was never used */
    if (c->start == CP_OSCORE_NEW)
        return status == COPAL_ENOENT ? write_ceiling(c, 0) : 0;
    return c->next > CP_OSCORE_LAST_SEQ ? 0
                                        : write_ceiling(c, c->next + RESERVED);
}

static void on_read(struct cp_store_wait *w, int status, copal_bytes value,
                    const char *why)
{
    struct cp_oscore_context *c =
        cp_container_of(w, struct cp_oscore_context, wait);
    char copy[512];

    snprintf(copy, sizeof(copy), "%s", why);
    cp_guard_ref(&c->guard);
    c->error = read_value(c, status, value);
    if (c->error == COPAL_ENOENT)
        snprintf(copy, sizeof(copy), "%s", lost);
    if (c->error != 0)
        ready(c, c->error, *copy != '\0' ? copy : copal_strerror(c->error));
    cp_guard_unref(&c->guard);
}

/* A name that says nothing of the key, and is as good as it. */
static int name_path(struct cp_oscore_context *c)
{
    static const char label[] = "copal: state of an OSCORE context";
    size_t len = cp_aead_key_len((enum cp_aead)c->keys.sender.algorithm);
    uint8_t mac[CP_HASH_LEN];
    struct cp_buf b = cp_buf_fixed(c->path, sizeof(c->path));
    int err = cp_hmac(CP_SHA256, cp_bytes(c->keys.sender.bytes, len),
                      cp_bytes_of_text(label), mac);

    if (err != 0)
        return err;
    cp_put_text(&b, "oscore/");
    cp_put_hex(&b, cp_bytes(mac, 16));
    return cp_buf_text(&b) == NULL ? COPAL_ENOMEM : 0;
}

int cp_oscore_state_begin(struct cp_oscore_context *c)
{
    struct cp_buf value;
    int err;

    if (!c->is_kept) {
        c->is_known = c->is_synced = true;
        c->ceiling = CP_OSCORE_LAST_SEQ + 1;
        return 0;
    }
    err = name_path(c);
    if (err != 0)
        return err;
    value = cp_buf_new(c->mem);
    err = cp_store_read(c->all->store, c->path, &value);
    if (err == COPAL_ESTATE) {
        c->wait.done = on_read;
        err = cp_store_get(c->all->store, c->path, &c->wait);
    } else {
        err = read_value(c, err, cp_bytes(value.data, value.len));
    }
    cp_buf_free(&value);
    return err;
}

void cp_oscore_state_end(struct cp_oscore_context *c)
{
    cp_store_forget(&c->wait);
    c->is_writing = false;
}

void cp_oscore_state_want(struct cp_oscore_context *c)
{
    /* What failed is tried again by requests of ours, not by those of anybody. */
    if (c->is_known && c->error == 0 && c->next <= CP_OSCORE_LAST_SEQ)
        write_ceiling(c, c->next + RESERVED);
}

int cp_oscore_state_take(struct cp_oscore_context *c, uint64_t *out)
{
    if (c->is_known && c->next > CP_OSCORE_LAST_SEQ)
        return cp_why(c->mem, COPAL_ELIMIT, "%s", out_of_numbers);
    if (c->is_known && c->is_kept && c->ceiling - c->next <= RESERVED / 2 &&
        c->ceiling <= CP_OSCORE_LAST_SEQ)
        write_ceiling(c,
                      c->next + RESERVED); /* once more after a failure, too */
    if (!c->is_known || c->next >= c->ceiling) {
        if (c->error != 0 && !c->is_writing)
            return cp_why(c->mem, c->error, "%s",
                          c->error == COPAL_ENOENT
                              ? lost
                              : "the state of its OSCORE context cannot be "
                                "kept");
        return CP_GUARD_LATER;
    }
    *out = c->next++;
    return 0;
}

/* ---- Echo ---- */

/* Made of whom and when, and kept nowhere. */
static int echo_of_slot(struct cp_oscore_context *c, uint64_t slot,
                        uint8_t out[CP_OSCORE_ECHO])
{
    struct cp_oscore *all = c->all;
    uint8_t mac[CP_HASH_LEN];
    struct {
        uint64_t slot, whose;
    } made_of = {slot, (uint64_t)(uintptr_t)c};
    int err = cp_hmac(CP_SHA256, cp_bytes(all->echo_key, sizeof(all->echo_key)),
                      cp_bytes(&made_of, sizeof(made_of)), mac);

    memcpy(out, mac, CP_OSCORE_ECHO);
    return err;
}

int cp_oscore_state_echo(struct cp_oscore_context *c,
                         uint8_t out[CP_OSCORE_ECHO])
{
    return echo_of_slot(c, c->all->engine->now / ECHO_SLOT_MS, out);
}

bool cp_oscore_state_is_echo(struct cp_oscore_context *c, copal_bytes value)
{
    uint64_t slot = c->all->engine->now / ECHO_SLOT_MS;
    uint8_t now[CP_OSCORE_ECHO], before[CP_OSCORE_ECHO];

    if (value.len != CP_OSCORE_ECHO || echo_of_slot(c, slot, now) != 0 ||
        echo_of_slot(c, slot - 1, before) != 0)
        return false;
    return cp_secret_equal(value.data, now, CP_OSCORE_ECHO) |
           cp_secret_equal(value.data, before, CP_OSCORE_ECHO);
}
