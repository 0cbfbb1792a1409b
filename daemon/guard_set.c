/*
 * Of two prefixes one holds the other, or they are apart.  So they are layers
 * of paint: sorted by first address, the wider before what it holds, a sweep
 * from address 0 up needs a stack of the layers that it is within, and the
 * answer changes only where a layer begins or ends.
 */
#include "guard_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS	32
/* One of each length from 0 to 128, and the ground below. */
#define LAYERS_MAX	130

struct layer {
	uint32_t first[GUARD_WORDS];
	unsigned len;
	enum guard_end end;
	bool final;			/* nothing that it holds changes it, but
					   what is final as well */
};

struct sweep {
	struct guard_set *set;
	const struct layer *within[LAYERS_MAX];
	unsigned depth;
};

/* What no prefix is asked about. */
static const struct {
	struct prefix net;
	enum guard_end tun, tap;
} fixed[] = {
	{ { { 0 }, 4, 8 }, GUARD_END_DROP, GUARD_END_DROP },
	{ { { 0 }, 4, 32 }, GUARD_END_DROP, GUARD_END_ZERO },
	{ { { 127 }, 4, 8 }, GUARD_END_DROP, GUARD_END_DROP },
	{ { { 224 }, 4, 4 }, GUARD_END_DROP, GUARD_END_DROP },
	{ { { 255, 255, 255, 255 }, 4, 32 }, GUARD_END_DROP, GUARD_END_DROP },
	{ { { 0 }, 6, 128 }, GUARD_END_DROP, GUARD_END_DROP },
	{ { { [15] = 1 }, 6, 128 }, GUARD_END_DROP, GUARD_END_DROP },
	{ { { [10] = 0xff, [11] = 0xff }, 6, 96 },
	  GUARD_END_DROP, GUARD_END_DROP },
	{ { { 0xfe, 0x80 }, 6, 10 }, GUARD_END_DROP, GUARD_END_LINK },
	{ { { 0xff }, 6, 8 }, GUARD_END_DROP, GUARD_END_DROP },
};
#define N_FIXED		(sizeof(fixed) / sizeof(*fixed))

/* The bits of the word that are behind a prefix of that length. */
static uint32_t behind(unsigned word, unsigned len)
{
	if (len >= (word + 1) * WORD_BITS)
		return 0;
	return UINT32_MAX >> (len > word * WORD_BITS ? len % WORD_BITS : 0);
}

static struct layer layer_of(const struct prefix *p, unsigned len,
			     enum guard_end end, bool final)
{
	unsigned bits = prefix_bits(p->family);
	struct layer l = { .end = end, .final = final };

	l.len = len < bits ? len : bits;
	for (unsigned i = 0; i < GUARD_WORDS; i++) {
		const uint8_t *b = p->ip + i * sizeof(uint32_t);

		l.first[i] = ((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
			      (uint32_t)b[2] << 8 | b[3]) & ~behind(i, l.len);
	}
	return l;
}

static int compare_addresses(const uint32_t *a, const uint32_t *b)
{
	for (unsigned i = 0; i < GUARD_WORDS; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return 0;
}

/* Of the same prefix, the one that decides comes first. */
static int compare_layers(const void *left, const void *right)
{
	const struct layer *a = left, *b = right;
	int r = compare_addresses(a->first, b->first);

	if (r != 0)
		return r;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	if (a->final != b->final)
		return a->final ? -1 : 1;
	return (int)a->end - (int)b->end;
}

/* From there on; what was said of the very same address before is forgotten. */
static void change(struct guard_set *set, const uint32_t *first,
		   enum guard_end end)
{
	struct guard_change *to;

	if (set->n > 0 &&
	    compare_addresses(set->at[set->n - 1].first, first) == 0)
		set->n--;
	if (set->n > 0 && set->at[set->n - 1].end == end)
		return;
	to = &set->at[set->n++];
	memcpy(to->first, first, sizeof(to->first));
	to->end = end;
}

/* The address behind the layer; false if there is none. */
static bool next_behind(const struct layer *l, uint32_t *ret)
{
	bool carry = true;

	for (unsigned i = GUARD_WORDS; i-- > 0;) {
		ret[i] = (l->first[i] | behind(i, l->len)) + carry;
		carry = carry && ret[i] == 0;
	}
	return !carry;
}

/* Leaves the layers that end before `first`; NULL: all but the ground. */
static void leave(struct sweep *s, const uint32_t *first)
{
	uint32_t next[GUARD_WORDS];

	for (; s->depth > 1; s->depth--) {
		bool any = next_behind(s->within[s->depth - 1], next);

		if (first && (!any || compare_addresses(next, first) > 0))
			return;
		if (any)
			change(s->set, next, s->within[s->depth - 2]->end);
	}
}

static void enter(struct sweep *s, const struct layer *l)
{
	const struct layer *in;

	leave(s, l->first);
	in = s->within[s->depth - 1];
	if (in->final && !l->final)
		return;
	/* The same prefix again, as all that we are within do hold it. */
	if (s->depth > 1 && in->len == l->len)
		return;
	s->within[s->depth++] = l;
	change(s->set, l->first, l->end);
}

static size_t collect(const struct guard_spec *spec, uint8_t family,
		      struct layer *layers)
{
	size_t n = 0;

	for (size_t i = 0; i < N_FIXED; i++) {
		const struct prefix *p = &fixed[i].net;

		if (p->family == family)
			layers[n++] = layer_of(p, p->len, spec->ethernet ?
					       fixed[i].tap : fixed[i].tun,
					       true);
	}
	for (size_t i = 0; i < spec->n_own; i++) {
		if (spec->own[i].family == family)
			layers[n++] = layer_of(&spec->own[i],
					       prefix_bits(family),
					       GUARD_END_DROP, true);
	}
	for (size_t i = 0; i < spec->n_nets; i++) {
		const struct guard_net *net = &spec->nets[i];

		if (net->net.family == family)
			layers[n++] = layer_of(&net->net, net->net.len,
					       net->what == GUARD_ALLOW ?
					       GUARD_END_ACCEPT :
					       GUARD_END_DROP, false);
	}
	return n;
}

int guard_set_make(const struct guard_spec *spec, uint8_t family,
		   struct guard_set *ret)
{
	static const struct layer ground = { .end = GUARD_END_DROP };
	size_t n, max = N_FIXED + spec->n_own + spec->n_nets;
	struct guard_set set = { 0 };
	struct sweep s = { &set, { &ground }, 1 };
	struct layer *layers;
	int r = -ENOMEM;

	layers = calloc(max, sizeof(*layers));
	/* A change where each begins, one behind its end, and the first. */
	set.at = calloc(2 * max + 1, sizeof(*set.at));
	if (!layers || !set.at)
		goto out;
	n = collect(spec, family, layers);
	qsort(layers, n, sizeof(*layers), compare_layers);
	change(&set, ground.first, ground.end);
	for (size_t i = 0; i < n; i++)
		enter(&s, &layers[i]);
	leave(&s, NULL);
	*ret = set;
	set.at = NULL;
	r = 0;
out:
	free(layers);
	free(set.at);
	return r;
}

void guard_set_free(struct guard_set *set)
{
	free(set->at);
	*set = (struct guard_set){ 0 };
}
