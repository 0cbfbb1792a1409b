#include "verdict.h"

#include <stdio.h>
#include <string.h>

#include "output.h"

/* By the number that the wire and the policy give them. */
static const char *const matches[] = {
	"decides", "is about other users", "is about the other kind",
	"is about other names"
};
#define N_MATCHES	(sizeof(matches) / sizeof(*matches))

static const char *match_text(unsigned match)
{
	return match < N_MATCHES ? matches[match] : "?";
}

void verdict_print_tried(const char *rule, const char *name, unsigned match)
{
	struct wire_tried copy = { .match = 0 };

	snprintf(copy.rule, sizeof(copy.rule), "%s", rule);
	snprintf(copy.name, sizeof(copy.name), "%s", name);
	printf("%s: rule %s %s\n", plain_text(copy.rule),
	       plain_text(copy.name), match_text(match));
}

static void print_allowed(const struct wire_verdict *v)
{
	printf("allowed: %s", v->name);
	if (v->mtu)
		printf(", MTU %u", (unsigned)v->mtu);
	printf(", metric %u where none is asked for (rule %s)\n",
	       (unsigned)v->metric, v->rule);
}

void verdict_print(const struct wire_verdict *v)
{
	struct wire_verdict copy = *v;

	for (size_t i = 0; i < v->n_tried; i++)
		verdict_print_tried(v->tried[i].rule, v->tried[i].name,
				    v->tried[i].match);
	if (v->more)
		printf("and %u more rule%s\n", (unsigned)v->more,
		       v->more == 1 ? "" : "s");
	plain_text(copy.name);
	plain_text(copy.step);
	plain_text(copy.text);
	plain_text(copy.rule);
	if (!v->code) {
		print_allowed(&copy);
		return;
	}
	printf("refused at %s: %s", copy.step, copy.text);
	if (*copy.rule)
		printf(" (rule %s)", copy.rule);
	putchar('\n');
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_text(text) : json_null();
}

static json_t *number_or_null(uint32_t n)
{
	return n ? json_integer(n) : json_null();
}

static json_t *tried_json(const struct wire_verdict *v)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < v->n_tried; i++) {
		const struct wire_tried *t = &v->tried[i];

		if (json_array_append_new(all, json_pack("{s:o, s:o, s:s}",
				"rule", json_text(t->rule),
				"name", json_text(t->name),
				"match", match_text(t->match))) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

int verdict_print_json(const struct wire_verdict *v)
{
	return print_json(json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
				    "s:o, s:I}",
				    "allowed", v->code == 0,
				    "code", number_or_null(v->code),
				    "step", text_or_null(v->step),
				    "text", text_or_null(v->text),
				    "rule", text_or_null(v->rule),
				    "name", text_or_null(v->name),
				    "mtu", number_or_null(v->mtu),
				    "metric", number_or_null(v->metric),
				    "tried", tried_json(v),
				    "more", (json_int_t)v->more), stdout);
}
