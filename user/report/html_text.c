// SPDX-License-Identifier: GPL-2.0-only
#include "report/html_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "util/cleanup.h"

enum {
	REPLACEMENT = 0xfffd,
};

static bool is_unwelcome(uint32_t c)
{
	if (c < 0x20)
		return c != '\n' && c != '\t';
	return (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       (c & 0xfffe) == 0xfffe;
}

/* The next character of UTF-8 (RFC 3629), and how many bytes it takes; one byte of what is none. */
static uint32_t next_character(const uint8_t *p, size_t *ret_length)
{
	/* Of a lead byte: what its character has at least (else it is written too long). */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = p[0] < 0x80	      ? 1
			: (p[0] >> 5) == 0x06 ? 2
			: (p[0] >> 4) == 0x0e ? 3
			: (p[0] >> 3) == 0x1e ? 4
					      : 0;
	uint32_t c = length > 1 ? p[0] & (0x7fU >> length) : p[0];

	*ret_length = 1;
	if (!length)
		return REPLACEMENT;
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the end of the text, too */
			return REPLACEMENT;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return REPLACEMENT;
	*ret_length = length;
	return is_unwelcome(c) ? REPLACEMENT : c;
}

void kl_html_put(FILE *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	while (*p) {
		size_t length;
		uint32_t c = next_character(p, &length);

		if (c == '&')
			fputs("&amp;", out);
		else if (c == '<')
			fputs("&lt;", out);
		else if (c == '>')
			fputs("&gt;", out);
		else if (c == '"')
			fputs("&quot;", out);
		else if (c == '\'')
			fputs("&#39;", out);
		else if (c == REPLACEMENT)
			fputs("\xef\xbf\xbd", out);
		else
			fwrite(p, 1, length, out);
		p += length;
	}
}

void kl_html_put_json(FILE *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text;

	fputc('"', out);
	while (*p) {
		size_t length;
		uint32_t c = next_character(p, &length);

		if (c >= 0x10000)
			fprintf(out, "\\u%04" PRIx32 "\\u%04" PRIx32,
				0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
		else if (c >= 0x7f || c < 0x20 || strchr("\"\\<>&'", (int)c))
			fprintf(out, "\\u%04" PRIx32, c);
		else
			fputc((int)c, out);
		p += length;
	}
	fputc('"', out);
}

/* ---- Series ---- */

static void put_group(struct kl_html_series *s)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = (uint32_t)s->kept[0] << 16 | (uint32_t)s->kept[1] << 8 | s->kept[2];

	for (unsigned i = 0; i < 4; i++)
		fputc(i <= s->kept_count ? digits[bits >> (18 - 6 * i) & 0x3f] : '=', s->out);
	memset(s->kept, 0, sizeof(s->kept));
	s->kept_count = 0;
}

static void put_byte(struct kl_html_series *s, uint8_t byte)
{
	s->kept[s->kept_count++] = byte;
	if (s->kept_count == sizeof(s->kept))
		put_group(s);
}

void kl_html_series_begin(struct kl_html_series *s, FILE *out)
{
	*s = (struct kl_html_series){ .out = out };
	fputc('"', out);
}

void kl_html_series_add(struct kl_html_series *s, int64_t value)
{
	int64_t step = s->count ? value - s->last : 0;
	int64_t n = s->count ? step - s->step : value;
	uint64_t left = n < 0 ? ((uint64_t) - (n + 1) << 1 | 1) : (uint64_t)n << 1;

	for (; left >= 0x80; left >>= 7)
		put_byte(s, (uint8_t)(left | 0x80));
	put_byte(s, (uint8_t)left);
	s->last = value;
	s->step = step;
	s->count++;
}

void kl_html_series_end(struct kl_html_series *s)
{
	if (s->kept_count)
		put_group(s);
	fputc('"', s->out);
}
