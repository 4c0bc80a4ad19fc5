#include "wire/message.h"
#include "wire/datagram.h"
#include "wire/message_text.h"
#include "wire/option.h"
#include "wire/target.h"

enum {
    MAX_OPTIONS = 32768 /* of one message */
};

static void msg_free(copal_msg *m)
{
    struct cp_mem *mem = m->mem;

    if (m->is_secret && m->payload_of == NULL)
        cp_wipe((void *)m->payload.data, m->payload.len);
    copal_msg_unref(m->payload_of);
    copal_msg_unref(m->request);
    cp_guard_unref(m->guard);
    cp_free(mem, m->own_payload);
    cp_target_unref(mem, m->target);
    cp_kept_text_free(mem, m->kept);
    cp_free(mem, m->tuned);
    if (!m->names_guard)
        cp_free(mem, m->identity);
    if (m->options != m->inline_options)
        cp_free(mem, m->options);
    if (m->data != (uint8_t *)(m + 1))
        cp_free(mem, m->data);
    cp_free(mem, m);
}

static void msg_reap(struct cp_dead *dead)
{
    copal_msg *m = cp_container_of(dead, copal_msg, refs.dead);

    if (cp_refs_settle(&m->refs) == 0)
        msg_free(m);
}

copal_msg *cp_msg_new(struct cp_mem *mem, int code, size_t room)
{
    copal_msg *m = cp_alloc(mem, sizeof(*m) + room);

    if (m == NULL)
        return NULL;
    cp_clear(m, offsetof(copal_msg, inline_options));
    cp_refs_init(&m->refs, msg_reap);
    m->mem = mem;
    m->code = (uint8_t)code;
    m->type = 0xff;
    m->options = m->inline_options;
    m->option_cap = CP_INLINE_OPTIONS;
    m->data = (uint8_t *)(m + 1);
    m->data_cap = (uint32_t)room;
    return m;
}

copal_msg *copal_msg_ref(const copal_msg *m)
{
    copal_msg *mine = (copal_msg *)m;

    if (mine != NULL)
        cp_refs_take(&mine->refs, mine->mem);
    return mine;
}

void copal_msg_unref(const copal_msg *m)
{
    copal_msg *mine = (copal_msg *)m;

    if (mine != NULL && cp_refs_drop(&mine->refs, mine->mem) == 0)
        msg_free(mine);
}

/* ---- Options ---- */

const struct cp_option *cp_msg_seek(const copal_msg *m, unsigned option)
{
    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number == option)
            return &m->options[i];
    return NULL;
}

copal_bytes cp_msg_etag(const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_ETAG);

    return o == NULL ? (copal_bytes){0} : cp_msg_option_value(m, o);
}

bool cp_msg_has_etag(const copal_msg *m, copal_bytes etag)
{
    if (etag.len == 0 || !cp_msg_has(m, COPAL_OPT_ETAG))
        return false;
    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number == COPAL_OPT_ETAG &&
            cp_bytes_equal(cp_msg_option_value(m, &m->options[i]), etag))
            return true;
    return false;
}

uint64_t cp_msg_max_age(const copal_msg *m)
{
    return cp_msg_uint_or(m, COPAL_OPT_MAX_AGE, 60);
}

int cp_msg_grow_options(copal_msg *m, size_t more)
{
    size_t need = m->option_count + more, cap = m->option_cap;
    struct cp_option *options;

    if (need > MAX_OPTIONS)
        return COPAL_ELIMIT;
    while (cap < need)
        cap *= 2;
    options = cp_alloc(m->mem, cap * sizeof(*options));
    if (options == NULL)
        return COPAL_ENOMEM;
    memcpy(options, m->options, m->option_count * sizeof(*options));
    if (m->options != m->inline_options)
        cp_free(m->mem, m->options);
    m->options = options;
    m->option_cap = (uint16_t)cap;
    return 0;
}

/* Is part within m's data, and not merely empty at its edge? */
static bool stands_in_data(const copal_msg *m, copal_bytes part)
{
    uintptr_t at = (uintptr_t)part.data, begin = (uintptr_t)m->data;

    return part.len > 0 && at >= begin && at < begin + m->data_len;
}

static void move_data(copal_msg *m, uint8_t *to)
{
    if (m->data_len > 0)
        memcpy(to, m->data, m->data_len);
    if (stands_in_data(m, m->token))
        m->token.data = to + (m->token.data - m->data);
    if (stands_in_data(m, m->payload))
        m->payload.data = to + (m->payload.data - m->data);
    if (m->data != (uint8_t *)(m + 1))
        cp_free(m->mem, m->data);
    m->data = to;
}

int cp_msg_grow(copal_msg *m, size_t more)
{
    size_t need = m->data_len + more, cap = m->data_cap < 32 ? 32 : m->data_cap;
    uint8_t *data;

    while (cap < need)
        cap *= 2;
    if (cap > UINT32_MAX)
        return COPAL_ELIMIT;
    data = cp_alloc(m->mem, cap);
    if (data == NULL)
        return COPAL_ENOMEM;
    move_data(m, data);
    m->data_cap = (uint32_t)cap;
    return 0;
}

/* Options are kept sorted, those of one number in the order they were added. */
static void insert_option(copal_msg *m, struct cp_option o)
{
    size_t i = m->option_count++;

    while (i > 0 && m->options[i - 1].number > o.number) {
        m->options[i] = m->options[i - 1];
        i--;
    }
    m->options[i] = o;
    if (o.number < 64)
        m->present |= UINT64_C(1) << o.number;
}

int cp_msg_index(copal_msg *m, unsigned option, copal_bytes value)
{
    int err = cp_msg_reserve_options(m, 1);

    if (err != 0)
        return err;
    insert_option(
        m, (struct cp_option){
               .at = value.len > 0 ? (uint32_t)(value.data - m->data) : 0,
               .len = (uint32_t)value.len,
               .number = (uint16_t)option});
    return 0;
}

int cp_msg_add(copal_msg *m, unsigned option, copal_bytes value)
{
    bool is_own = stands_in_data(m, value); /* a copy of another option */
    size_t at = is_own ? (size_t)(value.data - m->data) : 0;
    int err = cp_msg_reserve_options(m, 1);

    if (err == 0)
        err = cp_msg_reserve(m, value.len);
    if (err != 0)
        return err;
    if (is_own)
        value.data = m->data + at;
    if (value.len > 0)
        memcpy(m->data + m->data_len, value.data, value.len);
    insert_option(m, (struct cp_option){.at = m->data_len,
                                        .len = (uint32_t)value.len,
                                        .number = (uint16_t)option});
    m->data_len += (uint32_t)value.len;
    return 0;
}

int cp_msg_add_uint(copal_msg *m, unsigned option, uint64_t value)
{
    uint8_t bytes[8];

    return cp_msg_add(m, option, cp_bytes_of_uint(value, bytes));
}

void cp_msg_remove(copal_msg *m, unsigned option)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number != option)
            m->options[kept++] = m->options[i];
    m->option_count = (uint16_t)kept;
    if (option < 64)
        m->present &= ~(UINT64_C(1) << option);
}

/* ---- Payload ---- */

static void drop_payload(copal_msg *m)
{
    copal_msg_unref(m->payload_of);
    cp_free(m->mem, m->own_payload);
    m->payload_of = NULL;
    m->own_payload = NULL;
    m->payload = (copal_bytes){0};
}

void cp_msg_borrow_payload(copal_msg *m, const copal_msg *owner,
                           copal_bytes part)
{
    const copal_msg *keep = copal_msg_ref(owner);

    drop_payload(m);
    m->payload_of = keep;
    m->payload = part;
}

void cp_msg_give_payload(copal_msg *m, uint8_t *p, size_t len)
{
    drop_payload(m);
    m->own_payload = p;
    m->payload = cp_bytes(p, len);
}

int cp_msg_copy_payload(copal_msg *m, copal_bytes payload)
{
    uint8_t *p = NULL;

    if (payload.len > 0) {
        p = cp_alloc(m->mem, payload.len);
        if (p == NULL)
            return COPAL_ENOMEM;
        memcpy(p, payload.data, payload.len);
    }
    cp_msg_give_payload(m, p, payload.len);
    return 0;
}

int cp_msg_append_payload(copal_msg *m, copal_bytes payload)
{
    int err = cp_msg_reserve(m, payload.len);
    uint8_t *at = m->data + m->data_len;

    if (err != 0)
        return err;
    drop_payload(m);
    if (payload.len > 0)
        memcpy(at, payload.data, payload.len);
    m->data_len += (uint32_t)payload.len;
    m->payload = cp_bytes(at, payload.len);
    return 0;
}

/* ---- Copies ---- */

/* to has none yet, and room for all their values. */
static int copy_options(copal_msg *to, const copal_msg *from)
{
    int err = cp_msg_reserve_options(to, from->option_count);

    if (err != 0)
        return err;
    for (size_t i = 0; i < from->option_count; i++) {
        const struct cp_option *o = &from->options[i];
        uint8_t *at = to->data + to->data_len;

        if (o->len > 0)
            memcpy(at, from->data + o->at, o->len);
        to->data_len += o->len;
        cp_msg_index_last(to, o->number, cp_bytes(at, o->len));
    }
    return 0;
}

static int copy_tuned(copal_msg *to, const copal_msg *from)
{
    size_t size = CP_MAX_TUNED * sizeof(*from->tuned);

    if (from->tuned == NULL)
        return 0;
    to->tuned = cp_alloc(to->mem, size);
    if (to->tuned == NULL)
        return COPAL_ENOMEM;
    memcpy(to->tuned, from->tuned, size);
    return 0;
}

/* What may still change cannot be shared: the next setter would free it. */
static int share_payload(copal_msg *copy, const copal_msg *m)
{
    if (m->payload.len == 0)
        return 0;
    if (m->payload_of == NULL && !m->frozen)
        return cp_msg_copy_payload(copy, m->payload);
    cp_msg_borrow_payload(copy, m->payload_of != NULL ? m->payload_of : m,
                          m->payload);
    return 0;
}

static bool copy_identity(copal_msg *to, const copal_msg *from)
{
    if (from->identity == NULL)
        return true;
    to->names_guard = from->names_guard;
    to->identity = from->names_guard ? from->identity
                                     : cp_copy_text(to->mem, from->identity,
                                                    strlen(from->identity));
    return to->identity != NULL;
}

copal_msg *cp_msg_derive_head(const copal_msg *m)
{
    size_t room = m->token.len;
    copal_msg *copy;

    for (size_t i = 0; i < m->option_count; i++)
        room += m->options[i].len;
    copy = cp_msg_new(m->mem, m->code, room + 16); /* a few small ones more */
    if (copy == NULL)
        return NULL;
    copy->type = m->type;
    copy->mid = m->mid;
    copy->scheme = m->scheme;
    copy->flags = m->flags;
    copy->received = m->received;
    copy->is_multicast = m->is_multicast;
    copy->path = m->path;
    copy->from = m->from;
    copy->request = copal_msg_ref(m->request);
    copy->guard = cp_guard_ref(m->guard);
    if (m->token.len > 0) {
        memcpy(copy->data, m->token.data, m->token.len);
        copy->token = cp_bytes(copy->data, m->token.len);
        copy->data_len = (uint32_t)m->token.len;
    }
    if (copy_options(copy, m) != 0 || copy_tuned(copy, m) != 0 ||
        !copy_identity(copy, m)) {
        copal_msg_unref(copy);
        return NULL;
    }
    return copy;
}

copal_msg *cp_msg_derive(const copal_msg *m)
{
    copal_msg *copy = cp_msg_derive_head(m);

    if (copy != NULL && share_payload(copy, m) != 0) {
        copal_msg_unref(copy);
        return NULL;
    }
    return copy;
}

copal_msg *copal_msg_copy(const copal_msg *m)
{
    copal_msg *copy = m == NULL ? NULL : cp_msg_derive(m);

    if (copy == NULL)
        return NULL;
    copy->received = false;
    if (copy->names_guard)
        copy->identity = NULL;
    cp_guard_unref(copy->guard);
    copy->guard = NULL;
    copy->resumed = m->resumed;
    copy->resume_at = m->resume_at;
    copy->resume_etag_len = m->resume_etag_len;
    memcpy(copy->resume_etag, m->resume_etag, sizeof(m->resume_etag));
    copy->type = 0xff;
    copy->token = (copal_bytes){0};
    copy->path = (struct cp_path){0};
    copy->target = cp_target_ref(m->target);
    return copy;
}

/* ---- Parameters of one message ---- */

int64_t cp_msg_tuned(const copal_msg *m, int param, int64_t otherwise)
{
    if (m->tuned != NULL)
        for (size_t i = 0; i < CP_MAX_TUNED; i++)
            if (m->tuned[i].param == param)
                return m->tuned[i].value;
    return otherwise;
}

/* ---- What a receiver must check ---- */

static bool fits(const struct cp_option_def *def, const struct cp_option *o)
{
    return o->len >= def->shortest && o->len <= def->longest;
}

static bool may_repeat(const copal_msg *m, const struct cp_option_def *def)
{
    if (def->number == COPAL_OPT_ETAG) /* in requests only: RFC 7252 5.10.6 */
        return cp_code_is_request(m->code);
    if (def->number == COPAL_OPT_Q_BLOCK2) /* likewise: RFC 9177 4.1 */
        return cp_code_is_request(m->code);
    return def->repeatable;
}

unsigned cp_msg_check_options(copal_msg *m,
                              bool (*understood)(void *user, unsigned number),
                              void *user)
{
    size_t kept = 0;
    unsigned bad = 0;

    m->present = 0;
    for (size_t i = 0; i < m->option_count; i++) {
        struct cp_option o = m->options[i];
        const struct cp_option_def *def = cp_option_find(o.number);
        bool known = def != NULL;
        bool good = known && fits(def, &o);

        if (good && kept > 0 && m->options[kept - 1].number == o.number)
            good = may_repeat(m, def);
        if (!known && understood != NULL && understood(user, o.number))
            known = good = true;
        if (!good && cp_option_is_critical(o.number) && bad == 0)
            bad = o.number;
        if (known && !good && !cp_option_is_critical(o.number))
            continue; /* as if it were not there */
        m->options[kept++] = o;
        if (o.number < 64)
            m->present |= UINT64_C(1) << o.number;
    }
    m->option_count = (uint16_t)kept;
    return bad;
}

static bool is_in_cache_key(unsigned option)
{
    switch (option) {
    case COPAL_OPT_OBSERVE:
    case COPAL_OPT_BLOCK1:
    case COPAL_OPT_BLOCK2:
    case COPAL_OPT_Q_BLOCK1:
    case COPAL_OPT_Q_BLOCK2:
    case COPAL_OPT_SIZE1:
    case COPAL_OPT_SIZE2:
    case COPAL_OPT_ETAG:
    case COPAL_OPT_NO_RESPONSE:
    case COPAL_OPT_ECHO: return false;
    default: return !cp_option_is_no_cache_key(option);
    }
}

void cp_msg_hash_cache_key(const copal_msg *m, unsigned but, struct cp_sip *s)
{
    cp_sip_add(s, m->code);
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        if (o->number == but || !is_in_cache_key(o->number))
            continue;
        cp_sip_add(s, (uint64_t)o->number << 32 | o->len);
        cp_sip_add_bytes(s, m->data + o->at, o->len);
    }
}

void cp_msg_put_cache_key(const copal_msg *m, struct cp_buf *out)
{
    cp_put_u8(out, m->code);
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        if (!is_in_cache_key(o->number))
            continue;
        cp_put_u16(out, o->number);
        cp_put_u32(out, o->len);
        cp_put_bytes(out, cp_msg_option_value(m, o));
    }
}
