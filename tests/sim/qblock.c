#include "qblock.h"
#include "net/sim.h"
#include "wire/datagram.h"

void speak(copal *c)
{
    copal_tune(c, NULL, COPAL_P_Q_BLOCK, 1);
    copal_tune(c, NULL, COPAL_P_BLOCK_SIZE, BLOCK);
}

void both_speak(struct world *w)
{
    speak(w->client);
    speak(w->server);
}

struct party *ask_path(struct world *w, int code, size_t size, unsigned flags)
{
    copal_msg *m = request_of(w, code, PATH, size);

    copal_msg_set_flags(m, flags);
    return send_request(w, m);
}

struct party *serve_path(struct world *w, int method, size_t size)
{
    return serve_body(w, method, "/path", 0, size);
}

void inject_as(struct world *w, const char *from, const char *to,
               const char *text, uint16_t mid, copal_bytes token,
               copal_bytes payload)
{
    uint8_t storage[2048];
    struct cp_buf out = cp_buf_fixed(storage, sizeof(storage));
    copal_msg *m = message_of(w->client, text + 4);
    bool lists = strstr(text, "ct=272") != NULL;
    copal_bytes datagram;

    if (payload.len > 0)
        copal_msg_set_payload(m, lists ? 272 : COPAL_NO_FORMAT, payload);
    assert_int_equal(cp_datagram_encode(m, text[0] == 'N' ? CP_NON : CP_CON,
                                        mid, token, &out),
                     0);
    copal_msg_unref(m);
    assert_int_equal(cp_buf_finish(&out, &datagram), 0);
    assert_int_equal(copal_sim_inject(w->sim, from, to, datagram), 0);
    copal_sim_run(w->sim, 0);
}

void stranger_sends(struct world *w, const char *from, const char *text,
                    uint16_t mid, uint8_t token, copal_bytes payload)
{
    inject_as(w, from, "server", text, mid, (copal_bytes){&token, 1}, payload);
}
