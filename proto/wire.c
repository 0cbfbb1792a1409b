#include "wire.h"

#include <errno.h>
#include <string.h>

/* Longest encoding of each kind of field. */
#define SIZE_U8		1
#define SIZE_U16	2
#define SIZE_U32	4
#define SIZE_U64	8
#define SIZE_PREFIX	(1 + 1 + 16)

/* SIZE_record and SIZE_message, summed up from the table. */
enum {
#define RECORD(name, doc)		SIZE_##name = 0
#define END_RECORD(name)		,
#define MESSAGE(N, name, num, from, may, fds, doc) \
					SIZE_##name = WIRE_HEADER_LEN
#define END_MESSAGE(name)		,
#define U8(m, f, doc)			+ SIZE_U8
#define U16(m, f, doc)			+ SIZE_U16
#define U32(m, f, doc)			+ SIZE_U32
#define U64(m, f, doc)			+ SIZE_U64
#define BYTES(m, f, n, doc)		+ (n)
#define STRING(m, f, max, doc)		+ SIZE_U16 + (max)
#define PREFIX(m, f, doc)		+ SIZE_PREFIX
#define LIST(m, r, f, max, doc)		+ SIZE_U16 + (max) * SIZE_##r
#include "messages.def"
};

#define MESSAGE(N, name, num, from, may, fds, doc) \
	_Static_assert(SIZE_##name <= WIRE_FRAME_MAX, #name " is too long");
#include "messages.def"

static const struct wire_row rows[] = {
#define MESSAGE(N, name, num, from, may, fds, doc) \
	{ (num), #name, WIRE_FROM_##from, WIRE_MAY_##may, (fds), \
	  SIZE_##name, doc },
#include "messages.def"
};

const struct wire_row *wire_rows(size_t *ret_n)
{
	*ret_n = sizeof(rows) / sizeof(*rows);
	return rows;
}

const struct wire_row *wire_row(uint8_t type)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

/*
 * Encoding.  A writer past its end writes nothing more and remembers why, so
 * that a message is written without a test after each field.
 */
struct writer {
	uint8_t *at, *end;
	int error;		/* 0, -EMSGSIZE or -EINVAL */
};

static uint8_t *reserve(struct writer *w, size_t n)
{
	uint8_t *p = w->at;

	if (!w->error && (size_t)(w->end - w->at) < n)
		w->error = -EMSGSIZE;
	if (w->error)
		return NULL;
	w->at += n;
	return p;
}

static void put_uint(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *p = reserve(w, n);

	for (size_t i = 0; p && i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void put_bytes(struct writer *w, const void *src, size_t n)
{
	uint8_t *p = reserve(w, n);

	if (p)
		memcpy(p, src, n);
}

static void put_string(struct writer *w, const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n > max) {
		w->error = -EINVAL;
		return;
	}
	put_uint(w, n, SIZE_U16);
	put_bytes(w, s, n);
}

static void put_prefix(struct writer *w, const struct prefix *p)
{
	if (p->family != 0 &&
	    (prefix_bits(p->family) == 0 || p->len > prefix_bits(p->family))) {
		w->error = -EINVAL;
		return;
	}
	put_uint(w, p->family, SIZE_U8);
	if (p->family == 0)
		return;
	put_uint(w, p->len, SIZE_U8);
	put_bytes(w, p->ip, prefix_bytes(p->family));
}

static size_t put_count(struct writer *w, size_t n, size_t max)
{
	if (n > max) {
		w->error = -EINVAL;
		return 0;
	}
	put_uint(w, n, SIZE_U16);
	return n;
}

#define ENCODER(name) \
	static void put_##name(struct writer *w, const struct wire_##name *v) \
	{ (void)w; (void)v;
#define RECORD(name, doc)		ENCODER(name)
#define END_RECORD(name)		}
#define MESSAGE(N, name, num, from, may, fds, doc) ENCODER(name)
#define END_MESSAGE(name)		}
#define U8(m, f, doc)			put_uint(w, v->f, SIZE_U8);
#define U16(m, f, doc)			put_uint(w, v->f, SIZE_U16);
#define U32(m, f, doc)			put_uint(w, v->f, SIZE_U32);
#define U64(m, f, doc)			put_uint(w, v->f, SIZE_U64);
#define BYTES(m, f, n, doc)		put_bytes(w, v->f, n);
#define STRING(m, f, max, doc)		put_string(w, v->f, max);
#define PREFIX(m, f, doc)		put_prefix(w, &v->f);
#define LIST(m, r, f, max, doc) \
	for (size_t i = 0, n = put_count(w, v->n_##f, max); i < n; i++) \
		put_##r(w, &v->f[i]);
#include "messages.def"

int wire_encode(const struct wire_message *m, uint8_t *buf, size_t cap)
{
	struct writer w = { buf, buf + cap, 0 };
	uint8_t *end;

	put_uint(&w, 0, SIZE_U32);
	put_uint(&w, WIRE_VERSION, SIZE_U8);
	put_uint(&w, m->type, SIZE_U8);
	put_uint(&w, m->id, SIZE_U16);
	switch (m->type) {
#define MESSAGE(N, name, num, from, may, fds, doc) \
	case WIRE_##N: put_##name(&w, &m->name); break;
#include "messages.def"
	default:
		w.error = -EINVAL;
	}
	if (w.error)
		return w.error;
	end = w.at;
	w.at = buf;
	put_uint(&w, (uint64_t)(end - buf), SIZE_U32);
	return (int)(end - buf);
}

/*
 * Decoding.  A reader that met a fault yields zeros from there on; the first
 * fault is kept.
 */
struct reader {
	const uint8_t *at, *end;
	const char *field;	/* the one being read */
	struct wire_fault fault;
};

static void fault(struct reader *r, const char *why, size_t max)
{
	if (!r->fault.why) {
		r->fault.field = r->field;
		r->fault.why = why;
		r->fault.max = (uint32_t)max;
	}
}

static void misfit(struct reader *r, enum wire_fault_kind kind,
		   const char *why)
{
	if (!r->fault.why)
		r->fault.kind = kind;
	fault(r, why, 0);
}

static const uint8_t *take(struct reader *r, size_t n)
{
	const uint8_t *p = r->at;

	if ((size_t)(r->end - r->at) < n)
		misfit(r, WIRE_FAULT_SHORT, "the frame ends inside it");
	if (r->fault.why)
		return NULL;
	r->at += n;
	return p;
}

static uint64_t get_uint(struct reader *r, size_t n)
{
	const uint8_t *p = take(r, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void get_bytes(struct reader *r, void *dst, size_t n)
{
	const uint8_t *p = take(r, n);

	if (p)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

static void get_string(struct reader *r, char *dst, size_t max)
{
	size_t n = (size_t)get_uint(r, SIZE_U16);

	dst[0] = '\0';
	if (n > max) {
		fault(r, "it is longer than it may be", max);
		return;
	}
	get_bytes(r, dst, n);
	dst[n] = '\0';
	if (memchr(dst, '\0', n) && !r->fault.why)
		fault(r, "it has a zero byte inside", 0);
}

static struct prefix get_prefix(struct reader *r)
{
	struct prefix p = { .family = (uint8_t)get_uint(r, SIZE_U8) };

	if (p.family == 0)
		return p;
	if (prefix_bits(p.family) == 0) {
		fault(r, "its family is not 0, 4 or 6", 0);
		return p;
	}
	p.len = (uint8_t)get_uint(r, SIZE_U8);
	if (p.len > prefix_bits(p.family))
		fault(r, "its prefix length is over what the family has",
		      prefix_bits(p.family));
	get_bytes(r, p.ip, prefix_bytes(p.family));
	return p;
}

static uint16_t get_count(struct reader *r, size_t max)
{
	size_t n = (size_t)get_uint(r, SIZE_U16);

	if (n > max) {
		fault(r, "it has more entries than one message may", max);
		return 0;
	}
	return (uint16_t)n;
}

#define DECODER(name) \
	static void get_##name(struct reader *r, struct wire_##name *v) \
	{ (void)r; (void)v;
#define RECORD(name, doc)		DECODER(name)
#define END_RECORD(name)		}
#define MESSAGE(N, name, num, from, may, fds, doc) DECODER(name)
#define END_MESSAGE(name)		}
#define AT(m, f)			r->field = #m "." #f;
#define U8(m, f, doc)	AT(m, f) v->f = (uint8_t)get_uint(r, SIZE_U8);
#define U16(m, f, doc)	AT(m, f) v->f = (uint16_t)get_uint(r, SIZE_U16);
#define U32(m, f, doc)	AT(m, f) v->f = (uint32_t)get_uint(r, SIZE_U32);
#define U64(m, f, doc)	AT(m, f) v->f = get_uint(r, SIZE_U64);
#define BYTES(m, f, n, doc)	AT(m, f) get_bytes(r, v->f, n);
#define STRING(m, f, max, doc)	AT(m, f) get_string(r, v->f, max);
#define PREFIX(m, f, doc)	AT(m, f) v->f = get_prefix(r);
#define LIST(m, r_, f, max, doc) \
	AT(m, f) v->n_##f = get_count(r, max); \
	for (size_t i = 0; i < v->n_##f && !r->fault.why; i++) \
		get_##r_(r, &v->f[i]);
#include "messages.def"
#undef AT

static void get_header(const uint8_t *buf, struct wire_header *ret)
{
	struct reader r = { .at = buf, .end = buf + WIRE_HEADER_LEN };

	ret->length = (uint32_t)get_uint(&r, SIZE_U32);
	ret->version = (uint8_t)get_uint(&r, SIZE_U8);
	ret->type = (uint8_t)get_uint(&r, SIZE_U8);
	ret->id = (uint16_t)get_uint(&r, SIZE_U16);
}

int wire_header(const uint8_t buf[WIRE_HEADER_LEN], struct wire_header *ret)
{
	const struct wire_row *row;

	get_header(buf, ret);
	if (ret->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	row = wire_row(ret->type);
	if (!row)
		return -ENOSYS;
	if (ret->length < WIRE_HEADER_LEN || ret->length > row->max_frame)
		return -EPROTO;
	return 0;
}

int wire_decode(const uint8_t *frame, size_t len, struct wire_message *ret,
		struct wire_fault *ret_fault)
{
	struct wire_header h;
	struct reader r = { .field = "length" };
	int error;

	if (ret_fault)
		*ret_fault = (struct wire_fault){ .field = "", .why = "" };
	if (len < WIRE_HEADER_LEN)
		return -EPROTO;
	error = wire_header(frame, &h);
	if (error)
		return error;
	if (h.length != len)
		return -EPROTO;
	r.at = frame + WIRE_HEADER_LEN;
	r.end = frame + len;
	ret->type = h.type;
	ret->id = h.id;
	switch (h.type) {
#define MESSAGE(N, name, num, from, may, fds, doc) \
	case WIRE_##N: get_##name(&r, &ret->name); break;
#include "messages.def"
	}
	if (r.at != r.end)
		misfit(&r, WIRE_FAULT_LONG, "bytes follow it that no field "
		       "has");
	if (!r.fault.why)
		return 0;
	if (ret_fault)
		*ret_fault = r.fault;
	return -EPROTO;
}

static const struct {
	uint16_t code;
	int err;
	const char *name, *text;
} errors[] = {
#define ERROR(NAME, num, err, doc) { (num), (err), #NAME, doc },
#include "errors.def"
};
#define N_ERRORS (sizeof(errors) / sizeof(*errors))

int wire_error_errno(uint16_t code)
{
	for (size_t i = 0; i < N_ERRORS; i++)
		if (errors[i].code == code)
			return errors[i].err;
	return EIO;
}

enum wire_error wire_error_from_errno(int err)
{
	for (size_t i = 0; i < N_ERRORS; i++)
		if (errors[i].err == err)
			return errors[i].code;
	return WIRE_E_FAILED;
}

const char *wire_error_name(uint16_t code)
{
	for (size_t i = 0; i < N_ERRORS; i++)
		if (errors[i].code == code)
			return errors[i].name;
	return "UNKNOWN_CODE";
}

const char *wire_error_text(uint16_t code)
{
	for (size_t i = 0; i < N_ERRORS; i++)
		if (errors[i].code == code)
			return errors[i].text;
	return "an error that this version has no words for";
}
