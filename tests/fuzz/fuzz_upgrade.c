/* Heads of HTTP: what is read is read alike wherever the network cuts it, and
 * base64 that is read is written to the same text. */
#include <stdlib.h>
#include "base/base64.h"
#include "wire/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

static bool any(void *user, copal_bytes origin, copal_bytes host)
{
    (void)user;
    require(origin.len > 0 && host.len > 0);
    return true;
}

static void try_base64(copal_bytes text)
{
    uint8_t bytes[64];
    char again[96];
    struct cp_buf b = cp_buf_fixed(again, sizeof(again));
    size_t len;

    if (cp_base64_read(text, bytes, sizeof(bytes), &len) != 0)
        return;
    cp_put_base64(&b, cp_bytes(bytes, len));
    require(cp_bytes_equal(cp_bytes(again, b.len), text));
}

static void try_head(copal_bytes all,
                     int (*read)(copal_bytes bytes, struct cp_upgrade *out))
{
    struct cp_upgrade whole, part;
    int err = read(all, &whole);

    if (err != 0)
        return;
    require(whole.size > 0 && whole.size <= all.len &&
            whole.size <= CP_UPGRADE_LONGEST);
    for (size_t n = 0; n < whole.size; n += 1 + n / 16)
        require(read(cp_bytes(all.data, n), &part) == COPAL_ESTATE);
    require(read(cp_bytes(all.data, whole.size), &part) == 0);
    require(part.size == whole.size && part.status == whole.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes all = cp_bytes(data, size);
    struct cp_upgrade u;

    try_base64(all);
    (void)cp_upgrade_is_own_host(all);
    require(cp_upgrade_without_port(all).len <= all.len);
    try_head(all, cp_upgrade_read_request);
    try_head(all, cp_upgrade_read_response);
    if (cp_upgrade_read_request(all, &u) == 0)
        require(cp_upgrade_judge(&u, any, NULL) >= 101);
    return 0;
}
