// SPDX-License-Identifier: GPL-2.0-only
/* Texts of strangers in the HTML report: whatever their bytes are, they stay texts. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/html_text.h"

/* What `put` writes; to be freed. */
static char *written(void (*put)(FILE *, const char *), const char *text)
{
	char *ret = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&ret, &size);

	cr_assert(f);
	put(f, text);
	fclose(f);
	return ret;
}

static void check(const char *text)
{
	char *html = written(kl_html_put, text), *json = written(kl_html_put_json, text);
	json_t *read = json_loads(json, JSON_DECODE_ANY, NULL), *again;

	cr_assert(!strpbrk(html, "<>\"'"), "%s", html);
	cr_assert(!strpbrk(json, "<>&'"), "%s", json);
	for (const char *p = json; *p; p++)
		cr_assert(*p >= 0x20 && *p < 0x7f, "%s", json);
	cr_assert(json_is_string(read), "%s", json);
	/* As UTF-8 it is whole: what was read is taken as it is. */
	again = json_string(html);
	cr_assert(again, "%s", html);
	json_decref(again);
	json_decref(read);
	free(html);
	free(json);
}

Test(html_text, every_byte_and_every_two)
{
	char text[4] = "";

	for (int a = 1; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			text[0] = (char)a;
			text[1] = (char)b;
			check(text);
		}
	}
}

Test(html_text, random_bytes)
{
	uint64_t random = 0x9e3779b97f4a7c15ULL;
	char text[24];

	for (int i = 0; i < 50000; i++) {
		for (size_t k = 0; k + 1 < sizeof(text); k++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			/* Lead bytes and what follows them, more often than chance has it. */
			text[k] = (char)(random >> 60 < 6 ? 0x80 | random >> 40 % 0x40
							  : random >> 33);
		}
		text[sizeof(text) - 1] = '\0';
		check(text);
	}
}

Test(html_text, what_is_text_stays)
{
	static const char *const same[] = { "SEP0024142DDF24", "Z\xc3\xbcrich 3. Stock",
					    "\xe2\x82\xac \xf0\x9f\x93\x9e", "a\nb\tc", "" };
	static const char *const replaced[][2] = {
		{ "a\xff", "a\xef\xbf\xbd" },
		{ "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "x\xe2\x80\xae\xe2\x80\xac", "x\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe2\x80\xa8", "\xef\xbf\xbd" },
		{ "\x01", "\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		char *html = written(kl_html_put, same[i]);
		char *json = written(kl_html_put_json, same[i]);
		json_t *read = json_loads(json, JSON_DECODE_ANY, NULL);

		cr_assert_str_eq(html, same[i]);
		cr_assert_str_eq(json_string_value(read), same[i]);
		json_decref(read);
		free(html);
		free(json);
	}
	for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++) {
		char *html = written(kl_html_put, replaced[i][0]);

		cr_assert_str_eq(html, replaced[i][1]);
		free(html);
	}
}

static char *series(const int64_t *values, size_t count)
{
	struct kl_html_series s;
	char *ret = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&ret, &size);

	kl_html_series_begin(&s, f);
	for (size_t i = 0; i < count; i++)
		kl_html_series_add(&s, values[i]);
	kl_html_series_end(&s);
	fclose(f);
	return ret;
}

Test(html_text, series)
{
	/* 5; then its difference 30000; then how that changes: 0, 1, -1 (zigzag: 0, 2, 1). */
	static const int64_t values[] = { 5, 30005, 60005, 90006, 120006 };
	static const int64_t far[] = { -1, INT64_C(1) << 52, 0 };
	char *text = series(values, 5);

	cr_assert_str_eq(text, "\"CuDUAwACAQ==\"");
	free(text);
	text = series(values, 0);
	cr_assert_str_eq(text, "\"\"");
	free(text);
	text = series(far, 3);
	cr_assert(strlen(text) > 20 && strlen(text) % 4 == 2);
	free(text);
}
