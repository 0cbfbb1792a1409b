/* What came out, for people and for programs. */
#include "hostile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct spread {
	unsigned n;
	double p50, p90, p99, max;
};

/* The smallest value that so many percent are not above. */
static double percentile(const double *sorted, unsigned n, unsigned percent)
{
	unsigned rank = (n * percent + 99) / 100;

	return sorted[rank > 0 ? rank - 1 : 0];
}

static struct spread spread(const struct samples *s)
{
	static double v[SAMPLES_MAX];
	struct spread ret = { .n = s->n };

	if (s->n == 0)
		return ret;
	memcpy(v, s->ms, s->n * sizeof(*v));
	qsort(v, s->n, sizeof(*v), by_value);
	ret.p50 = percentile(v, s->n, 50);
	ret.p90 = percentile(v, s->n, 90);
	ret.p99 = percentile(v, s->n, 99);
	ret.max = v[s->n - 1];
	return ret;
}

void report_head(void)
{
	printf("%-24s | %-33s | %-32s | %-13s | %-6s |\n", "milliseconds",
	       "an innocent's open", "root's tuntapctl status", "by himself",
	       "asleep");
	printf("%-24s | %4s %6s %6s %6s %7s | %3s %6s %6s %6s %7s | %6s %6s |"
	       " %6s | %s\n", "attack", "n", "p50", "p90", "p99", "max", "n",
	       "p50", "p90", "p99", "max", "p50", "max", "late", "managed");
}

static void print_measured(const char *name, const struct measured *m)
{
	struct spread open = spread(&m->open), status = spread(&m->status);
	struct spread bare = spread(&m->bare), late = spread(&m->late);

	printf("%-24s | %4u %6.1f %6.1f %6.1f %7.1f | %3u %6.1f %6.1f %6.1f "
	       "%7.1f | %6.1f %6.1f | %6.1f |", name, open.n, open.p50,
	       open.p90, open.p99, open.max, status.n, status.p50, status.p90,
	       status.p99, status.max, bare.p50, bare.max, late.max);
}

void report_row(const struct row *row)
{
	print_measured(row->name, &row->measured);
	for (unsigned i = 0; i < TALLIES_MAX && row->tallies[i].what[0]; i++)
		printf("%s %lu %s", i ? "," : "", row->tallies[i].n,
		       row->tallies[i].what);
	printf("%s\n", row->skipped ? " SKIPPED" :
	       row->passed ? "" : " FAILED");
	fflush(stdout);
}

void report_between(const struct measured *between)
{
	print_measured("no_attack, before each", between);
	printf("\n");
}

static void json_spread(FILE *f, const char *name, const struct samples *s)
{
	struct spread v = spread(s);

	fprintf(f, ", \"%s\": {\"n\": %u, \"p50\": %.3f, \"p90\": %.3f, "
		"\"p99\": %.3f, \"max\": %.3f}", name, v.n, v.p50, v.p90, v.p99,
		v.max);
}

static void json_measured(FILE *f, const struct measured *m)
{
	json_spread(f, "open_ms", &m->open);
	json_spread(f, "status_ms", &m->status);
	json_spread(f, "by_himself_ms", &m->bare);
	json_spread(f, "asleep_late_ms", &m->late);
	fprintf(f, ", \"failed_opens\": %u, \"failed_statuses\": %u",
		m->failed_opens, m->failed_statuses);
}

static void json_row(FILE *f, const struct row *row)
{
	fprintf(f, "{\"attack\": \"%s\", \"result\": \"%s\"", row->name,
		row->skipped ? "skipped" : row->passed ? "passed" : "failed");
	json_measured(f, &row->measured);
	fprintf(f, ", \"managed\": {");
	for (unsigned i = 0; i < TALLIES_MAX && row->tallies[i].what[0]; i++)
		fprintf(f, "%s\"%s\": %lu", i ? ", " : "",
			row->tallies[i].what, row->tallies[i].n);
	fprintf(f, "}, \"rss_kib\": {\"before\": %ld, \"after\": %ld}},\n",
		row->rss_before, row->rss_after);
}

int report_json(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	fprintf(f, "[");
	for (unsigned i = 0; i < shared->n_rows; i++)
		if (shared->rows[i].ran)
			json_row(f, &shared->rows[i]);
	fprintf(f, "{\"attack\": \"no_attack, before each\"");
	json_measured(f, &shared->between);
	fprintf(f, "}]\n");
	return fclose(f) ? -errno : 0;
}
