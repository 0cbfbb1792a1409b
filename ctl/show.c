#include "show.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

#define USERS_KEPT	64	/* names, so that not each line asks for one */
#define USERS_SECONDS	60	/* so long, as they may change */
#define USER_NAME_MAX	256	/* with its NUL, as LOGIN_NAME_MAX of Linux */
#define NUMBER_MAX	24	/* a 64-bit number with its NUL */

const char *show_kind(uint8_t layer)
{
	return layer == WIRE_TUN ? "tun" : layer == WIRE_TAP ? "tap" : "?";
}

const char *show_lease_state(uint8_t state)
{
	switch (state) {
	case WIRE_LEASE_HELD:
		return "held";
	case WIRE_LEASE_ENDING:
		return "ending";
	case WIRE_LEASE_DELETED:
		return "deleted";
	case WIRE_LEASE_ORPHAN:
		return "waiting";
	default:
		return "?";
	}
}

struct user {
	uint32_t uid;
	char name[USER_NAME_MAX];	/* "": nobody has the uid */
};

static void find_user(struct user *ret, uint32_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	ret->uid = uid;
	snprintf(ret->name, sizeof(ret->name), "%s", pw ? pw->pw_name : "");
	plain_text(ret->name);
}

/* Those that are too old, or too many, are forgotten together. */
static const struct user *known_user(uint32_t uid)
{
	static struct user users[USERS_KEPT];
	static int64_t since;
	static size_t n;

	if (clock_ns() - since > (int64_t)USERS_SECONDS * NS_A_SECOND)
		n = 0;
	for (size_t i = 0; i < n; i++)
		if (users[i].uid == uid)
			return &users[i];
	if (n == USERS_KEPT)
		n = 0;
	if (n == 0)
		since = clock_ns();
	find_user(&users[n], uid);
	return &users[n++];
}

const char *show_user(uint32_t uid)
{
	const struct user *user = known_user(uid);

	return user->name[0] ? user->name : NULL;
}

static json_t *address_json(const struct wire_address *a)
{
	char local[PREFIX_TEXT_MAX], peer[PREFIX_TEXT_MAX];

	prefix_format(&a->local, local);
	prefix_format(&a->peer, peer);
	return json_pack("{s:s, s:o, s:b}", "local", local,
			 "peer", json_text_or_null(a->peer.family ? peer : ""),
			 "nodad", (a->flags & WIRE_ADDRESS_NODAD) != 0);
}

static json_t *addresses_json(const struct wire_lease *lease)
{
	json_t *all = json_array();

	for (uint16_t i = 0; all && i < lease->n_addresses; i++)
		if (json_array_append_new(all,
				address_json(&lease->addresses[i])) < 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

json_t *show_lease_json(const struct wire_lease *lease)
{
	/* json_pack() gives all up where one of its "o" is NULL */
	return json_pack("{s:o, s:o, s:I, s:s, s:s, s:i, s:I, s:o, s:o, s:I, "
			 "s:o}",
			 "lease", json_text(lease->lease),
			 "name", json_text(lease->name),
			 "ifindex", (json_int_t)lease->ifindex,
			 "kind", show_kind(lease->layer),
			 "state", show_lease_state(lease->state),
			 "queues", (int)lease->queues,
			 "uid", (json_int_t)lease->uid,
			 "user", json_text_or_null(show_user(lease->uid)),
			 "pid", lease->pid ? json_integer(lease->pid) :
				json_null(),
			 "opened", (json_int_t)lease->opened,
			 "addresses", addresses_json(lease));
}

int show_lease_head(struct table *t)
{
	static const char *const head[TABLE_COLUMNS] = {
		"NAME", "KIND", "USER", "PID", "QUEUES", "STATE", "SINCE",
		"ADDRESSES"
	};

	return table_add(t, head);
}

/* "10.0.0.1/24 fd00::1/64", or "-"; the caller frees it. */
static char *addresses_text(const struct wire_lease *lease)
{
	const size_t cap = (2 * PREFIX_TEXT_MAX + 8) * WIRE_ADDRESSES_MAX;
	char *text = malloc(cap), prefix[PREFIX_TEXT_MAX];
	size_t n = 0;

	if (!text)
		return NULL;
	snprintf(text, cap, "-");
	for (uint16_t i = 0; i < lease->n_addresses; i++) {
		const struct wire_address *a = &lease->addresses[i];

		n += (size_t)snprintf(text + n, cap - n, "%s%s", n ? " " : "",
				      prefix_format(&a->local, prefix));
		if (a->peer.family)
			n += (size_t)snprintf(text + n, cap - n, ",peer=%s",
					      prefix_format(&a->peer, prefix));
	}
	return text;
}

int show_lease_row(struct table *t, const struct wire_lease *lease)
{
	char uid[NUMBER_MAX], pid[NUMBER_MAX], queues[NUMBER_MAX];
	char since[TIME_TEXT_MAX];
	const char *user = show_user(lease->uid);
	char *addresses = addresses_text(lease);
	int r;

	snprintf(uid, sizeof(uid), "%u", (unsigned)lease->uid);
	snprintf(pid, sizeof(pid), "%u", (unsigned)lease->pid);
	snprintf(queues, sizeof(queues), "%u", lease->queues);
	r = table_add(t, (const char *const[TABLE_COLUMNS]){
		lease->name, show_kind(lease->layer), user ? user : uid,
		lease->pid ? pid : "-", queues, show_lease_state(lease->state),
		time_text(lease->opened, since), addresses ? addresses : "?"
	});
	free(addresses);
	return r;
}

static json_t *features_json(const struct wire_state *s)
{
	json_t *all = json_array();

	for (uint16_t i = 0; all && i < s->n_features; i++) {
		const struct wire_feature *f = &s->features[i];

		if (json_array_append_new(all, json_pack("{s:o, s:b, s:o}",
				"name", json_text(f->name),
				"has", f->has != 0,
				"text", json_text(f->text))) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

json_t *show_state_json(const struct wire_state *s)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:o}, "
			 "s:{s:o, s:o}}",
			 "version", json_text(s->version),
			 "pid", (json_int_t)s->pid,
			 "started", (json_int_t)s->started,
			 "leases", (json_int_t)s->leases,
			 "own_leases", (json_int_t)s->own_leases,
			 "connections", (json_int_t)s->connections,
			 "policy",
			 "generation", (json_int_t)s->policy_generation,
			 "rules", (json_int_t)s->policy_rules,
			 "fault", json_text_or_null(s->policy_fault),
			 "kernel", "release", json_text(s->kernel),
			 "features", features_json(s));
}

static void show_features(struct wire_state *s, FILE *out)
{
	unsigned lacks = 0;

	for (uint16_t i = 0; i < s->n_features; i++)
		lacks += !s->features[i].has;
	plain_text(s->kernel);
	fprintf(out, "kernel       %s, has %s\n", s->kernel,
		lacks ? "not:" : "all that is used");
	for (uint16_t i = 0; i < s->n_features; i++) {
		struct wire_feature *f = &s->features[i];

		if (f->has)
			continue;
		plain_text(f->name);
		plain_text(f->text);
		fprintf(out, "             %s: %s\n", f->name, f->text);
	}
}

void show_state(const struct wire_state *s, FILE *out)
{
	char since[TIME_TEXT_MAX];
	struct wire_state copy = *s;

	plain_text(copy.version);
	plain_text(copy.policy_fault);
	s = &copy;
	fprintf(out, "tuntapd %s, pid %u, since %s\n", s->version,
		(unsigned)s->pid, time_text(s->started, since));
	/* The totals are told on the admin socket: this is one of them. */
	if (s->connections) {
		fprintf(out, "leases       %u, %u of them yours\n",
			(unsigned)s->leases, (unsigned)s->own_leases);
		fprintf(out, "connections  %u\n", (unsigned)s->connections);
	} else {
		fprintf(out, "leases       %u of yours\n",
			(unsigned)s->own_leases);
	}
	fprintf(out, "policy       %u rule%s, generation %u\n",
		(unsigned)s->policy_rules, s->policy_rules == 1 ? "" : "s",
		(unsigned)s->policy_generation);
	if (s->policy_fault[0])
		fprintf(out, "             the last reload did not take "
			"effect: %s\n", s->policy_fault);
	show_features(&copy, out);
}
