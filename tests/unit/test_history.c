// SPDX-License-Identifier: GPL-2.0-only
/* Histories: what is kept and read back, which files are none, and their bounds. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history/copies.h"
#include "history/counts.h"
#include "history/schema.h"
#include "history/store.h"
#include "kept.h"

#define HOUR (3600 * SCENE_S)

/* ---- Packed, and out again ---- */

Test(history, numbers_come_back)
{
	static const uint64_t numbers[] = { 0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX };
	static const int64_t signeds[] = { 0, -1, 1, -64, 64, INT64_MIN, INT64_MAX };
	struct kl_bytes b = {};
	struct kl_unpack u;

	for (size_t i = 0; i < 7; i++) {
		kl_bytes_number(&b, numbers[i]);
		kl_bytes_signed(&b, signeds[i]);
	}
	u = (struct kl_unpack){ .at = b.data, .end = b.data + b.len };
	for (size_t i = 0; i < 7; i++) {
		cr_expect_eq(kl_unpack_number(&u), numbers[i]);
		cr_expect_eq(kl_unpack_signed(&u), signeds[i]);
	}
	cr_expect(!u.bad && u.at == u.end);
	cr_expect_eq(kl_unpack_number(&u), 0);
	cr_expect(u.bad);
	kl_bytes_done(&b);
}

Test(history, what_is_cut_off_is_bad_and_never_read_beyond)
{
	struct kl_copies c = {};
	struct kl_observed o = { .time_ns = 1ULL << 60,
				 .session = 12345,
				 .seq = 0x89abcdef,
				 .idle_ms = 30000,
				 .length = 890,
				 .kind = KL_SIP_REGISTER };
	struct kl_bytes b = {};

	cr_assert_eq(kl_copies_add(&c, &o), 0);
	for (unsigned level = 0; level < KL_COPY_LEVELS; level++)
		kl_copies_pack(&c, level, &b);
	for (size_t len = 0; len <= b.len; len++) {
		struct kl_unpack u = { .at = b.data, .end = b.data + len };
		struct kl_observed back;
		uint64_t last_ns = 0;
		int r = kl_copies_unpack(&u, &last_ns, &back);

		cr_expect_eq(r, len == 0 ? 0 : len < b.len ? -EBADMSG : 1, "%zu: %d", len, r);
	}
	kl_bytes_done(&b);
	kl_copies_done(&c);
}

Test(history, copies_come_back_by_their_levels)
{
	struct kl_copies c = {};
	uint64_t back = 0, last_ns;
	size_t told = 5000;

	for (size_t i = 0; i < told; i++) {
		struct kl_observed o = { .time_ns = 1700000000ULL * SCENE_S + i * 12345678,
					 .session = i % 77 + 1,
					 .seq = (uint32_t)i * 12,
					 .idle_ms = i % 3 ? (uint32_t)i : UINT32_MAX,
					 .idle_known = i % 3,
					 .length = (uint16_t)(i % 2000),
					 .direction = i & 1,
					 .lost = i % 50 == 0,
					 .again = i % 7 == 0,
					 .where = i & 3,
					 .kind = (uint8_t)(i % KL_KINDS) };

		cr_assert_eq(kl_copies_add(&c, &o), 0);
	}
	cr_assert_eq(c.level, 0);
	for (unsigned level = 0; level <= KL_COPY_LOST; level++) {
		struct kl_bytes b = {};
		size_t count = kl_copies_pack(&c, level, &b), n = 0;
		struct kl_unpack u = { .at = b.data, .end = b.data + b.len };
		struct kl_observed o;

		last_ns = 0;
		for (; kl_copies_unpack(&u, &last_ns, &o) == 1; n++) {
			size_t i = (o.time_ns - 1700000000ULL * SCENE_S) / 12345678;

			cr_expect(o.session == i % 77 + 1 && o.seq == i * 12 &&
				  o.length == i % 2000 && o.direction == (i & 1) &&
				  o.lost == (i % 50 == 0) && o.again == (i % 7 == 0) &&
				  o.where == (i & 3) && o.kind == i % KL_KINDS &&
				  o.idle_known == i % 3 &&
				  o.idle_ms == (i % 3 ? (uint32_t)i : UINT32_MAX));
			cr_expect_eq(o.lost, level == KL_COPY_LOST);
		}
		cr_expect_eq(n, count);
		cr_expect(u.at == u.end);
		back += n;
		kl_bytes_done(&b);
	}
	cr_expect_eq(back, told);
	kl_copies_done(&c);
}

Test(history, too_many_copies_are_drawn_by_lot_and_lost_ones_stay)
{
	struct kl_copies c = {};
	size_t lost = 0;

	for (uint32_t i = 0; i < 100000; i++) {
		struct kl_observed o = { .time_ns = i + 1,
					 .session = i % 1000 + 1,
					 .seq = i,
					 .length = 12,
					 .lost = i % 1000 == 0 };

		lost += o.lost;
		cr_assert_eq(kl_copies_add(&c, &o), 0);
	}
	cr_expect_eq(c.lost, lost);
	cr_expect_leq(c.count - c.lost, KL_COPIES_KEPT);
	/* One of 2^level: between half the room and all of it. */
	cr_expect_eq(c.level, 4);
	cr_expect(c.count - c.lost > 100000 / 16 * 9 / 10 &&
			  c.count - c.lost < 100000 / 16 * 11 / 10,
		  "%zu", c.count - c.lost);
	/* All copies of a segment have one level. */
	for (size_t i = 0; i < c.count; i++)
		cr_expect(c.list[i].o.lost || c.list[i].level >= c.level);
	kl_copies_done(&c);
}

Test(history, counts_of_a_session_come_back)
{
	struct kl_session s = {
		.id = 7, .keepalives = 10, .answered = 9, .lost = { { 1, 2, 3, 4 } }
	};
	struct kl_session_counts before = {}, now;
	struct kl_session back = {};
	struct kl_bytes b = {};
	struct kl_unpack u;

	for (uint64_t us = 1; us < 1000000; us *= 3)
		kl_answers_add(&s.answers, us, 30000000);
	kl_session_counts_read(&s, &now);
	kl_session_counts_pack(&now, &before, 42, &b);
	/* Nothing more: nothing is packed. */
	kl_session_counts_pack(&now, &now, 42, &b);
	u = (struct kl_unpack){ .at = b.data, .end = b.data + b.len };
	cr_assert_eq(kl_session_counts_next(&u), 42);
	kl_session_counts_unpack(&u, &back);
	cr_expect_eq(kl_session_counts_next(&u), 0);
	cr_expect(!u.bad);
	cr_expect(back.keepalives == 10 && back.answered == 9 && back.lost[0][3] == 4);
	cr_expect_eq(back.answers.count, s.answers.count);
	cr_expect_eq(back.answers.max_us, s.answers.max_us);
	cr_expect_float_eq(back.answers.mean_us, s.answers.mean_us, 0.001);
	cr_expect_eq(kl_answers_quantile(&back.answers, 0.5), kl_answers_quantile(&s.answers, 0.5));
	cr_expect_eq(kl_answers_quantile(&back.answers, 0.99),
		     kl_answers_quantile(&s.answers, 0.99));
	kl_bytes_done(&b);
}

/* ---- The same verdict ---- */

static int forgets(struct scene *s, const struct scene_copy *c)
{
	(void)s;
	return c->direction == KL_TO_CUCM && c->idle_ns > 60 * SCENE_S ? KL_PHONE_SIDE
								       : SCENE_DELIVERED;
}

static int between(struct scene *s, const struct scene_copy *c)
{
	(void)c;
	return scene_random(s) < 0.05 ? KL_BETWEEN : SCENE_DELIVERED;
}

static void live(struct scene *s, uint32_t phones, uint64_t period_ns)
{
	for (uint32_t i = 0; i < phones; i++)
		scene_live(s, scene_phone(s, period_ns, 890),
			   SCENE_START + scene_between(s, 0, period_ns), SCENE_START + HOUR);
}

static void expect_the_same(struct kept *k)
{
	struct scene *s = k->scene;

	kept_end(k);
	scene_conclude(s);
	cr_expect_eq(kept_compare(k), 0);
	cr_expect_eq(kl_sessions_count(k->view.sessions), kl_sessions_count(s->sessions));
}

Test(history, ageing_is_found_in_what_was_kept)
{
	struct scene s;
	struct kept k;

	scene_init(&s, 1, forgets, NULL);
	kept_begin(&k, &s);
	live(&s, 8, 115 * SCENE_S);
	live(&s, 3, 50 * SCENE_S);
	expect_the_same(&k);
	cr_expect_eq(k.finding[0].cause, KL_CAUSE_MAC_AGEING);
	cr_expect_eq(k.finding[0].confidence, KL_CONFIDENCE_HIGH);
	kept_done(&k);
	scene_done(&s);
}

Test(history, drops_rules_and_alarms_are_found_in_what_was_kept)
{
	struct kl_drop drop = { .time_ns = SCENE_START,
				.reason = "NETFILTER_DROP",
				.symbol = "nft_do_chain",
				.interface = "acc0" };
	const struct kl_rule_evidence rule = { .time_ns = SCENE_START,
					       .rule = "rule handle 7 of table inet filter",
					       .says = "tcp dport 2000 drop",
					       .packets = 99,
					       .counted = true };
	struct kl_alarm alarm = { .time_ns = SCENE_START + HOUR / 2,
				  .type = KL_ALARM_UNREGISTERED,
				  .name = "EndPointUnregistered",
				  .reason = 9,
				  .reason_name = "callManagerReset" };
	struct scene s;
	struct kept k;

	scene_init(&s, 2, between, NULL);
	cr_assert_eq(kl_evidence_drop(&s.d.evidence, &drop, &s.drop), 0);
	kept_begin(&k, &s);
	live(&s, 12, 60 * SCENE_S);
	alarm.session = s.phone[3].session->id;
	cr_assert_eq(kl_evidence_alarm(&s.d.evidence, &alarm), 0);
	cr_assert_eq(kl_evidence_rule(&s.d.evidence, &rule), 0);
	scene_end(&s, &s.phone[5], SCENE_START + HOUR, KL_BY_PHONE, KL_HOW_FIN, 64, 64);
	expect_the_same(&k);
	cr_expect_eq(k.finding[0].cause, KL_CAUSE_IN_HOST_DROP);
	cr_expect(strstr(k.finding[0].remedy, "handle 7"), "%s", k.finding[0].remedy);
	cr_expect_eq(k.view.d.evidence.alarm.count, 1);
	cr_expect_neq(k.view.d.evidence.alarm.item[0].session, 0);
	cr_expect_eq(k.view.d.evidence.ending.count, 1);
	kept_done(&k);
	scene_done(&s);
}

/* ---- A part of it ---- */

Test(history, what_is_asked_for_is_counted_and_nothing_before)
{
	struct kl_history_view last = {};
	struct kl_error err = {};
	struct scene s;
	struct kept k;
	size_t before;
	uint64_t sent;

	scene_init(&s, 3, between, NULL);
	kept_begin(&k, &s);
	live(&s, 4, 60 * SCENE_S);
	kept_tick(&k, KL_HISTORY_PART_NS);
	before = s.d.lost_count;
	sent = s.d.total.kind[KL_TO_CUCM][KL_SIP_REGISTER].sent;
	live(&s, 3, 60 * SCENE_S);
	expect_the_same(&k);
	cr_assert(before && s.d.lost_count > before);
	cr_assert_eq(kl_history_read(k.path, SCENE_S, UINT64_MAX, &last, &err), 0, "%s", err.text);
	cr_expect_eq(last.d.lost_count, s.d.lost_count - before);
	cr_expect_eq(last.d.total.kind[KL_TO_CUCM][KL_SIP_REGISTER].sent,
		     s.d.total.kind[KL_TO_CUCM][KL_SIP_REGISTER].sent - sent);
	kl_history_view_done(&last);
	kept_done(&k);
	scene_done(&s);
}

Test(history, what_was_under_way_at_the_beginning_was_sent_before)
{
	const struct kl_tally_own own = {};
	const struct kl_evidence has = {};
	struct kl_counters counters = {};
	const uint64_t nothing[KL_DIRECTIONS][KL_WHERES] = {};
	struct kl_history_tick tick = { .offset_ns = KEPT_OFFSET,
					.counters = &counters,
					.own = &own,
					.inferred = nothing,
					.has = &has };
	struct kl_history_view view = {};
	struct kl_error err = {};
	struct scene s;
	struct kept k;

	scene_init(&s, 4, between, NULL);
	kept_begin(&k, &s);
	tick.sessions = s.sessions;
	counters.tally[KL_SENT][0][KL_SCCP_KEEPALIVE] = 10;
	counters.tally[KL_DELIVERED][0][KL_SCCP_KEEPALIVE] = 8;
	tick.now_ns = SCENE_START + KL_HISTORY_PART_NS;
	kl_history_tick(s.history, &tick);
	counters.tally[KL_DELIVERED][0][KL_SCCP_KEEPALIVE] = 9;
	counters.tally[KL_LOST_BETWEEN][0][KL_SCCP_KEEPALIVE] = 1;
	tick.now_ns += SCENE_S;
	kl_history_end(s.history, &tick);
	kl_history_close(s.history);
	cr_assert_eq(kl_history_read(k.path, SCENE_S / 2, UINT64_MAX, &view, &err), 0, "%s",
		     err.text);
	cr_expect_eq(view.d.total.direction[0].sent, 2);
	cr_expect_eq(view.d.total.direction[0].delivered, 1);
	cr_expect_eq(view.d.total.direction[0].lost_between, 1);
	cr_expect_eq(view.d.total.direction[0].pending, 0);
	kl_history_view_done(&view);
	kept_done(&k);
	scene_done(&s);
}

/* ---- Which files ---- */

struct file {
	char path[40];
};

static void make_file(struct file *f, const char *text)
{
	FILE *to;

	strcpy(f->path, "/tmp/kaloss-history-XXXXXX");
	to = fdopen(mkstemp(f->path), "w");
	cr_assert_not_null(to);
	fputs(text, to);
	fclose(to);
}

static void remove_file(const struct file *f)
{
	char path[60];

	unlink(f->path);
	snprintf(path, sizeof(path), "%s-wal", f->path);
	unlink(path);
	snprintf(path, sizeof(path), "%s-shm", f->path);
	unlink(path);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db = NULL;
	char *why = NULL;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, &why), SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

static int64_t ask(const char *path, const char *text)
{
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;
	int64_t ret = -1;

	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK, "%s",
		     sqlite3_errmsg(db));
	if (sqlite3_step(q) == SQLITE_ROW)
		ret = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return ret;
}

/* Both ways say so in one line, with the file's name. */
static void expect_refused(const char *path, const char *why)
{
	const struct kl_store_config config = { .path = path };
	struct kl_history_view view;
	struct kl_store *store = NULL;
	struct kl_error err = {};

	cr_expect_neq(kl_store_open(&config, &store, &err), 0);
	cr_expect(strstr(err.text, why) && strstr(err.text, path), "write: %s", err.text);
	cr_expect_null(strchr(err.text, '\n'));
	err.text[0] = '\0';
	cr_expect_neq(kl_history_read(path, 0, UINT64_MAX, &view, &err), 0);
	cr_expect(strstr(err.text, why) && strstr(err.text, path), "read: %s", err.text);
	cr_expect_null(strchr(err.text, '\n'));
}

Test(history, other_files_are_refused_and_left_as_they_are)
{
	struct file text, other, half;

	make_file(&text,
		  "{\"type\":\"tick\"}\n and so on, for longer than any header of a database, "
		  "so that it could be one: ........................................");
	expect_refused(text.path, "not a history");
	make_file(&other, "");
	sql(other.path, "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
	expect_refused(other.path, "not a history");
	cr_expect_eq(ask(other.path, "SELECT count(*) FROM sqlite_schema"), 1);
	make_file(&half, "");
	sql(half.path, "PRAGMA application_id = 1802266729; CREATE TABLE t (a);");
	expect_refused(half.path, "without a version");
	expect_refused("/tmp", strchr("/tmp", '/') ? "/tmp" : "");
	remove_file(&text);
	remove_file(&other);
	remove_file(&half);
}

Test(history, what_is_not_there_or_empty_is_not_read)
{
	struct kl_history_view view;
	struct kl_error err = {};
	struct file empty;

	cr_expect_neq(kl_history_read("/tmp/kaloss-there-is-none", 0, UINT64_MAX, &view, &err), 0);
	cr_expect(strstr(err.text, "No such file"), "%s", err.text);
	cr_expect_neq(access("/tmp/kaloss-there-is-none", F_OK), 0);
	make_file(&empty, "");
	cr_expect_neq(kl_history_read(empty.path, 0, UINT64_MAX, &view, &err), 0);
	cr_expect(strstr(err.text, "empty"), "%s", err.text);
	remove_file(&empty);
}

static void make_history(struct file *f)
{
	const struct kl_store_config config = { .path = f->path };
	struct kl_store *store;
	struct kl_error err = {};

	make_file(f, "");
	cr_assert_eq(kl_store_open(&config, &store, &err), 0, "%s", err.text);
	kl_store_close(store);
}

Test(history, newer_ones_are_refused)
{
	struct file f;

	make_history(&f);
	sql(f.path, "PRAGMA user_version = 99");
	expect_refused(f.path, "newer");
	cr_expect_eq(ask(f.path, "PRAGMA user_version"), 99);
	remove_file(&f);
}

Test(history, cut_off_ones_are_refused)
{
	struct stat st;
	struct file f;

	make_history(&f);
	cr_assert_eq(stat(f.path, &st), 0);
	for (int part = 1; part < 8; part++) {
		cr_assert_eq(truncate(f.path, st.st_size * (8 - part) / 8), 0);
		expect_refused(f.path, ":");
	}
	remove_file(&f);
}

static void make_old(struct file *f, const char *rows)
{
	struct kl_error err = {};
	sqlite3 *db = NULL;

	make_file(f, "");
	cr_assert_eq(sqlite3_open(f->path, &db), SQLITE_OK);
	cr_assert_eq(kl_schema_migrate(db, 0, 1, &err), 0, "%s", err.text);
	sqlite3_close(db);
	sql(f->path, rows);
}

static const char old_rows[] =
	"INSERT INTO run (id, start_ns, end_ns) VALUES (1, 1000, 9000000000000);"
	"INSERT INTO part VALUES (1000, 1, 9000000000000, 0, 0, x'');"
	"INSERT INTO session VALUES (1, 1, 4, '10.1.0.2', 40000, '10.2.0.10', 2000, 'SEP1', NULL,"
	" NULL, NULL, 'primary', 'sccp_keepalive', 30000000, 0, NULL, 1000, 9000, NULL, NULL, 0, 0,"
	" 0, 0, NULL);"
	"INSERT INTO loss (session, told_ns, time_ns, direction, place, kind, seq, seq_other, "
	"length,"
	" copies_access, copies_cucm, idle_known, probable)"
	" VALUES (1, 2000, 1500, 'to_cucm', 'between', 'sccp_keepalive', 7, 7, 12, 1, 0, 0, 0);";

Test(history, older_ones_are_brought_up_to_date_by_who_writes)
{
	struct kl_store_config config;
	struct kl_store *store;
	struct kl_error err = {};
	int64_t run, session;
	struct file f;

	make_old(&f, old_rows);
	cr_assert_eq(ask(f.path, "PRAGMA user_version"), 1);
	config = (struct kl_store_config){ .path = f.path };
	cr_assert_eq(kl_store_open(&config, &store, &err), 0, "%s", err.text);
	cr_expect_eq(kl_store_next(store, &run, &session, &err), 0);
	cr_expect(run == 2 && session == 2);
	kl_store_close(store);
	cr_expect_eq(ask(f.path, "PRAGMA user_version"), KL_HISTORY_VERSION);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM dropped"), 0);
	cr_expect_eq(ask(f.path, "SELECT seq FROM loss"), 7);
	remove_file(&f);
}

Test(history, older_ones_are_brought_up_to_date_by_who_reads)
{
	struct kl_history_view view;
	struct kl_error err = {};
	struct file f;

	make_old(&f, old_rows);
	cr_assert_eq(kl_history_read(f.path, 0, UINT64_MAX, &view, &err), 0, "%s", err.text);
	cr_expect_eq(view.d.lost_count, 1);
	cr_expect_eq(view.d.lost[0].seq, 7);
	cr_expect_str_eq(view.d.lost[0].device, "SEP1");
	kl_history_view_done(&view);
	cr_expect_eq(ask(f.path, "PRAGMA user_version"), KL_HISTORY_VERSION);
	remove_file(&f);
}

/* ---- One writer, any number of readers ---- */

Test(history, a_second_writer_is_refused_and_a_reader_is_not)
{
	struct kl_store_config config;
	struct kl_store *store;
	struct kl_error err = {};
	struct file f;
	int status;
	pid_t pid;

	make_old(&f, old_rows);
	config = (struct kl_store_config){ .path = f.path };
	cr_assert_eq(kl_store_open(&config, &store, &err), 0, "%s", err.text);
	/* (In a process of its own, as closing a file gives up all its locks.) */
	pid = fork();
	if (!pid) {
		struct kl_history_view view;
		struct kl_store *second;
		int r = kl_store_open(&config, &second, &err);

		if (r != -EBUSY || !strstr(err.text, "another kaloss"))
			_exit(1);
		_exit(kl_history_read(f.path, 0, UINT64_MAX, &view, &err) ? 2 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	kl_store_close(store);
	remove_file(&f);
}

/* ---- Bounds ---- */

static uint64_t size_of(const char *path, const char *suffix)
{
	char name[60];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) ? 0 : (uint64_t)st.st_size;
}

static void put_part(struct kl_rows *rows, uint64_t start_ns, size_t bytes)
{
	static uint8_t data[1 << 20];

	kl_rows_clear(rows);
	kl_rows_begin(rows, KL_ROW_PART);
	kl_rows_number(rows, (int64_t)start_ns);
	kl_rows_number(rows, 1);
	kl_rows_number(rows, (int64_t)(start_ns + KL_HISTORY_PART_NS));
	kl_rows_number(rows, 0);
	kl_rows_number(rows, 0);
	kl_rows_bytes(rows, data, bytes);
	kl_rows_end(rows);
}

Test(history, its_file_and_wal_stay_below_the_bound)
{
	struct kl_store_config config = { .max_bytes = KL_STORE_BYTES_MIN };
	uint64_t most = 0, start_ns = KEPT_OFFSET;
	struct kl_store *store;
	struct kl_error err = {};
	struct kl_rows rows = {};
	struct file f;

	make_file(&f, "");
	config.path = f.path;
	cr_assert_eq(kl_store_open(&config, &store, &err), 0, "%s", err.text);
	for (int i = 0; i < 200; i++) {
		uint64_t now;

		put_part(&rows, start_ns,
			 kl_store_batch_bytes(&config) * (size_t)(i % 3) / 3 + 1000);
		cr_assert_eq(kl_store_apply(store, &rows, &err), 0, "%d: %s", i, err.text);
		start_ns += KL_HISTORY_PART_NS;
		now = size_of(f.path, "") + size_of(f.path, "-wal");
		if (now > most)
			most = now;
	}
	cr_expect_leq(most, config.max_bytes);
	cr_expect_geq(most, config.max_bytes / 2);
	kl_store_close(store);
	/* The newest are there, the oldest went. */
	cr_expect_eq(ask(f.path, "SELECT max(start_ns) FROM part"), start_ns - KL_HISTORY_PART_NS);
	cr_expect_gt(ask(f.path, "SELECT min(start_ns) FROM part"), KEPT_OFFSET);
	/* With a smaller bound, it shrinks. */
	kl_rows_done(&rows);
	remove_file(&f);
}

Test(history, what_is_too_old_goes)
{
	struct kl_store_config config = { .keep_ns = HOUR };
	uint64_t now_ns = KEPT_OFFSET + 24 * HOUR;
	struct kl_pause doubt;
	struct kl_store *store;
	struct kl_error err = {};
	struct kl_rows rows = {};
	struct file f;
	int r;

	make_file(&f, "");
	config.path = f.path;
	cr_assert_eq(kl_store_open(&config, &store, &err), 0, "%s", err.text);
	for (uint64_t t = KEPT_OFFSET; t < now_ns; t += KL_HISTORY_PART_NS) {
		put_part(&rows, t, 100);
		cr_assert_eq(kl_store_apply(store, &rows, &err), 0, "%s", err.text);
	}
	for (int i = 0; (r = kl_store_forget(store, now_ns, &doubt, &err)) == 1; i++)
		cr_assert_lt(i, 100);
	cr_expect_eq(r, 0, "%s", err.text);
	kl_store_close(store);
	cr_expect_eq(ask(f.path, "SELECT min(start_ns) FROM part"), now_ns - HOUR);
	cr_expect_eq(ask(f.path, "SELECT count(*) FROM part"), 12);
	kl_rows_done(&rows);
	remove_file(&f);
}
