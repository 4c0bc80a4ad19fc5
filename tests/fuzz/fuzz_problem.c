/* Any bytes as problem details: what is read is within them, can be written,
 * reads the same again, and is then written without a change. RFC 9290. */
#include "decoder.h"
#include "wire/problem.h"

static size_t count_entries(copal_bytes whole, const copal_problem *p)
{
    copal_problem_item item;
    size_t count = 0;
    int err;

    while ((err = copal_problem_entry(p, count, &item)) == 0) {
        require_within(whole, item.uri);
        require_within(whole, item.value);
        require(item.value.len > 0);
        count++;
    }
    require(err == COPAL_ENOENT);
    return count;
}

static void require_same(const copal_problem *a, const copal_problem *b)
{
    require(cp_bytes_equal(a->title.text, b->title.text));
    require(cp_bytes_equal(a->title.lang, b->title.lang));
    require(cp_bytes_equal(a->detail.text, b->detail.text));
    require(cp_bytes_equal(a->detail.lang, b->detail.lang));
    require(a->title.direction == b->title.direction);
    require(a->detail.direction == b->detail.direction);
    require(cp_bytes_equal(a->instance, b->instance));
    require(a->response_code == b->response_code);
    require(cp_bytes_equal(a->base_uri, b->base_uri));
    require(cp_bytes_equal(a->base_lang, b->base_lang));
    require(a->base_direction == b->base_direction);
}

/* Nothing but what says no more than its absence: base-rtl null, code 0. */
static bool is_empty(const copal_problem *p, size_t entries)
{
    return entries == 0 && p->title.text.data == NULL &&
           p->detail.text.data == NULL && p->instance.data == NULL &&
           p->response_code == 0 && p->base_uri.data == NULL &&
           p->base_lang.data == NULL && p->base_direction == COPAL_AUTO;
}

static void check(copal_bytes in, const copal_problem *p)
{
    struct cp_buf once = cp_buf_new(memory()), twice = cp_buf_new(memory());
    copal_problem again = {.size = sizeof(again)};
    copal_bytes first = {0}, second;
    size_t entries = count_entries(in, p);
    int err = cp_problem_write(&once, p);

    if (is_empty(p, entries)) {
        require(err == COPAL_EINVAL);
    } else {
        require(err == 0 && cp_buf_finish(&once, &first) == 0);
        require(cp_problem_read(first, &again) == 0);
        require_same(p, &again);
        require(count_entries(first, &again) == entries);
        require(cp_problem_write(&twice, &again) == 0);
        require(cp_buf_finish(&twice, &second) == 0);
        require(cp_bytes_equal(first, second));
    }
    cp_buf_free(&once);
    cp_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_problem p = {.size = sizeof(p)};
    int err = cp_problem_read(cp_bytes(data, size), &p);

    require(err == 0 || err == COPAL_EFORMAT || err == COPAL_ELIMIT);
    if (err != 0)
        return 0;
    require_within(cp_bytes(data, size), p.title.text);
    require_within(cp_bytes(data, size), p.detail.text);
    check(cp_bytes(data, size), &p);
    require_all_back();
    return 0;
}
