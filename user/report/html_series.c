// SPDX-License-Identifier: GPL-2.0-only
#include "report/html_series.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/names.h"
#include "report/html_data.h"
#include "report/html_text.h"
#include "util/cleanup.h"

/*
 * The series of a lane: copies by direction, those sent again, losses without a row, and what the
 * call server's application says it received.
 */
enum {
	SERIES_AGAIN = KL_DIRECTIONS,
	SERIES_UNLISTED = 2 * KL_DIRECTIONS,
	SERIES_TRACED,
	SERIES,
};

struct series {
	FILE *out;
	const struct kl_diagnosis *d;
	const struct kl_html_lanes *lanes;
	uint64_t offset_ns;
	int64_t base_ms;
};

static void put_text(const struct series *w, const char *text)
{
	fputc(',', w->out);
	if (text[0])
		kl_html_put_json(w->out, text);
	else
		fputs("null", w->out);
}

/* An item of a series: which one, of whom, and when. */
struct item {
	size_t series; /* of its lane */
	uint64_t session;
	uint64_t time_ns;
};

/* All items: the observed copies, the losses without a row, and the messages of the traces. */
static size_t items(const struct series *w)
{
	size_t unlisted = w->d->lost_count > KL_HTML_ROWS ? w->d->lost_count - KL_HTML_ROWS : 0;

	return w->d->observed_count + unlisted + w->d->evidence.trace.count;
}

/* false: it is in no series. */
static bool get_item(const struct series *w, size_t i, struct item *ret)
{
	const struct kl_diagnosis *d = w->d;
	const struct kl_trace_message *t;

	if (i < d->observed_count) {
		const struct kl_observed *o = &d->observed[i];

		*ret = (struct item){ (o->again ? SERIES_AGAIN : 0) + o->direction, o->session,
				      o->time_ns };
		return !o->lost;
	}
	i += KL_HTML_ROWS - d->observed_count;
	if (i < d->lost_count) {
		*ret = (struct item){ SERIES_UNLISTED, d->lost[i].conn_id, d->lost[i].time_ns };
		return true;
	}
	i -= d->lost_count > KL_HTML_ROWS ? d->lost_count : KL_HTML_ROWS;
	t = &d->evidence.trace.item[i];
	*ret = (struct item){ SERIES_TRACED, t->session, t->time_ns };
	return t->session && t->direction == KL_TO_CUCM;
}

/* The number of its series among those of all lanes; KL_NO_LANE: none. */
static size_t series_of(const struct series *w, size_t i, uint64_t *undrawn)
{
	struct item item;
	size_t lane;

	if (!get_item(w, i, &item))
		return KL_NO_LANE;
	lane = kl_html_lane_of(w->lanes, item.session);
	*undrawn += lane == KL_NO_LANE;
	return lane == KL_NO_LANE ? KL_NO_LANE : lane * SERIES + item.series;
}

/* The items by their series: ret_end[i] is behind the last one of series i. */
static int sort_items(const struct series *w, uint32_t **ret_index, size_t **ret_end,
		      uint64_t *ret_undrawn)
{
	uint64_t again = 0;
	size_t series = w->lanes->count * SERIES, sum = 0, count = items(w);
	uint32_t *index = malloc((count + 1) * sizeof(*index));
	size_t *end = calloc(series + 1, sizeof(*end));

	*ret_index = index;
	*ret_end = end;
	*ret_undrawn = 0;
	if (!index || !end)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		size_t s = series_of(w, i, ret_undrawn);

		if (s != KL_NO_LANE)
			end[s]++;
	}
	for (size_t s = 0; s < series; s++) {
		size_t n = end[s];

		end[s] = sum;
		sum += n;
	}
	for (size_t i = 0; i < count; i++) {
		size_t s = series_of(w, i, &again);

		if (s != KL_NO_LANE)
			index[end[s]++] = (uint32_t)i;
	}
	return 0;
}

static void put_lane_head(const struct series *w, const struct kl_html_lane *l)
{
	const struct kl_html_connection *c = &w->lanes->connection[l->first_connection];
	char address[KL_ADDRESS_TEXT] = "";
	size_t last = SIZE_MAX;

	fprintf(w->out, "[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, l->keepalives, l->lost,
		l->again, l->unregistered);
	put_text(w, l->device);
	if (l->address.family)
		kl_format_address(l->address.family, l->address.word, address);
	put_text(w, address);
	fputs(",[", w->out);
	for (size_t i = 0; i < l->connections; i++) {
		if (c[i].mac_index == SIZE_MAX || c[i].mac_index == last)
			continue;
		fprintf(w->out, "%s%zu", last == SIZE_MAX ? "" : ",", c[i].mac_index);
		last = c[i].mac_index;
	}
	fputs("]", w->out);
}

/* The items index[*next] to index[stop - 1]. */
static void put_series(const struct series *w, const uint32_t *index, size_t *next, size_t stop)
{
	struct kl_html_series series;

	kl_html_series_begin(&series, w->out);
	for (; *next < stop; ++*next) {
		struct item item;

		get_item(w, index[*next], &item);
		kl_html_series_add(&series,
				   (int64_t)((item.time_ns + w->offset_ns) / 1000000) - w->base_ms);
	}
	kl_html_series_end(&series);
}

int kl_html_put_lanes(FILE *out, const struct kl_diagnosis *d, const struct kl_html_lanes *lanes,
		      uint64_t offset_ns, int64_t base_ms, uint64_t *ret_undrawn)
{
	const struct series w = { out, d, lanes, offset_ns, base_ms };
	_cleanup_free_ uint32_t *index = NULL;
	_cleanup_free_ size_t *end = NULL;
	size_t next = 0;
	int r = sort_items(&w, &index, &end, ret_undrawn);

	for (size_t lane = 0; !r && lane < lanes->count; lane++) {
		fputs(lane ? ",\n" : "\n", out);
		put_lane_head(&w, &lanes->lane[lane]);
		for (size_t i = 0; i < SERIES; i++) {
			fputc(',', out);
			put_series(&w, index, &next, end[lane * SERIES + i]);
		}
		fputc(']', out);
	}
	return r;
}
