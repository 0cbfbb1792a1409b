#include "figures.h"

#include "output.h"
#include "show.h"

#define NAME_FORMAT	"%-15s"
#define USER_FORMAT	" %-8.8s"
#define TOTAL_FORMAT	" %7s %7s %7s %7s"
#define RATE_FORMAT	" %8s %8s %8s"
#define NO_TOTAL	"-", "-", "-", "-"
#define NO_RATE		"-", "-", "-"

static const char *user_text(uint32_t uid)
{
	static char number[16];
	const char *user = show_user(uid);

	if (user)
		return user;
	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	return number;
}

void figures_totals_head(char line[FIGURES_LINE])
{
	snprintf(line, FIGURES_LINE, NAME_FORMAT TOTAL_FORMAT TOTAL_FORMAT,
		 "NAME", "RX-PKT", "RX-BYTE", "RX-DROP", "RX-ERR",
		 "TX-PKT", "TX-BYTE", "TX-DROP", "TX-ERR");
}

/* The four of a way, as text. */
struct flow_text {
	char packets[FIGURE_MAX], bytes[FIGURE_MAX], drops[FIGURE_MAX],
	     errors[FIGURE_MAX];
};

static void flow_text(const struct flow *f, struct flow_text *ret)
{
	figure_text(f->packets, ret->packets);
	figure_text(f->bytes, ret->bytes);
	figure_text(f->drops, ret->drops);
	figure_text(f->errors, ret->errors);
}

void figures_lease_totals(const struct lease_now *l, char line[FIGURES_LINE])
{
	struct flow_text rx, tx;

	if (l->why) {
		snprintf(line, FIGURES_LINE,
			 NAME_FORMAT TOTAL_FORMAT TOTAL_FORMAT, l->name,
			 NO_TOTAL, NO_TOTAL);
		return;
	}
	flow_text(&l->link.traffic.rx, &rx);
	flow_text(&l->link.traffic.tx, &tx);
	snprintf(line, FIGURES_LINE, NAME_FORMAT TOTAL_FORMAT TOTAL_FORMAT,
		 l->name, rx.packets, rx.bytes, rx.drops, rx.errors,
		 tx.packets, tx.bytes, tx.drops, tx.errors);
}

void figures_rates_head(char line[FIGURES_LINE])
{
	snprintf(line, FIGURES_LINE,
		 NAME_FORMAT USER_FORMAT RATE_FORMAT RATE_FORMAT,
		 "NAME", "USER", "RX-PKT/S", "RX-BIT/S", "RX-DRP/S",
		 "TX-PKT/S", "TX-BIT/S", "TX-DRP/S");
}

void figures_rates(const char *name, const char *user, const struct rates *r,
		   char line[FIGURES_LINE])
{
	char text[6][FIGURE_MAX];

	if (!r) {
		snprintf(line, FIGURES_LINE,
			 NAME_FORMAT USER_FORMAT RATE_FORMAT RATE_FORMAT,
			 name, user, NO_RATE, NO_RATE);
		return;
	}
	snprintf(line, FIGURES_LINE,
		 NAME_FORMAT USER_FORMAT RATE_FORMAT RATE_FORMAT, name, user,
		 figure_text(r->rx.packets, text[0]),
		 figure_text(r->rx.bits, text[1]),
		 figure_text(r->rx.drops, text[2]),
		 figure_text(r->tx.packets, text[3]),
		 figure_text(r->tx.bits, text[4]),
		 figure_text(r->tx.drops, text[5]));
}

void figures_lease_rates(const struct lease_now *l, char line[FIGURES_LINE])
{
	figures_rates(l->name, user_text(l->uid), l->rated ? &l->rates : NULL,
		      line);
}

/* --- for programs ------------------------------------------------------- */

json_t *figures_flow_json(const struct flow *f)
{
	return json_pack("{s:I, s:I, s:I, s:I}",
			 "packets", (json_int_t)f->packets,
			 "bytes", (json_int_t)f->bytes,
			 "drops", (json_int_t)f->drops,
			 "errors", (json_int_t)f->errors);
}

static json_t *rate_json(const struct flow_rate *r)
{
	return json_pack("{s:I, s:I, s:I}",
			 "packets", (json_int_t)r->packets,
			 "bits", (json_int_t)r->bits,
			 "drops", (json_int_t)r->drops);
}

json_t *figures_json(const struct lease_now *l, uint64_t time)
{
	const struct traffic *t = &l->link.traffic;
	const char *user = show_user(l->uid);

	return json_pack("{s:I, s:o, s:o, s:I, s:s, s:I, s:o, s:o, s:o, s:o, "
			 "s:o, s:o, s:o}",
		"time", (json_int_t)time,
		"lease", json_text(l->lease),
		"name", json_text(l->name),
		"ifindex", (json_int_t)l->ifindex,
		"kind", show_kind(l->layer),
		"uid", (json_int_t)l->uid,
		"user", user ? json_text(user) : json_null(),
		"up", l->why ? json_null() : json_boolean(l->link.up),
		"rx", l->why ? json_null() : figures_flow_json(&t->rx),
		"tx", l->why ? json_null() : figures_flow_json(&t->tx),
		"rx_rate", l->rated ? rate_json(&l->rates.rx) : json_null(),
		"tx_rate", l->rated ? rate_json(&l->rates.tx) : json_null(),
		"why", l->why ? json_text(l->why) : json_null());
}
