// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is what the help calls a default the default?
 *
 *   same-default VERB OPTION VALUE [OPTION [VALUE]]…
 *
 * parses VERB's command line with and without the first OPTION and says "equal" or "differs"; what
 * follows it is given both times.
 */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "util/cleanup.h"

enum {
	WORDS_MAX = 32
};

static unsigned mask_of(const char *verb)
{
	if (!strcmp(verb, "watch"))
		return KL_VERB_WATCH;
	if (!strcmp(verb, "check"))
		return KL_VERB_CHECK;
	if (!strcmp(verb, "agent"))
		return KL_VERB_AGENT;
	if (!strcmp(verb, "join"))
		return KL_VERB_JOIN;
	return strcmp(verb, "diagnose") ? 0 : KL_VERB_DIAGNOSE;
}

/* All of the result is compared, so all of it is written before, padding included. */
static int parse(const struct kl_verb *verb, int argc, char **argv, struct kl_options *ret)
{
	struct kl_error err = {};
	int r;

	memset(ret, 0, sizeof(*ret));
	r = kl_options_parse(verb, argc, argv, ret, &err);
	if (r)
		fprintf(stderr, "same-default: %s\n", err.text);
	/* What was given is no setting. */
	ret->live_only = NULL;
	ret->argc = 0;
	memset(ret->given, 0, sizeof(ret->given));
	return r;
}

int main(int argc, char **argv)
{
	struct kl_verb verb = { .name = argc > 1 ? argv[1] : "" };
	char *two_sides[] = { "--access", "kl-a", "--cucm", "kl-b" };
	char *one_side[] = { "--side", "cucm", "--interface", "kl-a",
			     "--site", "s",    "--nats",      "nats://localhost" };
	char *no_side[] = { "--nats", "nats://localhost" };
	char *words[WORDS_MAX] = { argv[1] };
	const unsigned sites = KL_VERB_AGENT | KL_VERB_JOIN;
	struct kl_options without, with;
	int count = 1;

	verb.mask = mask_of(verb.name);
	if (argc < 4 || argc + 10 >= WORDS_MAX || !verb.mask) {
		fprintf(stderr, "usage: same-default VERB OPTION VALUE [OPTION [VALUE]]...\n");
		return 2;
	}
	for (size_t i = 0; i < KL_COUNT(two_sides) && !(verb.mask & sites); i++)
		words[count++] = two_sides[i];
	for (size_t i = 0; i < KL_COUNT(one_side) && verb.mask == KL_VERB_AGENT; i++)
		words[count++] = one_side[i];
	for (size_t i = 0; i < KL_COUNT(no_side) && verb.mask == KL_VERB_JOIN; i++)
		words[count++] = no_side[i];
	for (int i = 4; i < argc; i++)
		words[count++] = argv[i];
	if (parse(&verb, count, words, &without))
		return 2;
	words[count++] = argv[2];
	words[count++] = argv[3];
	if (parse(&verb, count, words, &with))
		return 2;
	puts(memcmp(&without, &with, sizeof(with)) ? "differs" : "equal");
	return 0;
}
