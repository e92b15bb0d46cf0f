// SPDX-License-Identifier: GPL-2.0-only
/* Objects as text: report/json_line.c. What jansson makes of them is what was put in. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/json_line.h"

/* What was written so far, for the caller to free. */
static char *written(struct kl_json_line *l)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert_not_null(f);
	cr_assert_eq(kl_json_line_write(l, f), 0);
	fclose(f);
	return text;
}

static void expect_text(struct kl_json_line *l, const char *want)
{
	char *text = written(l);

	cr_assert_str_eq(text, want);
	free(text);
}

Test(json_line, members_and_lists_are_apart)
{
	struct kl_json_line l = {};

	for (int turn = 0; turn < 2; turn++) {
		kl_json_open(&l, NULL, '{');
		kl_json_open(&l, "none", '{');
		kl_json_close(&l, '}');
		kl_json_open(&l, "list", '[');
		kl_json_number(&l, NULL, 0);
		kl_json_number(&l, NULL, UINT64_MAX);
		kl_json_close(&l, ']');
		kl_json_bool(&l, "yes", true);
		kl_json_bool(&l, "no", false);
		kl_json_null(&l, "nothing");
		kl_json_word(&l, "word", "a");
		kl_json_word(&l, "no_word", NULL);
		kl_json_close(&l, '}');
		expect_text(&l, turn ? "{\"none\": {}, \"list\": [0, 18446744073709551615], "
				       "\"yes\": true, \"no\": false, \"nothing\": null, "
				       "\"word\": \"a\", \"no_word\": null}"
				     : "{\"none\":{},\"list\":[0,18446744073709551615],"
				       "\"yes\":true,\"no\":false,\"nothing\":null,"
				       "\"word\":\"a\",\"no_word\":null}");
		l.readable = true;
	}
	kl_json_line_done(&l);
}

Test(json_line, nothing_is_written_of_nothing)
{
	struct kl_json_line l = {};

	expect_text(&l, "");
	kl_json_line_done(&l);
}

Test(json_line, decimals_are_exact)
{
	static const struct {
		uint64_t value;
		unsigned digits;
		const char *text;
	} cases[] = {
		{ 0, 3, "0.0" },      { 1, 3, "0.001" }, { 30000000, 6, "30.0" },
		{ 1283, 3, "1.283" }, { 100, 2, "1.0" }, { UINT64_MAX, 9, "18446744073.709551615" },
	};
	struct kl_json_line l = {};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		kl_json_decimal(&l, NULL, cases[i].value, cases[i].digits);
		expect_text(&l, cases[i].text);
	}
	kl_json_line_done(&l);
}

/* Bytes of strangers: quotes, control characters, other alphabets, and what is no text at all. */
Test(json_line, any_text_is_json)
{
	static const char *const texts[][2] = {
		{ "plain", "plain" },	    { "a\"b\\c", "a\"b\\c" },
		{ "\n\t\x01", "\n\t\x01" }, { "Gr\xc3\xbc\xc3\x9f", "Gr\xc3\xbc\xc3\x9f" },
		{ "\xff\xc3(", "?\?(" },    { "\x7f", "\x7f" },
	};
	struct kl_json_line l = {};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		json_t *object;
		char *text;

		kl_json_open(&l, NULL, '{');
		kl_json_any_text(&l, "text", texts[i][0]);
		kl_json_close(&l, '}');
		text = written(&l);
		object = json_loads(text, 0, NULL);
		cr_assert_not_null(object, "%s", text);
		cr_assert_str_eq(json_string_value(json_object_get(object, "text")), texts[i][1]);
		json_decref(object);
		free(text);
	}
	kl_json_any_text(&l, NULL, "");
	expect_text(&l, "null");
	kl_json_line_done(&l);
}

Test(json_line, an_object_of_jansson_goes_on)
{
	struct kl_json_line l = {};

	kl_json_continue(&l, json_pack("{s:i}", "a", 1), JSON_COMPACT);
	kl_json_number(&l, "b", 2);
	kl_json_close(&l, '}');
	expect_text(&l, "{\"a\":1,\"b\":2}");
	kl_json_continue(&l, json_object(), JSON_COMPACT);
	kl_json_number(&l, "b", 2);
	kl_json_close(&l, '}');
	expect_text(&l, "{\"b\":2}");
	kl_json_continue(&l, NULL, 0);
	cr_assert_eq(kl_json_line_write(&l, stdout), -ENOMEM);
	kl_json_line_done(&l);
}
