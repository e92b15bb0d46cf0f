// SPDX-License-Identifier: GPL-2.0-only
#include "report/json_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/json_print.h"
#include "report/json_records.h"
#include "util/cleanup.h"

enum {
	ROOM_MIN = 4096,
	DIGITS_MAX = 20,
};

void kl_json_line_done(struct kl_json_line *l)
{
	free(l->text);
	*l = (struct kl_json_line){};
}

static void append(struct kl_json_line *l, const char *bytes, size_t count)
{
	if (l->length + count > l->room) {
		size_t room = l->room ? l->room : ROOM_MIN;
		char *grown;

		while (room < l->length + count)
			room *= 2;
		grown = realloc(l->text, room);
		if (!grown) {
			l->lacking = true;
			return;
		}
		l->text = grown;
		l->room = room;
	}
	memcpy(l->text + l->length, bytes, count);
	l->length += count;
}

static void begin(struct kl_json_line *l, const char *name)
{
	if (l->follows)
		append(l, ", ", l->readable ? 2 : 1);
	l->follows = true;
	if (!name)
		return;
	append(l, "\"", 1);
	append(l, name, strlen(name));
	append(l, "\": ", l->readable ? 3 : 2);
}

void kl_json_continue(struct kl_json_line *l, json_t *object, size_t flags)
{
	_cleanup_free_ char *text = kl_json_dump(object, flags);
	size_t length = text ? strlen(text) : 0;

	l->lacking |= !text;
	if (length)
		append(l, text, length - 1);
	l->follows = length > 2;
}

void kl_json_between(struct kl_json_line *l, const char *text)
{
	append(l, text, strlen(text));
	l->follows = false;
}

void kl_json_open(struct kl_json_line *l, const char *name, char open)
{
	begin(l, name);
	append(l, &open, 1);
	l->follows = false;
}

void kl_json_close(struct kl_json_line *l, char close)
{
	append(l, &close, 1);
	l->follows = true;
}

void kl_json_null(struct kl_json_line *l, const char *name)
{
	begin(l, name);
	append(l, "null", 4);
}

void kl_json_bool(struct kl_json_line *l, const char *name, bool value)
{
	begin(l, name);
	append(l, value ? "true" : "false", value ? 4 : 5);
}

/* The digits of a number, at least so many; at the end of a buffer. */
static char *digits_of(uint64_t value, unsigned at_least, char *end)
{
	char *at = end;

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value || end - at < (int)at_least);
	return at;
}

void kl_json_number(struct kl_json_line *l, const char *name, uint64_t value)
{
	char digits[DIGITS_MAX], *end = digits + sizeof(digits), *at = digits_of(value, 1, end);

	begin(l, name);
	append(l, at, (size_t)(end - at));
}

void kl_json_decimal(struct kl_json_line *l, const char *name, uint64_t value, unsigned digits)
{
	char text[2 * DIGITS_MAX] = {}, *end = text + sizeof(text), *at, *point;

	at = digits_of(value, digits + 1, end);
	point = end - digits;
	begin(l, name);
	append(l, at, (size_t)(point - at));
	while (end > point + 1 && end[-1] == '0')
		end--;
	append(l, ".", 1);
	append(l, point, (size_t)(end - point));
}

static void append_quoted(struct kl_json_line *l, const char *text, size_t length)
{
	append(l, "\"", 1);
	append(l, text, length);
	append(l, "\"", 1);
}

void kl_json_word(struct kl_json_line *l, const char *name, const char *word)
{
	if (!word) {
		kl_json_null(l, name);
		return;
	}
	begin(l, name);
	append_quoted(l, word, strlen(word));
}

static bool is_plain(const char *text, size_t *ret_length)
{
	const char *p = text;

	*ret_length = 0;
	for (; *p; p++) {
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			return false;
	}
	*ret_length = (size_t)(p - text);
	return true;
}

void kl_json_any_text(struct kl_json_line *l, const char *name, const char *text)
{
	_cleanup_free_ char *quoted = NULL;
	size_t length;
	json_t *s;

	if (!text || !text[0]) {
		kl_json_null(l, name);
		return;
	}
	begin(l, name);
	if (is_plain(text, &length)) {
		append_quoted(l, text, length);
		return;
	}
	s = kl_json_text(text);
	quoted = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;
	json_decref(s);
	if (quoted)
		append(l, quoted, strlen(quoted));
	else
		l->lacking = true;
}

int kl_json_line_write(struct kl_json_line *l, FILE *out)
{
	int r = l->lacking ? -ENOMEM : 0;

	errno = 0;
	if (!r && l->length && fwrite(l->text, 1, l->length, out) != l->length)
		r = errno ? -errno : -EIO;
	l->length = 0;
	l->lacking = l->follows = false;
	return r;
}
