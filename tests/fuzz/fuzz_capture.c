/* Messages between addresses, written as a capture: another reader finds whole
 * blocks, packets with right lengths and checksums, and in them the messages.
 * The input is a row of: two addresses of 22 bytes, a length, so much of a
 * message. */
#include "base/pcapng.h"
#include "decoder.h"

enum {
    KNOWN_PORT = 5683
};

static struct cp_address take_address(copal_bytes *rest)
{
    static const uint8_t families[] = {CP_NO_ADDRESS, CP_IPV4, CP_IPV6,
                                       CP_NAMED};
    struct cp_address a = {.family = families[take_number(rest, 1) & 3]};
    copal_bytes ip = take_bytes(rest, a.family == CP_IPV4    ? 4
                                      : a.family == CP_NAMED ? 15
                                                             : 16);

    if (ip.len > 0 && a.family != CP_NO_ADDRESS)
        memcpy(a.ip, ip.data, ip.len);
    if (a.family == CP_IPV6)
        a.scope = (uint32_t)take_number(rest, 1);
    a.port = (uint16_t)take_number(rest, 2);
    return a;
}

/* The ones' complement sum of what is there and of what its pseudo header
 * adds is 0xffff where the checksum is right. RFC 1071. */
static uint32_t sum_of(copal_bytes bytes, uint32_t sum)
{
    for (size_t i = 0; i < bytes.len; i++)
        sum += (uint32_t)bytes.data[i] << (i % 2 == 0 ? 8 : 0);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void check_packet(copal_bytes packet, copal_bytes message)
{
    bool is_ip6 = packet.data[0] >> 4 == 6;
    size_t head = is_ip6 ? 40 : 20;
    copal_bytes ip = take_bytes(&packet, head), udp = packet, ports, ends;
    uint64_t len;

    require(ip.len == head && udp.len == 8 + message.len);
    if (is_ip6) {
        require(cp_bytes_uint(cp_bytes(ip.data + 4, 2)) == udp.len);
        require(ip.data[6] == 17);
        ends = cp_bytes(ip.data + 8, 32);
    } else {
        require(cp_bytes_uint(cp_bytes(ip.data + 2, 2)) == head + udp.len);
        require(ip.data[9] == 17 && sum_of(ip, 0) == 0xffff);
        ends = cp_bytes(ip.data + 12, 8);
    }
    require(sum_of(udp, sum_of(ends, 17 + (uint32_t)udp.len)) == 0xffff);
    ports = take_bytes(&packet, 4);
    require(cp_bytes_uint(cp_bytes(ports.data, 2)) == KNOWN_PORT ||
            cp_bytes_uint(cp_bytes(ports.data + 2, 2)) == KNOWN_PORT);
    len = take_number(&packet, 2);
    require(len == udp.len && take_number(&packet, 2) != 0);
    require(cp_bytes_equal(packet, message));
}

/* Options of a block: each a code, a length, so many bytes, padding. */
static void check_options(copal_bytes rest)
{
    for (;;) {
        uint64_t code = take_number(&rest, 2), len = take_number(&rest, 2);
        copal_bytes value = take_bytes(&rest, (size_t)len);

        require(value.len == len);
        take_bytes(&rest, (4 - len % 4) % 4);
        if (code == 0) {
            require(len == 0 && rest.len == 0);
            return;
        }
        require(rest.len >= 4);
    }
}

static void check_block(copal_bytes *file, uint64_t us, copal_bytes message)
{
    uint64_t type = take_number(file, 4), len = take_number(file, 4);
    copal_bytes body, packet;

    require(type == 6 && len % 4 == 0 && len > 32 && len - 8 <= file->len);
    body = take_bytes(file, (size_t)len - 12);
    require(take_number(file, 4) == len);
    require(take_number(&body, 4) == 0 && take_number(&body, 8) == us);
    len = take_number(&body, 4);
    require(take_number(&body, 4) == len);
    packet = take_bytes(&body, (size_t)len);
    require(packet.len == len);
    take_bytes(&body, (4 - len % 4) % 4);
    check_packet(packet, message);
    check_options(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes rest = cp_bytes(data, size), file;
    struct cp_buf b = cp_buf_new(memory());

    cp_pcapng_begin(&b);
    require(b.len == CP_PCAPNG_BEGINNING);
    while (rest.len > 0) {
        struct cp_address from = take_address(&rest), to = take_address(&rest);
        uint64_t us = take_number(&rest, 8);
        copal_bytes message = take_bytes(&rest, (size_t)take_number(&rest, 1));
        size_t begin = b.len;

        cp_pcapng_put(&b, us, &from, &to, KNOWN_PORT, message);
        file = cp_bytes(b.data + begin, b.len - begin);
        check_block(&file, us, message);
        require(file.len == 0);
    }
    cp_buf_free(&b);
    require_all_back();
    return 0;
}
