/*
 * The codec: messages.def turned into structs, and those into bytes and back.
 * Pure: no I/O, no allocation, no global state.
 */
#ifndef TUNTAPD_WIRE_H
#define TUNTAPD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prefix.h"

#define WIRE_VERSION		1
#define WIRE_HEADER_LEN		8
#define WIRE_FRAME_MAX		16384	/* longest frame, either way */

/* Largest of each thing that one message carries. */
#define WIRE_NAME_MAX		15	/* IFNAMSIZ without the NUL */
#define WIRE_ADDRESSES_MAX	64
#define WIRE_ROUTES_MAX		256
#define WIRE_QUEUES_MAX		64	/* fds; SCM_MAX_FD is 253 */
#define WIRE_TOKEN_LEN		16
#define WIRE_LEASE_ID_LEN	32	/* 16 bytes in hex */
#define WIRE_STEP_MAX		15
#define WIRE_TEXT_MAX		359
#define WIRE_RULE_MAX		131
#define WIRE_VERSION_TEXT_MAX	31
#define WIRE_EVENT_TEXT_MAX	111
#define WIRE_KERNEL_TEXT_MAX	64	/* utsname.release of Linux */
#define WIRE_FEATURE_MAX	15
#define WIRE_FEATURES_MAX	16
#define WIRE_GROUPS_MAX		512
#define WIRE_TRIED_MAX		64
#define WIRE_RULE_NAME_MAX	47
#define WIRE_RULE_TEXT_MAX	4095

enum wire_layer { WIRE_TAP = 2, WIRE_TUN = 3 };
#define WIRE_ADDRESS_NODAD	1u	/* address.flags */
#define WIRE_OPEN_DOWN		1u	/* open.flags */
#define WIRE_OPEN_MAC_SET	2u
enum wire_vnet {			/* open.vnet_hdr */
	WIRE_VNET_NO, WIRE_VNET_YES, WIRE_VNET_IF_ALLOWED
};
#define WIRE_UID_CALLER		UINT32_MAX	/* check.uid */
#define WIRE_UID_ANY		UINT32_MAX	/* close.uid */
#define WIRE_UID_NONE		UINT32_MAX	/* notice.uid */
#define WIRE_SET_MTU		1u	/* set.what */
#define WIRE_SET_UP		2u
enum wire_event_kind {			/* event.kind */
	WIRE_EVENT_RENAMED = 3, WIRE_EVENT_MTU, WIRE_EVENT_HWADDR,
	WIRE_EVENT_LINK, WIRE_EVENT_TAMPERED, WIRE_EVENT_ENDED
};
enum wire_ended {			/* value of WIRE_EVENT_ENDED */
	WIRE_ENDED_DELETED = 2, WIRE_ENDED_REVOKED
};
enum wire_notice_kind {			/* notice.kind */
	WIRE_NOTICE_OPENED = 1, WIRE_NOTICE_CHANGED, WIRE_NOTICE_TAMPERED,
	WIRE_NOTICE_REVOKED, WIRE_NOTICE_CLOSED, WIRE_NOTICE_DELETED,
	WIRE_NOTICE_WAITS, WIRE_NOTICE_RECLAIMED, WIRE_NOTICE_REFUSED,
	WIRE_NOTICE_RELOADED, WIRE_NOTICE_LOST
};
enum wire_lease_state {
	WIRE_LEASE_HELD = 1, WIRE_LEASE_ENDING, WIRE_LEASE_DELETED,
	WIRE_LEASE_ORPHAN
};

/* One struct a record and a message: struct wire_route, struct wire_open. */
#define RECORD(name, doc)		struct wire_##name {
#define END_RECORD(name)		};
#define MESSAGE(N, name, num, from, may, fds, doc) struct wire_##name {
#define END_MESSAGE(name)		uint8_t end; };
#define U8(m, f, doc)			uint8_t f;
#define U16(m, f, doc)			uint16_t f;
#define U32(m, f, doc)			uint32_t f;
#define U64(m, f, doc)			uint64_t f;
#define BYTES(m, f, n, doc)		uint8_t f[n];
#define STRING(m, f, max, doc)		char f[(max) + 1];
#define PREFIX(m, f, doc)		struct prefix f;
#define LIST(m, r, f, max, doc)		uint16_t n_##f; struct wire_##r f[max];
#include "messages.def"

/* WIRE_OPEN, WIRE_REFUSED ... */
enum wire_type {
#define MESSAGE(N, name, num, from, may, fds, doc) WIRE_##N = (num),
#include "messages.def"
};

/* A message of any type, decoded. */
struct wire_message {
	uint8_t type;		/* enum wire_type */
	uint16_t id;
	union {
#define MESSAGE(N, name, num, from, may, fds, doc) struct wire_##name name;
#include "messages.def"
	};
};

enum wire_error {
#define ERROR(NAME, num, err, doc) WIRE_E_##NAME = (num),
#include "errors.def"
};

struct wire_header {
	uint32_t length;	/* of the frame, this header included */
	uint8_t version, type;
	uint16_t id;
};

enum wire_sender { WIRE_FROM_CLIENT, WIRE_FROM_DAEMON };
enum wire_may {
	WIRE_MAY_ANY, WIRE_MAY_FREE, WIRE_MAY_HELD, WIRE_MAY_ADMIN,
	WIRE_MAY_NEVER
};

/* What messages.def says of a type. */
struct wire_row {
	uint8_t type;
	const char *name;	/* "open" */
	enum wire_sender sender;
	enum wire_may may;
	unsigned max_fds;
	uint32_t max_frame;	/* longest frame, header included */
	const char *doc;
};

/* The row of a type, or NULL if there is none. */
const struct wire_row *wire_row(uint8_t type);
/* All rows, in the order of messages.def. */
const struct wire_row *wire_rows(size_t *ret_n);

/* What a peer of another release may send, and what none does. */
enum wire_fault_kind {
	WIRE_FAULT_WRONG, WIRE_FAULT_SHORT, WIRE_FAULT_LONG
};

/* Where decoding failed and why; constant strings, "" and 0 if nowhere. */
struct wire_fault {
	const char *field;	/* "open.routes" */
	const char *why;	/* "longer than it may be" */
	uint32_t max;		/* what it may be at most, where that is why */
	enum wire_fault_kind kind;	/* the frame ends too early, or late */
};

/*
 * Bytes of the whole frame, or -EMSGSIZE if cap is too small, -EINVAL if the
 * message has no such type or a count, string or prefix outside its bounds.
 */
int wire_encode(const struct wire_message *m, uint8_t *buf, size_t cap);

/*
 * Reads the header alone.  0, -EPROTONOSUPPORT for another version (ret is
 * filled), -EPROTO for a length that no frame of that type can have, or
 * -ENOSYS for a type that is not in the table.
 */
int wire_header(const uint8_t buf[WIRE_HEADER_LEN], struct wire_header *ret);

/*
 * Decodes one whole frame.  0, or what wire_header says, or -EPROTO: a field
 * cut short or out of bounds, or bytes left over; ret_fault, unless NULL, then
 * says where (if the header is at fault, nowhere).  On failure the contents of
 * ret are not to be used.
 */
int wire_decode(const uint8_t *frame, size_t len, struct wire_message *ret,
		struct wire_fault *ret_fault);

/* The positive errno of a wire error (EIO for an unknown one), and back. */
int wire_error_errno(uint16_t code);
enum wire_error wire_error_from_errno(int err);
const char *wire_error_name(uint16_t code);
/* Why, as a sentence. */
const char *wire_error_text(uint16_t code);

#endif
