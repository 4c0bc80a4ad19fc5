/* libcoap as speed.py measures it beside copal: "libcoap serve PORT" has what
 * examples/c/bench-server.c has, and takes PUT /hello; NOTIFY_CON=1 in the
 * environment makes notifications confirmable. "libcoap ask URI COUNT" asks
 * 127.0.0.1 so often, 16 at a time of 16 sessions, and says what CPU time one
 * took, in microseconds. */
#include <coap3/coap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SESSIONS = 16,
    WARM_UP = 1000
};

/* ---- A server ---- */

static unsigned version;

static void give(coap_pdu_t *response, coap_pdu_code_t code, const void *data,
                 size_t len)
{
    coap_pdu_set_code(response, code);
    if (len > 0)
        coap_add_data(response, len, data);
}

static void get(coap_resource_t *r, coap_session_t *s, const coap_pdu_t *m,
                const coap_string_t *query, coap_pdu_t *response)
{
    static uint8_t kilobyte[1024];
    coap_str_const_t *path = coap_resource_get_uri_path(r);
    char text[16];

    (void)s, (void)m, (void)query;
    if (path->length == 3 && path->s[0] == 'b') {
        give(response, COAP_RESPONSE_CODE_CONTENT, kilobyte, sizeof(kilobyte));
    } else if (path->length == 3) {
        snprintf(text, sizeof(text), "value %06u", version % 1000000);
        give(response, COAP_RESPONSE_CODE_CONTENT, text, strlen(text));
    } else {
        give(response, COAP_RESPONSE_CODE_CONTENT, "hello, world", 12);
    }
}

static void put(coap_resource_t *r, coap_session_t *s, const coap_pdu_t *m,
                const coap_string_t *query, coap_pdu_t *response)
{
    (void)s, (void)m, (void)query;
    give(response, COAP_RESPONSE_CODE_CHANGED, NULL, 0);
    version++;
    coap_resource_notify_observers(r, NULL);
}

static void add(coap_context_t *c, const char *path)
{
    int flags = getenv("NOTIFY_CON") ? COAP_RESOURCE_FLAGS_NOTIFY_CON
                                     : COAP_RESOURCE_FLAGS_NOTIFY_NON;
    coap_resource_t *r = coap_resource_init(coap_make_str_const(path), flags);

    coap_register_request_handler(r, COAP_REQUEST_GET, get);
    coap_register_request_handler(r, COAP_REQUEST_PUT, put);
    coap_resource_set_get_observable(r, strcmp(path, "obs") == 0);
    coap_add_resource(c, r);
}

static int serve(const coap_address_t *at)
{
    coap_context_t *c = coap_new_context(NULL);

    if (c == NULL || coap_new_endpoint(c, at, COAP_PROTO_UDP) == NULL)
        return 1;
    add(c, "hello");
    add(c, "big");
    add(c, "sink");
    add(c, "obs");
    for (;;)
        coap_io_process(c, COAP_IO_WAIT);
}

/* ---- A client ---- */

static long begun, done, count;
static double since;

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void ask(coap_session_t *s)
{
    coap_pdu_t *m = coap_new_pdu(COAP_MESSAGE_CON, COAP_REQUEST_CODE_GET, s);
    uint8_t token[8];
    size_t len;

    if (m == NULL)
        exit(1);
    coap_session_new_token(s, &len, token);
    coap_add_token(m, len, token);
    coap_add_option(m, COAP_OPTION_URI_PATH, 5, (const uint8_t *)"hello");
    begun++;
    if (coap_send(s, m) == COAP_INVALID_MID)
        exit(1);
}

static coap_response_t on_response(coap_session_t *s, const coap_pdu_t *sent,
                                   const coap_pdu_t *m, const coap_mid_t mid)
{
    (void)sent, (void)m, (void)mid;
    if (++done == WARM_UP)
        since = cpu_us();
    if (begun < count + WARM_UP)
        ask(s);
    return COAP_RESPONSE_OK;
}

static int ask_many(const coap_address_t *at)
{
    coap_context_t *c = coap_new_context(NULL);

    if (c == NULL)
        return 1;
    coap_register_response_handler(c, on_response);
    for (int i = 0; i < SESSIONS; i++)
        ask(coap_new_client_session(c, NULL, at, COAP_PROTO_UDP));
    while (done < count + WARM_UP)
        coap_io_process(c, 100);
    printf("%.3f\n", (cpu_us() - since) / (double)count);
    return 0;
}

int main(int argc, char **argv)
{
    const char *port = argc < 3 ? NULL : strrchr(argv[2], ':');
    coap_address_t at;

    if (argc < 3) {
        fprintf(stderr, "usage: libcoap serve PORT | libcoap ask URI COUNT\n");
        return 2;
    }
    coap_startup();
    coap_set_log_level((coap_log_t)0); /* names differ by version */
    coap_address_init(&at);
    at.addr.sin.sin_family = AF_INET;
    at.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.addr.sin.sin_port =
        htons((uint16_t)atoi(port == NULL ? argv[2] : port + 1));
    at.size = sizeof(at.addr.sin);
    if (strcmp(argv[1], "serve") == 0)
        return serve(&at);
    count = argc > 3 ? atol(argv[3]) : 0;
    return ask_many(&at);
}
