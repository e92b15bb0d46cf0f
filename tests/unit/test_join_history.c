// SPDX-License-Identifier: GPL-2.0-only
/* join_history.h: what a joiner committed is in its file, each loss once, whoever told of it. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/join_history.h"
#include "core/findings.h"
#include "history/load.h"
#include "util/duration.h"

#define NOW_NS (1800000000ULL * KL_NS_PER_S)

struct file {
	char dir[40];
	char path[60];
};

static void make_file(struct file *f)
{
	snprintf(f->dir, sizeof(f->dir), "/tmp/kaloss-join-XXXXXX");
	cr_assert(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/history.db", f->dir);
}

static void remove_file(struct file *f)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char path[80];

		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	rmdir(f->dir);
}

static int64_t ask(const char *path, const char *sql)
{
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;
	int64_t n = -1;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK, "%s: %s", sql,
		     sqlite3_errmsg(db));
	if (sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

static struct kl_join_history *open_it(const struct file *f, const char *name)
{
	const struct kl_join_history_config config = { .path = f->path,
						       .joiner = name,
						       .patience_ns = 10 * KL_NS_PER_S };
	struct kl_join_history *h = NULL;
	struct kl_error err = {};

	cr_assert_eq(kl_join_history_open(&config, NOW_NS, &h, &err), 0, "%s", err.text);
	return h;
}

static void tell_loss(struct kl_join_history *h, const char *site, unsigned number)
{
	char record[700];

	snprintf(record, sizeof(record),
		 "{\"type\":\"loss\",\"time\":\"2027-01-15T07:59:%02u.250000Z\",\"direction\":"
		 "\"to_phone\",\"where\":\"between\",\"kind\":\"sccp_keepalive_ack\",\"phone\":"
		 "{\"ip\":\"10.1.0.%u\",\"port\":40000,\"mac\":null,\"device\":\"SEP00000000000%"
		 "u\"},"
		 "\"cucm\":{\"ip\":\"10.2.0.10\",\"port\":2000},\"vlan\":null,\"seq\":%u,"
		 "\"seq_other\":7,\"length\":12,\"copies\":{\"access\":0,\"cucm\":1},\"probable\":"
		 "false,\"site\":\"%s\",\"id\":\"%s-%x\"}",
		 number, number, number, 3000000000U + number, site, site, number);
	kl_join_history_tell(h, record);
}

static void tell_gap(struct kl_join_history *h)
{
	kl_join_history_tell(h, "{\"type\":\"gap\",\"time\":\"2027-01-15T07:00:09.000000Z\","
				"\"agent\":\"tap1\",\"side\":\"cucm\",\"from\":"
				"\"2027-01-15T07:00:01.000000Z\",\"to\":"
				"\"2027-01-15T07:00:09.000000Z\",\"why\":\"overflow\","
				"\"partition\":3,\"site\":\"centre\",\"id\":\"00\"}");
}

static struct kl_site_counts some_counts(void)
{
	struct kl_site_counts n = {};
	struct kl_count *k = &n.kind[KL_TO_PHONE][KL_SCCP_KEEPALIVE_ACK];

	*k = (struct kl_count){ .sent = 100, .delivered = 97, .lost_between = 3 };
	n.segments[KL_TO_PHONE] = 100;
	n.unpaired[KL_PAIR_NO_PARTNER] = 4;
	n.unpaired[KL_PAIR_FAR_ONLY] = 5;
	n.unsaid = 2;
	n.transit[kl_hist_bucket(1000)] = 97;
	n.transit_max_ns = 1000000;
	return n;
}

static void commit_some(struct kl_join_history *h, uint64_t now_ns)
{
	struct kl_site_counts n = some_counts();
	struct kl_join_history_now now = { .realtime_ns = now_ns, .phones = 3 };
	uint64_t mark;

	for (unsigned i = 1; i <= 3; i++)
		tell_loss(h, "branch-1", i);
	tell_gap(h);
	kl_join_history_count(h, &n);
	mark = kl_join_history_mark(h);
	cr_expect(!kl_join_history_has(h, mark, kl_monotonic_ns()));
	cr_expect(kl_join_history_is_due(h, now_ns));
	kl_join_history_tick(h, &now);
	while (!kl_join_history_has(h, mark, kl_monotonic_ns()))
		usleep(1000);
}

static void close_it(struct kl_join_history *h, uint64_t now_ns)
{
	const struct kl_join_history_now now = { .realtime_ns = now_ns, .phones = 3 };

	kl_join_history_close(h, &now);
}

Test(join_history, what_is_committed_is_in_the_file_before_it_is_published)
{
	struct kl_join_history *h;
	struct file f;

	make_file(&f);
	h = open_it(&f, "one");
	commit_some(h, NOW_NS + KL_NS_PER_S);
	/* (Another process would see the same: it is read while it is open.) */
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM loss"), 3);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM agent_gap"), 1);
	cr_expect_eq(ask(f.path, "SELECT sum(lost_between) FROM minute_count"), 3);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM run WHERE joiner = 'one'"), 1);
	close_it(h, NOW_NS + 2 * KL_NS_PER_S);
	remove_file(&f);
}

Test(join_history, a_diagnosis_is_made_of_it)
{
	struct kl_history_view view;
	struct kl_finding findings[KL_CAUSES];
	struct kl_error err = {};
	struct file f;
	size_t count;
	struct kl_join_history *h;

	make_file(&f);
	h = open_it(&f, "one");
	commit_some(h, NOW_NS + KL_NS_PER_S);
	close_it(h, NOW_NS + 20 * KL_NS_PER_S);
	cr_assert_eq(kl_history_read(f.path, 6 * 3600 * KL_NS_PER_S, UINT64_MAX, &view, &err), 0,
		     "%s", err.text);
	cr_assert_eq(view.d.lost_count, 3);
	cr_expect_eq(view.d.phones, 3);
	cr_expect_eq(view.d.total.direction[KL_TO_PHONE].sent, 100);
	cr_expect_eq(view.d.total.direction[KL_TO_PHONE].lost_between, 3);
	cr_expect_eq(view.d.total.transit.max_ns, 1000000);
	cr_expect_eq(view.d.total.integrity.unpaired, 9);
	cr_expect_eq(view.d.total.integrity.events_lost, 2);
	cr_expect_eq(view.d.total.integrity.gaps, 1);
	for (unsigned i = 0; i < 3; i++) {
		const struct kl_lost *l = &view.d.lost[i];

		cr_expect_eq(l->direction, KL_TO_PHONE);
		cr_expect_eq(l->where, KL_BETWEEN);
		cr_expect_eq(l->kind, KL_SCCP_KEEPALIVE_ACK);
		cr_expect_eq(l->seq, 3000000001U + i);
		cr_expect_eq(l->ends.phone_port, 40000);
		cr_expect_eq(l->ends.cucm_port, 2000);
		cr_expect_eq(l->device[14], (char)('1' + i));
		cr_expect_eq(l->time_ns, NOW_NS - (59 - i) * KL_NS_PER_S + KL_NS_PER_S / 4);
	}
	cr_assert_eq(kl_findings(&view.d, findings, &count), 0);
	cr_assert_eq(count, 1);
	cr_expect_eq(findings[0].cause, KL_CAUSE_BETWEEN_LOSS);
	cr_expect_eq(findings[0].losses, 3);
	kl_history_view_done(&view);
	remove_file(&f);
}

/* After a takeover: by the same run, or by a later one of whichever name. */
Test(join_history, what_is_told_again_is_there_once)
{
	struct kl_join_history *h;
	struct file f;

	make_file(&f);
	h = open_it(&f, "one");
	commit_some(h, NOW_NS + KL_NS_PER_S);
	for (unsigned i = 1; i <= 3; i++)
		tell_loss(h, "branch-1", i);
	close_it(h, NOW_NS + 2 * KL_NS_PER_S);
	h = open_it(&f, "two");
	for (unsigned i = 2; i <= 4; i++)
		tell_loss(h, "branch-1", i);
	tell_gap(h);
	close_it(h, NOW_NS + 3 * KL_NS_PER_S);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM loss"), 4);
	cr_expect_eq(ask(f.path, "SELECT count(DISTINCT record) FROM loss"), 4);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM loss JOIN session ON session.id = "
				 "loss.session WHERE site = 'branch-1'"),
		     4);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM agent_gap"), 1);
	cr_expect_eq(ask(f.path, "SELECT sum(lost_between) FROM minute_count"), 3);
	remove_file(&f);
}

Test(join_history, phones_of_the_same_address_in_two_sites_are_two)
{
	struct kl_join_history *h;
	struct file f;

	make_file(&f);
	h = open_it(&f, "one");
	tell_loss(h, "branch-1", 1);
	tell_loss(h, "branch-2", 1);
	tell_loss(h, "branch-2", 2);
	close_it(h, NOW_NS + KL_NS_PER_S);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM session"), 3);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM session WHERE site = 'branch-1'"), 1);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM loss"), 3);
	remove_file(&f);
}

Test(join_history, what_makes_no_sense_is_not_kept)
{
	static const char *const records[] = {
		"",
		"[]",
		"{\"type\":\"loss\"}",
		"{\"type\":\"gap\",\"from\":\"now\"}",
		"{\"type\":\"tick\"}",
	};
	struct kl_join_history *h;
	struct file f;

	make_file(&f);
	h = open_it(&f, "one");
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		kl_join_history_tell(h, records[i]);
	close_it(h, NOW_NS + KL_NS_PER_S);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM loss"), 0);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM agent_gap"), 0);
	remove_file(&f);
}

Test(join_history, times_are_read_as_they_are_written)
{
	static const char *const wrong[] = { "", "2027-01-15", "2027-01-15T08:00:00Z",
					     "2027-01-15T08:00:00.000000Zx",
					     "1027-01-15T08:00:00.000000Z" };
	uint64_t ns = NOW_NS + 123456000, read = 0;
	char text[40];

	kl_format_time(ns, text, sizeof(text));
	cr_expect_eq(kl_parse_time(text, &read), 0);
	cr_expect_eq(read, ns);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_eq(kl_parse_time(wrong[i], &read), -EINVAL, "%s", wrong[i]);
}
