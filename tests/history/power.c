// SPDX-License-Identifier: GPL-2.0-only
/*
 * A history whose disk loses its power, at any call that changes it: while the file is made, written,
 * kept small, brought up to date, put in order after the last cut, or closed. What is left is what a
 * disk may leave (disk.h). The file must open, be whole, and have every record that was said to be
 * written. With settings that promise less, the same cuts must show losses, or this test is blind.
 *
 *   power [CUTS [SEED [DIRECTORY]]]     400 and 1; a directory in memory
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "history/schema.h"
#include "history/store.h"
#include "util/duration.h"
#include "writing.h"

enum {
	CUTS = 400,
	CUTS_A_FILE = 20,
	FEW = 40,	  /* where less is promised */
	EARLY = 60,	  /* calls: until then it opens, and makes its tables */
	TICKS = 50,	  /* of a writer that lives, at most */
	A_TICK = 40,	  /* calls, about */
	CLOSING = 100,	  /* calls, about, at the end */
	STUCK_US = 20000, /* then it is asked */
	HANGS_US = 60000000,
};

struct world {
	const char *name;
	unsigned cuts;
	uint64_t max_bytes, step_ns;
	bool forgets; /* what is older than half of a writer's life */
	bool is_old;  /* each file is one of the first tables */
	bool promises_less;
	const char *synchronous;
	bool no_sync, no_directory_sync;
};

/* ---- Promising less ---- */

static const char *synchronous;

int __real_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
			void *arg, char **message);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
			void *arg, char **message);

int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
			void *arg, char **message)
{
	int r = __real_sqlite3_exec(db, sql, row, arg, message);
	char less[60];

	if (!synchronous || r != SQLITE_OK || !strstr(sql, "PRAGMA synchronous"))
		return r;
	snprintf(less, sizeof(less), "PRAGMA synchronous = %s", synchronous);
	return __real_sqlite3_exec(db, less, row, arg, message);
}

/* ---- Who writes ---- */

/* Of both processes. */
static struct shared {
	uint64_t written, calls;
	bool ended; /* in good order, before the power went */
} * shared;

static struct kl_history *history; /* of which it is asked what is written */

static void power_is_gone(void)
{
	if (history)
		shared->written = kl_history_written(history);
	shared->calls = disk_calls();
	_exit(0);
}

/* Until all is written; where less is promised the file may be damaged, and nothing more is. */
static void wait_for_it(struct writer *w, bool promises_less)
{
	for (unsigned us = 0; kl_history_written(history) != kl_history_told(history); us += 50) {
		usleep(50);
		if (us > HANGS_US)
			_exit(3);
		if (!promises_less || us % STUCK_US)
			continue;
		write_nothing(w);
		if (has_said(w, "written"))
			disk_cut();
	}
}

/* When the power goes. */
struct plan {
	uint64_t power;	  /* at this call; 0: not before it closes */
	uint64_t closing; /* or so many calls behind */
	uint64_t ticks;
};

static void write_until_it_goes(const struct writing *with, const struct plan *plan,
				bool promises_less)
{
	struct writer w;

	open_writer(&w, with);
	history = w.history;
	for (uint64_t i = 0; i < plan->ticks; i++) {
		write_some(&w);
		wait_for_it(&w, promises_less);
	}
	end_writing(&w);
	wait_for_it(&w, promises_less);
	shared->written = kl_history_written(history);
	history = NULL;
	if (plan->closing)
		disk_cut_in(plan->closing);
	if (!kl_history_close(w.history))
		_exit(2);
	kl_sessions_free(w.sessions);
	shared->ended = true;
	disk_cut();
}

/* ---- Who looks ---- */

struct place {
	char top[200], disk[220], image[220], looked[220]; /* directories */
	char written[240], looked_at[240];		   /* the history in them */
};

static void empty(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

static void copy_file(int from, int to, const char *name)
{
	int in = openat(from, name, O_RDONLY | O_CLOEXEC);
	int out = openat(to, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char data[65536];
	ssize_t n;

	while ((n = read(in, data, sizeof(data))) > 0) {
		if (write(out, data, (size_t)n) != n)
			exit(2);
	}
	close(in);
	close(out);
}

static void copy_all(const char *from, const char *to)
{
	DIR *in = opendir(from), *out = opendir(to);
	struct dirent *entry;

	empty(to);
	while (in && out && (entry = readdir(in))) {
		if (entry->d_name[0] != '.')
			copy_file(dirfd(in), dirfd(out), entry->d_name);
	}
	if (in)
		closedir(in);
	if (out)
		closedir(out);
}

static uint64_t between(uint64_t least, uint64_t most)
{
	return least + (uint64_t)random() % (most - least + 1);
}

/* Of the first tables, with a session; its times are those of the writers. */
static void make_old(const char *path)
{
	static const char rows[] =
		"INSERT INTO run (id, start_ns, end_ns) VALUES (1, 1700000000000000000,"
		" 1700000000000000000);"
		"INSERT INTO part VALUES (1700000000000000000, 1, 1700000000000000000, 0, 0, x'');"
		"INSERT INTO session VALUES (1, 1, 4, '10.1.0.2', 40000, '10.2.0.10', 2000, 'SEP1',"
		" NULL, NULL, NULL, 'primary', 'sccp_keepalive', 30000000, 0, NULL,"
		" 1700000000000000000, 1700000000000000000, NULL, NULL, 0, 0, 0, 0, NULL);"
		"WITH RECURSIVE n (seq) AS (VALUES (1) UNION ALL SELECT seq + 1 FROM n WHERE seq < "
		"20)"
		" INSERT INTO loss (session, told_ns, time_ns, direction, place, kind, seq, "
		"seq_other,"
		" length, copies_access, copies_cucm, idle_known, probable) SELECT 1,"
		" 1700000000000000000, 1700000000000000000, 'to_cucm', 'between', 'sccp_keepalive',"
		" seq, seq, 12, 1, 0, 0, 0 FROM n;";
	struct kl_error err = {};
	sqlite3 *db = NULL;

	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL", NULL,
			 NULL, NULL) != SQLITE_OK ||
	    kl_schema_migrate(db, 0, 1, &err) ||
	    sqlite3_exec(db, rows, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "power: %s %s\n", sqlite3_errmsg(db), err.text);
		exit(2);
	}
	sqlite3_close(db);
}

static struct plan make_plan(void)
{
	struct plan p = { .ticks = between(1, TICKS) };

	switch (between(0, 3)) {
	case 0:
		p.power = between(1, EARLY);
		break;
	case 1:
		p.closing = between(1, CLOSING);
		break;
	default:
		p.power = between(1, p.ticks * A_TICK);
	}
	return p;
}

/* One writer on what the last cut left, until the power goes again. False: it could not open it. */
static bool cut_once(const struct world *world, const struct place *at, const struct writing *with)
{
	struct plan plan = make_plan();
	struct disk d = { .directory = at->disk,
			  .image = at->image,
			  .power = plan.power,
			  .seed = (unsigned)random(),
			  .no_sync = world->no_sync,
			  .no_directory_sync = world->no_directory_sync,
			  .ends = power_is_gone };
	int status;
	pid_t pid;

	copy_all(at->image, at->disk);
	*shared = (struct shared){};
	fflush(stdout);
	pid = fork();
	if (!pid) {
		synchronous = world->synchronous;
		disk_begin(&d);
		write_until_it_goes(with, &plan, world->promises_less);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (!world->promises_less) {
		fprintf(stderr,
			"power: the writer ended with status %x (seed %u, call %" PRIu64 ")\n",
			status, d.seed, d.power);
		failed++;
	}
	return false;
}

struct result {
	struct found found;
	unsigned cuts, ended, refused;
	uint64_t calls;
};

static void try_cuts(const struct world *world, const struct place *at, struct result *ret)
{
	struct writing with = { .path = at->written,
				.max_bytes = world->max_bytes,
				.step_ns = world->step_ns };

	*ret = (struct result){ .cuts = world->cuts };
	for (unsigned i = 0; i < world->cuts; i++) {
		struct writing there = with;

		if (i % CUTS_A_FILE == 0 || (world->is_old && i % 2 == 0)) {
			empty(at->image);
			with.seq = 0;
			if (world->is_old) {
				char path[240];

				snprintf(path, sizeof(path), "%s/history.db", at->image);
				make_old(path);
				with.seq = LOSSES;
			}
		}
		/* (Age is measured by what the file holds: the writers' clock stands.) */
		if (world->forgets)
			with.keep_ns = TICKS / 2 * KL_NS_PER_S;
		if (!cut_once(world, at, &with)) {
			ret->refused++;
			empty(at->image);
			with.seq = 0;
			continue;
		}
		ret->calls += shared->calls;
		ret->ended += shared->ended;
		copy_all(at->image, at->looked);
		there = with;
		there.path = at->looked_at;
		with.seq = look(&there, shared->written, &ret->found);
	}
}

/* ---- What comes out ---- */

static void must_hold(const struct world *world, const struct result *r)
{
	const struct found *f = &r->found;
	char text[300];

	snprintf(text, sizeof(text),
		 "%s: of %u files after a power cut %" PRIu64 " opened, %" PRIu64
		 " were whole (integrity_check), %" PRIu64
		 " could be diagnosed, or were never made",
		 world->name, r->cuts, f->opened, f->whole, f->read);
	expect(f->opened == r->cuts && f->whole == r->cuts && f->read == r->cuts, text);
	snprintf(text, sizeof(text),
		 "%s: %" PRIu64 " records were said to be written, in %" PRIu64
		 " calls of the disk; some of them are missing in %" PRIu64 " files, and %" PRIu64
		 " have half a batch (%" PRIu64 " have one more than was said,"
		 " %u were closed before the cut)",
		 world->name, f->written, r->calls, f->missing, f->half, f->behind, r->ended);
	expect(f->written > 0 && !f->missing && !f->half, text);
	if (!world->max_bytes && !world->forgets)
		return;
	snprintf(text, sizeof(text), "%s: in %" PRIu64 " files the oldest ones are gone",
		 world->name, f->shorter);
	expect(f->shorter > 0, text);
}

/* The same look finds what is lost where less is promised. */
static void must_lose(const struct world *world, const struct result *r)
{
	const struct found *f = &r->found;
	uint64_t broken = r->cuts - f->whole; /* or were when they were to be opened */
	char text[300];

	snprintf(text, sizeof(text),
		 "%s: records are missing in %" PRIu64 " of %u files, %" PRIu64 " are not whole",
		 world->name, f->missing, r->cuts, broken);
	/* (NORMAL is to lose what came last, and no more: what is left is not worse than a disk.) */
	expect(f->missing > 0 && (!world->no_sync || broken > 0) &&
		       (!world->synchronous || (broken > 0) == !strcmp(world->synchronous, "OFF")),
	       text);
}

static void make_place(struct place *at, const char *in)
{
	snprintf(at->top, sizeof(at->top), "%s/kaloss-power-%d", in, getpid());
	snprintf(at->disk, sizeof(at->disk), "%s/disk", at->top);
	snprintf(at->image, sizeof(at->image), "%s/image", at->top);
	snprintf(at->looked, sizeof(at->looked), "%s/looked", at->top);
	snprintf(at->written, sizeof(at->written), "%s/history.db", at->disk);
	snprintf(at->looked_at, sizeof(at->looked_at), "%s/history.db", at->looked);
	if (mkdir(at->top, 0700) || mkdir(at->disk, 0700) || mkdir(at->image, 0700) ||
	    mkdir(at->looked, 0700)) {
		perror(at->top);
		exit(2);
	}
}

static void remove_place(const struct place *at)
{
	empty(at->disk);
	empty(at->image);
	empty(at->looked);
	rmdir(at->disk);
	rmdir(at->image);
	rmdir(at->looked);
	rmdir(at->top);
}

int main(int argc, char **argv)
{
	unsigned cuts = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : CUTS;
	unsigned less = cuts / 10 > FEW ? cuts / 10 : FEW;
	const struct world keeps[] = {
		{ .name = "history", .cuts = cuts / 2 },
		{ .name = "with a bound",
		  .cuts = cuts / 4,
		  .max_bytes = 1 << 20,
		  .step_ns = 60 * KL_NS_PER_S },
		{ .name = "with --keep", .cuts = cuts / 8, .forgets = true },
		{ .name = "of older tables", .cuts = cuts / 8, .is_old = true },
	};
	const struct world loses[] = {
		{ .name = "with synchronous = NORMAL",
		  .cuts = less,
		  .promises_less = true,
		  .synchronous = "NORMAL" },
		{ .name = "with synchronous = OFF",
		  .cuts = less,
		  .promises_less = true,
		  .synchronous = "OFF",
		  .max_bytes = 1 << 20,
		  .step_ns = 60 * KL_NS_PER_S },
		{ .name = "on a disk that syncs nothing",
		  .cuts = less,
		  .promises_less = true,
		  .no_sync = true,
		  .max_bytes = 1 << 20,
		  .step_ns = 60 * KL_NS_PER_S },
		{ .name = "on a disk that syncs no directory",
		  .cuts = less,
		  .promises_less = true,
		  .no_directory_sync = true },
	};
	struct place at;

	srandom(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1);
	make_place(&at, argc > 3 ? argv[3] : access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 2;
	for (size_t i = 0; i < sizeof(keeps) / sizeof(keeps[0]); i++) {
		struct result r;

		try_cuts(&keeps[i], &at, &r);
		must_hold(&keeps[i], &r);
	}
	fclose(stderr);
	for (size_t i = 0; i < sizeof(loses) / sizeof(loses[0]); i++) {
		struct result r;

		try_cuts(&loses[i], &at, &r);
		must_lose(&loses[i], &r);
	}
	remove_place(&at);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
