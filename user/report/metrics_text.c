// SPDX-License-Identifier: GPL-2.0-only
#include "report/metrics_text.h"

#include <inttypes.h>

#include "core/names.h"
#include "util/cleanup.h"
#include "util/duration.h"

/* Buckets by powers of two, in µs: there the kernel's own begin, so that all counts are exact. */
enum {
	TRANSIT_FROM = 0, /* 1 us */
	TRANSIT_TO = 20,  /* 1.05 s */
	ANSWER_FROM = 6,  /* 64 us */
	ANSWER_TO = 24,	  /* 16.8 s */
};

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%" PRIu64 ".%09" PRIu64, (uint64_t)(ns / KL_NS_PER_S),
		(uint64_t)(ns % KL_NS_PER_S));
}

/* ---- The run ---- */

static void print_run(FILE *out, const struct kl_metrics *m)
{
	head(out, "kaloss_build_info", "gauge", "Always 1; the version is a label.");
	fprintf(out, "kaloss_build_info{version=\"%s\"} 1\n", KL_VERSION);
	head(out, "kaloss_start_time_seconds", "gauge", "When counting began, since the epoch.");
	fprintf(out, "kaloss_start_time_seconds ");
	seconds(out, m->start_ns);
	fputc('\n', out);
	head(out, "kaloss_last_tick_time_seconds", "gauge",
	     "As of when all these numbers are, since the epoch; 0: nothing is counted yet.");
	fprintf(out, "kaloss_last_tick_time_seconds ");
	seconds(out, m->tick_ns);
	fputc('\n', out);
	head(out, "kaloss_phones", "gauge", "Phones with a living connection.");
	fprintf(out, "kaloss_phones %zu\n", m->phones);
}

/* ---- Segments ---- */

static uint64_t count_sent(const struct kl_count *n)
{
	return n->sent;
}

static uint64_t count_delivered(const struct kl_count *n)
{
	return n->delivered;
}

static uint64_t count_pending(const struct kl_count *n)
{
	return n->pending;
}

static uint64_t count_duplicates(const struct kl_count *n)
{
	return n->duplicates;
}

/* A kind that was not seen so far has no series; once there, it stays. */
static bool is_seen(const struct kl_metrics *m, __u32 kind)
{
	uint64_t outside = 0;

	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		outside += m->retransmitted_unseen[d][kind];
		outside += m->total.kind[d][kind].retransmitted;
		for (int w = 0; w < KL_WHERES; w++)
			outside += m->lost_outside[d][kind][w];
	}
	return m->total.kind_seen[kind] || outside;
}

static void print_by_kind(FILE *out, const struct kl_metrics *m, const char *name, const char *type,
			  const char *help, uint64_t (*count)(const struct kl_count *n))
{
	head(out, name, type, help);
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		for (__u32 k = 0; k < KL_KINDS; k++) {
			if (is_seen(m, k))
				fprintf(out, "%s{direction=\"%s\",kind=\"%s\"} %" PRIu64 "\n", name,
					kl_direction_name(d), kl_kind_name(k),
					count(&m->total.kind[d][k]));
		}
	}
}

static void print_lost(FILE *out, const struct kl_metrics *m)
{
	const char *name = "kaloss_keepalives_lost_total";

	head(out, name, "counter",
	     "Lost keepalives and answers. where=between was measured, the others are inferred.");
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		for (__u32 k = 0; k < KL_KINDS; k++) {
			for (int w = 0; is_seen(m, k) && w < KL_WHERES; w++)
				fprintf(out,
					"%s{direction=\"%s\",kind=\"%s\",where=\"%s\"} %" PRIu64
					"\n",
					name, kl_direction_name(d), kl_kind_name(k),
					kl_where_name((enum kl_where)w),
					w == KL_BETWEEN ? m->total.kind[d][k].lost_between
							: m->lost_outside[d][k][w]);
		}
	}
}

static void print_retransmissions(FILE *out, const struct kl_metrics *m)
{
	const char *name = "kaloss_retransmissions_total";

	head(out, name, "counter",
	     "Further copies of keepalives and answers, whose first one may not have been seen.");
	for (__u32 d = 0; d < KL_DIRECTIONS; d++) {
		for (__u32 k = 0; k < KL_KINDS; k++) {
			if (is_seen(m, k))
				fprintf(out, "%s{direction=\"%s\",kind=\"%s\"} %" PRIu64 "\n", name,
					kl_direction_name(d), kl_kind_name(k),
					m->total.kind[d][k].retransmitted +
						m->retransmitted_unseen[d][k]);
		}
	}
}

static void print_segments(FILE *out, const struct kl_metrics *m)
{
	head(out, "kaloss_segments_total", "counter",
	     "TCP segments of the signalling ports at the side nearer to their sender.");
	for (__u32 d = 0; d < KL_DIRECTIONS; d++)
		fprintf(out, "kaloss_segments_total{direction=\"%s\"} %" PRIu64 "\n",
			kl_direction_name(d), m->total.segments[d]);
	print_by_kind(out, m, "kaloss_keepalives_sent_total", "counter",
		      "Copies of keepalives and answers seen at the side nearer to their sender.",
		      count_sent);
	print_by_kind(out, m, "kaloss_keepalives_delivered_total", "counter",
		      "Of those sent, copies that were seen at the farther side.", count_delivered);
	print_lost(out, m);
	print_by_kind(out, m, "kaloss_keepalives_pending", "gauge",
		      "Copies under way: sent = delivered + lost (where=between) + pending.",
		      count_pending);
	print_retransmissions(out, m);
	print_by_kind(out, m, "kaloss_duplicates_total", "counter", "Copies that the network made.",
		      count_duplicates);
}

/* ---- Times ---- */

/* kl_hist_floor() of the bucket that begins with 2^log2 µs. */
static __u32 bucket_of(int log2)
{
	return kl_hist_bucket(1ULL << log2);
}

static void print_times(FILE *out, const char *name, const char *help, const uint64_t *histogram,
			int from, int to)
{
	uint64_t count = 0, half_us = 0;
	__u32 next = 0;

	head(out, name, "histogram", help);
	for (int log2 = from; log2 <= to; log2++) {
		for (; next < bucket_of(log2); next++)
			count += histogram[next];
		fprintf(out, "%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", name,
			(double)(1ULL << log2) / 1e6, count);
	}
	for (; next < KL_HIST_BUCKETS; next++)
		count += histogram[next];
	for (__u32 i = 0; i < KL_HIST_BUCKETS; i++)
		half_us += histogram[i] * (kl_hist_floor(i) + kl_hist_floor(i + 1));
	fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
	fprintf(out, "%s_sum %" PRIu64 ".%07" PRIu64 "\n", name, half_us / 2000000,
		half_us % 2000000 * 5);
	fprintf(out, "%s_count %" PRIu64 "\n", name, count);
}

/* ---- Why ---- */

static void print_mac(FILE *out, const struct kl_metrics *m)
{
	static const enum kl_mac_happening flushes[] = { KL_MAC_AGED, KL_MAC_FLUSHED };
	static const enum kl_mac_happening others[] = { KL_MAC_MOVED, KL_MAC_TOPOLOGY_CHANGE,
							KL_MAC_VIOLATION };
	static const struct {
		const char *name, *help;
		const enum kl_mac_happening *events;
		size_t count;
	} metrics[] = {
		{ "kaloss_mac_flushes_total",
		  "MAC addresses of phones and servers that aged out of a table or were removed.",
		  flushes, KL_COUNT(flushes) },
		{ "kaloss_mac_events_total",
		  "What else befell MAC tables: addresses that moved, topology changes, violations "
		  "of port security.",
		  others, KL_COUNT(others) },
	};

	for (size_t i = 0; i < KL_COUNT(metrics); i++) {
		head(out, metrics[i].name, "counter", metrics[i].help);
		for (int s = 0; s < KL_MAC_SOURCES; s++) {
			for (size_t e = 0; m->has_mac[s] && e < metrics[i].count; e++)
				fprintf(out, "%s{source=\"%s\",event=\"%s\"} %" PRIu64 "\n",
					metrics[i].name, kl_mac_source_name((enum kl_mac_source)s),
					kl_mac_happening_name(metrics[i].events[e]),
					m->mac[s][metrics[i].events[e]]);
		}
	}
}

static void print_unregistrations(FILE *out, const struct kl_metrics *m)
{
	const char *name = "kaloss_unregistrations_total";
	const char *reasons[KL_CUCM_REASONS_MAX];
	size_t count = kl_cucm_reasons(reasons);

	head(out, name, "counter",
	     "Alarms of the call server that a phone was unregistered or could not register.");
	if (!m->has_alarms)
		return;
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name, reasons[i],
			m->unregistrations[i]);
	fprintf(out, "%s{reason=\"other\"} %" PRIu64 "\n", name, m->unregistrations_other);
}

static void print_forecasts(FILE *out, const struct kl_metrics *m)
{
	head(out, "kaloss_forecasts_total", "counter",
	     "Unregistrations that were forecast, and what became of them.");
	for (int s = 0; s < KL_FORECAST_STATES; s++)
		fprintf(out, "kaloss_forecasts_total{state=\"%s\"} %" PRIu64 "\n",
			kl_forecast_state_name((enum kl_forecast_state)s), m->forecasts[s]);
}

/* ---- What is not known ---- */

static void print_integrity(FILE *out, const struct kl_integrity *n)
{
	const struct {
		const char *what;
		uint64_t count;
	} list[] = {
		{ "events_lost", n->events_lost },
		{ "join_full", n->join_full },
		{ "flows_evicted", n->flows_evicted },
		{ "unpaired", n->unpaired },
		{ "malformed", n->malformed },
		{ "fragments", n->fragments },
		{ "late", n->late },
		{ "collisions", n->collisions },
		{ "gaps", n->gaps },
		{ "one_way", n->one_way },
		{ "wrong_way_access", n->wrong_way[KL_ACCESS] },
		{ "wrong_way_cucm", n->wrong_way[KL_CUCM] },
		{ "missing_ms", n->missing_ms },
		{ "records_dropped", n->records_dropped },
	};

	head(out, "kaloss_integrity_total", "counter",
	     "What could make the numbers wrong or incomplete.");
	for (size_t i = 0; i < KL_COUNT(list); i++)
		fprintf(out, "kaloss_integrity_total{what=\"%s\"} %" PRIu64 "\n", list[i].what,
			list[i].count);
	head(out, "kaloss_unpaired_total", "counter",
	     "Segments that are called neither sent nor lost, by why: the parts of what=unpaired "
	     "in kaloss_integrity_total.");
	for (__u32 i = KL_LOST + 1; i < KL_FATES; i++)
		fprintf(out, "kaloss_unpaired_total{reason=\"%s\"} %" PRIu64 "\n", kl_fate_name(i),
			n->unpaired_by[i]);
}

static void print_programs(FILE *out, const struct kl_metrics *m)
{
	if (!m->program_count)
		return;
	head(out, "kaloss_bpf_run_nanoseconds_total", "counter",
	     "Time spent in our programs in the kernel, as it measures it.");
	for (size_t i = 0; i < m->program_count; i++)
		fprintf(out, "kaloss_bpf_run_nanoseconds_total{program=\"%s\"} %" PRIu64 "\n",
			m->program[i].name, m->program[i].run_ns);
	head(out, "kaloss_bpf_runs_total", "counter", "Runs of our programs in the kernel.");
	for (size_t i = 0; i < m->program_count; i++)
		fprintf(out, "kaloss_bpf_runs_total{program=\"%s\"} %" PRIu64 "\n",
			m->program[i].name, m->program[i].runs);
}

void kl_metrics_print(FILE *out, const struct kl_metrics *m)
{
	print_run(out, m);
	print_segments(out, m);
	print_times(out, "kaloss_transit_seconds",
		    "From one side to the other, of first copies. The sum is made of the middles "
		    "of fine buckets: within 6.25 % or 0.5 us.",
		    m->transit, TRANSIT_FROM, TRANSIT_TO);
	print_times(out, "kaloss_keepalive_rtt_seconds",
		    "From a keepalive to its answer, of first copies. The sum is made of the "
		    "middles of fine buckets: within 6.25 %.",
		    m->answer, ANSWER_FROM, ANSWER_TO);
	print_mac(out, m);
	print_unregistrations(out, m);
	print_forecasts(out, m);
	print_integrity(out, &m->total.integrity);
	print_programs(out, m);
}
