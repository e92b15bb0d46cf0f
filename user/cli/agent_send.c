// SPDX-License-Identifier: GPL-2.0-only
/* kaloss agent: what goes to the server, and what waits for it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agent_internal.h"
#include "core/names.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	HOLD_MS = 1000, /* after something went wrong */
};

/* ---- Saying it once ---- */

/* Says it where it is not what was said before. */
static void say_new(const struct kl_agent *a, char *before, size_t size, const char *text)
{
	if (!strncmp(before, text, size - 1))
		return;
	snprintf(before, size, "%s", text);
	if (text[0])
		kl_agent_say(a, "%s", text);
}

static void say_connection(struct kl_agent *a)
{
	struct kl_broker_status s;
	char text[sizeof(a->trouble)] = "";

	kl_broker_status(a->broker, &s);
	if (s.connected != a->connected && s.connected)
		kl_agent_say(a, "connected to %s", s.server);
	a->connected = s.connected;
	if (!s.connected && s.trouble[0])
		snprintf(text, sizeof(text), "no connection to a NATS server: %.200s", s.trouble);
	else if (s.trouble[0])
		snprintf(text, sizeof(text), "the server says: %.200s", s.trouble);
	say_new(a, a->trouble, sizeof(a->trouble), text);
}

static void say_spool(struct kl_agent *a, const struct kl_error *err)
{
	say_new(a, a->spool_trouble, sizeof(a->spool_trouble), err->text);
}

/* ---- Batches ---- */

void kl_agent_take_batch(const struct kl_made_batch *batch, void *agent)
{
	struct kl_agent *a = agent;
	struct kl_spool_entry e = {
		.boot = batch->boot,
		.number = batch->number,
		.partition = batch->partition,
		.sightings = batch->sightings,
		.len = (uint32_t)batch->len,
		.data = (uint8_t *)batch->data,
	};
	struct kl_error err = {};

	if (kl_spool_put(a->spool, &e, a->now_ns, &err))
		say_spool(a, &err);
}

static void make_id(const struct kl_spool_entry *e, char ret[KL_BROKER_ID_SIZE])
{
	snprintf(ret, KL_BROKER_ID_SIZE, "%016" PRIx64 ".%" PRIu32 ".%" PRIu64, e->boot,
		 e->partition, e->number);
}

static bool read_id(const char *id, struct kl_spool_entry *ret)
{
	return sscanf(id, "%16" SCNx64 ".%" SCNu32 ".%" SCNu64, &ret->boot, &ret->partition,
		      &ret->number) == 3;
}

static void note_failure(struct kl_agent *a, const struct kl_broker_ack *ack)
{
	char text[sizeof(a->send_trouble)];

	a->again++;
	a->hold_ns = a->now_ns + HOLD_MS * KL_NS_PER_MS;
	/* Of a connection that broke enough is said elsewhere. */
	if (ack->error == -ENOTCONN || !a->connected)
		return;
	if (ack->error == -ENOENT)
		snprintf(text, sizeof(text),
			 "no stream takes %.100s.v1.seg.*: what is seen waits until a joiner has "
			 "made one",
			 a->o->sites.prefix);
	else
		snprintf(text, sizeof(text), "a batch was not taken: %.160s", ack->text);
	say_new(a, a->send_trouble, sizeof(a->send_trouble), text);
}

static void take_acks(struct kl_agent *a)
{
	struct kl_broker_ack ack;

	while (kl_broker_next_ack(a->broker, &ack)) {
		struct kl_spool_entry e;

		if (!read_id(ack.id, &e))
			continue;
		if (ack.error) {
			kl_spool_failed(a->spool, e.boot, e.partition, e.number);
			note_failure(a, &ack);
			continue;
		}
		kl_spool_done(a->spool, e.boot, e.partition, e.number);
		a->published++;
		a->send_trouble[0] = '\0';
	}
}

static void publish(struct kl_agent *a)
{
	const struct kl_spool_entry *e;

	while ((e = kl_spool_next(a->spool))) {
		char subject[KL_SUBJECT_SIZE], id[KL_BROKER_ID_SIZE];

		kl_subject_segments(a->o->sites.prefix, a->o->sites.site, a->name, e->partition,
				    subject);
		make_id(e, id);
		if (kl_broker_publish(a->broker, subject, e->data, e->len, id))
			return; /* the next time, then */
		kl_spool_sent(a->spool, e);
	}
}

void kl_agent_send(struct kl_agent *a)
{
	struct kl_error err = {};

	kl_broker_look(a->broker);
	say_connection(a);
	take_acks(a);
	if (a->connected && a->now_ns >= a->hold_ns)
		publish(a);
	if (a->now_ns - a->kept_ns < KL_NS_PER_S)
		return;
	a->kept_ns = a->now_ns;
	if (kl_spool_keep(a->spool, a->now_ns, &err))
		say_spool(a, &err);
}

/* ---- The heartbeat ---- */

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void put_integrity(const struct kl_agent *a, json_t *to)
{
	struct kl_batcher_stats now;

	kl_batcher_stats(a->batcher, &now);
	json_object_set_new(to, "segments", number(a->counters.segments));
	json_object_set_new(to, "sightings", number(a->before.sightings + now.sightings));
	json_object_set_new(to, "batches", number(a->before.batches + now.batches));
	json_object_set_new(to, "batch_bytes", number(a->before.bytes + now.bytes));
	json_object_set_new(to, "published", number(a->published));
	json_object_set_new(to, "sent_again", number(a->again));
	json_object_set_new(
		to, "integrity",
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "events_lost",
			  number(a->counters.lost), "malformed", number(a->counters.malformed),
			  "fragments", number(a->counters.fragments), "wrong_way",
			  number(a->wrong_way), "late", number(a->before.late + now.late),
			  "refused", number(a->before.refused + now.refused), "missed",
			  number(a->before.missed + now.missed), "gaps", number(a->gaps),
			  "connections_evicted", number(kl_sighter_evicted(a->sighter))));
}

static json_t *describe_spool(const struct kl_agent *a)
{
	struct kl_spool_status s;

	kl_spool_status(a->spool, &s);
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "batches", number(s.waiting), "bytes",
			 number(s.bytes), "max_bytes", number(a->o->sites.spool_max_bytes),
			 "dropped_batches", number(s.dropped), "dropped_sightings",
			 number(s.dropped_sightings), "damaged_bytes", number(s.damaged));
}

static json_t *describe(const struct kl_agent *a, bool ending)
{
	const struct kl_sites_options *s = &a->o->sites;
	char boot[17], time[32];
	json_t *beat;

	snprintf(boot, sizeof(boot), "%016" PRIx64, a->boot);
	kl_format_time(kl_realtime_ns(), time, sizeof(time));
	beat = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:o, s:s, s:o}",
			 "type", "beat", "time", time, "version", KL_VERSION, "site", s->site,
			 "agent", a->name, "side", kl_side_name(s->side), "boot", boot, "clock_ns",
			 number(a->now_ns + a->clock_ns), "interfaces_missing",
			 number(kl_one_side_missing(a->side)), "ending", (int)ending, "partitions",
			 number(s->partitions), "partition_by", kl_wire_rule_name(s->rule), "spool",
			 describe_spool(a));
	if (beat)
		put_integrity(a, beat);
	return beat;
}

void kl_agent_beat(struct kl_agent *a, bool ending)
{
	char subject[KL_SUBJECT_SIZE];
	_cleanup_free_ char *text = NULL;
	json_t *beat;

	a->beat_ns = a->now_ns;
	if (!a->connected)
		return;
	beat = describe(a, ending);
	text = beat ? json_dumps(beat, JSON_COMPACT) : NULL;
	json_decref(beat);
	kl_subject_beat(a->o->sites.prefix, a->o->sites.site, a->name, subject);
	/* (One that is lost is made up for by the next.) */
	if (text)
		(void)kl_broker_tell(a->broker, subject, text, strlen(text));
}
