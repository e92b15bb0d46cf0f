// SPDX-License-Identifier: GPL-2.0-only
// stream-lines: prints the messages of a JetStream stream, one a line, as text; and ends when it has
// printed all that is there. For the records of kaloss join.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "source/broker_read.h"
#include "util/duration.h"

static int print(const struct kl_broker_message *m, void *arg)
{
	*(uint64_t *)arg = m->behind;
	fwrite(m->data, 1, m->len, stdout);
	putchar('\n');
	return 0;
}

static int read_all(struct kl_broker *b, const char *stream, const char *subject)
{
	char name[64];
	struct kl_broker_read_config config = {
		.stream = stream, .subject = subject, .durable = name, .from = 1
	};
	struct kl_broker_reader *reader = NULL;
	uint64_t until_ns = kl_monotonic_ns() + 20 * KL_NS_PER_S;
	uint64_t behind = 1;
	struct kl_error err = {};
	int r;

	snprintf(name, sizeof(name), "lines-%d", (int)getpid());
	while ((r = kl_broker_reader_open(b, &config, &reader, &err)) &&
	       kl_monotonic_ns() < until_ns) {
		poll(NULL, 0, 100);
		kl_broker_look(b);
	}
	/* (What the server has to look up first is not there at once.) */
	for (int nothing = 0; !r && behind && nothing < 40;) {
		int got = kl_broker_reader_take(reader, 256, print, &behind, &err);

		if (got < 0)
			r = got;
		nothing = got ? 0 : nothing + 1;
		if (!got)
			poll(NULL, 0, 50);
	}
	kl_broker_reader_close(reader);
	if (r)
		fprintf(stderr, "stream-lines: %s\n", err.text);
	return r;
}

int main(int argc, char **argv)
{
	struct kl_broker_config config = { .name = "stream-lines" };
	struct kl_broker *b = NULL;
	struct kl_error err = {};
	int r;

	if (argc != 4) {
		fprintf(stderr, "usage: stream-lines URL STREAM SUBJECT\n");
		return 2;
	}
	config.urls = argv[1];
	if (kl_broker_open(&config, &b, &err)) {
		fprintf(stderr, "stream-lines: %s\n", err.text);
		return 1;
	}
	r = read_all(b, argv[2], argv[3]);
	kl_broker_close(b);
	return r ? 1 : 0;
}
