// SPDX-License-Identifier: GPL-2.0-only
#include "source/trace_file.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "util/cleanup.h"

enum {
	CHUNK_BYTES = 64 * 1024
};

static void gzclosep(gzFile *f)
{
	if (*f)
		gzclose(*f);
}

/* *ret_cut: what is packed in it ends early. What there is was read. */
static int read_file(const char *path, struct kl_trace_parser *parser, bool *ret_cut,
		     struct kl_error *err)
{
	__attribute__((cleanup(gzclosep))) gzFile file = NULL;
	_cleanup_free_ char *chunk = malloc(CHUNK_BYTES);
	const char *text;
	int n, code;

	if (!chunk)
		return kl_fail(err, -ENOMEM, "out of memory");
	errno = 0;
	file = gzopen(path, "re");
	if (!file)
		return kl_fail(err, errno ? -errno : -ENOMEM, "%s: %m", path);
	while ((n = gzread(file, chunk, CHUNK_BYTES)) > 0) {
		if (kl_trace_parser_feed(parser, chunk, (size_t)n))
			return kl_fail(err, -ENOMEM, "%s: out of memory", path);
	}
	text = gzerror(file, &code);
	/* (Where it ends early, that is told at the end of what there is.) */
	*ret_cut = code == Z_BUF_ERROR;
	if (n < 0 && code == Z_ERRNO)
		return kl_fail(err, errno ? -errno : -EIO, "%s: %m", path);
	if (n < 0 && !*ret_cut)
		return kl_fail(err, -EBADMSG, "%s: the gzip data are damaged (%s)", path, text);
	if (kl_trace_parser_end_file(parser))
		return kl_fail(err, -ENOMEM, "%s: out of memory", path);
	return 0;
}

static void add_stats(const char *path, const struct kl_trace_lines *lines,
		      uint64_t malformed_before, struct kl_input_stats *stats)
{
	stats->received = lines->read;
	stats->understood = lines->line.count + lines->line.unlisted;
	stats->malformed = lines->malformed;
	if (lines->malformed && !malformed_before)
		snprintf(stats->complaint, sizeof(stats->complaint), "%s, %s", path,
			 lines->complaint);
}

int kl_trace_files_read(const char *list, struct kl_trace_lines *ret, struct kl_input_stats *stats,
			struct kl_error *err)
{
	__attribute__((cleanup(kl_trace_parser_freep))) struct kl_trace_parser *parser = NULL;
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *path;

	if (!copy || kl_trace_parser_new(ret, &parser))
		return kl_fail(err, -ENOMEM, "out of memory");
	while ((path = strsep(&rest, ","))) {
		uint64_t malformed_before = ret->malformed;
		bool cut = false;
		int r;

		if (!*path)
			return kl_fail(err, -EINVAL, "an empty file name among the traces");
		r = read_file(path, parser, &cut, err);
		if (cut && !ret->malformed++)
			snprintf(ret->complaint, sizeof(ret->complaint), "its gzip data end early");
		add_stats(path, ret, malformed_before, stats);
		if (r)
			return r;
	}
	return 0;
}
