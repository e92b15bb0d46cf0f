/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where jansson has no memory for a member, the object goes without it, and nobody is told. So all
 * that was made since the last print is printed whole, or not at all.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* The object as text, for the caller to free; it is released. NULL: out of memory. */
char *kl_json_dump(json_t *object, size_t flags);
/* Prints the object, and releases it; NULL is -ENOMEM. flags: of json_dumpf(). */
int kl_json_put(json_t *object, FILE *out, size_t flags);
/* And a newline. */
int kl_json_print(json_t *object, FILE *out, size_t flags);
