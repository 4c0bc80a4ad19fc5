/* Any datagram: what the trace tells of it, and of the answer, is one JSON object
 * (RFC 8259) on a line, in UTF-8, whatever is in it. */
#include "base/utf8.h"
#include <copal_sim.h>
#include "fuzz.h"

static const char *value(const char *at, int depth);

static const char *string(const char *at)
{
    require(*at++ == '"');
    while (*at != '"') {
        require((uint8_t)*at >= 0x20);
        if (*at++ != '\\')
            continue;
        require(*at != '\0' && strchr("\"\\/bfnrtu", *at) != NULL);
        if (*at++ == 'u')
            for (int i = 0; i < 4; i++, at++)
                require(*at != '\0' &&
                        strchr("0123456789abcdefABCDEF", *at) != NULL);
    }
    return at + 1;
}

/* Members or elements up to end. */
static const char *list(const char *at, char end, int depth)
{
    require(depth < 8);
    if (*++at == end)
        return at + 1;
    for (;; at++) {
        if (end == '}') {
            at = string(at);
            require(*at++ == ':');
        }
        at = value(at, depth + 1);
        if (*at == end)
            return at + 1;
        require(*at == ',');
    }
}

static const char *value(const char *at, int depth)
{
    size_t digits = strspn(at, "0123456789");

    if (*at == '{')
        return list(at, '}', depth);
    if (*at == '[')
        return list(at, ']', depth);
    if (*at == '"')
        return string(at);
    if (strncmp(at, "true", 4) == 0)
        return at + 4;
    require(digits > 0 && (*at != '0' || digits == 1));
    return at + digits;
}

static void on_line(const copal_event *ev, void *user)
{
    int *count = user;

    if (ev->kind != COPAL_TRACE)
        return;
    require(ev->text[0] == '{');
    require(*value(ev->text, 0) == '\0');
    require(cp_utf8_is_valid(cp_bytes_of_text(ev->text)));
    ++*count;
}

static void on_request(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_REQUEST) /* what came goes back */
        copal_reply(ev->exchange, COPAL_CONTENT, COPAL_OCTETS,
                    copal_msg_payload(ev->msg));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_sim *sim = copal_sim_new(1);
    copal *server =
        sim == NULL ? NULL : copal_sim_endpoint(sim, "server", NULL);
    int count = 0;

    if (server != NULL && size <= 1500) {
        copal_serve(server, 0, "*", COPAL_OBSERVABLE,
                    COPAL_CB(on_request, NULL));
        copal_trace(server, COPAL_TRACE_WIRE | COPAL_TRACE_STATE,
                    COPAL_CB(on_line, &count));
        copal_tune(server, NULL, COPAL_P_MAX_TOKEN, 65804);
        copal_sim_inject(sim, "stranger", "server", cp_bytes(data, size));
        copal_sim_run(sim, 1000);
        require(count > 0);
    }
    copal_sim_free(sim);
    return 0;
}
