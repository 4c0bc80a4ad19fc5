#include "bench/results.h"

static void put(lua_State *L, const char *name, uint64_t n)
{
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, name);
}

static void put_number(lua_State *L, const char *name, double n)
{
    lua_pushnumber(L, n);
    lua_setfield(L, -2, name);
}

static void put_ms(lua_State *L, const char *name, uint64_t ns)
{
    put_number(L, name, (double)ns / 1e6);
}

/* ---- Durations ---- */

/* { upto = ms, count = } for each doubling between the least and the most. */
static void push_bars(lua_State *L, const struct bench_histogram *h)
{
    uint64_t before = 0, within;
    int n = 0;

    lua_newtable(L);
    /* From a 64th of a millisecond: bars end where people count,
     * at 0.5, 1, 2, 4 ms. */
    for (uint64_t bound = 15625; before < h->total && bound < UINT64_C(1) << 43;
         bound *= 2) {
        within = bench_histogram_within(h, bound);
        if (within > before || n > 0) {
            lua_newtable(L);
            put_ms(L, "upto", bound);
            put(L, "count", within - before);
            lua_rawseti(L, -2, ++n);
        }
        before = within;
    }
}

static void push_times(lua_State *L, const struct bench_histogram *h)
{
    static const struct {
        const char *name;
        double part;
    } rows[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99_9", .999}};

    lua_newtable(L);
    put(L, "count", h->total);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        put_ms(L, rows[i].name, bench_histogram_at(h, rows[i].part));
    put_ms(L, "min", h->least);
    put_ms(L, "max", h->most);
    put_number(L, "mean", h->total == 0 ? 0 : h->sum / (double)h->total / 1e6);
}

/* ---- Counters ---- */

static void put_counts(lua_State *L, const struct bench_load *l)
{
    const struct bench_counts *n = &l->counts;

    put(L, "sent", n->sent);
    put(L, "ok", n->ok);
    put(L, "client_errors", n->client_error);
    put(L, "server_errors", n->server_error);
    put(L, "timeouts", n->timeout);
    put(L, "resets", n->reset);
    put(L, "failed", n->failed);
    put(L, "unanswered", n->unanswered);
    put(L, "notifications", l->notifications);
    put(L, "gaps", l->gaps);
}

static void put_totals(lua_State *L, const struct bench_load *l)
{
    put(L, "retransmissions", l->total.retransmissions);
    put(L, "duplicates", l->total.duplicates);
    put(L, "datagrams_in", l->total.datagrams_in);
    put(L, "datagrams_out", l->total.datagrams_out);
    put(L, "bytes_in", l->total.bytes_in);
    put(L, "bytes_out", l->total.bytes_out);
    put(L, "late", l->late);
    put(L, "strays", l->strays);
    put(L, "delayed", l->delayed);
    put(L, "unsent", l->unsent);
}

static void push_lane(lua_State *L, const struct bench_lane *lane)
{
    lua_newtable(L);
    put(L, "done", lane->done);
    put(L, "bytes", lane->bytes);
    put(L, "blocks", lane->blocks);
    push_times(L, &lane->took);
    push_bars(L, &lane->took);
    lua_setfield(L, -2, "bars");
    lua_setfield(L, -2, "latency");
}

void bench_results_push(lua_State *L, const struct bench_load *l)
{
    lua_newtable(L);
    put_counts(L, l);
    put_totals(L, l);
    put_number(L, "elapsed", (double)(l->ended - l->begun) / 1e9);
    put_number(L, "cpu", l->cpu);
    lua_pushboolean(L, l->was_interrupted);
    lua_setfield(L, -2, "interrupted");
    lua_pushboolean(L, l->has_reused_ids);
    lua_setfield(L, -2, "reused_ids");
    if (l->error != 0) {
        lua_pushstring(L, copal_errname(l->error));
        lua_setfield(L, -2, "error");
        lua_pushstring(L, l->why);
        lua_setfield(L, -2, "why");
    }
    if (l->first_bad > 0)
        put(L, "bad_code", (uint64_t)l->first_bad);
    if (l->first_bad < 0) {
        lua_pushstring(L, copal_errname(l->first_bad));
        lua_setfield(L, -2, "bad_end");
    }
    push_lane(L, &l->lane[BENCH_DOWN]);
    lua_setfield(L, -2, "down");
    push_lane(L, &l->lane[BENCH_UP]);
    lua_setfield(L, -2, "up");
}

void bench_results_push_interval(lua_State *L, const struct bench_load *l)
{
    lua_newtable(L);
    put_counts(L, l);
    put_number(L, "at", (double)(bench_now() - l->begun) / 1e9);
    put(L, "busy", l->busy);
    put(L, "bytes", l->lane[BENCH_DOWN].bytes + l->lane[BENCH_UP].bytes);
    put(L, "blocks", l->lane[BENCH_DOWN].blocks + l->lane[BENCH_UP].blocks);
    push_times(L, &l->recent);
    lua_setfield(L, -2, "latency");
}
