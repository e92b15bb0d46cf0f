// SPDX-License-Identifier: GPL-2.0-only
/*
 * A history whose writer is killed, or whose disk is full.
 *
 *   kills [KILLS [SEED [DIRECTORY]]]  200 times: the file must open, be whole, and have every record
 *                                     that was said to be written
 *   kills --full DIRECTORY            on a small file system of its own: what finds no room is a gap
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history/load.h"
#include "history/history.h"
#include "util/duration.h"

enum {
	KILLS = 200,
	KILLS_A_FILE = 40,
	LOSSES = 20, /* a tick */
	COPIES = 200,
	RECORDS = LOSSES + COPIES,
	LONGEST_US = 60000, /* until the kill */
};

#define OFFSET (1700000000ULL * KL_NS_PER_S)

static unsigned passed, failed;

static void expect(bool ok, const char *what)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	*(ok ? &passed : &failed) += 1;
}

/* ---- Who writes ---- */

struct writer {
	struct kl_history *history;
	struct kl_sessions *sessions;
	struct kl_counters counters;
	uint64_t now_ns;
	uint32_t seq; /* of the last loss */
	char said[8][400];
	int lines;
};

static void note(const char *line, void *arg)
{
	struct writer *w = arg;

	if (w->lines < 8)
		snprintf(w->said[w->lines++], sizeof(w->said[0]), "%s", line);
}

static bool has_said(const struct writer *w, const char *words)
{
	for (int i = 0; i < w->lines; i++) {
		if (strstr(w->said[i], words))
			return true;
	}
	return false;
}

static void open_writer(struct writer *w, const char *path, uint32_t seq, uint64_t max_bytes)
{
	const struct kl_sessions_config sessions = { .two_sided = true };
	/* A batch a tick, and a part every few of them. */
	const struct kl_history_config config = { .path = path,
						  .max_bytes = max_bytes,
						  .batch_ns = 1,
						  .part_ns = 5 * KL_NS_PER_S,
						  .say = note,
						  .arg = w };
	struct kl_conn conn = { .ends = { .phone = { 2 },
					  .cucm = { 1 },
					  .phone_port = 40000,
					  .cucm_port = 2000,
					  .family = 4 } };
	struct kl_error err = {};
	bool one_way;

	*w = (struct writer){ .seq = seq, .now_ns = KL_NS_PER_S * (1 + (uint64_t)seq) };
	if (kl_sessions_new(&sessions, &w->sessions) ||
	    kl_sessions_meet(w->sessions, 1, &conn, w->now_ns, &one_way) ||
	    kl_history_open(&config, &w->history, &err)) {
		fprintf(stderr, "kills: %s\n", err.text);
		_exit(2);
	}
	kl_history_begin(w->history, w->now_ns, OFFSET);
}

static void tick(struct writer *w, bool last)
{
	static const struct kl_tally_own own;
	static const struct kl_evidence has;
	static const uint64_t nothing[KL_DIRECTIONS][KL_WHERES];
	const struct kl_history_tick t = { .now_ns = w->now_ns,
					   .offset_ns = OFFSET,
					   .counters = &w->counters,
					   .own = &own,
					   .inferred = nothing,
					   .phones = 1,
					   .sessions = w->sessions,
					   .has = &has };

	(last ? kl_history_end : kl_history_tick)(w->history, &t);
}

static void write_some(struct writer *w)
{
	const struct kl_session *session = kl_sessions_find(w->sessions, 1);

	w->now_ns += KL_NS_PER_S;
	for (uint32_t i = 0; i < COPIES; i++) {
		const struct kl_story story = { .type = KL_STORY_SEGMENT,
						.time_ns = w->now_ns,
						.session = session,
						.kind = KL_SCCP_KEEPALIVE,
						.seq = w->seq * 1000 + i,
						.length = 12 };

		kl_history_story(w->history, &story, NULL);
	}
	for (int i = 0; i < LOSSES; i++) {
		const struct kl_lost lost = { .time_ns = w->now_ns,
					      .conn_id = 1,
					      .ends = session->ends,
					      .kind = KL_SCCP_KEEPALIVE,
					      .seq = ++w->seq,
					      .length = 12,
					      .copies = { 1, 0 } };

		w->counters.tally[KL_SENT][0][KL_SCCP_KEEPALIVE]++;
		w->counters.tally[KL_LOST_BETWEEN][0][KL_SCCP_KEEPALIVE]++;
		kl_history_lost(w->history, &lost, NULL);
	}
	tick(w, false);
}

/* Writes until it is killed, and says how many records are written. */
static void write_on(const char *path, uint32_t seq, int to)
{
	uint64_t written = 0;
	struct writer w;

	open_writer(&w, path, seq, 16 << 20);
	for (;;) {
		uint64_t now;

		write_some(&w);
		usleep(300);
		now = kl_history_written(w.history);
		if (now != written && write(to, &now, sizeof(now)) != sizeof(now))
			_exit(2);
		written = now;
	}
}

/* ---- Who looks ---- */

static int64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t ret = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		ret = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return ret;
}

static bool is_whole(sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	bool ok = false;

	if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		ok = !strcmp((const char *)sqlite3_column_text(q, 0), "ok");
	sqlite3_finalize(q);
	return ok;
}

struct found {
	uint64_t opened, whole, missing, half, read;
	uint64_t written, behind; /* records; beyond what was said to be written */
};

/* What is in the file after the kill; the last loss in it. */
static uint32_t look(const char *path, uint32_t seq, uint64_t written, struct found *ret)
{
	uint64_t losses = written / RECORDS * LOSSES, there;
	struct kl_history_view view;
	struct kl_error err = {};
	sqlite3 *db = NULL;
	int64_t last = -1;
	char sql[120];

	/* It was killed before there was a table: then nothing was said to be written. */
	if (!written && kl_history_read(path, 1, &view, &err)) {
		ret->read += strstr(err.text, "empty") || strstr(err.text, "nothing was written") ||
			     strstr(err.text, "No such file");
		if (!strstr(err.text, "empty") && !strstr(err.text, "nothing was written") &&
		    !strstr(err.text, "No such file"))
			fprintf(stderr, "kills: %s\n", err.text);
		if (!strstr(err.text, "nothing was written")) {
			ret->opened++;
			ret->whole++;
			return seq;
		}
	} else {
		if (written)
			ret->read += !kl_history_read(path, 1, &view, &err);
		else
			ret->read++;
		kl_history_view_done(&view);
	}
	ret->opened += sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK;
	ret->whole += is_whole(db);
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM loss WHERE seq > %u AND seq <= %" PRIu64,
		 seq, seq + losses);
	if (ask(db, sql) != (int64_t)losses) {
		fprintf(stderr, "kills: %" PRId64 " of %" PRIu64 " losses\n", ask(db, sql), losses);
		ret->missing++;
	}
	last = ask(db, "SELECT max(seq) FROM loss");
	there = last > seq ? (uint64_t)last - seq : 0;
	/* A batch is there wholly or not at all. */
	ret->half += there % LOSSES != 0 || written % RECORDS != 0;
	ret->written += written;
	ret->behind += there > losses;
	sqlite3_close(db);
	return last > seq ? (uint32_t)last : seq;
}

static void remove_history(const char *path)
{
	char name[300];

	unlink(path);
	snprintf(name, sizeof(name), "%s-wal", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", path);
	unlink(name);
}

/* Kills it after so long; returns what it had said until then. */
static uint64_t kill_after(const char *path, uint32_t seq, unsigned us)
{
	uint64_t written = 0, now;
	int pipe_fd[2], status;
	pid_t pid;

	if (pipe(pipe_fd))
		exit(2);
	pid = fork();
	if (!pid) {
		close(pipe_fd[0]);
		write_on(path, seq, pipe_fd[1]);
	}
	close(pipe_fd[1]);
	usleep(us);
	kill(pid, SIGKILL);
	while (read(pipe_fd[0], &now, sizeof(now)) == sizeof(now))
		written = now;
	close(pipe_fd[0]);
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status)) {
		fprintf(stderr, "kills: it ended by itself\n");
		failed++;
	}
	return written;
}

static void try_kills(unsigned kills, unsigned seed, const char *directory)
{
	struct found found = {};
	char path[256], text[200];
	uint32_t seq = 0;

	srandom(seed);
	snprintf(path, sizeof(path), "%s/kaloss-kills-%d.db", directory, getpid());
	for (unsigned i = 0; i < kills; i++) {
		uint64_t written;

		if (i % KILLS_A_FILE == 0) {
			remove_history(path);
			seq = 0;
		}
		written = kill_after(path, seq, (unsigned)random() % LONGEST_US);
		seq = look(path, seq, written, &found);
	}
	remove_history(path);
	snprintf(text, sizeof(text), "of %u killed writers' files %" PRIu64 " opened", kills,
		 found.opened);
	expect(found.opened == kills, text);
	snprintf(text, sizeof(text), "%" PRIu64 " were whole (integrity_check)", found.whole);
	expect(found.whole == kills, text);
	snprintf(text, sizeof(text), "%" PRIu64 " could be diagnosed, or were empty", found.read);
	expect(found.read == kills, text);
	snprintf(text, sizeof(text),
		 "%" PRIu64 " records were said to be written; some of them are missing in %" PRIu64
		 " files",
		 found.written, found.missing);
	expect(found.written > 0 && !found.missing, text);
	snprintf(text, sizeof(text),
		 "%" PRIu64 " have half a batch (%" PRIu64 " have one more than was said)",
		 found.half, found.behind);
	expect(!found.half, text);
}

/* ---- A full disk ---- */

static void fill_disk(const char *path)
{
	static const char block[4096];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

static void try_full(const char *directory)
{
	char path[256], ballast[256], text[300];
	struct kl_history_view view = {};
	struct kl_error err = {};
	int64_t losses, gaps, records, told;
	struct writer w;
	sqlite3 *db = NULL;
	bool said_gap = false;

	snprintf(path, sizeof(path), "%s/full.db", directory);
	snprintf(ballast, sizeof(ballast), "%s/ballast", directory);
	open_writer(&w, path, 0, 16 << 20);
	for (int i = 0; i < 20 || !kl_history_written(w.history); i++) {
		write_some(&w);
		usleep(1000);
	}
	fill_disk(ballast);
	/* Until it has given up to keep what comes. */
	for (int i = 0; i < 100000 && !has_said(&w, "no room for what comes"); i++)
		write_some(&w);
	expect(has_said(&w, "not written for now"), "a full disk is said");
	expect(has_said(&w, "no room for what comes"), "so is that nothing more is kept");
	for (int i = 0; i < 50; i++)
		write_some(&w);
	unlink(ballast);
	for (int i = 0; i < 20000 && !has_said(&w, "are missing there"); i++) {
		write_some(&w);
		usleep(1000);
	}
	expect(has_said(&w, "it is written again"), "that it is written again is said");
	expect(has_said(&w, "are missing there"), "and what is missing");
	for (int i = 0; i < 20; i++)
		write_some(&w);
	tick(&w, true);
	told = (int64_t)kl_history_told(w.history);
	kl_history_close(w.history);
	kl_sessions_free(w.sessions);
	for (int i = 0; i < w.lines; i++)
		printf("     %s\n", w.said[i]);

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		exit(2);
	expect(is_whole(db), "the file is whole");
	losses = ask(db, "SELECT count(*) FROM loss");
	gaps = ask(db, "SELECT count(*) FROM gap");
	records = ask(db, "SELECT sum(records) FROM gap");
	sqlite3_close(db);
	snprintf(text, sizeof(text),
		 "%" PRId64 " losses are there, with their copies, and %" PRId64
		 " records in %" PRId64 " gap: all %" PRId64 " that were told",
		 losses, records, gaps, told);
	expect(gaps == 1 && records > 0 && losses / LOSSES * RECORDS + records == told, text);
	if (kl_history_read(path, 0, &view, &err))
		fprintf(stderr, "kills: %s\n", err.text);
	for (size_t i = 0; i < view.remark_count; i++)
		said_gap |= strstr(view.remarks[i], "are not in the history") != NULL;
	expect(said_gap, "a diagnosis says so");
	expect(view.d.total.direction[0].lost_between == view.d.lost_count,
	       "and counts just what is listed");
	kl_history_view_done(&view);
	remove_history(path);
}

int main(int argc, char **argv)
{
	const char *directory = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";

	if (argc > 2 && !strcmp(argv[1], "--full"))
		try_full(argv[2]);
	else
		try_kills(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : KILLS,
			  argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1,
			  argc > 3 ? argv[3] : directory);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
