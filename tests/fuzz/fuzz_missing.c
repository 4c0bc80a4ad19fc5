/* A list of missing blocks: what is taken rises and stays below the body's end,
 * and written again it is read alike. RFC 9177 5. The first two bytes say how
 * many blocks there are and how many are taken. */
#include "decoder.h"
#include "wire/missing.h"

enum {
    MOST = 16
};

static void come_back(const uint32_t *nums, size_t n, uint32_t count)
{
    struct cp_buf b = cp_buf_new(memory());
    uint32_t again[MOST];
    size_t m;

    cp_missing_put(&b, nums, n);
    require(cp_missing_read(cp_bytes(b.data, b.len), count, again, MOST, &m) ==
            0);
    require(m == n && memcmp(nums, again, n * sizeof(*nums)) == 0);
    cp_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes rest = cp_bytes(data, size);
    uint32_t count = 1u << take_number(&rest, 1) % 21;
    size_t cap = 1 + take_number(&rest, 1) % MOST, n;
    uint32_t nums[MOST];
    int err = cp_missing_read(rest, count, nums, cap, &n);

    require(err == 0 || err == COPAL_EFORMAT);
    if (err != 0)
        return 0;
    require(n > 0 && n <= cap && nums[n - 1] < count);
    for (size_t i = 1; i < n; i++)
        require(nums[i - 1] < nums[i]);
    come_back(nums, n, count);
    require_all_back();
    return 0;
}
