#include "wire/params.h"

/* Ranges are wide: they keep sums and shifts of times and sizes from
 * overflowing and shut out what cannot be meant, no more. */
#define DAY      INT64_C(86400000)
#define YEAR     (365 * DAY)
#define GIBIBYTE (INT64_C(1) << 30)
#define TEBIBYTE (INT64_C(1) << 40)
#define MANY     (INT64_C(1) << 24)

enum {
    LEAST_RECORD = 16384
};

struct range {
    int64_t least, most;
    bool is_missing; /* what it tunes is not built in */
};

/* clang-format off */
static const struct range ranges[] = {
    [COPAL_P_TIMEOUT]          = {0, YEAR, false},
    [COPAL_P_ACK_TIMEOUT]      = {1, DAY, false},
    [COPAL_P_ACK_RANDOM]       = {100, 1000, false}, /* RFC 7252 4.8.1 */
    [COPAL_P_MAX_RETRANSMIT]   = {0, 20, false},
    [COPAL_P_NSTART]           = {1, 65535, false},
    [COPAL_P_PROBING_RATE]     = {1, GIBIBYTE, false},
    [COPAL_P_LEISURE]          = {0, DAY, false},
    [COPAL_P_SEPARATE_AFTER]   = {0, DAY, false},
    [COPAL_P_BLOCK_SIZE]       = {16, 1024, false},
    [COPAL_P_Q_BLOCK]          = {0, 1, false},
    [COPAL_P_CONGESTION]       = {0, 1, false},
    [COPAL_P_SILENCE]          = {0, YEAR, false},
    [COPAL_P_IGNORE_ICMP]      = {0, 1, false},
    [COPAL_P_KEEPALIVE]        = {0, YEAR, false},
    [COPAL_P_HOPS]             = {0, 255, false},
    [COPAL_P_INTERFACE]        = {0, INT32_MAX, false},
    [COPAL_P_SOCKET_BUFFER]    = {4096, GIBIBYTE, false},
    [COPAL_P_ECHO_FACTOR]      = {0, 1000, false},
    [COPAL_P_GUARD_LOOPBACK]   = {0, 1, false},
    [COPAL_P_CACHE_MEMORY]     = {0, TEBIBYTE, false},
    [COPAL_P_RECORD_MEMORY]    = {0, GIBIBYTE, false},
    [COPAL_P_RECORD_PAYLOADS]  = {0, 1, false},
    [COPAL_P_MAX_MEMORY]       = {0, TEBIBYTE, false},
    [COPAL_P_MAX_EXCHANGES]    = {1, MANY, false},
    [COPAL_P_MAX_PEERS]        = {1, MANY, false},
    [COPAL_P_MAX_OBSERVERS]    = {0, MANY, false},
    [COPAL_P_PEER_OBSERVERS]   = {0, MANY, false},
    [COPAL_P_MAX_BODY]         = {0, GIBIBYTE, false}, /* 2^20 blocks of 1024 */
    [COPAL_P_PEER_BODIES]      = {0, 65535, false},
    [COPAL_P_BODY_MEMORY]      = {0, TEBIBYTE, false},
    [COPAL_P_DEDUP_MEMORY]     = {0, TEBIBYTE, false},
    [COPAL_P_MAX_TOKEN]        = {8, 65804, false},    /* RFC 8974 2.1 */
    [COPAL_P_MAX_MESSAGE]      = {1152, GIBIBYTE, false}, /* RFC 8323 5.3.1 */
    [COPAL_P_MAX_CONNECTIONS]  = {0, MANY, false},
    [COPAL_P_ADDR_CONNECTIONS] = {0, MANY, false},
    [COPAL_P_MAX_HANDSHAKES]   = {0, MANY, false},
    [COPAL_P_GROUP_RATE]       = {0, 65535, false},
    [COPAL_P_MAX_UNPROVEN]     = {1, MANY, false},
    [COPAL_P_MAX_EDHOC]        = {0, 65535, false},
    [COPAL_P_EDHOC_TIMEOUT]    = {1, DAY, false},
    [COPAL_P_MAX_CONTEXTS]     = {1, MANY, false},
    [COPAL_P_LOG_BURST]        = {0, 65535, false},
    [COPAL_P_LOG_RATE]         = {1, 1000000, false},
};
/* clang-format on */

struct row {
    int number;
    int64_t value; /* the default */
    const char *where;
};

static const struct row rows[] = {
#define X(name, number, value, where, what) {(number), (value), where},
    COPAL_PARAMS(X)
#undef X
};

/* A parameter without a range could never be set. */
#define X(name, number, value, where, what) \
    _Static_assert((number) < sizeof(ranges) / sizeof(*ranges), #name);
COPAL_PARAMS(X)
#undef X

static const struct row *find_row(int number)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (rows[i].number == number)
            return &rows[i];
    return NULL;
}

static const char *place(char where)
{
    switch (where) {
    case 'M': return "one message";
    case 'S': return "the peers under a URI";
    default: return "an endpoint";
    }
}

int cp_params_check(struct cp_mem *mem, copal_param p, int64_t value,
                    char where)
{
    const struct row *row = find_row((int)p);
    const char *name = copal_name(COPAL_PARAMETERS, (int)p);
    const struct range *range;

    if (row == NULL)
        return cp_why(mem, COPAL_EINVAL, "parameter %d: there is none", (int)p);
    if (strchr(row->where, where) == NULL)
        return cp_why(mem, COPAL_EINVAL,
                      "%s: not to be set for %s; set it for %s", name,
                      place(where), place(row->where[0]));
    range = &ranges[row->number];
    if (value < range->least || value > range->most)
        return cp_why(
            mem, COPAL_EINVAL, "%s: %lld is out of range, %lld to %lld", name,
            (long long)value, (long long)range->least, (long long)range->most);
    if (p == COPAL_P_BLOCK_SIZE && (value & (value - 1)) != 0)
        return cp_why(mem, COPAL_EINVAL,
                      "%s: %lld is none of 16, 32, 64, 128, 256, 512, 1024",
                      name, (long long)value);
    if (p == COPAL_P_RECORD_MEMORY && value > 0 && value < LEAST_RECORD)
        return cp_why(mem, COPAL_EINVAL,
                      "%s: %lld is too small to hold anything; 0, or from %d",
                      name, (long long)value, LEAST_RECORD);
    if (range->is_missing && value != row->value)
        return cp_why(mem, COPAL_ENOTSUP,
                      "%s: not built in yet, so it stays at %lld", name,
                      (long long)row->value);
    return 0;
}
