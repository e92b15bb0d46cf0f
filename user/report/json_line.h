/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A JSON object as text, member by member, in the order in which they are told: for the records of
 * which a report may have tens of thousands. A struct kl_json_line owns its text, which serves one
 * object after the other; start with zeros. Without memory it goes on, and says so at the end.
 * A name of a member, and a word, is plain text of ours; NULL is for an item of a list.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct kl_json_line {
	char *text;
	size_t length, room;
	bool lacking;  /* no memory */
	bool follows;  /* something stands before the next member */
	bool readable; /* with a space between members */
};

void kl_json_line_done(struct kl_json_line *l);

/* Begins with the members of this one (NULL: no memory), releases it, and leaves it open. */
void kl_json_continue(struct kl_json_line *l, json_t *object, size_t flags);
/* As it is, before the first member of the next object. */
void kl_json_between(struct kl_json_line *l, const char *text);
/* `open` is { or [, `close` is } or ]. */
void kl_json_open(struct kl_json_line *l, const char *name, char open);
void kl_json_close(struct kl_json_line *l, char close);
void kl_json_null(struct kl_json_line *l, const char *name);
void kl_json_bool(struct kl_json_line *l, const char *name, bool value);
void kl_json_number(struct kl_json_line *l, const char *name, uint64_t value);
/* value / 10^digits, exactly. */
void kl_json_decimal(struct kl_json_line *l, const char *name, uint64_t value, unsigned digits);
/* NULL is null. */
void kl_json_word(struct kl_json_line *l, const char *name, const char *word);
/* Any bytes, see kl_json_text(); NULL and "" are null. */
void kl_json_any_text(struct kl_json_line *l, const char *name, const char *text);

/* Writes what is there and begins anew. Negative: errno, -ENOMEM where a part is missing. */
int kl_json_line_write(struct kl_json_line *l, FILE *out);
