// SPDX-License-Identifier: GPL-2.0-only
#include "cli/config_file.h"

#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

enum {
	FILE_BYTES_MAX = 64 << 10
};

/* What the library's callbacks share. */
struct reading {
	struct kl_config_file *file;
	const char *path;
	const char *at; /* the next line */
	unsigned line;
	bool indented; /* the line at hand begins with a blank */
	int error;
	struct kl_error *err;
};

__attribute__((format(printf, 2, 3))) static void complain(struct reading *r, const char *format,
							   ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	r->error = kl_fail(r->err, -EINVAL, "%s: line %u: %s", r->path, r->line, what);
}

static const char no_sections[] = "this file has no sections";

/* As fgets(): the library cuts what is longer than its buffer, and takes the rest for a line. */
static char *next_line(char *line, int size, void *arg)
{
	struct reading *r = arg;
	size_t length = strcspn(r->at, "\n");

	if (r->error || !*r->at)
		return NULL;
	r->line++;
	r->indented = *r->at == ' ' || *r->at == '\t';
	if (*r->at == '[')
		complain(r, "%s", no_sections);
	else if (length + 2 > (size_t)size)
		complain(r,
			 "longer than %d characters (a list may go on in the next line, which "
			 "then begins with a blank)",
			 size - 2);
	if (r->error)
		return NULL;
	memcpy(line, r->at, length);
	memcpy(line + length, "\n", 2);
	r->at += length + (r->at[length] == '\n');
	return line;
}

static bool append(struct reading *r, struct kl_config_entry *e, const char *more)
{
	size_t length = strlen(e->value);
	char *value = realloc(e->value, length + strlen(more) + 1);

	if (!value) {
		r->error = kl_fail(r->err, -ENOMEM, "%s: out of memory", r->path);
		return false;
	}
	memcpy(value + length, more, strlen(more) + 1);
	e->value = value;
	return true;
}

static bool add(struct reading *r, const char *key, const char *value)
{
	struct kl_config_file *f = r->file;
	struct kl_config_entry *more = realloc(f->entry, (f->count + 1) * sizeof(*more)), *e;

	if (more) {
		f->entry = more;
		e = &more[f->count++];
		*e = (struct kl_config_entry){ r->line, strdup(key), strdup(value) };
	}
	if (!more || !e->key || !e->value)
		r->error = kl_fail(r->err, -ENOMEM, "%s: out of memory", r->path);
	return !r->error;
}

static int take_value(void *arg, const char *section, const char *key, const char *value)
{
	struct reading *r = arg;
	struct kl_config_file *f = r->file;

	if (section[0]) {
		complain(r, "%s", no_sections);
		return 0;
	}
	if (r->indented && f->count && !strcmp(f->entry[f->count - 1].key, key)) {
		struct kl_config_entry *last = &f->entry[f->count - 1];
		size_t length = strlen(last->value);

		/* Else a mere blank would make a value of a key. */
		if (length && last->value[length - 1] == ',')
			return append(r, last, value);
		complain(r,
			 "it begins with a blank, but the line before does not end with a comma");
		return 0;
	}
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->entry[i].key, key) != 0)
			continue;
		complain(r, "%.50s is there already, in line %u", key, f->entry[i].line);
		return 0;
	}
	return add(r, key, value);
}

static int read_text(const char *path, char **ret, struct kl_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t length;

	if (fd < 0 || fstat(fd, &st))
		return kl_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return kl_fail(err, -EINVAL, "%s: not a file", path);
	text = malloc(FILE_BYTES_MAX + 1);
	if (!text)
		return kl_fail(err, -ENOMEM, "%s: out of memory", path);
	length = read(fd, text, FILE_BYTES_MAX + 1);
	if (length < 0)
		return kl_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (length > FILE_BYTES_MAX)
		return kl_fail(err, -EFBIG, "%s: more than %d bytes", path, FILE_BYTES_MAX);
	if (memchr(text, '\0', (size_t)length))
		return kl_fail(err, -EINVAL, "%s: not a text file", path);
	text[length] = '\0';
	*ret = text;
	text = NULL;
	return 0;
}

int kl_config_file_read(const char *path, struct kl_config_file **ret, struct kl_error *err)
{
	_cleanup_free_ char *text = NULL;
	struct reading r = { .path = path, .err = err };
	int wrong_line;

	r.error = read_text(path, &text, err);
	if (r.error)
		return r.error;
	r.file = calloc(1, sizeof(*r.file));
	if (!r.file)
		return kl_fail(err, -ENOMEM, "%s: out of memory", path);
	r.at = text;
	wrong_line = ini_parse_stream(next_line, &r, take_value, &r);
	if (!r.error && wrong_line > 0)
		r.error = kl_fail(err, -EINVAL, "%s: line %d: it should read KEY = VALUE", path,
				  wrong_line);
	else if (!r.error && wrong_line)
		r.error = kl_fail(err, -ENOMEM, "%s: out of memory", path);
	if (r.error)
		kl_config_file_free(r.file);
	else
		*ret = r.file;
	return r.error;
}

void kl_config_file_free(struct kl_config_file *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		free(f->entry[i].key);
		free(f->entry[i].value);
	}
	free(f->entry);
	free(f);
}
