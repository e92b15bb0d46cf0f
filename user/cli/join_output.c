// SPDX-License-Identifier: GPL-2.0-only
/* join_internal.h: records on standard output, and as text */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/join_internal.h"
#include "core/names.h"
#include "report/json_records.h"
#include "util/duration.h"

static void end_record(struct kl_join *j)
{
	int r = kl_outlet_commit(j->outlet);

	if (r && !j->error)
		j->error = r;
}

static const char *text_of(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member)) ?: "-";
}

/* "phone" and "cucm" of a loss. */
static void print_end(FILE *out, const json_t *o, const char *member)
{
	const json_t *end = json_object_get(o, member);
	const char *ip = text_of(end, "ip");

	fprintf(out, strchr(ip, ':') ? "[%s]:%d" : "%s:%d", ip,
		(int)json_integer_value(json_object_get(end, "port")));
}

static void print_loss(FILE *out, const json_t *o)
{
	const char *device = json_string_value(
		json_object_get(json_object_get(o, "phone"), "device"));

	fprintf(out, "%s  %s  LOST between  %s %s  ", text_of(o, "time"), text_of(o, "site"),
		text_of(o, "kind"), text_of(o, "direction"));
	print_end(out, o, "phone");
	if (device)
		fprintf(out, " (%s)", device);
	fprintf(out, " cucm ");
	print_end(out, o, "cucm");
	fprintf(out, " seq %" PRIu64 "\n", (uint64_t)json_integer_value(json_object_get(o, "seq")));
}

static void print_text(FILE *out, const char *text)
{
	json_t *o = json_loads(text, 0, NULL);
	const char *type = text_of(o, "type");

	if (!strcmp(type, "loss"))
		print_loss(out, o);
	else if (!strcmp(type, "gap"))
		fprintf(out, "%s  %s  agent %s (%s side) did not cover %s to %s: %s\n",
			text_of(o, "time"), text_of(o, "site"), text_of(o, "agent"),
			text_of(o, "side"), text_of(o, "from"), text_of(o, "to"),
			text_of(o, "why"));
	json_decref(o);
}

void kl_join_print(struct kl_join *j, const char *text)
{
	if (j->o->format == KL_FORMAT_JSONL)
		fprintf(j->out, "%s\n", text);
	else
		print_text(j->out, text);
	end_record(j);
}

static uint32_t owned(const struct kl_join *j)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < j->count; i++)
		n += j->partitions[i].owned;
	return n;
}

/* Of all sites and partitions of this joiner; the records have it by site. */
void kl_join_print_tick(struct kl_join *j)
{
	struct kl_tally_report t;
	char time[40];

	if (j->o->format == KL_FORMAT_JSONL)
		return;
	kl_site_counts_tally(&j->since, &t);
	kl_format_time(j->realtime_ns, time, sizeof(time));
	fprintf(j->out,
		"%s  %u partitions  to cucm %" PRIu64 " sent %" PRIu64 " lost  to phones %" PRIu64
		" sent %" PRIu64 " lost  %" PRIu64 " unpaired\n",
		time, owned(j), t.direction[0].sent, t.direction[0].lost_between,
		t.direction[1].sent, t.direction[1].lost_between, t.integrity.unpaired);
	j->since = (struct kl_site_counts){};
	end_record(j);
}

static void print_text_summary(struct kl_join *j, const struct kl_tally_report *t)
{
	fprintf(j->out, "Committed by this joiner in %.0f s:\n",
		(double)(j->now_ns - j->started_ns) / 1e9);
	for (uint32_t k = 0; k < KL_KINDS; k++) {
		for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
			const struct kl_count *n = &t->kind[d][k];

			if (!n->sent)
				continue;
			fprintf(j->out,
				"  %-20s %-8s %10" PRIu64 " sent %10" PRIu64 " delivered %8" PRIu64
				" lost\n",
				kl_kind_name(k), d == KL_TO_CUCM ? "to cucm" : "to phone", n->sent,
				n->delivered, n->lost_between);
		}
	}
	for (uint32_t i = 0; i < KL_PAIR_REASONS; i++) {
		if (j->total.unpaired[i])
			fprintf(j->out, "  not judged: %" PRIu64 " (%s)\n", j->total.unpaired[i],
				kl_pair_reason_name(i));
	}
	if (j->refused)
		fprintf(j->out, "  batches not taken: %" PRIu64 "\n", j->refused);
}

void kl_join_print_summary(struct kl_join *j)
{
	struct kl_tally_report t;
	struct kl_report_tick tick = { .time_ns = j->realtime_ns,
				       .interval_s = (double)(j->now_ns - j->started_ns) / 1e9,
				       .tally = &t };
	json_t *o;
	char *text;

	kl_site_counts_tally(&j->total, &t);
	t.integrity.malformed = j->refused;
	t.integrity.records_dropped = kl_outlet_dropped(j->outlet);
	if (j->o->format != KL_FORMAT_JSONL) {
		print_text_summary(j, &t);
		kl_outlet_commit_always(j->outlet);
		return;
	}
	o = kl_json_summary(&tick);
	json_object_set_new(o, "joiner", json_string(j->name));
	text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(o);
	fprintf(j->out, "%s\n", text ?: "{}");
	free(text);
	kl_outlet_commit_always(j->outlet);
}
