/* Open requests: whose answer a message is, and what is sent again. */
#include "load.h"
#include <stdlib.h>
#include <string.h>

enum {
    TRIES = 4,
    USES = 1 << (32 - SLOT_BITS)
};

static const uint64_t FIRST_WAIT = 2000000000; /* ns, doubling */
static const uint64_t LOOK = 50000000;

void load_begin(struct load *l)
{
    /* Observers have one each, and whoever changes things one. */
    l->slot_count = l->plan.window > l->plan.clients + 1 ? l->plan.window
                                                         : l->plan.clients + 1;
    l->slots = calloc(l->slot_count, sizeof(*l->slots));
    l->free = calloc(l->slot_count, sizeof(*l->free));
    l->next_mid = calloc(l->plan.clients + 1, sizeof(*l->next_mid));
    if (l->slots == NULL || l->free == NULL || l->next_mid == NULL)
        load_die("calloc");
    for (uint32_t i = l->plan.window; i-- > 0;)
        l->free[l->free_count++] = i;
    srandom((unsigned)wire_now());
    for (uint32_t i = 0; i <= l->plan.clients; i++)
        l->next_mid[i] = (uint16_t)random();
    for (uint32_t i = 0; i < l->slot_count; i++)
        l->slots[i].use = (uint16_t)(random() % USES);
    l->at_first = load_spent(l->plan.server);
    load_reset(l);
}

void load_reset(struct load *l)
{
    l->begun = l->done = l->lost = l->again = l->errors = l->stray = 0;
    l->told = l->twice = l->rounds = l->unheard = l->longest_gap = 0;
    l->at_start = load_spent(l->plan.server);
    l->own_cpu_ns = load_own_cpu();
    l->start = wire_now();
}

uint32_t load_take_slot(struct load *l)
{
    return l->free[--l->free_count];
}

static void give_back(struct load *l, struct slot *s)
{
    s->is_open = false;
    s->use = (uint16_t)((s->use + 1u) % USES);
    l->free[l->free_count++] = (uint32_t)(s - l->slots);
}

static void transmit(struct load *l, struct slot *s, const struct pattern *r)
{
    uint8_t *m = wire_put(&l->wire, s->client, r->len);
    uint32_t token = (uint32_t)(s - l->slots) | (uint32_t)s->use << SLOT_BITS;

    memcpy(m, r->bytes, r->len);
    m[2] = (uint8_t)(s->mid >> 8);
    m[3] = (uint8_t)s->mid;
    memcpy(m + 4, &token, TOKEN);
}

void load_ask(struct load *l, uint32_t slot, uint32_t client,
              const struct pattern *r)
{
    struct slot *s = &l->slots[slot];

    s->client = client;
    s->mid = l->next_mid[client]++;
    s->due = 0; /* set when it is first looked at: no clock for each */
    s->tries = 1;
    s->is_open = true;
    l->begun++;
    transmit(l, s, r);
}

/* Two looks apart at least, so a wait is as long as it says or a look more. */
static void look_for_overdue(struct load *l, const struct pattern *r)
{
    uint64_t now = wire_now();

    if (now < l->next_look)
        return;
    l->next_look = now + LOOK;
    for (uint32_t i = 0; i < l->slot_count; i++) {
        struct slot *s = &l->slots[i];

        if (!s->is_open)
            continue;
        if (s->due == 0) {
            s->due = now + FIRST_WAIT;
        } else if (s->due <= now && s->tries == TRIES) {
            l->lost++;
            l->done++;
            give_back(l, s);
        } else if (s->due <= now) {
            s->due = now + (FIRST_WAIT << s->tries++);
            l->again++;
            transmit(l, s, r);
        }
    }
    wire_flush(&l->wire);
}

static struct slot *slot_of(struct load *l, const uint8_t *m, size_t len)
{
    uint32_t token, i;

    if (len < 4 + TOKEN || (m[0] & 15) != TOKEN)
        return NULL;
    memcpy(&token, m + 4, TOKEN);
    i = token & (MOST_SLOTS - 1);
    if (i >= l->slot_count || l->slots[i].use != token >> SLOT_BITS)
        return NULL;
    return &l->slots[i];
}

static void acknowledge(struct load *l, uint32_t client, const uint8_t *m)
{
    uint8_t *ack = wire_put(&l->wire, client, 4);

    ack[0] = 0x60;
    ack[1] = 0;
    memcpy(ack + 2, m + 2, 2);
}

/* Behind the token: options up to Block2, whose M bit is the fourth. */
static bool has_more(const uint8_t *m, size_t len)
{
    unsigned number = 0;
    size_t at = 4 + TOKEN;

    while (at < len && m[at] != 0xff) {
        unsigned delta = m[at] >> 4, size = m[at] & 15u;

        at++;
        if (delta == 13)
            delta = 13u + m[at++];
        if (size == 13)
            size = 13u + m[at++];
        number += delta;
        if (number == 23)
            return size > 0 && at + size <= len && (m[at + size - 1] & 8);
        at += size;
    }
    return false;
}

static void take(struct load *l, const uint8_t *m, size_t len)
{
    struct slot *s = slot_of(l, m, len);
    bool is_con = len >= 4 && (m[0] & 0x30) == 0;

    if (s == NULL || m[0] >> 6 != 1) {
        l->stray++;
        return;
    }
    if (is_con)
        acknowledge(l, s->client, m);
    if (s->is_observer) {
        load_told(l, s, m);
        return;
    }
    if (!s->is_open) {
        l->stray++;
        return;
    }
    l->done++;
    l->errors += m[1] >> 5 != 2;
    l->has_more = has_more(m, len);
    if (l->round == 0 || s->client == l->plan.clients) {
        give_back(l, s);
        return;
    }
    s->is_open = false; /* observe.c: it has its slot for good */
    s->is_observer = m[1] >> 5 == 2 && len > 8 && m[8] >> 4 == 6;
    l->observers += s->is_observer;
}

void load_hear(struct load *l, const struct pattern *r)
{
    unsigned count = wire_receive(&l->wire);

    for (unsigned i = 0; i < count; i++)
        take(l, l->wire.in_data[i], l->wire.in[i].msg_len);
    wire_flush(&l->wire);
    look_for_overdue(l, r);
}
