// SPDX-License-Identifier: GPL-2.0-only
/* Picks the verb. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "util/cleanup.h"

static const struct kl_verb verbs[] = {
	{
		.name = "watch",
		.summary = "Watches both sides until stopped: one line a tick, and each lost "
			   "keepalive by "
			   "name.",
		.usage = "kaloss watch --access IF[,IF...] --cucm IF[,IF...] [options]",
		.mask = KL_VERB_WATCH,
		.run = kl_watch,
	},
	{
		.name = "diagnose",
		.summary =
			"Says what is lost, where, why, and what to do: looks at the traffic for "
			"a while, or reads\n"
			"one capture or two from both ends (--access-capture FILE, "
			"--cucm-capture FILE), or what `kaloss watch --history FILE` kept\n"
			"(--history FILE).",
		.usage = "kaloss diagnose --access IF[,IF...] --cucm IF[,IF...] [--for 5m] "
			 "[options]",
		.mask = KL_VERB_DIAGNOSE,
		.run = kl_diagnose,
	},
	{
		.name = "check",
		.summary = "Can kaloss run here, and what would spoil it? Each obstacle with its "
			   "cure.",
		.usage = "kaloss check --access IF[,IF...] --cucm IF[,IF...] [options]",
		.mask = KL_VERB_CHECK,
		.run = kl_check,
	},
	{
		.name = "agent",
		.summary = "Sees one side of a site, and publishes what it saw of keepalives to a "
			   "NATS server, for\n"
			   "joiners.",
		.usage =
			"kaloss agent --side access|cucm --interface IF[,IF...] --site NAME --nats "
			"URL [options]",
		.mask = KL_VERB_AGENT,
		.run = kl_agent,
	},
	{
		.name = "join",
		.summary = "Joins what agents at both ends saw, from a NATS server with JetStream: "
			   "each lost\n"
			   "keepalive by name, for many sites. Several share the work.",
		.usage = "kaloss join --nats URL [--partitions FIRST-LAST] [options]",
		.mask = KL_VERB_JOIN,
		.run = kl_join,
	},
};

static void print_help(void)
{
	printf("kaloss finds the keepalives of IP phones that the network loses.\n\n");
	for (size_t i = 0; i < KL_COUNT(verbs); i++)
		printf("  %s\n      %s\n", verbs[i].usage, verbs[i].summary);
	printf("\n`kaloss VERB --help` lists a verb's options; --version prints the version.\n"
	       "Exit status: 0 it ran, 1 diagnose found a fault or check an obstacle, 2 wrong "
	       "usage or it could not run.\n");
}

static int run_verb(const struct kl_verb *verb, int argc, char **argv)
{
	struct kl_error err = {};
	struct kl_options o;
	int status;

	if (kl_options_parse(verb, argc, argv, &o, &err)) {
		fprintf(stderr, "kaloss %s: %s\n", verb->name, err.text);
		return KL_EXIT_FAILED;
	}
	if (o.help) {
		kl_options_help(verb);
		return KL_EXIT_OK;
	}
	status = verb->run(&o);
	kl_options_done(&o);
	return status;
}

/*
 * What is closed stays closed: no file that is opened later gets its number, and what is meant for a
 * person. (Reading from 0 and writing to the others fails.)
 */
static void keep_standard_files(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd ? O_RDONLY : O_WRONLY);
	}
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	keep_standard_files();

	for (size_t i = 0; i < KL_COUNT(verbs); i++) {
		if (strcmp(word, verbs[i].name))
			continue;
		for (int a = 2; a < argc && strcmp(argv[a], "--"); a++) {
			if (strcmp(argv[a], "--version"))
				continue;
			printf("kaloss %s\n", KL_VERSION);
			return KL_EXIT_OK;
		}
		return run_verb(&verbs[i], argc - 1, argv + 1);
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
		print_help();
		return KL_EXIT_OK;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		printf("kaloss %s\n", KL_VERSION);
		return KL_EXIT_OK;
	}
	if (!word[0])
		fprintf(stderr,
			"kaloss: what shall it do? watch, diagnose, check, agent or join (see "
			"kaloss --help)\n");
	else
		fprintf(stderr,
			"kaloss: unknown verb %s (there are: watch, diagnose, check, agent, "
			"join)\n",
			word);
	return KL_EXIT_FAILED;
}
