/* Messages of routing sockets: bsd/net/rtsock.c. */
#include "kernel.h"

#define RECEIVE_SPACE	8192	/* what does not fit is lost */
#define PID		4242
#define STORAGE		128	/* struct sockaddr_storage */

enum { DST, GATEWAY, NETMASK };

struct request {
	const uint8_t *bytes;
	size_t len;
	const uint8_t *names[XNU_RTAX_MAX];
	size_t room[XNU_RTAX_MAX];
	uint32_t flags, scope;
	struct name dst, gateway;
	struct netmask mask;
};

const char *route_type(const uint8_t *message, size_t len)
{
	if (len <= XNU_RTM_TYPE)
		return "RTM_?";
	switch (message[XNU_RTM_TYPE]) {
	case XNU_RTM_ADD:
		return "RTM_ADD";
	case XNU_RTM_DELETE:
		return "RTM_DELETE";
	case XNU_RTM_CHANGE:
		return "RTM_CHANGE";
	case XNU_RTM_GET:
		return "RTM_GET";
	default:
		return "RTM_?";
	}
}

static size_t round4(size_t len)
{
	return len ? (len + 3) & ~(size_t)3 : 4;
}

/*
 * rt_xaddrs(): the names one behind the other, each rounded up to four bytes.
 * A length of 0 is an empty name, and the end.
 */
static int take_names(struct request *r)
{
	const uint32_t wanted = get32(r->bytes + XNU_RTM_ADDRS);
	size_t at = XNU_RTM_SIZE;

	for (unsigned i = 0; i < XNU_RTAX_MAX && at < r->len; i++) {
		const uint8_t *name = r->bytes + at;

		if (!(wanted & 1u << i))
			continue;
		if (at + name[0] > r->len || name[0] > STORAGE)
			return XNU_EINVAL;
		r->names[i] = name;
		r->room[i] = name[0];
		if (name[0] == 0)
			return 0;
		if (name[0] < 2)
			return XNU_EINVAL;
		at += round4(name[0]);
	}
	return 0;
}

/* route_output(): names of IPv4 may be short, those of IPv6 may not. */
static int take_name(const struct request *r, unsigned which, struct name *ret)
{
	const uint8_t *bytes = r->names[which];

	*ret = read_name(bytes, r->room[which]);
	if (r->room[which] < 2)
		*ret = (struct name){ 0 };
	if (ret->family >= XNU_AF_MAX)
		return XNU_EINVAL;
	if (ret->family == XNU_AF_INET && ret->len < XNU_SIN_ZERO)
		return XNU_EINVAL;
	if (ret->family == XNU_AF_INET6 && ret->len < XNU_SIN6_SIZE)
		return XNU_EINVAL;
	return 0;
}

/* ma_copy(): what a short mask does not have is zero; no family is asked. */
static void take_mask(struct request *r)
{
	const size_t from = r->dst.family == XNU_AF_INET ? XNU_SIN_ADDR
							  : XNU_SIN6_ADDR;
	const size_t len = family_len(r->dst.family);
	const size_t room = r->room[NETMASK];

	r->mask.given = r->names[NETMASK] != NULL;
	if (r->mask.given && room > from)
		memcpy(r->mask.bits, r->names[NETMASK] + from,
		       room - from < len ? room - from : len);
	if (r->mask.given)
		mask_len(r->dst.family, r->mask.bits);
}

/* route_output(), what comes before the type is looked at. */
static int take_apart(struct request *r, const struct file *file)
{
	int error;

	if (r->bytes[XNU_RTM_VERSION_AT] != XNU_RTM_VERSION)
		return XNU_EPROTONOSUPPORT;
	if (r->bytes[XNU_RTM_TYPE] != XNU_RTM_GET && !file->privileged)
		return XNU_EPERM;
	error = take_names(r);
	if (!error && !r->names[DST])
		error = XNU_EINVAL;
	if (!error)
		error = take_name(r, DST, &r->dst);
	if (!error && r->names[GATEWAY])
		error = take_name(r, GATEWAY, &r->gateway);
	if (error)
		return error;
	if (get32(r->bytes + XNU_RTM_ADDRS) & XNU_RTA_GENMASK)
		die("RTA_GENMASK is not known here");
	r->flags = get32(r->bytes + XNU_RTM_FLAGS);
	if (r->flags & XNU_RTF_IFSCOPE) {
		if (r->dst.family != XNU_AF_INET &&
		    r->dst.family != XNU_AF_INET6)
			return XNU_EINVAL;
		r->scope = get16(r->bytes + XNU_RTM_INDEX);
	}
	if (r->flags & XNU_RTF_PROXY)
		return XNU_EINVAL;
	take_mask(r);
	return 0;
}

/* --- answers --- */

void put_name(uint8_t *message, size_t *len, int family, const uint8_t *ip,
	      unsigned index)
{
	uint8_t *name = message + *len;

	name[1] = (uint8_t)family;
	switch (family) {
	case XNU_AF_INET:
		name[0] = XNU_SIN_SIZE;
		memcpy(name + XNU_SIN_ADDR, ip, 4);
		break;
	case XNU_AF_INET6:
		name[0] = XNU_SIN6_SIZE;
		memcpy(name + XNU_SIN6_ADDR, ip, 16);
		break;
	case XNU_AF_LINK:
		name[0] = XNU_SDL_SIZE;
		put16(name + XNU_SDL_INDEX, (uint16_t)index);
		break;
	default:	/* a name that is none */
		break;
	}
	*len += round4(name[0]);
}

/*
 * route.c, rtm_scrub(), sa_trim(): a mask ends with its last byte that is not
 * 0, and has no length if there is none; IPv6's is whole in some messages.  Its
 * family is whatever rn_addmask() has left there: all ones.
 */
void put_mask(uint8_t *message, size_t *len, int family, const uint8_t *mask,
	      bool whole6)
{
	const size_t from = family == XNU_AF_INET ? XNU_SIN_ADDR
						   : XNU_SIN6_ADDR;
	const unsigned bytes = (mask_len(family, mask) + 7) / 8;
	uint8_t *name = message + *len;

	memset(name + 1, 0xff, bytes ? from - 1 : 0);
	name[0] = (uint8_t)(bytes ? from + bytes : 0);
	memcpy(name + from, mask, bytes);
	if (whole6 && family == XNU_AF_INET6)
		name[0] = XNU_SIN6_SIZE;
	*len += round4(name[0]);
}

/*
 * route_output(), "report": what the table has, with link and address if either
 * was asked for.  The header is the question's but for what is the route's.
 */
static struct packet *answer_route(const struct request *q,
				   const struct route *r)
{
	const uint32_t asked = get32(q->bytes + XNU_RTM_ADDRS);
	const bool more = asked & (XNU_RTA_IFP | XNU_RTA_IFA);
	uint8_t record[XNU_RECORD];
	const size_t len = make_route(record, q->bytes[XNU_RTM_TYPE], r, more,
				      more);
	struct packet *packet = packet_new(len);

	memcpy(packet->bytes, record, len);
	memcpy(packet->bytes + XNU_RTM_PID, q->bytes + XNU_RTM_PID,
	       XNU_RTM_SIZE - XNU_RTM_PID);
	return packet;
}

static struct packet *answer_same(const struct request *q)
{
	struct packet *packet = packet_new(q->len);

	memcpy(packet->bytes, q->bytes, q->len);
	return packet;
}

/*
 * bsd/net/raw_usrreq.c, raw_input(): who wants one family hears nothing of what
 * has none, as the answers to RTM_ADD.
 */
static bool hears(const struct file *file, int family)
{
	return file && file->kind == KIND_ROUTE &&
	       (!file->protocol || file->protocol == family);
}

/*
 * raw_input(): to each routing socket, the asker's own too unless it has said
 * no by SO_USELOOPBACK.  A full one misses it.
 */
void tell_all(const struct file *asker, struct packet *packet, int family)
{
	const struct file *told[XNU_FDS];
	unsigned n = 0;

	for (unsigned i = 0; i < XNU_FDS; i++) {
		struct file *file = kern.fds[i].file;
		struct packet *copy;
		bool again = false;

		for (unsigned j = 0; j < n; j++)
			again |= told[j] == file;
		if (again || !hears(file, family) ||
		    (file == asker && !file->loopback) ||
		    file->receives_no_more ||
		    file->in.bytes + packet->len > RECEIVE_SPACE)
			continue;
		told[n++] = file;
		copy = packet_new(packet->len);
		memcpy(copy->bytes, packet->bytes, packet->len);
		queue_add(&file->in, copy);
	}
	packet_free(packet);
}

static int add(const struct request *r)
{
	if (!r->names[GATEWAY])
		return XNU_EINVAL;
	if (get32(r->bytes + XNU_RTM_ADDRS) & (XNU_RTA_IFP | XNU_RTA_IFA))
		die("RTM_ADD with RTA_IFP or RTA_IFA (rt_setif): not known");
	if (get32(r->bytes + XNU_RTM_INITS))
		die("RTM_ADD with metrics: not known");
	return route_add(&r->dst, &r->gateway, &r->mask, r->flags, r->scope,
			 NULL);
}

/* RTM_GET: the best match; with a mask, the one of its key that has that. */
static const struct route *look_up(const struct request *r)
{
	const struct route *found = route_find(r->dst.family, r->dst.ip,
					       r->scope);
	struct name key = { .family = r->dst.family };

	if (!found || !r->mask.given)
		return found;
	memcpy(key.ip, found->key, sizeof(key.ip));
	return route_exact(&key, &r->mask, found->scope);
}

static int run(const struct request *r, struct packet **answer)
{
	struct route route;
	const struct route *found;
	int error;

	switch (r->bytes[XNU_RTM_TYPE]) {
	case XNU_RTM_ADD:
		return add(r);
	case XNU_RTM_DELETE:
		error = route_delete(&r->dst, &r->mask, r->flags, r->scope,
				     &route);
		if (!error)
			*answer = answer_route(r, &route);
		return error;
	case XNU_RTM_GET:
		if (r->dst.family != XNU_AF_INET &&
		    r->dst.family != XNU_AF_INET6)
			return XNU_EAFNOSUPPORT;
		found = look_up(r);
		if (!found)
			return XNU_ESRCH;
		*answer = answer_route(r, found);
		return 0;
	case XNU_RTM_CHANGE:
	case XNU_RTM_LOCK:
		die("routing message %u is not known here",
		    r->bytes[XNU_RTM_TYPE]);
	default:
		return XNU_EOPNOTSUPP;
	}
}

/* route_output(): the answer goes out also when the write fails. */
int route_output(struct file *file, const uint8_t *message, size_t len)
{
	struct request r = { .bytes = message, .len = len };
	struct packet *answer = NULL;
	uint32_t flags;
	int error, family;

	if (len < XNU_RTM_SIZE || get16(message + XNU_RTM_MSGLEN) != len)
		return XNU_EINVAL;
	error = take_apart(&r, file);
	if (!error)
		error = run(&r, &answer);
	/* dst_sa_family: of what the table says, or of a short IPv4 name. */
	family = answer || (r.dst.family == XNU_AF_INET &&
			    r.dst.len != XNU_SIN_SIZE)
			 ? r.dst.family
			 : 0;
	if (!answer)
		answer = answer_same(&r);
	put32(answer->bytes + XNU_RTM_PID, PID);
	flags = get32(answer->bytes + XNU_RTM_FLAGS);
	if (error)
		put32(answer->bytes + XNU_RTM_ERRNO, (uint32_t)error);
	else
		put32(answer->bytes + XNU_RTM_FLAGS, flags | XNU_RTF_DONE);
	tell_all(file, answer, family);
	return error;
}

static const char *show_name(const struct request *r, unsigned which)
{
	const struct name name = read_name(r->names[which], r->room[which]);

	switch (r->room[which] < 2 ? XNU_AF_UNSPEC : name.family) {
	case XNU_AF_INET:
	case XNU_AF_INET6:
		return show_ip(name.family, name.ip);
	case XNU_AF_LINK:
		return show_index(name.index);
	default:
		return "?";
	}
}

/* A message as a line of the trace, also one that is wrong. */
void route_show(struct text *text, const uint8_t *message, size_t len)
{
	struct request r = { .bytes = message, .len = len };

	text_add(text, "%zu bytes, %s", len, route_type(message, len));
	if (len < XNU_RTM_SIZE || take_names(&r) || !r.names[DST] ||
	    r.room[DST] < 2)
		return;
	r.dst = read_name(r.names[DST], r.room[DST]);
	text_add(text, ", %s", show_name(&r, DST));
	if (r.names[NETMASK] && (r.dst.family == XNU_AF_INET ||
				 r.dst.family == XNU_AF_INET6)) {
		take_mask(&r);
		text_add(text, "/%u", mask_len(r.dst.family, r.mask.bits));
	}
	if (r.names[GATEWAY])
		text_add(text, " by %s", show_name(&r, GATEWAY));
	text_add(text, ", flags %#x, index %u",
		 get32(message + XNU_RTM_FLAGS),
		 get16(message + XNU_RTM_INDEX));
}
