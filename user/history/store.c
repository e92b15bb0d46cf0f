// SPDX-License-Identifier: GPL-2.0-only
#include "history/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kaloss/join.h>

#include "history/schema.h"
#include "util/cleanup.h"
#include "util/duration.h"

enum {
	BUSY_MS = 5000, /* how long somebody else's transaction is waited for */
	VACUUM_PAGES = 256,
	ROUNDS_MAX = 4096,
	WAL_BYTES = 4 << 20, /* where there is no bound */
};

/* Where room is needed, a 64th of the parts goes, the oldest ones, and no less than this. */
#define SLICE_NS (300 * KL_NS_PER_S)
#define FORGET_NS (3600 * KL_NS_PER_S)
/* A part of the bound is the WAL's. */
#define WAL_BYTES_MAX (64ULL << 20)

struct kl_store {
	struct kl_store_config config;
	char *path, *wal_path;
	int lock_fd;
	sqlite3 *db;
	sqlite3_stmt *insert[KL_ROWS];
	uint64_t page_bytes;
};

static uint64_t wal_bytes_max(const struct kl_store_config *config)
{
	uint64_t quarter = config->max_bytes / 4;

	if (!config->max_bytes)
		return WAL_BYTES;
	return quarter < WAL_BYTES_MAX ? quarter : WAL_BYTES_MAX;
}

size_t kl_store_batch_bytes(const struct kl_store_config *config)
{
	return (size_t)((config->max_bytes ? wal_bytes_max(config) : WAL_BYTES_MAX) / 4);
}

/* ---- What goes wrong ---- */

static int code_of(int r)
{
	switch (r & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR:
		return -EIO;
	default:
		return -EBADMSG;
	}
}

static int fail(struct kl_store *s, int r, struct kl_error *err)
{
	int code = code_of(r);

	if (code == -ENOSPC)
		return kl_fail(err, code, "no room on the disk");
	return code ? kl_fail(err, code, "%s", sqlite3_errmsg(s->db)) : 0;
}

static int run(struct kl_store *s, const char *sql, struct kl_error *err)
{
	return fail(s, sqlite3_exec(s->db, sql, NULL, NULL, NULL), err);
}

/* One number; *ret stays where there is none. */
static int ask(struct kl_store *s, const char *sql, int64_t *ret, struct kl_error *err)
{
	sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);

	if (r == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW &&
	    sqlite3_column_type(q, 0) != SQLITE_NULL)
		*ret = sqlite3_column_int64(q, 0);
	return fail(s, sqlite3_finalize(q), err);
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

/* ---- Opening ---- */

static int lock(struct kl_store *s, struct kl_error *err)
{
	struct stat st;

	s->lock_fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (s->lock_fd < 0 || fstat(s->lock_fd, &st))
		return kl_fail(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return kl_fail(err, -EBADMSG, "not a regular file");
	/* (SQLite's own locks are of another kind, and let readers in.) */
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK
			       ? kl_fail(err, -EBUSY, "another kaloss writes it")
			       : kl_fail(err, -errno, "locking it: %s", strerror(errno));
	return 0;
}

static int check_size(sqlite3 *db, const char *path, const char *wal_path, struct kl_error *err)
{
	int64_t pages = 0, bytes = 0;
	sqlite3_stmt *q = NULL;

	/* What is still in the WAL may be behind the file's end. */
	if (size_of(wal_path))
		return 0;
	if (sqlite3_prepare_v2(db,
			       "SELECT page_count, page_size FROM pragma_page_count,"
			       " pragma_page_size",
			       -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW) {
		pages = sqlite3_column_int64(q, 0);
		bytes = pages * sqlite3_column_int64(q, 1);
	}
	sqlite3_finalize(q);
	if ((int64_t)size_of(path) < bytes)
		return kl_fail(err, -EBADMSG, "cut off: it has %llu of %lld bytes",
			       (unsigned long long)size_of(path), (long long)bytes);
	return 0;
}

static int open_tables(struct kl_store *s, struct kl_error *err)
{
	static const char *const settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
					    "PRAGMA wal_autocheckpoint = 0;";
	int64_t page_bytes = 0;
	int version, r = kl_schema_version(s->db, &version, err);

	/* Nobody else's file is touched before this. */
	if (r)
		return r;
	r = version ? 0 : run(s, "PRAGMA auto_vacuum = INCREMENTAL", err);
	if (!r)
		r = run(s, settings, err) ?: ask(s, "PRAGMA page_size", &page_bytes, err);
	if (r)
		return r;
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	r = check_size(s->db, s->path, s->wal_path, err);
	if (!r && version < KL_HISTORY_VERSION)
		r = kl_schema_migrate(s->db, version, KL_HISTORY_VERSION, err);
	s->page_bytes = (uint64_t)page_bytes;
	return r;
}

static int open_all(struct kl_store *s, struct kl_error *err)
{
	int r;

	s->path = strdup(s->config.path);
	if (!s->path || asprintf(&s->wal_path, "%s-wal", s->config.path) < 0)
		return kl_fail(err, -ENOMEM, "out of memory");
	r = lock(s, err);
	if (r)
		return r;
	r = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE, NULL);
	if (r != SQLITE_OK)
		return fail(s, r, err);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	r = open_tables(s, err);
	for (int i = 0; !r && i < KL_ROWS; i++)
		r = fail(s,
			 sqlite3_prepare_v3(s->db, kl_schema_insert((enum kl_row)i), -1,
					    SQLITE_PREPARE_PERSISTENT, &s->insert[i], NULL),
			 err);
	return r;
}

int kl_store_open(const struct kl_store_config *config, struct kl_store **ret, struct kl_error *err)
{
	struct kl_error why = {};
	struct kl_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return kl_fail(err, -ENOMEM, "out of memory");
	s->config = *config;
	s->lock_fd = -1;
	r = open_all(s, &why);
	if (r) {
		kl_store_close(s);
		return kl_fail(err, r, "%s: %s", config->path, why.text);
	}
	*ret = s;
	return 0;
}

void kl_store_close(struct kl_store *s)
{
	if (!s)
		return;
	for (int i = 0; i < KL_ROWS; i++)
		sqlite3_finalize(s->insert[i]);
	sqlite3_close(s->db);
	/* Not before: closing any of its files would take SQLite's own locks away. */
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->path);
	free(s->wal_path);
	free(s);
}

int kl_store_next(struct kl_store *s, int64_t *ret_run, int64_t *ret_session, struct kl_error *err)
{
	*ret_run = *ret_session = 1;
	return ask(s, "SELECT max(id) + 1 FROM run", ret_run, err)
		       ?: ask(s, "SELECT max(id) + 1 FROM session", ret_session, err);
}

/* ---- Keeping it small ---- */

/* Readers keep it from being shortened; then it is tried again next time. */
static void shorten_wal(struct kl_store *s, uint64_t more_than)
{
	if (size_of(s->wal_path) <= more_than)
		return;
	sqlite3_busy_timeout(s->db, 0);
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(s->db, BUSY_MS);
}

static int prune(struct kl_store *s, uint64_t before_ns, struct kl_error *err)
{
	int r = run(s, "BEGIN IMMEDIATE", err);

	if (r)
		return r;
	for (size_t i = 0; !r && kl_schema_prune[i]; i++) {
		sqlite3_stmt *d = NULL;

		r = sqlite3_prepare_v2(s->db, kl_schema_prune[i], -1, &d, NULL);
		if (r == SQLITE_OK) {
			sqlite3_bind_int64(d, 1, (int64_t)before_ns);
			sqlite3_step(d);
		}
		r = fail(s, sqlite3_finalize(d), err);
	}
	r = r ?: run(s, "COMMIT", err);
	if (r)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* From when to when there is something; 0, 0: there is nothing. */
static int extent(struct kl_store *s, uint64_t *ret_from_ns, uint64_t *ret_to_ns,
		  struct kl_error *err)
{
	int64_t from = 0, to = 0;
	int r = ask(s, "SELECT min(start_ns) FROM part", &from, err)
			?: ask(s, "SELECT start_ns FROM part ORDER BY start_ns DESC LIMIT 1", &to,
			       err);

	*ret_from_ns = (uint64_t)from;
	*ret_to_ns = (uint64_t)to;
	return r;
}

/*
 * The oldest part goes; the one that is being written stays. (By how many there are, not by the time
 * between the first and the last: a single one of a wrong clock would make that a time of all.)
 */
static int prune_oldest(struct kl_store *s, struct kl_error *err)
{
	uint64_t from_ns, to_ns;
	int64_t before = 0;
	int r = extent(s, &from_ns, &to_ns, err)
			?: ask(s,
			       "SELECT start_ns FROM part ORDER BY start_ns LIMIT 1 OFFSET"
			       " (SELECT count(*) / 64 FROM part)",
			       &before, err);

	if (r)
		return r;
	if (from_ns == to_ns)
		return kl_fail(err, -ENOSPC, "no room within its bound of %llu bytes",
			       (unsigned long long)s->config.max_bytes);
	if ((uint64_t)before < from_ns + SLICE_NS)
		before = (int64_t)(from_ns + SLICE_NS);
	return prune(s, (uint64_t)before < to_ns ? (uint64_t)before : to_ns, err);
}

static int vacuum(struct kl_store *s, uint64_t pages, struct kl_error *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%llu)",
		 (unsigned long long)(pages < VACUUM_PAGES ? pages : VACUUM_PAGES));
	return run(s, sql, err);
}

/* Room for so many bytes more, in the file and in its WAL, within the bound. */
static int make_room(struct kl_store *s, uint64_t bytes, struct kl_error *err)
{
	uint64_t wal_max = wal_bytes_max(&s->config), pages_max, wanted;
	bool short_of = false;

	shorten_wal(s, wal_max / 2);
	if (!s->config.max_bytes)
		return 0;
	pages_max = (s->config.max_bytes - wal_max) / s->page_bytes;
	wanted = bytes * 3 / 2 / s->page_bytes + 64;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		int64_t pages = 0, unused = 0;
		uint64_t over;
		int r = ask(s, "PRAGMA page_count", &pages, err)
				?: ask(s, "PRAGMA freelist_count", &unused, err);

		if (r)
			return r;
		over = (uint64_t)pages > pages_max ? (uint64_t)pages - pages_max : 0;
		if (over && unused) {
			r = vacuum(s, over < (uint64_t)unused ? over : (uint64_t)unused, err);
		} else if (over || (uint64_t)unused + pages_max - (uint64_t)pages <
					   wanted + (short_of ? pages_max / 32 : 0)) {
			short_of = true;
			r = prune_oldest(s, err);
		} else {
			break;
		}
		if (r)
			return r;
		shorten_wal(s, wal_max / 4);
	}
	if (size_of(s->wal_path) + bytes * 2 > wal_max)
		shorten_wal(s, 0);
	if (size_of(s->wal_path) + bytes * 2 > wal_max)
		return kl_fail(err, -ENOSPC,
			       "no room within its bound: somebody who reads it holds what was "
			       "written since");
	return 0;
}

/* How far the clock can be believed: as the newest parts that it has reached say. */
static int read_lived(struct kl_store *s, uint64_t now_ns, struct kl_lived *ret,
		      struct kl_error *err)
{
	sqlite3_stmt *q = NULL;
	int r = sqlite3_prepare_v2(s->db,
				   "SELECT start_ns, until_ns FROM part WHERE start_ns <= ?"
				   " ORDER BY start_ns DESC",
				   -1, &q, NULL);

	*ret = (struct kl_lived){};
	if (r == SQLITE_OK)
		sqlite3_bind_int64(q, 1, (int64_t)now_ns);
	while (r == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW) {
		if (!kl_lived_add(ret, (uint64_t)sqlite3_column_int64(q, 0),
				  (uint64_t)sqlite3_column_int64(q, 1)))
			break;
	}
	return fail(s, sqlite3_finalize(q), err);
}

int kl_store_forget(struct kl_store *s, uint64_t now_ns, struct kl_pause *ret_doubt,
		    struct kl_error *err)
{
	uint64_t keep_ns = s->config.keep_ns, from_ns, to_ns, lived_ns, before_ns;
	struct kl_lived lived;
	int r;

	*ret_doubt = (struct kl_pause){};
	if (!keep_ns)
		return 0;
	r = extent(s, &from_ns, &to_ns, err) ?: read_lived(s, now_ns, &lived, err);
	if (r || !from_ns)
		return r;
	lived_ns = kl_lived_now(&lived, now_ns);
	before_ns = kl_since(lived_ns, keep_ns);
	if (from_ns >= before_ns) {
		if (from_ns < kl_since(now_ns, keep_ns) && kl_lived_doubts(&lived))
			*ret_doubt = lived.longest;
		return 0;
	}
	if (before_ns - from_ns > FORGET_NS)
		before_ns = from_ns + FORGET_NS;
	r = prune(s, before_ns, err);
	shorten_wal(s, wal_bytes_max(&s->config) / 4);
	return r ?: before_ns + keep_ns < lived_ns;
}

/* ---- Writing ---- */

static int bind(sqlite3_stmt *insert, int place, const struct kl_value *v)
{
	switch (v->type) {
	case KL_VALUE_NUMBER:
		return sqlite3_bind_int64(insert, place, v->number);
	case KL_VALUE_TEXT:
		return sqlite3_bind_text(insert, place, (const char *)v->data, (int)v->len,
					 SQLITE_STATIC);
	case KL_VALUE_BYTES:
		return sqlite3_bind_blob(insert, place, v->data, (int)v->len, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(insert, place);
	}
}

static int write_row(struct kl_store *s, enum kl_row row, struct kl_unpack *u, struct kl_error *err)
{
	sqlite3_stmt *insert = s->insert[row];
	struct kl_value v;
	int r = SQLITE_OK, stepped;

	for (int place = 1; (v = kl_rows_value(u)).type != KL_VALUE_END; place++)
		r = r == SQLITE_OK ? bind(insert, place, &v) : r;
	stepped = r == SQLITE_OK ? sqlite3_step(insert) : r;
	sqlite3_reset(insert);
	sqlite3_clear_bindings(insert);
	return fail(s, stepped, err);
}

int kl_store_apply(struct kl_store *s, const struct kl_rows *rows, struct kl_error *err)
{
	struct kl_unpack u = { .at = rows->bytes.data, .end = rows->bytes.data + rows->bytes.len };
	enum kl_row row;
	int r;

	if (rows->bytes.failed)
		return kl_fail(err, -ENOMEM, "out of memory");
	r = make_room(s, rows->bytes.len, err);
	if (!r)
		r = run(s, "BEGIN IMMEDIATE", err);
	if (r)
		return r;
	while (!r && (row = kl_rows_next(&u)) != KL_ROWS)
		r = write_row(s, row, &u, err);
	r = r ?: run(s, "COMMIT", err);
	if (r)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* ---- Reading ---- */

/* A file that can only be read, in a place where nothing can be made, and that nobody writes. */
static int open_unchanging(const char *path, sqlite3 **db)
{
	struct kl_bytes uri = {};
	int r;

	kl_bytes_add(&uri, "file:", 5);
	for (; *path; path++) {
		char code[4];

		snprintf(code, sizeof(code), "%%%02x", (unsigned char)*path);
		kl_bytes_add(&uri, code, 3);
	}
	kl_bytes_add(&uri, "?immutable=1", sizeof("?immutable=1"));
	r = uri.failed ? SQLITE_NOMEM
		       : sqlite3_open_v2((const char *)uri.data, db,
					 SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	kl_bytes_done(&uri);
	return r;
}

static int open_read_only(const char *path, const char *wal_path, sqlite3 **db, int *ret_version,
			  struct kl_error *err)
{
	int r = sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY, NULL);

	if (r == SQLITE_OK) {
		sqlite3_busy_timeout(*db, BUSY_MS);
		r = kl_schema_version(*db, ret_version, err);
	}
	if (!r || (sqlite3_errcode(*db) & 0xff) != SQLITE_CANTOPEN || size_of(wal_path))
		return r;
	sqlite3_close(*db);
	r = open_unchanging(path, db);
	return r == SQLITE_OK ? kl_schema_version(*db, ret_version, err)
			      : kl_fail(err, -EIO, "%s", sqlite3_errmsg(*db));
}

/* What SQLite keeps beside a file while it is made. */
static bool is_half_made(const char *path)
{
	_cleanup_free_ char *journal_path = NULL;

	if (asprintf(&journal_path, "%s-journal", path) < 0) {
		journal_path = NULL;
		return false;
	}
	return size_of(journal_path) > 0;
}

static int open_current(const char *path, const char *wal_path, sqlite3 **db, struct kl_error *err)
{
	const struct kl_store_config config = { .path = path };
	struct kl_store *store = NULL;
	struct stat st;
	int version = 0, r;

	if (stat(path, &st))
		return kl_fail(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return kl_fail(err, -EBADMSG, "not a regular file");
	/* (SQLite would only say that it cannot open it.) */
	if (access(path, R_OK))
		return kl_fail(err, -errno, "%s", strerror(errno));
	r = open_read_only(path, wal_path, db, &version, err);
	if (r && is_half_made(path)) {
		/* Whoever made it was killed: only who may write puts it back. */
		sqlite3_close(*db);
		*db = NULL;
		kl_store_close(kl_store_open(&config, &store, NULL) ? NULL : store);
		r = open_read_only(path, wal_path, db, &version, err);
	}
	if (!r && !version)
		return kl_fail(err, -EBADMSG, "empty: nothing was ever written to it");
	if (r || version == KL_HISTORY_VERSION)
		return r ?: check_size(*db, path, wal_path, err);
	sqlite3_close(*db);
	*db = NULL;
	r = kl_store_open(&config, &store, NULL);
	kl_store_close(store);
	if (r)
		return kl_fail(err, r,
			       "written by an older kaloss (version %d of its tables), and cannot "
			       "be brought up to date: %s",
			       version, r == -EBUSY ? "it is being written" : strerror(-r));
	return open_read_only(path, wal_path, db, &version, err);
}

int kl_store_open_to_read(const char *path, sqlite3 **ret, struct kl_error *err)
{
	_cleanup_free_ char *wal_path = NULL;
	struct kl_error why = {};
	sqlite3 *db = NULL;
	int r;

	if (asprintf(&wal_path, "%s-wal", path) < 0) {
		wal_path = NULL;
		return kl_fail(err, -ENOMEM, "out of memory");
	}
	r = open_current(path, wal_path, &db, &why);
	if (r) {
		sqlite3_close(db);
		return kl_fail(err, r, "%s: %s", path, why.text);
	}
	*ret = db;
	return 0;
}
