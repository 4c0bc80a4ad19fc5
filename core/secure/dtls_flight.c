#include "secure/dtls.h"

enum {
    LINGER_MS = 120000,
    REST_MS = 100, /* a flight that comes in pieces asks for one answer */
    SEALED_MORE = CP_RECORD_HEAD + CP_RECORD_MORE + CP_CID_THEIRS
};

struct cp_dtls_flight *cp_dtls_flight_new(struct cp_dtls_session *s)
{
    struct cp_dtls_flight *f = cp_zalloc(s->dtls->mem, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->session = s;
    f->records = cp_buf_new(s->dtls->mem);
    return f;
}

void cp_dtls_flight_free(struct cp_dtls_flight *f)
{
    struct cp_dtls *d;

    if (f == NULL)
        return;
    d = f->session->dtls;
    if (d->driver->engine != NULL)
        cp_timer_stop(&d->engine->timers, &f->timer);
    cp_buf_free(&f->records);
    cp_free(d->mem, f);
}

void cp_dtls_flight_clear(struct cp_dtls_flight *f)
{
    cp_buf_free(&f->records);
    f->records = cp_buf_new(f->session->dtls->mem);
}

void cp_dtls_flight_flush(struct cp_dtls_flight *f)
{
    size_t len = f->gathered;

    f->gathered = 0;
    if (len == 0)
        return;
    f->sent_at = f->session->dtls->engine->now;
    cp_dtls_send_below(f->session->dtls, &f->session->path,
                       cp_bytes(f->out, len));
}

/* 0: it does not fit, even alone. */
static size_t put_plain(struct cp_dtls_flight *f, uint8_t type, uint64_t seq,
                        copal_bytes plain)
{
    struct cp_buf b =
        cp_buf_fixed(f->out + f->gathered, sizeof(f->out) - f->gathered);

    cp_put_u8(&b, type);
    cp_put_u16(&b, CP_DTLS_1_2);
    cp_put_u16(&b, 0);
    cp_put_u16(&b, (uint16_t)(seq >> 32));
    cp_put_u32(&b, (uint32_t)seq);
    cp_put_u16(&b, (uint16_t)plain.len);
    cp_put_bytes(&b, plain);
    return b.failed ? 0 : b.len;
}

/* Sealed by us, under a number of ours: the library's own never leaves. */
static void send(struct cp_dtls_flight *f, uint8_t type, bool is_sealed,
                 uint64_t seq, copal_bytes plain)
{
    struct cp_dtls_session *s = f->session;
    size_t most = plain.len + (is_sealed ? SEALED_MORE : CP_RECORD_HEAD);
    int len;

    if (most > sizeof(f->out) - f->gathered)
        cp_dtls_flight_flush(f);
    if (!is_sealed) {
        f->gathered += put_plain(f, type, seq, plain);
        return;
    }
    len = cp_protect_seal(&s->protect, s->dtls->aeads, type, plain,
                          f->out + f->gathered, sizeof(f->out) - f->gathered);
    f->gathered += len > 0 ? (size_t)len : 0;
}

void cp_dtls_flight_put(struct cp_dtls_flight *f, uint8_t type, bool is_sealed,
                        uint64_t seq, copal_bytes plain)
{
    size_t before = f->records.len;

    if (!is_sealed)
        f->last_plain = seq + f->more_plain;
    send(f, type, is_sealed, f->last_plain, plain);
    cp_put_u8(&f->records, type);
    cp_put_u8(&f->records, is_sealed);
    cp_put_u16(&f->records, (uint16_t)plain.len);
    cp_put_bytes(&f->records, plain);
    if (f->records.failed) /* cannot be sent again: the handshake may fail */
        f->records.len = before;
}

void cp_dtls_flight_repeat(struct cp_dtls_flight *f)
{
    struct cp_cursor c =
        cp_cursor_of(cp_bytes(f->records.data, f->records.len));
    uint64_t now = f->session->dtls->engine->now;

    if (now - f->sent_at < REST_MS)
        return;
    while (cp_cursor_left(&c) > 0) {
        uint8_t type = cp_take_u8(&c);
        bool is_sealed = cp_take_u8(&c);
        copal_bytes plain = cp_take(&c, cp_take_u16(&c));

        if (!is_sealed) {
            f->more_plain++;
            f->last_plain++;
        }
        send(f, type, is_sealed, f->last_plain, plain);
    }
    cp_dtls_flight_flush(f);
}

static void on_linger(struct cp_timer *t)
{
    struct cp_dtls_flight *f = cp_container_of(t, struct cp_dtls_flight, timer);

    f->session->last = NULL;
    cp_dtls_flight_free(f);
}

void cp_dtls_flight_linger(struct cp_dtls_flight *f)
{
    struct cp_engine *e = f->session->dtls->engine;

    f->session->last = f;
    cp_timer_start(&e->timers, &f->timer, e->now + LINGER_MS, on_linger);
}
