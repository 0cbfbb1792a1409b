#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "raw.h"

#define TCP_FIN_PSH	0x09	/* of the last segment alone */
#define TCP_PSH		0x08
#define TCP_ACK		0x10
#define TCP_FLAGS	13
#define TCP_SEQ		4
#define TCP_CSUM	16
#define UDP_LEN		4
#define UDP_CSUM	6
#define UDP_HEADER	8
#define JOINED_MAX	64	/* packets */
#define SUPER_PAYLOAD	65535

/* --- checksums ---------------------------------------------------------- */

static uint64_t load64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* In the host's order, as RFC 1071 allows. */
static uint64_t sum(const uint8_t *at, size_t len, uint64_t s)
{
	uint8_t rest[8] = { 0 };

	for (; len >= 32; at += 32, len -= 32) {
		s = add(s, load64(at));
		s = add(s, load64(at + 8));
		s = add(s, load64(at + 16));
		s = add(s, load64(at + 24));
	}
	for (; len >= 8; at += 8, len -= 8)
		s = add(s, load64(at));
	memcpy(rest, at, len);
	return add(s, load64(rest));
}

static uint16_t fold(uint64_t s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v & 0xffff);
}

static void store(uint8_t *at, uint16_t in_host_order)
{
	memcpy(at, &in_host_order, 2);
}

/* --- packets ------------------------------------------------------------ */

struct headers {
	bool six, tcp;
	unsigned ip;		/* bytes of the IP header */
	unsigned all;		/* and of the next one */
};

/* Without options or extensions of IP. */
static bool parse(const uint8_t *p, unsigned len, struct headers *h)
{
	unsigned protocol;

	h->six = p[0] >> 4 == 6;
	h->ip = h->six ? 40 : 20;
	if (len < h->ip + UDP_HEADER || (!h->six && p[0] != 0x45))
		return false;
	protocol = p[h->six ? 6 : 9];
	h->tcp = protocol == IPPROTO_TCP;
	if (!h->tcp && protocol != IPPROTO_UDP)
		return false;
	h->all = h->ip + UDP_HEADER;
	if (h->tcp) {
		if (len < h->ip + 20)
			return false;
		h->all = h->ip + (p[h->ip + 12] >> 4) * 4u;
	}
	return len >= h->all;
}

static uint64_t pseudo(const uint8_t *p, const struct headers *h, unsigned len)
{
	uint64_t s = h->six ? sum(p + 8, 32, 0) : sum(p + 12, 8, 0);

	return add(s, htonl((h->tcp ? IPPROTO_TCP : IPPROTO_UDP) + len));
}

static unsigned csum_at(const struct headers *h)
{
	return h->ip + (h->tcp ? TCP_CSUM : UDP_CSUM);
}

/* Length, IPv4 checksum and number, of a packet of so many bytes. */
static void finish_ip(uint8_t *p, const struct headers *h, unsigned len,
		      unsigned number)
{
	if (h->six) {
		put16(p + 4, len - 40);
		return;
	}
	put16(p + 2, len);
	put16(p + 4, get16(p + 4) + number);
	store(p + 10, 0);
	store(p + 10, (uint16_t)~fold(sum(p, 20, 0)));
}

static void finish_l4(uint8_t *p, const struct headers *h, unsigned len)
{
	uint16_t s;

	if (!h->tcp)
		put16(p + h->ip + UDP_LEN, len - h->ip);
	store(p + csum_at(h), 0);
	s = (uint16_t)~fold(sum(p + h->ip, len - h->ip,
				pseudo(p, h, len - h->ip)));
	store(p + csum_at(h), s || h->tcp ? s : 0xffff);
}

/* --- splitting ---------------------------------------------------------- */

/* A checksum that the kernel left to us. */
void raw_finish(uint8_t *super)
{
	struct virtio_net_hdr v;
	uint8_t *p = super + VNET_HEADER;
	struct headers h;

	memcpy(&v, super, sizeof(v));
	if (v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		unsigned len = p[0] >> 4 == 6 ? 40u + get16(p + 4) :
			       get16(p + 2);

		if (parse(p, len, &h))
			finish_l4(p, &h, len);
	}
}

static void split(struct batch *b, const uint8_t *p, unsigned len,
		  unsigned size)
{
	struct headers h;
	unsigned number = 0;

	if (!parse(p, len, &h) || size == 0)
		return;
	for (unsigned at = h.all; at < len; at += size) {
		unsigned n = len - at < size ? len - at : size;
		uint8_t *out = b->bytes + b->used;

		if (b->n == BATCH_PACKETS ||
		    b->used + h.all + n > sizeof(b->bytes))
			return;
		memcpy(out, p, h.all);
		memcpy(out + h.all, p + at, n);
		if (h.tcp) {
			put32(out + h.ip + TCP_SEQ,
			      get32(out + h.ip + TCP_SEQ) + at - h.all);
			if (at + n < len)
				out[h.ip + TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
		}
		finish_ip(out, &h, h.all + n, number++);
		finish_l4(out, &h, h.all + n);
		b->pieces[b->n++] = (struct piece){ out, h.all + n };
		b->used += (h.all + n + 63) & ~63u;
	}
}

bool raw_has_room(const struct batch *b)
{
	return sizeof(b->bytes) - b->used >= 2 * (SUPER_MAX + 64 * 128);
}

ssize_t raw_read(struct batch *b, int fd)
{
	uint8_t *super = b->bytes + b->used;
	ssize_t n = read(fd, super, SUPER_MAX);
	struct virtio_net_hdr v;
	unsigned len;

	if (n <= VNET_HEADER)
		return n;
	len = (unsigned)n - VNET_HEADER;
	memcpy(&v, super, sizeof(v));
	if (v.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		raw_finish(super);
		b->pieces[b->n++] = (struct piece){ super + VNET_HEADER, len };
		b->used += ((size_t)n + 63) & ~(size_t)63;
		return n;
	}
	b->used += ((size_t)n + 63) & ~(size_t)63;
	split(b, super + VNET_HEADER, len, v.gso_size);
	return n;
}

/* --- joining ------------------------------------------------------------ */

static bool csum_is_right(const uint8_t *p, const struct headers *h,
			  unsigned len)
{
	return fold(sum(p + h->ip, len - h->ip,
			pseudo(p, h, len - h->ip))) == 0xffff;
}

/* May begin a super-packet, or go on with one. */
static bool may_join(const struct piece *q, struct headers *h)
{
	const uint8_t *p = q->data;

	if (!parse(p, q->len, h) || q->len == h->all ||
	    (h->six ? 40u + get16(p + 4) : get16(p + 2)) != q->len)
		return false;
	if (h->tcp && (p[h->ip + TCP_FLAGS] & ~TCP_PSH) != TCP_ACK)
		return false;
	return csum_is_right(p, h, q->len);
}

/* All that one flow's packets have in common. */
static bool same_flow(const uint8_t *a, const uint8_t *b,
		      const struct headers *h)
{
	if (h->six ? memcmp(a, b, 4) != 0 || memcmp(a + 6, b + 6, 34) != 0 :
	    a[1] != b[1] || memcmp(a + 6, b + 6, 4) != 0 ||
	    memcmp(a + 12, b + 12, 8) != 0)
		return false;
	a += h->ip;
	b += h->ip;
	if (memcmp(a, b, 4) != 0)
		return false;
	return !h->tcp || (memcmp(a + 8, b + 8, 5) == 0 &&
			   memcmp(a + 14, b + 14, 2) == 0 &&
			   memcmp(a + 18, b + 18, h->all - h->ip - 18) == 0);
}

/* How many go as one, from the first on. */
static unsigned run_of(const struct piece *q, unsigned n, struct headers *h)
{
	unsigned payload, total, k = 1;

	if (!may_join(q, h) || q->data[h->ip + TCP_FLAGS] & TCP_PSH)
		return 1;
	total = payload = q->len - h->all;
	for (; k < n && k < JOINED_MAX; k++) {
		const struct piece *next = &q[k];
		struct headers other;
		unsigned more = next->len - h->all;

		if (!may_join(next, &other) || other.six != h->six ||
		    other.tcp != h->tcp || other.all != h->all ||
		    !same_flow(q->data, next->data, h) || more > payload ||
		    h->all + total + more > SUPER_PAYLOAD)
			break;
		if (h->tcp && get32(next->data + h->ip + TCP_SEQ) !=
		    get32(q->data + h->ip + TCP_SEQ) + total)
			break;
		total += more;
		if (more < payload || (h->tcp &&
		    next->data[h->ip + TCP_FLAGS] & TCP_PSH))
			return k + 1;
	}
	return k;
}

static void write_one(int fd, const struct piece *q)
{
	static const uint8_t none[VNET_HEADER];
	struct iovec iov[] = { { (void *)(uintptr_t)none, VNET_HEADER },
			       { q->data, q->len } };

	(void)!writev(fd, iov, 2);
}

static void write_joined(int fd, const struct piece *q, unsigned n,
			 const struct headers *h)
{
	struct virtio_net_hdr v = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = h->tcp ? h->six ? VIRTIO_NET_HDR_GSO_TCPV6 :
			    VIRTIO_NET_HDR_GSO_TCPV4 : 5 /* UDP_L4 */,
		.hdr_len = (uint16_t)h->all,
		.gso_size = (uint16_t)(q->len - h->all),
		.csum_start = (uint16_t)h->ip,
		.csum_offset = (uint16_t)(csum_at(h) - h->ip),
	};
	struct iovec iov[2 + JOINED_MAX];
	unsigned len = h->all;
	uint8_t header[128];

	memcpy(header, q->data, h->all);
	for (unsigned i = 0; i < n; i++) {
		iov[2 + i] = (struct iovec){ q[i].data + h->all,
					     q[i].len - h->all };
		len += q[i].len - h->all;
	}
	if (h->tcp)
		header[h->ip + TCP_FLAGS] |=
			q[n - 1].data[h->ip + TCP_FLAGS] & TCP_PSH;
	finish_ip(header, h, len, 0);
	if (!h->tcp)
		put16(header + h->ip + UDP_LEN, len - h->ip);
	store(header + csum_at(h), fold(pseudo(header, h, len - h->ip)));
	iov[0] = (struct iovec){ &v, sizeof(v) };
	iov[1] = (struct iovec){ header, h->all };
	(void)!writev(fd, iov, (int)n + 2);
}

void raw_join(const struct batch *b, int fd)
{
	struct headers h;

	for (unsigned i = 0, k; i < b->n; i += k) {
		k = run_of(&b->pieces[i], b->n - i, &h);
		if (k > 1)
			write_joined(fd, &b->pieces[i], k, &h);
		else
			write_one(fd, &b->pieces[i]);
	}
}
