// SPDX-License-Identifier: GPL-2.0-only
#include "cli/write_lost.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "core/names.h"
#include "source/capture.h"
#include "source/pcapng_write.h"
#include "util/cleanup.h"
#include "util/duration.h"
#include "util/hash.h"

enum {
	COMMENT = 512,
	LINK_ETHERNET = 1,
	LINKS = 8, /* as many as are read */
};

#define AROUND_NS KL_NS_PER_S	      /* shown before the loss, and after it got through */
#define LONGEST_NS (60 * KL_NS_PER_S) /* shown after the loss, at most */

/* What of a connection is shown, by the access side's clock. */
struct window {
	uint64_t from_ns;
	uint64_t to_ns;
};

/* A connection with losses, as one side sees it. */
struct shown {
	struct kl_endpoints ends;
	struct window *windows; /* in order, apart from each other */
	size_t window_count, window_room;
	size_t *inferred; /* losses that no side saw, as they are numbered in the diagnosis */
	size_t inferred_count, inferred_room;
	UT_hash_handle hh;
};

/* The interfaces of the file that is written which stand for one that is read: one a link type. */
struct interfaces {
	struct {
		uint16_t link;
		uint32_t number;
	} by_link[LINKS];
	size_t count;
};

struct side {
	struct shown *shown;
	struct kl_capture *capture; /* NULL: there is none, or it is over */
	const struct kl_captured *next;
	struct interfaces *interfaces; /* by file */
};

struct writer {
	const struct kl_write_lost *from;
	const struct kl_diagnosis *d;
	struct kl_pcapng out;
	struct side side[KL_SIDES];
	size_t *by_reference; /* losses that were seen */
	size_t references;
};

static void free_writer(struct writer *w)
{
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		struct side *s = &w->side[side];
		struct shown *c, *next;

		HASH_ITER(hh, s->shown, c, next)
		{
			HASH_DEL(s->shown, c);
			free(c->windows);
			free(c->inferred);
			free(c);
		}
		kl_capture_close(s->capture);
		free(s->interfaces);
	}
	free(w->by_reference);
}

/* ---- What is to be shown ---- */

static int grow(void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 4;
	void *grown;

	if (count < *room)
		return 0;
	grown = reallocarray(*array, more, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

static struct shown *find_shown(const struct side *s, const struct kl_endpoints *ends)
{
	struct shown *c;

	HASH_FIND(hh, s->shown, ends, sizeof(*ends), c);
	return c;
}

static struct shown *get_shown(struct side *s, const struct kl_endpoints *ends)
{
	struct shown *c = find_shown(s, ends);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->ends = *ends;
	HASH_ADD(hh, s->shown, ends, sizeof(c->ends), c);
	return c;
}

static struct window window_of(const struct kl_lost *l)
{
	uint64_t through_ns = l->through_ns		  ? l->through_ns
			      : l->evidence && l->late_ns ? l->time_ns + l->late_ns
							  : 0;
	struct window v = { .from_ns = kl_since(l->time_ns, AROUND_NS),
			    .to_ns = l->time_ns + LONGEST_NS };

	if (through_ns && through_ns + AROUND_NS < v.to_ns)
		v.to_ns = through_ns + AROUND_NS;
	return v;
}

/* Losses come in the order of time, so windows begin in that order, too. */
static int show(struct side *s, const struct kl_endpoints *ends, const struct kl_lost *l,
		size_t number)
{
	struct window v = window_of(l), *last;
	struct shown *c = get_shown(s, ends);

	if (!c || grow((void **)&c->windows, c->window_count, &c->window_room, sizeof(v)) ||
	    !c->windows)
		return -ENOMEM;
	if (!l->reference) {
		if (grow((void **)&c->inferred, c->inferred_count, &c->inferred_room,
			 sizeof(number)))
			return -ENOMEM;
		c->inferred[c->inferred_count++] = number;
	}
	last = c->window_count ? &c->windows[c->window_count - 1] : NULL;
	if (!last || v.from_ns > last->to_ns)
		c->windows[c->window_count++] = v;
	else if (v.to_ns > last->to_ns)
		last->to_ns = v.to_ns;
	return 0;
}

static int by_reference(const void *a, const void *b, void *arg)
{
	const struct kl_lost *lost = arg;
	uint64_t x = lost[*(const size_t *)a].reference, y = lost[*(const size_t *)b].reference;

	return x < y ? -1 : x > y;
}

static int prepare(struct writer *w)
{
	const struct kl_diagnosis *d = w->d;

	w->by_reference = calloc(d->lost_count ?: 1, sizeof(*w->by_reference));
	if (!w->by_reference)
		return -ENOMEM;
	for (size_t i = 0; i < d->lost_count; i++) {
		const struct kl_lost *l = &d->lost[i];

		if (l->reference)
			w->by_reference[w->references++] = i;
		for (uint32_t side = 0; side < KL_SIDES; side++) {
			if (w->from->side[side].count && l->seen[side].family &&
			    show(&w->side[side], &l->seen[side], l, i))
				return -ENOMEM;
		}
	}
	qsort_r(w->by_reference, w->references, sizeof(*w->by_reference), by_reference, d->lost);
	return 0;
}

/* ---- Finding it again ---- */

/* By the access side's clock; the cucm side's where that is the only one. */
static uint64_t common_time(const struct kl_diagnosis *d, uint32_t side, uint64_t time_ns)
{
	uint64_t there;

	if (side == KL_ACCESS || !d->two_sided || !d->clock.known)
		return time_ns;
	/* Where the offset and the drift lead to, they lead back from. */
	there = kl_diagnosis_other_clock(d, time_ns);
	there = time_ns - (there - time_ns);
	return there + time_ns - kl_diagnosis_other_clock(d, there);
}

static const struct kl_lost *find_lost(const struct writer *w, uint64_t reference)
{
	size_t low = 0, high = w->references;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct kl_lost *l = &w->d->lost[w->by_reference[middle]];

		if (l->reference == reference)
			return l;
		if (l->reference < reference)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool is_shown(const struct shown *c, uint64_t time_ns)
{
	size_t low = 0, high = c->window_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->windows[middle].to_ns < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->window_count && c->windows[low].from_ns <= time_ns;
}

/* The loss, before this side, of an earlier copy of a segment. */
static const struct kl_lost *find_inferred(const struct writer *w, const struct shown *c,
					   uint32_t direction, const struct kl_segment *s,
					   uint64_t time_ns)
{
	for (size_t i = 0; i < c->inferred_count; i++) {
		const struct kl_lost *l = &w->d->lost[c->inferred[i]];

		if (l->direction == direction && l->seq == s->seq && l->length == s->payload_len &&
		    l->time_ns < time_ns + AROUND_NS && time_ns < l->time_ns + LONGEST_NS)
			return l;
	}
	return NULL;
}

/* ---- Writing ---- */

static void comment_lost(const struct kl_lost *l, uint32_t side, char ret[COMMENT])
{
	char time[40];
	size_t n;

	n = (size_t)snprintf(ret, COMMENT, "lost: never seen in the %s capture; ",
			     kl_side_name(side ^ 1));
	if (l->sent_again)
		n += (size_t)snprintf(ret + n, COMMENT - n, "sent %u time%s again", l->sent_again,
				      l->sent_again == 1 ? "" : "s");
	else
		n += (size_t)snprintf(ret + n, COMMENT - n, "not seen to be sent again");
	if (!l->through_ns)
		return;
	kl_format_time(l->through_ns, time, sizeof(time));
	snprintf(ret + n, COMMENT - n, ", got through at %s by the access side's clock", time);
}

static void comment_inferred(const struct kl_lost *l, char ret[COMMENT])
{
	snprintf(ret, COMMENT, "lost (inferred%s), %s: an earlier copy of this. %s",
		 l->probable ? ", probably" : "", kl_where_name((enum kl_where)l->where),
		 l->evidence ?: "");
}

static int get_interface(struct writer *w, uint32_t side, size_t file, uint16_t link, uint32_t *ret)
{
	struct interfaces *i = &w->side[side].interfaces[file];
	char description[64];

	for (size_t n = 0; n < i->count; n++) {
		*ret = i->by_link[n].number;
		if (i->by_link[n].link == link)
			return 0;
	}
	if (i->count == LINKS)
		return -EINVAL;
	snprintf(description, sizeof(description), "%s side, by its own clock", kl_side_name(side));
	*ret = w->out.interfaces;
	i->by_link[i->count].link = link;
	i->by_link[i->count++].number = *ret;
	return kl_pcapng_interface(&w->out, link, w->from->side[side].paths[file], description,
				   ret);
}

static int write_packet(struct writer *w, uint32_t side, const struct kl_captured *c,
			const char *comment)
{
	struct kl_pcapng_packet p = { .time_ns = c->time_ns,
				      .data = c->frame,
				      .captured = c->frame_captured,
				      .len = c->frame_len,
				      .comment = comment };
	int r = get_interface(w, side, c->file, c->link, &p.interface);

	return r ? r : kl_pcapng_packet(&w->out, &p);
}

static int take(struct writer *w, uint32_t side, const struct kl_captured *c)
{
	const struct kl_lost *lost = find_lost(w, kl_lost_reference(side, c->file, c->packet));
	uint64_t time_ns = common_time(w->d, side, c->time_ns);
	struct kl_endpoints ends;
	char comment[COMMENT] = "";
	struct shown *shown;
	bool ambiguous;
	uint32_t direction = kl_orient(w->from->ports, &c->segment, &ambiguous);

	kl_endpoints_of(&c->segment, direction, &ends);
	shown = find_shown(&w->side[side], &ends);
	if (!shown && ambiguous) {
		direction ^= 1;
		kl_endpoints_of(&c->segment, direction, &ends);
		shown = find_shown(&w->side[side], &ends);
	}
	if (lost) {
		comment_lost(lost, side, comment);
	} else {
		if (!shown || !is_shown(shown, time_ns))
			return 0;
		lost = find_inferred(w, shown, direction, &c->segment, time_ns);
		if (lost)
			comment_inferred(lost, comment);
	}
	return write_packet(w, side, c, comment[0] ? comment : NULL);
}

static int advance(struct writer *w, uint32_t side, struct kl_error *err)
{
	struct side *s = &w->side[side];
	int r = kl_capture_next(s->capture, &s->next, err);

	if (r > 0)
		return 0;
	kl_capture_close(s->capture);
	s->capture = NULL;
	s->next = NULL;
	return r;
}

static int open_side(struct writer *w, uint32_t side, struct kl_error *err)
{
	size_t count = w->from->side[side].count;
	struct side *s = &w->side[side];
	int r;

	if (!count)
		return 0;
	s->interfaces = calloc(count, sizeof(*s->interfaces));
	if (!s->interfaces)
		return kl_fail(err, -ENOMEM, "out of memory");
	r = kl_capture_open(w->from->side[side].paths, count, w->from->ports, &s->capture, err);
	return r ? r : advance(w, side, err);
}

/* Both sides, merged by a common clock. */
static int copy_all(struct writer *w, struct kl_error *err)
{
	for (;;) {
		const struct kl_captured *a = w->side[KL_ACCESS].next, *b = w->side[KL_CUCM].next;
		uint32_t side = KL_ACCESS;
		int r;

		if (!a && !b)
			return 0;
		if (!a || (b && common_time(w->d, KL_CUCM, b->time_ns) < a->time_ns))
			side = KL_CUCM;
		r = take(w, side, w->side[side].next);
		if (!r)
			r = advance(w, side, err);
		if (r)
			return r;
	}
}

static int start(struct writer *w, FILE *out)
{
	const struct kl_diagnosis *d = w->d;
	char comment[COMMENT] = "Lost segments and their neighbours.";
	double offset = (double)d->clock.offset_ns / 1e9;

	if (d->two_sided && d->clock.known)
		snprintf(comment, sizeof(comment),
			 "Lost segments and their neighbours. Times are as they were captured: the "
			 "cucm side's clock is %.6f s %s the access side's.",
			 offset < 0 ? -offset : offset, offset < 0 ? "behind" : "ahead of");
	return kl_pcapng_start(&w->out, out, "kaloss " KL_VERSION, comment);
}

int kl_write_lost(const struct kl_write_lost *from, FILE *out, struct kl_error *err)
{
	struct writer w
		__attribute__((cleanup(free_writer))) = { .from = from, .d = from->diagnosis };
	uint32_t number;
	int r = prepare(&w);

	if (r)
		return kl_fail(err, r, "out of memory");
	r = start(&w, out);
	for (uint32_t side = 0; !r && from->diagnosis->lost_count && side < KL_SIDES; side++)
		r = open_side(&w, side, err);
	if (!r)
		r = copy_all(&w, err);
	/* A capture without an interface is none. */
	if (!r && !w.out.interfaces)
		r = kl_pcapng_interface(&w.out, LINK_ETHERNET, NULL, "nothing is lost", &number);
	errno = 0;
	if (!r && fflush(out))
		r = -(errno ?: EIO);
	return r;
}
