// SPDX-License-Identifier: GPL-2.0-only
#include "core/subject.h"

#include <stdio.h>
#include <string.h>

#include "core/wire.h"

static bool is_of_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static size_t token_length(const char *text)
{
	size_t len = 0;

	while (is_of_token(text[len]))
		len++;
	return len;
}

bool kl_token_is_valid(const char *text)
{
	size_t len = token_length(text);

	return len && len < KL_TOKEN_SIZE && !text[len];
}

void kl_token_from(const char *text, char ret[KL_TOKEN_SIZE])
{
	size_t len = 0;

	for (; text[len] && len < KL_TOKEN_SIZE - 1; len++)
		ret[len] = is_of_token(text[len]) ? text[len] : '-';
	if (!len)
		ret[len++] = '-';
	ret[len] = 0;
}

bool kl_subject_prefix_is_valid(const char *prefix)
{
	if (strlen(prefix) >= KL_TOKEN_SIZE)
		return false;
	for (;; prefix++) {
		size_t len = token_length(prefix);

		prefix += len;
		if (!len || (*prefix && *prefix != '.'))
			return false;
		if (!*prefix)
			return true;
	}
}

void kl_subject_segments(const char *prefix, const char *site, const char *agent,
			 uint32_t partition, char ret[KL_SUBJECT_SIZE])
{
	snprintf(ret, KL_SUBJECT_SIZE, "%s.v1.seg.%s.%s.%u", prefix, site, agent, partition);
}

void kl_subject_beat(const char *prefix, const char *site, const char *agent,
		     char ret[KL_SUBJECT_SIZE])
{
	snprintf(ret, KL_SUBJECT_SIZE, "%s.v1.beat.%s.%s", prefix, site, agent);
}

void kl_subject_inbox(const char *prefix, const char *site, char ret[KL_SUBJECT_SIZE])
{
	snprintf(ret, KL_SUBJECT_SIZE, "%s.v1.inbox.%s", prefix, site);
}

/* ---- reading ---- */

static bool skip(const char **at, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool take_token(const char **at, char ret[KL_TOKEN_SIZE])
{
	size_t len = token_length(*at);

	if (!len || len >= KL_TOKEN_SIZE)
		return false;
	memcpy(ret, *at, len);
	ret[len] = 0;
	*at += len;
	return true;
}

/* Decimal as it is written: no sign, no zeros before it. */
static bool take_partition(const char **at, uint32_t *ret)
{
	const char *text = *at;
	uint32_t n = 0;

	if (*text == '0' && text[1])
		return false;
	for (; *text >= '0' && *text <= '9' && n < KL_WIRE_PARTITIONS; text++)
		n = n * 10 + (uint32_t)(*text - '0');
	if (text == *at || n >= KL_WIRE_PARTITIONS)
		return false;
	*ret = n;
	*at = text;
	return true;
}

static bool take_from(const char **at, const char *prefix, const char *what,
		      struct kl_subject_from *ret)
{
	return skip(at, prefix) && skip(at, what) && take_token(at, ret->site) && skip(at, ".") &&
	       take_token(at, ret->agent);
}

bool kl_subject_read_segments(const char *prefix, const char *subject, struct kl_subject_from *ret)
{
	return take_from(&subject, prefix, ".v1.seg.", ret) && skip(&subject, ".") &&
	       take_partition(&subject, &ret->partition) && !*subject;
}

bool kl_subject_read_beat(const char *prefix, const char *subject, struct kl_subject_from *ret)
{
	ret->partition = 0;
	return take_from(&subject, prefix, ".v1.beat.", ret) && !*subject;
}
