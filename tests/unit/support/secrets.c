/* Nothing branches on a secret, and no address is made of one. As in ctgrind:
 * valgrind is told that a secret is not initialized, and complains where its
 * value decides anything. Run by it; alone, all this shows nothing. */
#include <stdio.h>
#include <valgrind/memcheck.h>
#include "base/secret.h"
#include "base/siphash.h"

enum {
    LEN = 16,
    SKIPPED = 77
};

static int failed;

static unsigned complaints(void)
{
    return VALGRIND_COUNT_ERRORS;
}

/* What became of secrets may be known from here on. */
static bool told(bool value)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(&value, sizeof(value));
    return value;
}

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "not so: %s\n", what);
    failed = 1;
}

static void a_comparison_does_not_depend_on_its_bytes(void)
{
    unsigned before = complaints();

    for (int at = -1; at < LEN; at++) {
        uint8_t secret[LEN] = "a tag, or a key", given[LEN] = "a tag, or a key";
        bool is_equal;

        if (at >= 0)
            given[at] ^= 1;
        (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, LEN);
        is_equal = told(cp_secret_equal(secret, given, LEN));
        (void)is_equal;
    }
    expect(complaints() == before, "cp_secret_equal() looks at all or nothing");
}

/* As an Echo value is made and looked at. */
static void a_mac_does_not_depend_on_its_key(void)
{
    unsigned before = complaints();
    uint8_t key[16] = "of this endpoint", given[8] = {0};
    uint64_t mac;

    (void)VALGRIND_MAKE_MEM_UNDEFINED(key, sizeof(key));
    mac = cp_siphash_mac(key, "who and when", 12);
    (void)told(cp_secret_equal(&mac, given, sizeof(mac)));
    expect(complaints() == before, "a MAC tells nothing of its key");
}

/* Else what is above shows nothing. */
static void what_stops_early_is_seen(void)
{
    unsigned before = complaints();
    volatile uint8_t secret[LEN] = {0}, given[LEN] = {1};
    size_t i = 0;

    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, LEN);
    while (i < LEN && secret[i] == given[i])
        i++;
    expect(complaints() > before, "valgrind sees a loop that stops early");
}

int main(void)
{
    if (!RUNNING_ON_VALGRIND)
        return SKIPPED;
    a_comparison_does_not_depend_on_its_bytes();
    a_mac_does_not_depend_on_its_key();
    what_stops_early_is_seen();
    return failed;
}
