/* Messages of EDHOC to a session that waits for them: as they are, or what is
 * sealed in them, which is sealed here with the session's own keys. The first
 * byte says which. A session fails with an error message that can be read, or
 * goes on, and all its memory comes back. Curves are stubs. */
#include "curves.h"
#include "decoder.h"
#include "secure/edhoc_core.h"
#include "wire/cbor.h"

enum what {
    MESSAGE_1,
    MESSAGE_2,
    PLAINTEXT_2,
    MESSAGE_3,
    PLAINTEXT_3,
    MESSAGE_4,
    PLAINTEXT_4,
    PREFIX,
    ERROR_MESSAGE,
    WHATS
};

/* Of each end one to sign and one to agree with: {8: {1: {1: 1, 2: h'6b', -1: 6,
 * -2: 32 bytes}}}; and the id of all of them. */
static uint8_t creds[2][2][64], id[] = {0xa1, 4, 0x41, 'k'};
static const bool ends[] = {false, true};
static size_t cred_len;
static struct cp_aeads *aeads;
static struct cp_mem *outside;

static void make_credentials(void)
{
    for (int i = 0; i < 4; i++) {
        struct cp_public_key key = {.curve =
                                        i % 2 == 0 ? CP_ED25519 : CP_X25519,
                                    .x = {(uint8_t)(i / 2)}};
        struct cp_buf b =
            cp_buf_fixed(creds[i / 2][i % 2], sizeof(creds[0][0]));

        cp_edhoc_credential_put_ccs(&b, &key, (copal_bytes){0},
                                    cp_bytes("k", 1));
        require(!b.failed);
        cred_len = b.len;
    }
    outside = cp_mem_new(NULL, NULL);
    aeads = cp_aeads_new(outside);
}

static bool own(void *user, enum cp_curve curve, struct cp_edhoc_own *out)
{
    static const uint8_t secret[CP_CURVE_KEY] = {1};

    out->id = cp_bytes(id, sizeof(id));
    out->cred =
        cp_bytes(creds[*(const bool *)user][curve == CP_X25519], cred_len);
    out->secret = secret;
    return curve != CP_P256;
}

static int find(void *user, const struct cp_cose_id *named, size_t i,
                struct cp_edhoc_credential *out)
{
    (void)named;
    if (i >= 2)
        return COPAL_ENOENT;
    return cp_edhoc_credential_read(
        cp_bytes(creds[!*(const bool *)user][i], cred_len), out, NULL);
}

static int choose(void *user, const struct cp_edhoc_cid *taken,
                  struct cp_edhoc_cid *out)
{
    (void)user;
    *out = (struct cp_edhoc_cid){1, {taken->len == 0 ? 1 : 2}};
    return 0;
}

static void start(struct cp_edhoc *s, int method, bool is_initiator)
{
    struct cp_edhoc_setup setup = {.mem = outside,
                                   .aeads = aeads,
                                   .suites = {2, {0, 4}},
                                   .methods = 1u << method,
                                   .own = own,
                                   .find = find,
                                   .choose = choose,
                                   .user = (void *)&ends[is_initiator]};

    cp_edhoc_init(s, &setup, is_initiator);
}

/* Both ends, as far as the message before the one that is to come: led up once,
 * and copied for each input. */
static void lead_up(struct cp_edhoc *i, struct cp_edhoc *r, int method,
                    enum what what)
{
    copal_bytes out;

    start(i, method, true);
    start(r, method, false);
    if (what == MESSAGE_1)
        return;
    require(cp_edhoc_begin(i, 0, &out) == 0);
    require(cp_edhoc_take_1(r, out, &out) == 0);
    if (what == MESSAGE_2 || what == PLAINTEXT_2)
        return;
    require(cp_edhoc_take_2(i, out, &out) == 0);
}

static struct cp_edhoc copy_of(const struct cp_edhoc *s)
{
    struct cp_edhoc copy = *s;

    copy.setup.mem = copy.schedule.mem = memory();
    copy.out = cp_buf_new(memory());
    return copy;
}

static void pair_up(struct cp_edhoc *i, struct cp_edhoc *r, int method,
                    enum what what)
{
    static struct cp_edhoc led[PREFIX][4][2];
    struct cp_edhoc *pair = led[what][method];

    if (pair[0].setup.mem == NULL)
        lead_up(&pair[0], &pair[1], method, what);
    *i = copy_of(&pair[0]);
    *r = copy_of(&pair[1]);
}

static void check(struct cp_edhoc *s, int err, copal_bytes out)
{
    struct cp_edhoc_error e;

    require(err <= 0 && err != COPAL_ENOMEM && err != COPAL_ESTATE);
    if (err == 0)
        return;
    require(s->state == CP_EDHOC_FAILED);
    require(out.len > 0 && cp_edhoc_read_error(out, &e) == 0);
}

static void put(struct cp_buf *b, copal_bytes bytes)
{
    cp_cbor_put_bytes(b, bytes);
    require(!b->failed);
}

/* in, as the other end would have sent it. */
static void seal_2(struct cp_edhoc *i, copal_bytes in, struct cp_buf *message)
{
    struct cp_edhoc copy = *i;
    uint8_t g_y[CP_CURVE_KEY] = {2};
    struct cp_buf both = cp_buf_new(memory());

    memcpy(copy.peer_x, g_y, sizeof(g_y));
    require(cp_edhoc_agree(&copy, copy.peer_x) == 0);
    cp_put_bytes(&both, cp_bytes(g_y, sizeof(g_y)));
    cp_put_bytes(&both, in);
    require(!both.failed);
    require(cp_edhoc_stream(&copy.schedule, copy.prk, copy.hash,
                            both.data + CP_CURVE_KEY, in.len) == 0);
    put(message, cp_bytes(both.data, both.len));
    cp_buf_free(&both);
}

static void seal(const struct cp_edhoc *s, int label, copal_bytes in,
                 struct cp_buf *message)
{
    size_t len = in.len + cp_aead_tag_len(s->schedule.suite->aead);
    uint8_t *sealed = cp_alloc(memory(), len);

    require(sealed != NULL && cp_edhoc_seal(&s->schedule, s->prk, s->hash,
                                            label, in, sealed) == 0);
    put(message, cp_bytes(sealed, len));
    cp_free(memory(), sealed);
}

static void play(enum what what, int method, copal_bytes in)
{
    struct cp_buf message = cp_buf_new(memory());
    struct cp_edhoc i, r;
    copal_bytes out;

    pair_up(&i, &r, method, what);
    switch (what) {
    case MESSAGE_1: check(&r, cp_edhoc_take_1(&r, in, &out), out); break;
    case MESSAGE_2: check(&i, cp_edhoc_take_2(&i, in, &out), out); break;
    case PLAINTEXT_2:
        seal_2(&i, in, &message);
        check(&i,
              cp_edhoc_take_2(&i, cp_bytes(message.data, message.len), &out),
              out);
        break;
    case MESSAGE_3: check(&r, cp_edhoc_take_3(&r, in, &out), out); break;
    case PLAINTEXT_3:
        seal(&r, CP_K_3, in, &message);
        check(&r,
              cp_edhoc_take_3(&r, cp_bytes(message.data, message.len), &out),
              out);
        break;
    case MESSAGE_4: check(&i, cp_edhoc_take_4(&i, in, &out), out); break;
    default:
        seal(&i, CP_K_4, in, &message);
        check(&i,
              cp_edhoc_take_4(&i, cp_bytes(message.data, message.len), &out),
              out);
    }
    cp_buf_free(&message);
    cp_edhoc_clear(&i);
    cp_edhoc_clear(&r);
}

/* An identifier in front is written as it was read. */
static void check_prefix(copal_bytes in)
{
    struct cp_buf b = cp_buf_new(memory());
    struct cp_edhoc_cid cid;
    copal_bytes rest;
    bool first;

    if (cp_edhoc_read_prefix(in, &first, &cid, &rest) == 0) {
        require_within(in, rest);
        if (!first) {
            cp_edhoc_put_cid(&b, cp_edhoc_cid_bytes(&cid));
            cp_put_bytes(&b, rest);
            require(cp_bytes_equal(in, cp_bytes(b.data, b.len)));
        }
    }
    cp_buf_free(&b);
}

static void check_error(copal_bytes in)
{
    struct cp_buf b = cp_buf_new(memory());
    struct cp_edhoc_error e, again;
    copal_bytes out;

    if (cp_edhoc_read_error(in, &e) == 0 &&
        (e.code == CP_EDHOC_UNSPECIFIED || e.code == CP_EDHOC_WRONG_SUITE)) {
        cp_edhoc_put_error(&b, &e);
        require(cp_buf_finish(&b, &out) == 0 && cp_bytes_equal(in, out));
        require(cp_edhoc_read_error(out, &again) == 0);
    }
    cp_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes in = cp_bytes(data, size);
    enum what what;

    if (size == 0)
        return 0;
    if (aeads == NULL)
        make_credentials();
    in = cp_bytes(data + 1, size - 1);
    what = data[0] % WHATS;
    if (what == PREFIX)
        check_prefix(in);
    else if (what == ERROR_MESSAGE)
        check_error(in);
    else
        play(what, data[0] / WHATS % 4, in);
    require_all_back();
    return 0;
}
