// SPDX-License-Identifier: GPL-2.0-only
#include "cli/join_history.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "history/history.h"
#include "util/duration.h"

/* So long what is told is gathered; and so long there may be nothing to write. */
#define BATCH_NS (200 * KL_NS_PER_MS)
#define IDLE_NS (10 * KL_NS_PER_S)

struct kl_join_history {
	struct kl_history *history;
	struct kl_sessions *sessions; /* none: what each connection did is not followed here */
	uint64_t patience_ns;
	uint64_t written, progress_ns; /* so many records were written, and when that was new */
	uint64_t tick_ns;
	bool dirty;		     /* something was told that no batch has yet */
	bool late;		     /* the disk is not waited for, until it has all again */
	struct kl_site_counts total; /* the longest way: since the last tick */
	struct kl_counters counters;
};

/* ---- from start to end ---- */

int kl_join_history_open(const struct kl_join_history_config *config, uint64_t realtime_ns,
			 struct kl_join_history **ret, struct kl_error *err)
{
	const struct kl_sessions_config no_sessions = { .awake = 1 };
	const struct kl_history_config history = {
		.path = config->path,
		.keep_ns = config->keep_ns,
		.max_bytes = config->max_bytes,
		.version = KL_VERSION,
		.joiner = config->joiner,
		.batch_ns = BATCH_NS,
		.say = config->say,
	};
	struct kl_join_history *h = calloc(1, sizeof(*h));
	int r;

	if (!h || kl_sessions_new(&no_sessions, &h->sessions)) {
		free(h);
		return kl_fail(err, -ENOMEM, "out of memory");
	}
	h->patience_ns = config->patience_ns;
	r = kl_history_open(&history, &h->history, err);
	if (r) {
		kl_sessions_free(h->sessions);
		free(h);
		return r;
	}
	/* (Records have the time of day already: it is the clock of all that is told.) */
	kl_history_begin(h->history, realtime_ns, 0);
	h->tick_ns = realtime_ns;
	*ret = h;
	return 0;
}

/* ---- records ---- */

static const char *text_of(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member)) ?: "";
}

static uint64_t number_of(const json_t *o, const char *member)
{
	json_int_t n = json_integer_value(json_object_get(o, member));

	return n > 0 ? (uint64_t)n : 0;
}

static uint8_t read_address(const char *text, uint32_t ret[4])
{
	if (inet_pton(AF_INET, text, ret) == 1)
		return 4;
	return inet_pton(AF_INET6, text, ret) == 1 ? 6 : 0;
}

static uint8_t read_kind(const char *name)
{
	for (uint32_t k = 0; k < KL_KINDS; k++) {
		if (!strcmp(kl_kind_name(k), name))
			return (uint8_t)k;
	}
	return KL_OTHER;
}

/* The same connection of the same site, whoever tells of it. */
static uint64_t conn_id(const struct kl_endpoints *ends, const char *site)
{
	uint64_t h = kl_endpoints_hash(ends, KL_WIRE_SEED);

	for (const char *c = site; *c; c++)
		h = kl_mix(h, (uint8_t)*c);
	return h ?: 1;
}

static void tell_loss(struct kl_join_history *h, const json_t *o)
{
	const json_t *phone = json_object_get(o, "phone"), *cucm = json_object_get(o, "cucm");
	const json_t *copies = json_object_get(o, "copies");
	const struct kl_history_found found = { .site = text_of(o, "site"),
						.record = text_of(o, "id") };
	struct kl_lost lost = {
		.where = KL_BETWEEN,
		.direction = strcmp(text_of(o, "direction"), kl_direction_name(KL_TO_PHONE))
				     ? KL_TO_CUCM
				     : KL_TO_PHONE,
		.kind = read_kind(text_of(o, "kind")),
		.seq = (uint32_t)number_of(o, "seq"),
		.seq_other = (uint32_t)number_of(o, "seq_other"),
		.length = (uint32_t)number_of(o, "length"),
		.vlan = (uint16_t)number_of(o, "vlan"),
		.copies = { (uint32_t)number_of(copies, "access"),
			    (uint32_t)number_of(copies, "cucm") },
		.probable = json_is_true(json_object_get(o, "probable")),
	};

	if (kl_parse_time(text_of(o, "time"), &lost.time_ns))
		return;
	lost.ends.family = read_address(text_of(phone, "ip"), lost.ends.phone);
	read_address(text_of(cucm, "ip"), lost.ends.cucm);
	lost.ends.phone_port = (uint16_t)number_of(phone, "port");
	lost.ends.cucm_port = (uint16_t)number_of(cucm, "port");
	snprintf(lost.device, sizeof(lost.device), "%s", text_of(phone, "device"));
	lost.conn_id = conn_id(&lost.ends, found.site);
	kl_history_lost_elsewhere(h->history, &lost, &found);
}

static void tell_gap(struct kl_join_history *h, const json_t *o)
{
	struct kl_history_gap gap = { .site = text_of(o, "site"),
				      .agent = text_of(o, "agent"),
				      .side = text_of(o, "side"),
				      .why = text_of(o, "why") };

	if (!kl_parse_time(text_of(o, "from"), &gap.from_ns) &&
	    !kl_parse_time(text_of(o, "to"), &gap.to_ns))
		kl_history_gap(h->history, &gap);
}

void kl_join_history_tell(struct kl_join_history *h, const char *record)
{
	json_t *o;

	if (!h)
		return;
	o = json_loads(record, 0, NULL);
	if (!strcmp(text_of(o, "type"), "loss"))
		tell_loss(h, o);
	else if (!strcmp(text_of(o, "type"), "gap"))
		tell_gap(h, o);
	json_decref(o);
	h->dirty = true;
}

void kl_join_history_count(struct kl_join_history *h, const struct kl_site_counts *committed)
{
	if (!h)
		return;
	kl_site_counts_add(&h->total, committed);
	h->dirty = true;
}

uint64_t kl_join_history_mark(struct kl_join_history *h)
{
	return h ? kl_history_told(h->history) : 0;
}

bool kl_join_history_has(struct kl_join_history *h, uint64_t mark, uint64_t now_ns)
{
	uint64_t written;

	if (!h)
		return true;
	written = kl_history_written(h->history) + kl_history_missing(h->history);
	if (written >= mark) {
		h->late = false;
		h->progress_ns = 0;
		return true;
	}
	if (written != h->written || !h->progress_ns) {
		h->written = written;
		h->progress_ns = now_ns;
	}
	h->late |= now_ns > h->progress_ns + h->patience_ns;
	return h->late;
}

/* ---- counts ---- */

/* What two clocks do not decide, in the words of one host (docs/history.md). */
static uint32_t fate_of(uint32_t reason)
{
	static const uint8_t fates[KL_PAIR_REASONS] = {
		[KL_PAIR_BEFORE] = KL_UNPAIRED_GAP,
		[KL_PAIR_AFTER] = KL_UNPAIRED_GAP,
		[KL_PAIR_GAP] = KL_UNPAIRED_GAP,
		[KL_PAIR_DROPPED] = KL_UNPAIRED_GAP,
		[KL_PAIR_STEP] = KL_UNPAIRED_GAP,
		[KL_PAIR_NO_CLOCK] = KL_UNPAIRED_GAP,
		[KL_PAIR_NO_PARTNER] = KL_UNPAIRED_ONE_SIDED,
		[KL_PAIR_REWRITTEN] = KL_UNPAIRED_REWRITTEN,
		[KL_PAIR_ONE_SIDED] = KL_UNPAIRED_ONE_SIDED,
		[KL_PAIR_ACKNOWLEDGED] = KL_UNPAIRED_BYPASSED,
		[KL_PAIR_UNSEEN] = KL_UNPAIRED_BYPASSED,
		[KL_PAIR_UNCONFIRMED] = KL_UNPAIRED_UNCONFIRMED,
		[KL_PAIR_OUT_OF_TIME] = KL_UNPAIRED_UNCONFIRMED,
		[KL_PAIR_FRAGMENTED] = KL_UNPAIRED_FRAGMENT,
		[KL_PAIR_FAR_ONLY] = KL_UNPAIRED_FAR_ONLY,
		[KL_PAIR_NO_ROOM] = KL_UNPAIRED_OVERFLOW,
	};

	return fates[reason] ?: KL_UNPAIRED_GAP;
}

static void count(struct kl_counters *c, const struct kl_site_counts *n, uint64_t refused)
{
	*c = (struct kl_counters){};
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		c->segments[d] = n->segments[d];
		for (uint32_t k = 0; k < KL_KINDS; k++) {
			const struct kl_count *x = &n->kind[d][k];

			c->tally[KL_SENT][d][k] = x->sent;
			c->tally[KL_DELIVERED][d][k] = x->delivered;
			c->tally[KL_LOST_BETWEEN][d][k] = x->lost_between;
			c->tally[KL_RETRANSMITTED][d][k] = x->retransmitted;
			c->tally[KL_DUPLICATES][d][k] = x->duplicates;
		}
	}
	for (uint32_t i = 0; i < KL_PAIR_REASONS; i++)
		c->unpaired[fate_of(i)] += n->unpaired[i];
	c->incident[KL_EVENTS_LOST] = n->unsaid;
	c->incident[KL_MALFORMED_FRAMES] = refused;
	for (uint32_t i = 0; i < KL_HIST_BUCKETS; i++)
		c->transit[i] = n->transit[i];
}

static void tick(struct kl_join_history *h, const struct kl_join_history_now *now, bool last)
{
	static const uint64_t nothing[KL_DIRECTIONS][KL_WHERES];
	static const struct kl_tally_own own;
	static const struct kl_evidence has;
	const struct kl_history_tick t = {
		.now_ns = now->realtime_ns,
		.counters = &h->counters,
		.own = &own,
		.transit_max_ns = h->total.transit_max_ns,
		.inferred = nothing,
		.phones = now->phones,
		.sessions = h->sessions,
		.has = &has,
	};

	count(&h->counters, &h->total, now->refused);
	if (last)
		kl_history_end(h->history, &t);
	else
		kl_history_tick(h->history, &t);
	h->total.transit_max_ns = 0;
	h->tick_ns = now->realtime_ns;
}

bool kl_join_history_is_due(const struct kl_join_history *h, uint64_t realtime_ns)
{
	return h && kl_history_is_due(h->history, realtime_ns) &&
	       (h->dirty || realtime_ns - h->tick_ns >= IDLE_NS);
}

void kl_join_history_tick(struct kl_join_history *h, const struct kl_join_history_now *now)
{
	tick(h, now, false);
	/* (The writer may have been busy: then it is handed over later.) */
	h->dirty = kl_history_is_due(h->history, now->realtime_ns);
}

void kl_join_history_close(struct kl_join_history *h, const struct kl_join_history_now *now)
{
	if (!h)
		return;
	tick(h, now, true);
	/* (A thread that hangs in the disk may still look at it.) */
	if (!kl_history_close(h->history))
		return;
	kl_sessions_free(h->sessions);
	free(h);
}
