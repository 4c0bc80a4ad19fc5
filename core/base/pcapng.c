#include "base/pcapng.h"
#include <stdio.h>

enum {
    SECTION_HEADER = 0x0a0d0d0a, /* the types of blocks */
    INTERFACE = 1,
    ENHANCED_PACKET = 6,

    ANY_IP = 101, /* LINKTYPE_RAW */
    COMMENT = 1,  /* an option of any block */
    UDP = 17,     /* a protocol of IP */
    HOPS = 64,
    UDP_HEADER = 8,
    LONGEST = 65000
};

static const uint8_t zeroes[16];

/* The file's order of bytes is ours to choose: big-endian, as on the wire. */
static void put_block(struct cp_buf *b, uint32_t type, copal_bytes body)
{
    uint32_t len = 12 + (uint32_t)body.len;

    cp_put_u32(b, type);
    cp_put_u32(b, len);
    cp_put_bytes(b, body);
    cp_put_u32(b, len);
}

static void put_padding(struct cp_buf *b, size_t len)
{
    cp_put_bytes(b, cp_bytes(zeroes, (4 - len % 4) % 4));
}

void cp_pcapng_begin(struct cp_buf *b)
{
    uint8_t storage[16];
    struct cp_buf body = cp_buf_fixed(storage, sizeof(storage));

    cp_put_u32(&body, 0x1a2b3c4d); /* tells the order of bytes */
    cp_put_u32(&body, 0x00010000); /* version 1.0 */
    cp_put_u32(&body, UINT32_MAX); /* the section's length is not known */
    cp_put_u32(&body, UINT32_MAX);
    put_block(b, SECTION_HEADER, cp_bytes(storage, body.len));
    body = cp_buf_fixed(storage, sizeof(storage));
    cp_put_u16(&body, ANY_IP);
    cp_put_u16(&body, 0);
    cp_put_u32(&body, 0); /* packets of any length; times in microseconds */
    put_block(b, INTERFACE, cp_bytes(storage, body.len));
}

/* ---- Packets ---- */

/* An address as the packet has it; of IPv4 the first 4 bytes. */
struct shown {
    uint8_t ip[16];
    uint16_t port;
};

/* FNV-1a: the same name has the same address in every capture. */
static void show_name(const struct cp_address *a, uint8_t ip[16])
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < sizeof(a->ip) && a->ip[i] != 0; i++)
        hash = (hash ^ a->ip[i]) * 16777619u;
    ip[0] = 10;
    ip[1] = (uint8_t)(hash >> 16);
    ip[2] = (uint8_t)(hash >> 8);
    ip[3] = (uint8_t)hash;
}

static struct shown show(const struct cp_address *a)
{
    struct shown s = {.port = a->port};

    if (a->family == CP_NAMED)
        show_name(a, s.ip);
    else
        memcpy(s.ip, a->ip, sizeof(s.ip));
    return s;
}

static uint32_t sum_of(copal_bytes bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < bytes.len; i++)
        sum += i % 2 == 0 ? (uint32_t)bytes.data[i] << 8 : bytes.data[i];
    return sum;
}

static uint16_t checksum(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put_ip4(struct cp_buf *b, const struct shown *from,
                    const struct shown *to, uint16_t len)
{
    uint8_t storage[20];
    struct cp_buf h = cp_buf_fixed(storage, sizeof(storage));
    uint16_t sum;

    cp_put_u16(&h, 0x4500); /* version 4, five words */
    cp_put_u16(&h, (uint16_t)(len + sizeof(storage)));
    cp_put_u32(&h, 0x4000); /* in one piece */
    cp_put_u16(&h, HOPS << 8 | UDP);
    cp_put_u16(&h, 0);
    cp_put_bytes(&h, cp_bytes(from->ip, 4));
    cp_put_bytes(&h, cp_bytes(to->ip, 4));
    sum = checksum(sum_of(cp_bytes(storage, sizeof(storage))));
    storage[10] = (uint8_t)(sum >> 8);
    storage[11] = (uint8_t)sum;
    cp_put_bytes(b, cp_bytes(storage, sizeof(storage)));
}

static void put_ip6(struct cp_buf *b, const struct shown *from,
                    const struct shown *to, uint16_t len)
{
    cp_put_u32(b, 0x60000000); /* version 6 */
    cp_put_u16(b, len);
    cp_put_u16(b, UDP << 8 | HOPS);
    cp_put_bytes(b, cp_bytes(from->ip, 16));
    cp_put_bytes(b, cp_bytes(to->ip, 16));
}

static void put_udp(struct cp_buf *b, const struct shown *from,
                    const struct shown *to, size_t ip_len, copal_bytes message)
{
    uint16_t len = (uint16_t)(UDP_HEADER + message.len), sum;

    sum = checksum(sum_of(cp_bytes(from->ip, ip_len)) +
                   sum_of(cp_bytes(to->ip, ip_len)) + UDP + len + len +
                   from->port + to->port + sum_of(message));
    cp_put_u16(b, from->port);
    cp_put_u16(b, to->port);
    cp_put_u16(b, len);
    cp_put_u16(b, sum == 0 ? UINT16_MAX : sum); /* 0 is none: RFC 768 */
    cp_put_bytes(b, message);
}

static void put_comment(struct cp_buf *b, const struct cp_address *from,
                        const struct cp_address *to)
{
    char text[2 * CP_ADDRESS_TEXT + 8], a[CP_ADDRESS_TEXT], z[CP_ADDRESS_TEXT];
    size_t len;

    cp_address_print(from, 0, a);
    cp_address_print(to, 0, z);
    len = (size_t)snprintf(text, sizeof(text), "%s to %s", a, z);
    cp_put_u16(b, COMMENT);
    cp_put_u16(b, (uint16_t)len);
    cp_put_text(b, text);
    put_padding(b, len);
    cp_put_u32(b, 0); /* the last option */
}

static void put_packet(struct cp_buf *b, const struct cp_address *from,
                       const struct cp_address *to, uint16_t known_port,
                       copal_bytes message)
{
    struct shown src = show(from), dst = show(to);
    bool is_ip6 = from->family == CP_IPV6 || to->family == CP_IPV6;
    uint16_t len = (uint16_t)(UDP_HEADER + message.len);

    if (dst.port != 0 && (src.port == 0 || dst.port <= src.port))
        dst.port = known_port;
    else
        src.port = known_port;
    if (is_ip6)
        put_ip6(b, &src, &dst, len);
    else
        put_ip4(b, &src, &dst, len);
    put_udp(b, &src, &dst, is_ip6 ? 16 : 4, message);
}

void cp_pcapng_put(struct cp_buf *b, uint64_t us, const struct cp_address *from,
                   const struct cp_address *to, uint16_t known_port,
                   copal_bytes message)
{
    struct cp_buf packet = cp_buf_new(b->mem), body = cp_buf_new(b->mem);
    copal_bytes bytes;

    if (message.len > LONGEST)
        return;
    put_packet(&packet, from, to, known_port, message);
    if (cp_buf_finish(&packet, &bytes) == 0) {
        cp_put_u32(&body, 0); /* the interface */
        cp_put_u32(&body, (uint32_t)(us >> 32));
        cp_put_u32(&body, (uint32_t)us);
        cp_put_u32(&body, (uint32_t)bytes.len);
        cp_put_u32(&body, (uint32_t)bytes.len);
        cp_put_bytes(&body, bytes);
        put_padding(&body, bytes.len);
        put_comment(&body, from, to);
    } else {
        b->failed = true;
    }
    if (cp_buf_finish(&body, &bytes) == 0)
        put_block(b, ENHANCED_PACKET, bytes);
    else
        b->failed = true;
    cp_buf_free(&packet);
    cp_buf_free(&body);
}
