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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history/load.h"
#include "writing.h"

enum {
	KILLS = 200,
	KILLS_A_FILE = 40,
	LONGEST_US = 60000, /* until the kill */
};

/* Writes until it is killed, and says how many records are written. */
static void write_on(const struct writing *with, int to)
{
	uint64_t written = 0;
	struct writer w;

	open_writer(&w, with);
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

/* Kills it after so long; returns what it had said until then. */
static uint64_t kill_after(const struct writing *with, unsigned us)
{
	uint64_t written = 0, now;
	int pipe_fd[2], status;
	pid_t pid;

	if (pipe(pipe_fd))
		exit(2);
	pid = fork();
	if (!pid) {
		close(pipe_fd[0]);
		write_on(with, pipe_fd[1]);
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
	struct writing with = { .path = path };

	srandom(seed);
	snprintf(path, sizeof(path), "%s/kaloss-kills-%d.db", directory, getpid());
	for (unsigned i = 0; i < kills; i++) {
		uint64_t written;

		if (i % KILLS_A_FILE == 0) {
			remove_history(path);
			with.seq = 0;
		}
		written = kill_after(&with, (unsigned)random() % LONGEST_US);
		with.seq = look(&with, written, &found);
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
	const struct writing with = { .path = path, .max_bytes = 16 << 20 };
	struct kl_history_view view = {};
	struct kl_error err = {};
	int64_t losses, gaps, records, told;
	struct writer w;
	sqlite3 *db = NULL;
	bool said_gap = false;

	snprintf(path, sizeof(path), "%s/full.db", directory);
	snprintf(ballast, sizeof(ballast), "%s/ballast", directory);
	open_writer(&w, &with);
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
	for (int i = 0; i < 20000 &&
			!(has_said(&w, "are missing there") && has_said(&w, "it is written again"));
	     i++) {
		write_some(&w);
		usleep(1000);
	}
	expect(has_said(&w, "it is written again"), "that it is written again is said");
	expect(has_said(&w, "are missing there"), "and what is missing");
	for (int i = 0; i < 20; i++)
		write_some(&w);
	end_writing(&w);
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
	if (kl_history_read(path, 0, UINT64_MAX, &view, &err))
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
