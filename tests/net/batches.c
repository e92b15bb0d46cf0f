// SPDX-License-Identifier: GPL-2.0-only
/*
 * A joiner's ears, for tests of the agent:
 *
 *   batches URL make [MAX-AGE-S]      the stream for batches and heartbeats, where it is missing
 *   batches URL read [AFTER]          each batch of the stream behind number AFTER as a line of JSON,
 *                                     then its sightings, and how far that was
 *   batches URL beats                 the heartbeats that there are
 *
 * KALOSS_NKEY, KALOSS_CA, KALOSS_CERT, KALOSS_KEY: files, to log in with.
 */
#include <inttypes.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/names.h"
#include "core/subject.h"
#include "core/wire.h"
#include "source/broker.h"
#include "source/broker_internal.h"

enum {
	PATIENCE_MS = 10000,
	NOTHING_MORE_MS = 1000,
};

static int fail(const char *what)
{
	fprintf(stderr, "batches: %s\n", what);
	return 1;
}

static void print_sighting(const struct kl_wire_sighting *w)
{
	const struct kl_sighted *s = &w->sighted;
	const uint8_t *p = (const uint8_t *)s->ends.phone;

	printf("{\"type\":\"sighting\",\"time_ns\":%" PRIu64
	       ",\"kind\":\"%s\",\"direction\":\"%s\","
	       "\"phone\":\"%u.%u.%u.%u:%u\",\"cucm_port\":%u,\"seq\":%u,\"ack\":%u,\"length\":%u,"
	       "\"flags\":%u,\"call\":%s,\"device\":\"%s\",\"vlan\":%u}\n",
	       s->time_ns, kl_kind_name(s->kind), kl_direction_name(s->direction), p[0], p[1], p[2],
	       p[3], s->ends.phone_port, s->ends.cucm_port, s->seq, s->ack, s->payload_len,
	       s->flags, s->call ? "true" : "false", w->device, s->vlan);
}

static void print_batch(const char *subject, const struct kl_wire_batch *b, size_t bytes)
{
	struct kl_subject_from from = {};

	if (!kl_subject_read_segments(KL_SUBJECT_PREFIX, subject, &from))
		fail(subject);
	printf("{\"type\":\"batch\",\"site\":\"%s\",\"agent\":\"%s\",\"side\":\"%s\",\"boot\":"
	       "\"%016" PRIx64 "\",\"partition\":%u,\"number\":%" PRIu64 ",\"from_ns\":%" PRIu64
	       ",\"to_ns\":%" PRIu64 ",\"wall_ns\":%" PRId64 ",\"partitions\":%u,\"rule\":\"%s\","
	       "\"bytes\":%zu,\"sightings\":%u,\"missed\":[",
	       from.site, from.agent, kl_side_name(b->side), b->boot, b->partition, b->number,
	       b->from_ns, b->to_ns, b->wall_ns, b->partitions, kl_wire_rule_name(b->rule), bytes,
	       b->count);
	for (uint32_t i = 0; i < b->misses; i++)
		printf("%s{\"from_ns\":%" PRIu64 ",\"to_ns\":%" PRIu64 ",\"why\":\"%s\"}",
		       i ? "," : "", b->missed[i].from_ns, b->missed[i].to_ns,
		       kl_wire_why_name(b->missed[i].why));
	printf("]}\n");
	for (uint32_t i = 0; i < b->count; i++)
		print_sighting(&b->of[i]);
}

static int make(struct kl_broker *b)
{
	const struct kl_broker_stream seg = {
		.name = "KALOSS_SEG",
		.subjects = { KL_SUBJECT_PREFIX ".v1.seg.>" },
		.duplicates_ns = 3600ULL * 1000 * KL_NS_PER_MS,
	};
	const struct kl_broker_stream beat = {
		.name = "KALOSS_BEAT",
		.subjects = { KL_SUBJECT_PREFIX ".v1.beat.>" },
		.max_per_subject = 1,
	};
	struct kl_error err = {};

	if (kl_broker_make_stream(b, &seg, &err) || kl_broker_make_stream(b, &beat, &err))
		return fail(err.text);
	return 0;
}

static natsSubscription *subscribe(struct kl_broker *b, const char *stream, uint64_t after)
{
	natsSubscription *sub = NULL;
	jsSubOptions options;
	jsErrCode code = 0;

	jsSubOptions_Init(&options);
	options.Stream = stream;
	options.Ordered = true;
	options.Config.DeliverPolicy = after ? js_DeliverByStartSequence : js_DeliverAll;
	options.Config.OptStartSeq = after ? after + 1 : 0;
	if (js_SubscribeSync(&sub, b->js, ">", NULL, &options, &code) != NATS_OK)
		fail(nats_GetLastError(NULL));
	return sub;
}

static uint64_t last_of(struct kl_broker *b, const char *stream)
{
	jsStreamInfo *info = NULL;
	uint64_t last = 0;

	if (js_GetStreamInfo(&info, b->js, stream, NULL, NULL) == NATS_OK)
		last = info->State.LastSeq;
	jsStreamInfo_Destroy(info);
	return last;
}

static int take(natsMsg *msg, struct kl_wire_batch *batch, bool is_batch)
{
	struct kl_error err = {};

	if (!is_batch) {
		printf("%.*s\n", natsMsg_GetDataLength(msg), natsMsg_GetData(msg));
		return 0;
	}
	if (kl_wire_decode(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg), batch, &err))
		return fail(err.text);
	print_batch(natsMsg_GetSubject(msg), batch, (size_t)natsMsg_GetDataLength(msg));
	return 0;
}

static int read_all(struct kl_broker *b, const char *stream, uint64_t after, bool batches)
{
	struct kl_wire_batch *batch = kl_wire_new();
	uint64_t last = last_of(b, stream), at = after;
	natsSubscription *sub = last > after ? subscribe(b, stream, after) : NULL;
	int r = !batch || (last > after && !sub);

	while (!r && at < last) {
		jsMsgMetaData *meta = NULL;
		natsMsg *msg = NULL;

		if (natsSubscription_NextMsg(&msg, sub, NOTHING_MORE_MS) != NATS_OK)
			break;
		r = take(msg, batch, batches);
		if (natsMsg_GetMetaData(&meta, msg) == NATS_OK)
			at = meta->Sequence.Stream;
		jsMsgMetaData_Destroy(meta);
		natsMsg_Destroy(msg);
	}
	if (batches)
		printf("{\"type\":\"end\",\"at\":%" PRIu64 "}\n", at);
	natsSubscription_Destroy(sub);
	kl_wire_free(batch);
	return r;
}

static bool wait_connected(struct kl_broker *b)
{
	struct kl_broker_status status = {};

	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		kl_broker_look(b);
		kl_broker_status(b, &status);
		if (status.connected)
			return true;
		usleep(10000);
	}
	fail(status.trouble[0] ? status.trouble : "no connection");
	return false;
}

int main(int argc, char **argv)
{
	struct kl_broker_config config = {
		.urls = argv[1],
		.nkey_seed = getenv("KALOSS_NKEY"),
		.tls_ca = getenv("KALOSS_CA"),
		.tls_cert = getenv("KALOSS_CERT"),
		.tls_key = getenv("KALOSS_KEY"),
	};
	struct kl_broker *b = NULL;
	struct kl_error err = {};
	int r = 1;

	if (argc < 3)
		return fail("batches URL make|read|beats");
	if (kl_broker_open(&config, &b, &err))
		return fail(err.text);
	if (wait_connected(b)) {
		if (!strcmp(argv[2], "make"))
			r = make(b);
		else if (!strcmp(argv[2], "read"))
			r = read_all(b, "KALOSS_SEG", argc > 3 ? strtoull(argv[3], NULL, 10) : 0,
				     true);
		else
			r = read_all(b, "KALOSS_BEAT", 0, false);
	}
	kl_broker_close(b);
	return r;
}
