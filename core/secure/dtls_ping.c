#include "secure/dtls.h"

/* Empty confirmable messages, which every peer answers by a reset: RFC 7252 4.3.
 * They are known by their message ids; the engine does not see them. */
enum {
    MESSAGE = 4,
    PINGS = 2, /* their ids together are not guessed: 2^-32 */
    REST_MS = 1000,
    FIRST_WAIT_MS = 2000,
    GIVE_UP_MS = 30000, /* as of connections */
    CON_EMPTY = 0x40,
    RST_EMPTY = 0x70
};

struct cp_dtls_ping {
    struct cp_timer timer; /* of ours: KEEPALIVE */
    struct cp_dtls_session *session;
    uint16_t mids[PINGS];
    uint8_t open;     /* bit i: mids[i] is unanswered */
    bool proves;      /* that the peer is there now: else KEEPALIVE asks */
    uint32_t wait_ms; /* before it is sent again */
    uint64_t begun_at, sent_at;
};

static struct cp_dtls_ping *ping_of(struct cp_dtls_session *s)
{
    if (s->ping == NULL) {
        s->ping = cp_zalloc(s->dtls->mem, sizeof(*s->ping));
        if (s->ping != NULL)
            s->ping->session = s;
    }
    return s->ping;
}

static void send(struct cp_dtls_session *s, uint16_t mid)
{
    uint8_t message[MESSAGE] = {CON_EMPTY, 0, (uint8_t)(mid >> 8),
                                (uint8_t)mid};

    (void)cp_dtls_send_record(s, CP_APPLICATION,
                              cp_bytes(message, sizeof(message)));
}

static void ask(struct cp_dtls_ping *p, int count, bool proves)
{
    struct cp_dtls_session *s = p->session;

    p->proves = proves;
    p->open = (uint8_t)((1 << count) - 1);
    p->sent_at = s->dtls->engine->now;
    for (int i = 0; i < count; i++) {
        cp_engine_random(s->dtls->engine, &p->mids[i], sizeof(p->mids[i]));
        if (i > 0 && p->mids[i] == p->mids[0])
            p->mids[i]++;
        send(s, p->mids[i]);
    }
}

/* The request that made us ask is lost; the peer sends it again, and asks for
 * another sign if ours was lost, too. */
void cp_dtls_ping_prove(struct cp_dtls_session *s)
{
    struct cp_dtls_ping *p = ping_of(s);

    if (p == NULL || (p->proves && s->dtls->engine->now - p->sent_at < REST_MS))
        return;
    ask(p, PINGS, true);
}

static void answered(struct cp_dtls_session *s)
{
    if (!s->ping->proves || s->ping->open != 0)
        return;
    s->ping->proves = false;
    s->is_stale = false;
    cp_protect_forget(&s->protect);
}

bool cp_dtls_ping_takes(struct cp_dtls_session *s, copal_bytes message)
{
    struct cp_dtls_ping *p = s->ping;
    uint16_t mid;

    if (p == NULL || message.len != MESSAGE || message.data[0] != RST_EMPTY ||
        message.data[1] != 0)
        return false;
    mid = (uint16_t)(message.data[2] << 8 | message.data[3]);
    for (int i = 0; i < PINGS; i++)
        if ((p->open >> i & 1) != 0 && p->mids[i] == mid) {
            p->open = (uint8_t)(p->open & ~(1 << i));
            answered(s);
            return true;
        }
    return false;
}

/* ---- KEEPALIVE ---- */

static void on_timer(struct cp_timer *t);

static uint64_t silence_of(const struct cp_dtls_session *s)
{
    return (uint64_t)s->dtls->engine->params.value[COPAL_P_KEEPALIVE];
}

static void schedule(struct cp_dtls_ping *p, uint64_t at)
{
    cp_timer_start(&p->session->dtls->engine->timers, &p->timer, at, on_timer);
}

static void ask_again(struct cp_dtls_ping *p)
{
    uint64_t now = p->session->dtls->engine->now;
    uint64_t until = p->begun_at + GIVE_UP_MS;

    ask(p, p->proves ? PINGS : 1, p->proves);
    schedule(p, now + p->wait_ms < until ? now + p->wait_ms : until);
    p->wait_ms *= 2;
}

static void on_timer(struct cp_timer *t)
{
    struct cp_dtls_ping *p = cp_container_of(t, struct cp_dtls_ping, timer);
    struct cp_dtls_session *s = p->session;
    uint64_t now = s->dtls->engine->now, silence = silence_of(s);

    if (silence == 0) {
        p->begun_at = 0;
        return;
    }
    if (now - s->heard_at < silence) { /* something came meanwhile */
        p->begun_at = 0;
        schedule(p, s->heard_at + silence);
    } else if (p->begun_at == 0) {
        p->begun_at = now;
        p->wait_ms = FIRST_WAIT_MS;
        ask_again(p);
    } else if (now - p->begun_at >= GIVE_UP_MS) {
        cp_dtls_session_end(s, COPAL_ECLOSED, true);
    } else {
        ask_again(p);
    }
}

/* Of those that others opened nobody is asked: who sleeps would be woken. */
void cp_dtls_ping_watch(struct cp_dtls_session *s)
{
    uint64_t silence = silence_of(s);
    struct cp_dtls_ping *p = silence == 0 ? NULL : ping_of(s);

    if (p != NULL)
        schedule(p, s->heard_at + silence);
}

void cp_dtls_ping_free(struct cp_dtls_session *s)
{
    struct cp_dtls_ping *p = s->ping;

    if (p == NULL)
        return;
    if (s->dtls->driver->engine != NULL)
        cp_timer_stop(&s->dtls->engine->timers, &p->timer);
    s->ping = NULL;
    cp_free(s->dtls->mem, p);
}
