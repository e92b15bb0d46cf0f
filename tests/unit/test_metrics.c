// SPDX-License-Identifier: GPL-2.0-only
/* core/metrics.h and what becomes of it: numbers, labels, buckets and sums as Prometheus wants them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "report/metrics_http.h"
#include "report/metrics_text.h"
#include "util/cleanup.h"
#include "util/duration.h"

static char *printed(const struct kl_metrics *m)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert(out);
	kl_metrics_print(out, m);
	fclose(out);
	return text;
}

/* The value of a series, as text that the caller frees; NULL: there is none. */
static char *value(const char *text, const char *series)
{
	size_t len = strlen(series);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, series, len) && line[len] == ' ')
			return strndup(line + len + 1, strcspn(line + len + 1, "\n"));
	}
	return NULL;
}

static void expect(const struct kl_metrics *m, const char *series, const char *want)
{
	_cleanup_free_ char *text = printed(m);
	_cleanup_free_ char *got = value(text, series);

	if (!want)
		cr_assert_null(got, "%s is there", series);
	else
		cr_assert(got && !strcmp(got, want), "%s: %s, want %s", series, got ?: "none",
			  want);
}

Test(metrics, at_the_start)
{
	struct kl_metrics m = {};

	expect(&m, "kaloss_phones", "0");
	expect(&m, "kaloss_integrity_total{what=\"events_lost\"}", "0");
	expect(&m, "kaloss_transit_seconds_count", "0");
	expect(&m, "kaloss_transit_seconds_sum", "0.0000000");
	/* Nobody tells of these, and nobody measures those. */
	expect(&m, "kaloss_mac_flushes_total{source=\"bridge\",event=\"aged\"}", NULL);
	expect(&m, "kaloss_unregistrations_total{reason=\"other\"}", NULL);
	expect(&m, "kaloss_bpf_runs_total{program=\"kaloss_xdp_acc\"}", NULL);
}

Test(metrics, by_kind)
{
	const struct kl_story loss = { .type = KL_STORY_LOSS,
				       .direction = KL_TO_CUCM,
				       .kind = KL_SIP_REGISTER,
				       .where = KL_PHONE_SIDE };
	const struct kl_story again = { .type = KL_STORY_RETRANSMISSION,
					.direction = KL_TO_CUCM,
					.kind = KL_SIP_REGISTER,
					.inferred = true };
	const struct kl_story seen = { .type = KL_STORY_RETRANSMISSION,
				       .direction = KL_TO_CUCM,
				       .kind = KL_SIP_REGISTER };
	const struct kl_story forecast = { .type = KL_STORY_FORECAST,
					   .state = KL_FORECAST_WITHDRAWN };
	static const char *const lost =
		"kaloss_keepalives_lost_total{direction=\"to_cucm\",kind=\"sip_register\",where=";
	struct kl_tally_state tally = {};
	const struct kl_evidence has = { .has_bridge = true };
	struct kl_metrics m = {};
	char series[160];

	tally.total.kind[KL_TO_CUCM][KL_SIP_REGISTER] = (struct kl_count){
		.sent = 10, .delivered = 6, .lost_between = 3, .pending = 1, .retransmitted = 2
	};
	tally.total.kind_seen[KL_SIP_REGISTER] = true;
	tally.total.segments[KL_TO_PHONE] = 77;
	tally.total.integrity.unpaired_by[KL_UNPAIRED_GAP] = 5;
	kl_metrics_story(&m, &loss);
	kl_metrics_story(&m, &again);
	kl_metrics_story(&m, &seen); /* the kernel counts it */
	kl_metrics_story(&m, &forecast);
	kl_metrics_tick(&m, &tally, &has);
	expect(&m, "kaloss_keepalives_sent_total{direction=\"to_cucm\",kind=\"sip_register\"}",
	       "10");
	expect(&m, "kaloss_keepalives_delivered_total{direction=\"to_cucm\",kind=\"sip_register\"}",
	       "6");
	expect(&m, "kaloss_keepalives_pending{direction=\"to_cucm\",kind=\"sip_register\"}", "1");
	expect(&m, "kaloss_retransmissions_total{direction=\"to_cucm\",kind=\"sip_register\"}",
	       "3");
	snprintf(series, sizeof(series), "%s\"between\"}", lost);
	expect(&m, series, "3");
	snprintf(series, sizeof(series), "%s\"phone_side\"}", lost);
	expect(&m, series, "1");
	snprintf(series, sizeof(series), "%s\"cucm_side\"}", lost);
	expect(&m, series, "0");
	expect(&m, "kaloss_segments_total{direction=\"to_phone\"}", "77");
	expect(&m, "kaloss_forecasts_total{state=\"withdrawn\"}", "1");
	expect(&m, "kaloss_unpaired_total{reason=\"gap\"}", "5");
	expect(&m, "kaloss_mac_flushes_total{source=\"bridge\",event=\"aged\"}", "0");
	expect(&m, "kaloss_mac_flushes_total{source=\"snmp\",event=\"aged\"}", NULL);
	expect(&m, "kaloss_keepalives_sent_total{direction=\"to_cucm\",kind=\"crlf_ping\"}", NULL);
}

/* A count at a bound of the kernel's fine buckets, one below it, and one beyond all. */
Test(metrics, histogram)
{
	struct kl_metrics m = {};

	m.transit[kl_hist_bucket(15)] = 2; /* 15 to 16 us */
	m.transit[kl_hist_bucket(16)] = 1; /* 16 to 18 us */
	m.transit[kl_hist_bucket(0)] = 1;
	m.transit[KL_HIST_BUCKETS - 1] = 1;
	expect(&m, "kaloss_transit_seconds_bucket{le=\"1e-06\"}", "1");
	expect(&m, "kaloss_transit_seconds_bucket{le=\"8e-06\"}", "1");
	expect(&m, "kaloss_transit_seconds_bucket{le=\"1.6e-05\"}", "3");
	expect(&m, "kaloss_transit_seconds_bucket{le=\"3.2e-05\"}", "4");
	expect(&m, "kaloss_transit_seconds_bucket{le=\"1.048576\"}", "4");
	expect(&m, "kaloss_transit_seconds_bucket{le=\"+Inf\"}", "5");
	expect(&m, "kaloss_transit_seconds_count", "5");
	m.transit[KL_HIST_BUCKETS - 1] = 0;
	expect(&m, "kaloss_transit_seconds_sum", "0.0000485"); /* 2 × 15.5 + 17 + 0.5 us */
}

Test(metrics, reasons)
{
	const struct kl_evidence has = { .has_syslog = true };
	struct kl_tally_state tally = {};
	struct kl_metrics m = {};
	struct kl_alarm a = { .reason = 13, .reason_name = "keepAliveTimeout" };

	kl_metrics_unregistration(&m, &a);
	kl_metrics_unregistration(&m, &a);
	a = (struct kl_alarm){ .reason = 4711, .reason_name = "4711" };
	kl_metrics_unregistration(&m, &a);
	a = (struct kl_alarm){ .reason = -1 };
	kl_metrics_unregistration(&m, &a);
	kl_metrics_tick(&m, &tally, &has);
	expect(&m, "kaloss_unregistrations_total{reason=\"keepAliveTimeout\"}", "2");
	expect(&m, "kaloss_unregistrations_total{reason=\"other\"}", "2");
	expect(&m, "kaloss_unregistrations_total{reason=\"deviceUnregistered\"}", "0");
	expect(&m, "kaloss_unregistrations_total{reason=\"4711\"}", NULL);
}

Test(metrics, no_series_twice)
{
	struct kl_metrics m = { .has_alarms = true, .has_mac = { true, true, true } };
	_cleanup_free_ char *text = NULL;
	char *line[4096], *rest;
	size_t count = 0;

	memset(m.total.kind_seen, true, sizeof(m.total.kind_seen));
	rest = text = printed(&m);
	for (char *next; (next = strsep(&rest, "\n"));) {
		next[strcspn(next, " ")] = next[0] == '#' ? ' ' : '\0';
		if (next[0] && count < KL_COUNT(line))
			line[count++] = next;
	}
	cr_assert_lt(count, 1000, "%zu lines, however many phones there are", count);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = i + 1; k < count; k++)
			cr_assert_str_neq(line[i], line[k]);
	}
}

Test(metrics, health)
{
	char text[128];

	cr_assert(!kl_metrics_healthy(0, KL_NS_PER_S, 100, text, sizeof(text)));
	cr_assert_str_eq(text, "starting: there was no tick yet\n");
	cr_assert(
		kl_metrics_healthy(KL_NS_PER_S, KL_NS_PER_S, 5 * KL_NS_PER_S, text, sizeof(text)));
	cr_assert_str_eq(text, "ok: the last tick was 4.0 s ago\n");
	/* Set by another thread a moment after the time was read. */
	cr_assert(kl_metrics_healthy(2, KL_NS_PER_S, 1, text, sizeof(text)));
	cr_assert(
		!kl_metrics_healthy(KL_NS_PER_S, KL_NS_PER_S, 7 * KL_NS_PER_S, text, sizeof(text)));
	cr_assert_str_eq(text, "stuck: the last tick was 6.0 s ago, and one is due every 1.0 s\n");
	cr_assert(kl_metrics_healthy(KL_NS_PER_S, 60 * KL_NS_PER_S, 180 * KL_NS_PER_S, text,
				     sizeof(text)));
}
